use std::fmt::Write;

use crate::{dialect::has_own_id, event::RegistryEvent};

/// An event in a line. Of a digest only the first two digits; an id only where it is the format's own.
pub fn told(event: &RegistryEvent) -> String {
    let RegistryEvent {
        id,
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
    let mut line = format!("{category:?}");
    if let Some(target) = target {
        write!(line, " {target:?}").unwrap();
    }
    write!(line, " {repository}").unwrap();
    if let Some(tag) = tag {
        write!(line, ":{tag}").unwrap();
    }
    if let Some(digest) = digest {
        write!(line, "@{}", &digest.to_string()[7..9]).unwrap();
    }
    for (word, value) in [
        ("type", media_type.clone()),
        ("method", method.clone()),
        (
            "from",
            address.map(|address| format!("{:?} {}", address.source, address.ip)),
        ),
        ("network", network_type.map(|network| format!("{network:?}"))),
        ("through", forwarded_chain.clone()),
        ("by", actor.clone()),
        ("with", user_agent.clone()),
        ("at", time.map(|time| time.to_string())),
        ("request", request_id.clone()),
        ("instance", instance_id.clone()),
        ("id", has_own_id(event).then(|| id.clone())),
    ] {
        if let Some(value) = value {
            write!(line, " {word} {value}").unwrap();
        }
    }
    line
}
