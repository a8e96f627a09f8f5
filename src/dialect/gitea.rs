//! Webhooks of Gitea and Forgejo, event `package`: a version of a container package was
//! created or deleted (`modules/structs/hook.go`, `modules/structs/package.go` and
//! `routers/api/packages/container/manifest.go` there).
//!
//! A version is a tag (in lower case, whatever was pushed) or, for manifests without one, a
//! digest. They tell no pulls and no client address; of a tag no digest, of a delete no time.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, RegistryEvent};

pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let payload = json::object(body)?;
    let delivery = ["x-gitea-delivery", "x-forgejo-delivery"]
        .into_iter()
        .find_map(|name| headers.get(name)?.to_str().ok());
    let mut parsed = Parsed::default();
    parsed.take(event(&payload, delivery));
    Ok(parsed)
}

fn event(payload: &Value, delivery: Option<&str>) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(payload, "action")? {
        Some("created") => Category::Push,
        Some("deleted") => Category::Delete,
        _ => return Ok(None),
    };
    let Some(package) = payload.get("package") else {
        return Ok(None);
    };
    let owner = match package.get("owner") {
        Some(owner) => text(owner, "login")?,
        None => None,
    };
    let (Some("container"), Some(owner), Some(name)) =
        (text(package, "type")?, owner, text(package, "name")?)
    else {
        return Ok(None);
    };
    // Owners have capitals, paths of images have none.
    let Some(repository) = fields::repository(&format!("{owner}/{name}").to_lowercase()) else {
        return Ok(None);
    };
    let version = text(package, "version")?;
    let (tag, digest) = (version.and_then(fields::tag), version.and_then(fields::digest));
    let Some(event) = fields::event_about(category, repository, tag, digest) else {
        return Ok(None);
    };
    // A delete, too, tells when the version was created.
    let created = detail(Some(package), "created_at").filter(|_| category == Category::Push);
    let event = RegistryEvent {
        actor: detail(payload.get("sender"), "login").and_then(fields::free_text),
        time: created.and_then(fields::time),
        ..event
    };
    Ok(Some(fields::named(event, delivery)))
}
