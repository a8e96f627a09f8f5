//! What sources write into fields, made into what a record holds: checked, bounded,
//! and absent where it is not what it should be.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Parsed;
use crate::{
    event::{AddressSource, Category, DeleteTarget, NetworkType, RegistryEvent, SourceAddress},
    image::Digest,
};

/// The longest repository path (distribution's `reference` package, `NameTotalLengthMax`).
const MAX_REPOSITORY: usize = 255;
/// The longest tag (OCI distribution specification, "Pulling manifests").
const MAX_TAG: usize = 128;
/// The longest id, request id, instance id and media type, in bytes.
const MAX_ID: usize = 255;
/// The longest actor and user agent, in characters.
const MAX_TEXT: usize = 512;
/// The longest HTTP method.
const MAX_METHOD: usize = 32;

/// An event that says nothing more yet; [`named`] gives it its id.
pub(super) fn event(category: Category, target: Option<DeleteTarget>, repository: String) -> RegistryEvent {
    RegistryEvent {
        id: String::new(),
        category,
        target,
        repository,
        tag: None,
        digest: None,
        media_type: None,
        method: None,
        address: None,
        network_type: None,
        forwarded_chain: None,
        actor: None,
        user_agent: None,
        time: None,
        request_id: None,
        instance_id: None,
    }
}

/// An event that says nothing more yet but its object, named by a tag, a digest or both. `None`
/// for a delete that names neither: it is never taken for all of the repository.
pub(super) fn event_about(
    category: Category,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
) -> Option<RegistryEvent> {
    let target = match (category, &tag, &digest) {
        (Category::Push | Category::Pull, ..) => None,
        (Category::Delete, Some(_), _) => Some(DeleteTarget::Tag),
        (Category::Delete, None, Some(_)) => Some(DeleteTarget::Manifest),
        (Category::Delete, None, None) => return None,
    };
    Some(RegistryEvent {
        tag,
        digest,
        ..event(category, target, repository)
    })
}

/// The finished event under the format's own id or, where there is none, a key made of its content.
pub(super) fn named(event: RegistryEvent, own: Option<&str>) -> RegistryEvent {
    let id = own
        .filter(|id| !id.is_empty())
        .map_or_else(|| content_id(&event), id);
    RegistryEvent { id, ..event }
}

/// What one record brings that has one id: its first event under that id, the others under
/// `ID#2`, `ID#3` and so on, in the order of the record. A record without events is ignored.
pub(super) fn named_each(events: Vec<RegistryEvent>, own: Option<&str>) -> Parsed {
    let ignored = i64::from(events.is_empty());
    let numbered = events.into_iter().zip(1_usize..);
    let events = numbered
        .map(|(event, number)| match own {
            Some(id) if number > 1 => named(event, Some(&format!("{id}#{number}"))),
            _ => named(event, own),
        })
        .collect();
    Parsed { events, ignored }
}

/// A repository path as the source writes it; `None` where it cannot be one.
pub(super) fn repository(text: &str) -> Option<String> {
    let possible = !text.is_empty() && text.len() <= MAX_REPOSITORY && !text.chars().any(char::is_control);
    possible.then(|| text.to_owned())
}

/// A tag (`[\w][\w.-]{0,127}`). A digest in its place is none.
pub(super) fn tag(text: &str) -> Option<String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    let first = bytes.first().copied()?;
    let valid = bytes.len() <= MAX_TAG
        && word(first)
        && bytes
            .iter()
            .all(|&byte| word(byte) || byte == b'.' || byte == b'-');
    valid.then(|| text.to_owned())
}

/// A digest; an invalid one is absent.
pub(super) fn digest(text: &str) -> Option<Digest> {
    text.parse().ok()
}

/// An id, kept whole or, where it is too long or holds what no id should, as its hash.
pub(super) fn id(text: &str) -> String {
    if text.len() <= MAX_ID && !text.chars().any(char::is_control) {
        text.to_owned()
    } else {
        hash(Sha256::new_with_prefix(text))
    }
}

/// Free text such as a user agent, cut. NUL is left out: a text column of a database may take none.
pub(super) fn free_text(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|&character| character != '\0')
        .take(MAX_TEXT)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A media type without parameters.
pub(super) fn media_type(text: &str) -> Option<String> {
    let bare = text.split(';').next().unwrap_or_default().trim();
    let possible = !bare.is_empty() && bare.len() <= MAX_ID && !bare.chars().any(char::is_control);
    possible.then(|| bare.to_owned())
}

/// An HTTP method, upper case.
pub(super) fn method(text: &str) -> Option<String> {
    let possible = text.len() <= MAX_METHOD && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    (possible && !text.is_empty()).then(|| text.to_ascii_uppercase())
}

/// A time with its zone (RFC 3339, up to nine fractional digits). Without a zone, or
/// before 1970 (the zero time of Go programs), there is none.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time| *time >= Timestamp::UNIX_EPOCH)
}

