//! Events for tests, written as lines that read like an access log.

use std::net::{IpAddr, Ipv4Addr};

use jiff::{SignedDuration, Timestamp};

use super::{AddressSource, Category, DeleteTarget, LogicalEvent, RegistryEvent, SourceAddress, StoredEvent};
use crate::image::Digest;

/// The instant that times in lines count from.
pub(crate) const START: i64 = 1_770_000_000;

/// Seconds after [`START`].
pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_second(START).unwrap() + SignedDuration::try_from_secs_f64(seconds).unwrap()
}

/// The digest that a line calls `@A`.
pub(crate) fn digest(letter: char) -> Digest {
    Digest::Sha256([u8::try_from(letter).unwrap(); 32])
}

/// One raw event: `ID SECONDS CLIENT METHOD TAG DIGEST [received=SECONDS] [request=ID]
/// [from=SOURCE] [actor=NAME]`, and `untimed` where it has no time of its own.
///
/// A client is a letter (its address), optionally `a:program`; tag and digest may be
/// `-`, a digest is `@A`; `PULL` is a pull whose source names no method. It is received
/// when it happened unless the line says otherwise.
pub(crate) fn raw(line: &str) -> StoredEvent {
    let mut words = line.split_whitespace();
    let mut next = || {
        words
            .next()
            .unwrap_or_else(|| panic!("a word is missing: {line}"))
    };
    let (id, seconds, client, method, tag, content) = (next(), next(), next(), next(), next(), next());
    let happened = at(seconds.parse().unwrap());
    let mut received = happened;
    let (mut request_id, mut actor, mut source) = (None, None, "notifications");
    let mut time = Some(happened);
    for word in words {
        match word.split_once('=') {
            Some(("received", seconds)) => received = at(seconds.parse().unwrap()),
            Some(("request", id)) => request_id = Some(id.to_owned()),
            Some(("from", name)) => source = name,
            Some(("actor", name)) => actor = Some(name.to_owned()),
            None if word == "untimed" => time = None,
            _ => panic!("what is {word}?"),
        }
    }
    let (letter, program) = client.split_once(':').unwrap_or((client, "containerd"));
    let given = |word: &str| (word != "-").then(|| word.to_owned());
    let tag = given(tag);
    let digest = given(content).map(|content| digest(content.chars().nth(1).unwrap()));
    let category = match method {
        "PUT" => Category::Push,
        "DELETE" => Category::Delete,
        _ => Category::Pull,
    };
    let event = RegistryEvent {
        id: id.to_owned(),
        category,
        target: (category == Category::Delete).then_some(match (&tag, &digest) {
            (_, Some(_)) => DeleteTarget::Manifest,
            (Some(_), None) => DeleteTarget::Tag,
            (None, None) => DeleteTarget::Repository,
        }),
        repository: "team/app".to_owned(),
        tag,
        digest,
        media_type: None,
        method: (method != "PULL").then(|| method.to_owned()),
        address: given(letter).map(|letter| SourceAddress {
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, letter.as_bytes()[0])),
            source: AddressSource::Peer,
        }),
        network_type: None,
        forwarded_chain: None,
        actor,
        user_agent: Some(program.to_owned()),
        time,
        request_id,
        instance_id: None,
    };
    StoredEvent::new(source.to_owned(), received, event)
}

/// Raw events, one a line.
pub(crate) fn raws(lines: &str) -> Vec<StoredEvent> {
    lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(raw)
        .collect()
}

/// A logical event as a line: `ID CATEGORY TAGS DIGEST xRAW`.
pub(crate) fn told(event: &LogicalEvent) -> String {
    let tags = if event.tags.is_empty() {
        "-".to_owned()
    } else {
        event.tags.join(",")
    };
    let digest = event
        .digest
        .as_ref()
        .map_or("-".to_owned(), |digest| match digest {
            Digest::Sha256(bytes) => format!("@{}", char::from(bytes[0])),
            Digest::Sha512(_) => panic!("lines have no sha512"),
        });
    format!(
        "{} {:?} {tags} {digest} x{}",
        event.id, event.category, event.raw_count
    )
}
