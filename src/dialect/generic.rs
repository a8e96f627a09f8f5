//! The project's own form, for anything that can be made to say what happened
//! (`docs/registries/generic.md`, `docs/registries/generic.schema.json`): records alone, in a
//! list, or one after the other.
//!
//! A record of another shape than the schema's is ignored; what cannot be read of the text
//! of an optional field is absent, as in every format.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText},
};
use crate::event::{Category, DeleteTarget, NetworkType, RegistryEvent};

/// What happened to an image, in the format Generic of image-usage-operator. A text that is empty is as good as
/// none. Fields beside these are allowed and not read.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Registry event")]
struct Record {
    /// What happened.
    category: StatedCategory,
    /// The repository's path, without host, tag and digest: shop/web.
    #[schemars(length(min = 1, max = 255))]
    repository: String,
    /// The tag that the client named.
    tag: Option<String>,
    /// The manifest's digest: sha256 or sha512, a colon, lower-case hexadecimal digits.
    digest: Option<String>,
    /// What a delete removed. Without it: a manifest where there is a digest, else a tag. The whole repository only
    /// where this says so, and neither tag nor digest is there.
    target: Option<StatedTarget>,
    /// The client's IP address, with or without a port.
    #[serde(rename = "clientIP")]
    client_ip: Option<String>,
    /// How the client's address is known. Peer: whoever wrote the record saw the connection, no client can forge
    /// it. Header: it may come from a header that clients can send, and is believed only where the registry's
    /// settings say so. Without it: Header.
    #[serde(rename = "clientIPSource")]
    client_ip_source: Option<StatedSource>,
    /// The header X-Forwarded-For as it came. It is kept; who asked is not taken from it.
    forwarded_for: Option<String>,
    /// The network that the client came from, where it is known: it is believed over ranges of addresses.
    network_type: Option<StatedNetwork>,
    /// When it happened (RFC 3339, with zone). Without it, or without a zone, the time of receipt counts.
    #[schemars(extend("format" = "date-time"))]
    event_time: Option<String>,
    /// Who did it, as the registry names them.
    actor: Option<String>,
    /// The client's User-Agent.
    user_agent: Option<String>,
    /// HTTP method of the client's request. A Pull by HEAD is a check, which is no pull unless a GET follows.
    method: Option<String>,
    /// What tells this event, with its time, from any other of its repository: the same again is the same event.
    /// Without it, events that are the same in every field are one.
    id: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
enum StatedCategory {
    Push,
    Pull,
    Delete,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
enum StatedTarget {
    Tag,
    Manifest,
    Repository,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
enum StatedSource {
    Peer,
    Header,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
enum StatedNetwork {
    Public,
    Private,
}

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let records = json::records(body)?;
    if !records.is_empty() && !records.iter().any(Value::is_object) {
        return Err(DialectError::UnexpectedShape("it holds no JSON objects"));
    }
    let mut parsed = Parsed::default();
    for record in records {
        parsed.take(serde_json::from_value(record).map_err(|_| NotText).map(event));
    }
    Ok(parsed)
}

fn event(record: Record) -> Option<RegistryEvent> {
    let Record {
        category,
        repository,
        tag: stated_tag,
        digest: stated_digest,
        target: stated_target,
        client_ip,
        client_ip_source,
        forwarded_for,
        network_type,
        event_time,
        actor,
        user_agent,
        method,
        id,
    } = record;
    let repository = fields::repository(&repository)?;
    let tag = stated_tag.as_deref().and_then(fields::tag);
    let stated_digest = stated_digest.filter(|digest| !digest.is_empty());
    let digest = stated_digest
        .as_deref()
        .or(stated_tag.as_deref())
        .and_then(fields::digest);
    let (category, target) = match category {
        StatedCategory::Push => (Category::Push, None),
        StatedCategory::Pull => (Category::Pull, None),
        StatedCategory::Delete => {
            let names_digest = stated_digest.is_some() || digest.is_some();
            let target = target(stated_target, tag.is_some(), names_digest)?;
            (Category::Delete, Some(target))
        }
    };
    let address = match client_ip_source {
        Some(StatedSource::Peer) => client_ip.as_deref().and_then(fields::peer),
        Some(StatedSource::Header) | None => client_ip.as_deref().and_then(fields::header),
    };
    let event = RegistryEvent {
        tag,
        digest,
        method: method.as_deref().and_then(fields::method),
        address,
        network_type: network_type.map(|network_type| match network_type {
            StatedNetwork::Public => NetworkType::Public,
            StatedNetwork::Private => NetworkType::Private,
        }),
        forwarded_chain: forwarded_for.as_deref().and_then(fields::free_text),
        actor: actor.as_deref().and_then(fields::free_text),
        user_agent: user_agent.as_deref().and_then(fields::free_text),
        time: event_time.as_deref().and_then(fields::time),
        ..fields::event(category, target, repository)
    };
    Some(fields::named(event, id.as_deref()))
}

/// `None` where the record contradicts itself, or does not say what was removed.
fn target(stated: Option<StatedTarget>, tag: bool, digest: bool) -> Option<DeleteTarget> {
    match (stated, tag, digest) {
        (None | Some(StatedTarget::Manifest), _, true) => Some(DeleteTarget::Manifest),
        (None, true, false) | (Some(StatedTarget::Tag), true, _) => Some(DeleteTarget::Tag),
        (Some(StatedTarget::Repository), false, false) => Some(DeleteTarget::Repository),
        _ => None,
    }
}
