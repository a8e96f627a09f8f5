//! zot: `CloudEvents` over HTTP (zot documentation, "Event Support for zot";
//! `pkg/extensions/events` there). zot sends the binary form, with type, id and time in
//! `Ce-` headers; the structured form comes from what stands between, a bridge from NATS
//! for example.
//!
//! What it cannot tell: pulls. Older versions name neither client nor user.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let entries = json::records(body)?;
    let mut parsed = Parsed::default();
    if let [data] = entries.as_slice()
        && let Some(context) = binary(headers, data)
    {
        parsed.take(image(&context, data));
        return Ok(parsed);
    }
    json::expect_any(
        &entries,
        &["specversion"],
        "neither it nor a header says of which type of event it is",
    )?;
    for entry in &entries {
        let taken = match entry.get("data") {
            Some(data) => image(&structured(entry), data),
            None => Ok(None),
        };
        parsed.take(taken);
    }
    Ok(parsed)
}

/// What an event says apart from its data.
struct Context<'a> {
    kind: Option<&'a str>,
    id: Option<&'a str>,
    time: Option<&'a str>,
}

/// `None` where the headers say nothing or the body says it itself.
fn binary<'a>(headers: &'a HeaderMap, body: &Value) -> Option<Context<'a>> {
    let header = |name| headers.get(name)?.to_str().ok();
    let kind = header("ce-type")?;
    body.get("specversion").is_none().then(|| Context {
        kind: Some(kind),
        id: header("ce-id"),
        time: header("ce-time"),
    })
}

fn structured(event: &Value) -> Context<'_> {
    Context {
        kind: detail(Some(event), "type"),
        id: detail(Some(event), "id"),
        time: detail(Some(event), "time"),
    }
}

fn image(context: &Context<'_>, data: &Value) -> Result<Option<RegistryEvent>, NotText> {
    // `zotregistry` in front can be configured (`typePrefix`).
    let category = match context.kind {
        Some(kind) if kind.ends_with(".image.updated") => Category::Push,
        Some(kind) if kind.ends_with(".image.deleted") => Category::Delete,
        _ => return Ok(None),
    };
    let Some(repository) = text(data, "name")?.and_then(fields::repository) else {
        return Ok(None);
    };
    let (reference, stated_digest) = (text(data, "reference")?, text(data, "digest")?);
    let tag = reference.and_then(fields::tag);
    let target = match (category, reference, &tag) {
        (Category::Push | Category::Pull, _, _) => None,
        (Category::Delete, Some(_), Some(_)) => Some(DeleteTarget::Tag),
        (Category::Delete, Some(reference), None) if reference.contains(':') => Some(DeleteTarget::Manifest),
        (Category::Delete, None, _) if stated_digest.is_some() => Some(DeleteTarget::Manifest),
        (Category::Delete, _, _) => return Ok(None),
    };
    let (actor, request) = (data.get("actor"), data.get("request"));
    let event = RegistryEvent {
        tag,
        digest: stated_digest.or(reference).and_then(fields::digest),
        media_type: detail(Some(data), "mediaType").and_then(fields::media_type),
        method: detail(request, "method").and_then(fields::method),
        address: detail(request, "addr").and_then(fields::peer_or_header),
        actor: detail(actor, "name").and_then(fields::free_text),
        user_agent: detail(request, "useragent").and_then(fields::free_text),
        time: context.time.and_then(fields::time),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, context.id)))
}