/// A time in whole or broken seconds since 1970 UTC.
pub(super) fn epoch_seconds(number: &serde_json::Number) -> Option<Timestamp> {
    if let Some(seconds) = number.as_i64() {
        return Timestamp::from_second(seconds)
            .ok()
            .filter(|time| *time >= Timestamp::UNIX_EPOCH);
    }
    let seconds = jiff::SignedDuration::try_from_secs_f64(number.as_f64()?).ok()?;
    Timestamp::UNIX_EPOCH
        .checked_add(seconds)
        .ok()
        .filter(|time| *time >= Timestamp::UNIX_EPOCH)
}

/// A time as mail writes it (RFC 2822): `Tue, 03 Mar 2026 10:00:00 -0000`.
pub(super) fn mail_time(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(time).filter(|time| *time >= Timestamp::UNIX_EPOCH)
}

/// A time whose zone is written without a colon: `2026-03-03T10:00:00.000+0000`.
pub(super) fn time_with_bare_zone(text: &str) -> Option<Timestamp> {
    let time = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?;
    Some(time).filter(|time| *time >= Timestamp::UNIX_EPOCH)
}

/// An address that a service saw itself and hands over without saying how: an IP literal,
/// with or without a port. Names (`AWS Internal`, `gcp-internal-ip`, hosts) are none.
pub(super) fn peer(text: &str) -> Option<SourceAddress> {
    peer_or_header(text).map(|address| SourceAddress {
        source: AddressSource::Peer,
        ..address
    })
}

/// The same where the service may have taken it from a header that clients can send.
pub(super) fn header(text: &str) -> Option<SourceAddress> {
    peer_or_header(text).map(|address| SourceAddress {
        source: AddressSource::Header,
        ..address
    })
}

/// The one address that distribution and its derivatives hand over: with a port it is
/// the connection's peer, without it was taken from a header (distribution,
/// `internal/requestutil`, `RemoteAddr`). What is no IP address is none.
pub(super) fn peer_or_header(text: &str) -> Option<SourceAddress> {
    let (text, zoned) = without_zone(text);
    let (ip, source) = if let Ok(peer) = text.parse::<SocketAddr>() {
        (peer.ip(), AddressSource::Peer)
    } else {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(&text);
        (bare.parse::<IpAddr>().ok()?, AddressSource::Header)
    };
    let possible = !zoned || ip.is_ipv6();
    possible.then(|| SourceAddress {
        ip: ip.to_canonical(),
        source,
    })
}

/// `fe80::1%eth0` without its zone, which means nothing elsewhere.
fn without_zone(text: &str) -> (String, bool) {
    match text.split_once('%') {
        Some((address, rest)) => match rest.find(']') {
            Some(end) => (format!("{address}{}", &rest[end..]), true),
            None => (address.to_owned(), true),
        },
        None => (text.to_owned(), false),
    }
}

/// A key made of what an event says, where its format has no id: the same event again
/// has the same key. It must not change from version to version.
pub(super) fn content_id(event: &RegistryEvent) -> String {
    let RegistryEvent {
        id: _,
        category,
        target,
        repository,
        tag,
        digest,
        media_type,
        method,
        address,
        network_type,
        forwarded_chain,
        actor,
        user_agent,
        time,
        request_id,
        instance_id,
    } = event;
    let category = match category {
        Category::Push => "push",
        Category::Pull => "pull",
        Category::Delete => "delete",
    };
    let target = target.map(|target| match target {
        DeleteTarget::Tag => "tag",
        DeleteTarget::Manifest => "manifest",
        DeleteTarget::Repository => "repository",
    });
    let address = address.map(|SourceAddress { ip, source }| match source {
        AddressSource::Peer => format!("peer {ip}"),
        AddressSource::Header => format!("header {ip}"),
    });
    let network_type = network_type.map(|network_type| match network_type {
        NetworkType::Private => "private",
        NetworkType::Public => "public",
    });
    let mut hasher = Sha256::new();
    for part in [
        Some(category),
        target,
        Some(repository),
        tag.as_deref(),
        digest.as_ref().map(ToString::to_string).as_deref(),
        media_type.as_deref(),
        method.as_deref(),
        address.as_deref(),
        forwarded_chain.as_deref(),
        actor.as_deref(),
        user_agent.as_deref(),
        time.map(|time| time.as_nanosecond().to_string()).as_deref(),
        request_id.as_deref(),
        instance_id.as_deref(),
    ]
    .into_iter()
    // Only where there is one: keys that were made before there was such a field stay.
    .chain(network_type.map(Some))
    {
        // The length first, so that no two events write the same bytes.
        let length = part.map_or(-1, |part| i64::try_from(part.len()).unwrap_or(i64::MAX));
        hasher.update(length.to_be_bytes());
        hasher.update(part.unwrap_or_default());
    }
    hash(hasher)
}

fn hash(hasher: Sha256) -> String {
    Digest::Sha256(hasher.finalize().into()).to_string()
}
