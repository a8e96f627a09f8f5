//! Webhooks of GitHub about container packages: the events `registry_package` and `package`,
//! which tell the same under different names (GitHub's documentation, "Webhook events and
//! payloads").
//!
//! They tell neither pulls nor deletes and no client address. A hook that sends both
//! events tells each push twice, under two ids: what they say of it, which is the same, stands
//! in for the id of the request that both tell of.

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
    let delivery = headers
        .get("x-github-delivery")
        .and_then(|delivery| delivery.to_str().ok());
    let mut parsed = Parsed::default();
    parsed.take(event(&payload, delivery));
    Ok(parsed)
}

/// `None` for pings, other events and packages that are no images.
fn event(payload: &Value, delivery: Option<&str>) -> Result<Option<RegistryEvent>, NotText> {
    let package = ["registry_package", "package"]
        .into_iter()
        .find_map(|name| payload.get(name).filter(|package| package.is_object()));
    let (Some(package), Some("published" | "updated")) = (package, text(payload, "action")?) else {
        return Ok(None);
    };
    if !is_container(package) {
        return Ok(None);
    }
    let Some(repository) = repository(package) else {
        return Ok(None);
    };
    let version = package.get("package_version");
    let container = version.and_then(|version| version.get("container_metadata"));
    let (tag, manifest) = (
        container.and_then(|container| container.get("tag")),
        container.and_then(|container| container.get("manifest")),
    );
    // A version of an image is named by its digest.
    let digest = [
        (version, "version"),
        (version, "name"),
        (tag, "digest"),
        (manifest, "digest"),
    ]
    .into_iter()
    .find_map(|(object, field)| detail(object, field).and_then(fields::digest));
    let event = RegistryEvent {
        tag: detail(tag, "name").and_then(fields::tag),
        digest,
        media_type: detail(manifest, "media_type").and_then(fields::media_type),
        actor: detail(payload.get("sender"), "login").and_then(fields::free_text),
        // The version's own times are the zero time of Go.
        time: detail(Some(package), "updated_at").and_then(fields::time),
        ..fields::event(Category::Push, None, repository)
    };
    let request_id = event.time.map(|_| fields::content_id(&event));
    Ok(Some(fields::named(
        RegistryEvent { request_id, ..event },
        delivery,
    )))
}

/// GitHub's own samples name the type differently in different places.
fn is_container(package: &Value) -> bool {
    let named = ["package_type", "ecosystem"].into_iter().any(|field| {
        detail(Some(package), field).is_some_and(|kind| {
            ["container", "docker"]
                .iter()
                .any(|image| kind.eq_ignore_ascii_case(image))
        })
    });
    named
        || package
            .pointer("/package_version/container_metadata")
            .is_some_and(Value::is_object)
}

/// The path that images are pulled by: lower case, as clients must write it.
fn repository(package: &Value) -> Option<String> {
    let by_url = detail(package.get("package_version"), "package_url").and_then(path);
    let path = by_url.map(str::to_owned).or_else(|| {
        let owner = detail(package.get("owner"), "login")?;
        let name = detail(Some(package), "name")?;
        Some(format!("{owner}/{name}"))
    })?;
    fields::repository(&path.to_lowercase())
}

/// `owner/name` of `ghcr.io/owner/name:tag`.
fn path(url: &str) -> Option<&str> {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (_, path) = url.split_once('/')?;
    let path = path.split('@').next().unwrap_or_default();
    let path = match path.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => path,
    };
    (!path.is_empty()).then_some(path)
}
