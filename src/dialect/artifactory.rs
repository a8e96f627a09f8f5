//! Webhooks of `JFrog` Artifactory, domain `docker`: a tag was pushed, deleted or promoted
//! (`JFrog`'s documentation, "Domain: docker").
//!
//! They tell no pulls, no client address, no actor, no time and no id. What a proxy
//! repository fetched is reported as pushed to its cache (`…-cache`) and taken as such.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, text},
};
use crate::{
    event::{Category, RegistryEvent},
    image::Digest,
};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let payload = json::object(body)?;
    let mut parsed = Parsed::default();
    parsed.take(event(&payload));
    Ok(parsed)
}

fn event(payload: &Value) -> Result<Option<RegistryEvent>, NotText> {
    if text(payload, "domain")?.is_some_and(|domain| domain != "docker") {
        return Ok(None);
    }
    // The documentation shows the data alone; deliveries have an envelope around it.
    let data = payload.get("data").unwrap_or(payload);
    let category = match text(payload, "event_type")? {
        // A promoted image is new where it was promoted to.
        Some("pushed" | "promoted") => Category::Push,
        Some("deleted") => Category::Delete,
        _ => return Ok(None),
    };
    let (Some(key), Some(image)) = (text(data, "repo_key")?, text(data, "image_name")?) else {
        return Ok(None);
    };
    let Some(repository) = fields::repository(&format!("{key}/{image}")) else {
        return Ok(None);
    };
    let reference = text(data, "tag")?;
    let tag = reference.and_then(fields::tag);
    let by_digest = reference.and_then(fields::digest);
    let Some(event) = fields::event_about(category, repository, tag, by_digest) else {
        return Ok(None);
    };
    let event = RegistryEvent {
        digest: text(data, "sha256")?.and_then(sha256).or(event.digest),
        ..event
    };
    Ok(Some(fields::named(event, None)))
}

/// A digest without its algorithm.
fn sha256(hex: &str) -> Option<Digest> {
    fields::digest(&format!("sha256:{hex}"))
}
