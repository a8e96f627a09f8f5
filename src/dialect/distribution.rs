//! Notifications of the CNCF distribution registry, `…events.v1+json` (version 2) and
//! `…events.v2+json` (version 3): the same body
//! (`docs/content/about/notifications.md` and `notifications/event.go` there).
//!
//! The content type is not asked for: proxies and derivatives change it.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, MAX_ENTRIES, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let envelope = json::read(body)?;
    let entries = entries(&envelope)?;
    if entries.len() > MAX_ENTRIES {
        return Err(DialectError::TooManyEntries);
    }
    let mut parsed = Parsed::default();
    for entry in entries {
        parsed.take(event(entry));
    }
    Ok(parsed)
}

/// Go leaves out, or writes as `null`, a list without entries.
fn entries(envelope: &Value) -> Result<&[Value], DialectError> {
    let Value::Object(fields) = envelope else {
        return Err(DialectError::UnexpectedShape("it is no JSON object"));
    };
    match fields.get("events") {
        Some(Value::Array(entries)) => Ok(entries),
        Some(Value::Null) => Ok(&[]),
        None if fields.is_empty() => Ok(&[]),
        Some(_) | None => Err(DialectError::UnexpectedShape("it has no list of events")),
    }
}

/// `None` where the entry is about no manifest, tag or repository.
fn event(entry: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(entry, "action")? {
        Some("push") => Category::Push,
        Some("pull") => Category::Pull,
        Some("delete") => Category::Delete,
        _ => return Ok(None),
    };
    let Some(object) = entry.get("target") else {
        return Ok(None);
    };
    let Some(repository) = text(object, "repository")?.and_then(fields::repository) else {
        return Ok(None);
    };
    let (stated_tag, stated_digest) = (text(object, "tag")?, text(object, "digest")?);
    let media_type = text(object, "mediaType")?.and_then(fields::media_type);

    let tag = stated_tag.and_then(fields::tag);
    // Some derivatives write the digest in the tag's place.
    let digest = stated_digest.or(stated_tag).and_then(fields::digest);
    let target = if category == Category::Delete {
        let names_digest = stated_digest.is_some() || digest.is_some();
        match (names_digest, stated_tag, &tag) {
            (true, _, _) => Some(DeleteTarget::Manifest),
            (false, Some(_), Some(_)) => Some(DeleteTarget::Tag),
            // It cannot be told of what: never take that for all of the repository.
            (false, Some(_), None) => return Ok(None),
            (false, None, _) => Some(DeleteTarget::Repository),
        }
    } else if is_manifest(media_type.as_deref(), text(object, "url")?) {
        None
    } else {
        return Ok(None);
    };

    let (request, actor, source) = (entry.get("request"), entry.get("actor"), entry.get("source"));
    let event = RegistryEvent {
        tag,
        digest,
        media_type,
        method: detail(request, "method").and_then(fields::method),
        address: detail(request, "addr").and_then(fields::peer_or_header),
        actor: detail(actor, "name").and_then(fields::free_text),
        user_agent: detail(request, "useragent").and_then(fields::free_text),
        time: detail(Some(entry), "timestamp").and_then(fields::time),
        request_id: detail(request, "id").map(fields::id),
        instance_id: detail(source, "instanceID").map(fields::id),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, detail(Some(entry), "id"))))
}

/// Layers and configurations are pushed and pulled as blobs. A media type that is
/// neither theirs nor a manifest's leaves it to the URL.
fn is_manifest(media_type: Option<&str>, url: Option<&str>) -> bool {
    match media_type {
        Some(
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws"
            | "application/vnd.docker.distribution.manifest.v2+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
            | "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.oci.image.index.v1+json"
            | "application/vnd.oci.artifact.manifest.v1+json",
        ) => true,
        Some(blob)
            if blob.starts_with("application/vnd.docker.container.image.")
                || blob.starts_with("application/vnd.docker.image.rootfs.")
                || blob.starts_with("application/vnd.oci.image.layer.")
                || blob.starts_with("application/vnd.oci.image.config.") =>
        {
            false
        }
        _ => url.is_some_and(is_manifest_url),
    }
}

/// `…/v2/<repository>/manifests/<reference>`; a repository may itself be called `manifests`.
fn is_manifest_url(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').nth(1) == Some("manifests")
}
