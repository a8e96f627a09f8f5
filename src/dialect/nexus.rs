//! Webhooks of Sonatype Nexus Repository about one repository: event types `component`
//! (a tag) and `asset` (a manifest by tag or digest; layers are ignored)
//! (`RepositoryComponentWebhook.java`, `RepositoryAssetWebhook.java` there).
//!
//! They tell no pulls. What was removed in bulk (`PURGED`) is told by internal ids alone, and
//! ignored. A capability that sends both types tells each push more than once, under several ids.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, RegistryEvent, SourceAddress};

pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let payload = json::object(body)?;
    let delivery = headers
        .get("x-nexus-webhook-delivery")
        .and_then(|delivery| delivery.to_str().ok());
    let mut parsed = Parsed::default();
    parsed.take(event(&payload, delivery));
    Ok(parsed)
}

fn event(payload: &Value, delivery: Option<&str>) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(payload, "action")? {
        Some("CREATED" | "UPDATED") => Category::Push,
        Some("DELETED" | "PURGED") => Category::Delete,
        _ => return Ok(None),
    };
    let Some((repository, reference)) = subject(payload)? else {
        return Ok(None);
    };
    let Some(repository) = fields::repository(repository) else {
        return Ok(None);
    };
    let (tag, digest) = (
        reference.and_then(fields::tag),
        reference.and_then(fields::digest),
    );
    let Some(event) = fields::event_about(category, repository, tag, digest) else {
        return Ok(None);
    };
    let (actor, address) = detail(Some(payload), "initiator").map_or((None, None), initiator);
    let event = RegistryEvent {
        address,
        actor: actor.and_then(fields::free_text),
        time: detail(Some(payload), "timestamp").and_then(fields::time_with_bare_zone),
        ..event
    };
    Ok(Some(fields::named(event, delivery)))
}

/// Repository and reference of an image.
fn subject(payload: &Value) -> Result<Option<(&str, Option<&str>)>, NotText> {
    if let Some(component) = payload.get("component").filter(|component| component.is_object()) {
        let (format, name) = (text(component, "format")?, text(component, "name")?);
        let version = text(component, "version")?;
        return Ok(name
            .filter(|_| format == Some("docker"))
            .map(|name| (name, version)));
    }
    let Some(asset) = payload.get("asset") else {
        return Ok(None);
    };
    let (format, path) = (text(asset, "format")?, text(asset, "name")?);
    Ok(path.filter(|_| format == Some("docker")).and_then(manifest))
}

/// `/v2/team/app/manifests/v1`, with or without the first slash.
fn manifest(path: &str) -> Option<(&str, Option<&str>)> {
    let path = path.strip_prefix('/').unwrap_or(path).strip_prefix("v2/")?;
    let (rest, reference) = path.rsplit_once('/')?;
    let repository = rest.strip_suffix("/manifests")?;
    Some((repository, Some(reference)))
}

/// `user/address`, or the user alone where nobody asked over HTTP (`InitiatorProviderImpl.java`).
/// The address comes from `X-Forwarded-For` where there is one: the server takes it from
/// whoever sends it (`jetty.xml`, `ForwardedRequestCustomizer`).
fn initiator(text: &str) -> (Option<&str>, Option<SourceAddress>) {
    let split = text
        .rsplit_once('/')
        .and_then(|(user, address)| Some((user, fields::header(address)?)));
    match split {
        Some((user, address)) => (Some(user), Some(address)),
        None => (Some(text), None),
    }
}
