//! Azure Container Registry: webhooks ("Azure Container Registry webhook reference"), Event Grid
//! in its own and the `CloudEvents` schema ("Azure Container Registry as an Event Grid source"),
//! and rows of the log `ContainerRegistryRepositoryEvents`.
//!
//! Webhooks and Event Grid tell no pulls and not that a tag was removed; who and whence only
//! Event Grid's older payloads say. Charts of the old kind and quarantines are ignored.

mod rows;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    json::each(&json::records(body)?, read)?.ok_or(DialectError::UnexpectedShape(
        "it is no webhook, no event of Event Grid and no row of the repository events log",
    ))
}

fn read(record: &Value) -> Result<Option<Parsed>, DialectError> {
    // As Azure Monitor hands logs to event hubs.
    if let Some(Value::Array(records)) = record.get("records") {
        return json::each(records, |record| Ok(Some(taken(rows::row(record)))));
    }
    let grid = record
        .get("eventType")
        .or_else(|| record.get("specversion").and(record.get("type")));
    Ok(if let Some(kind) = grid {
        Some(taken(grid_event(kind, record.get("data"))))
    } else if rows::is_row(record) {
        Some(taken(rows::row(record)))
    } else if record.get("action").is_some() {
        Some(taken(webhook(record)))
    } else {
        None
    })
}

fn taken(entry: Result<Option<RegistryEvent>, NotText>) -> Parsed {
    let mut parsed = Parsed::default();
    parsed.take(entry);
    parsed
}

fn webhook(body: &Value) -> Result<Option<RegistryEvent>, NotText> {
    match text(body, "action")? {
        Some("push") => event(Category::Push, body),
        Some("delete") => event(Category::Delete, body),
        _ => Ok(None),
    }
}

/// The documentation has the types with and without the prefix.
fn grid_event(kind: &Value, data: Option<&Value>) -> Result<Option<RegistryEvent>, NotText> {
    let kind = kind.as_str().ok_or(NotText)?;
    let kind = kind.strip_prefix("Microsoft.ContainerRegistry.").unwrap_or(kind);
    match (kind, data) {
        ("ImagePushed", Some(data)) => event(Category::Push, data),
        ("ImageDeleted", Some(data)) => event(Category::Delete, data),
        _ => Ok(None),
    }
}

/// The body of a webhook and the data of an event are the same: an event of distribution's notifications.
fn event(category: Category, data: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let Some(object) = data.get("target") else {
        return Ok(None);
    };
    let Some(repository) = text(object, "repository")?.and_then(fields::repository) else {
        return Ok(None);
    };
    let (stated_tag, stated_digest) = (text(object, "tag")?, text(object, "digest")?);
    let media_type = text(object, "mediaType")?.and_then(fields::media_type);
    let tag = stated_tag.and_then(fields::tag);
    let target = match (category, stated_digest, stated_tag, &media_type) {
        (Category::Push | Category::Pull, ..) => None,
        (Category::Delete, Some(_), ..) => Some(DeleteTarget::Manifest),
        (Category::Delete, None, Some(_), _) if tag.is_some() => Some(DeleteTarget::Tag),
        (Category::Delete, None, None, None) => Some(DeleteTarget::Repository),
        (Category::Delete, ..) => return Ok(None),
    };
    let (request, actor, source) = (data.get("request"), data.get("actor"), data.get("source"));
    let event = RegistryEvent {
        tag,
        digest: stated_digest.and_then(fields::digest),
        media_type,
        method: detail(request, "method").and_then(fields::method),
        address: detail(request, "addr").and_then(fields::peer_or_header),
        actor: detail(actor, "name").and_then(fields::free_text),
        user_agent: detail(request, "useragent").and_then(fields::free_text),
        time: detail(Some(data), "timestamp").and_then(fields::time),
        request_id: detail(request, "id").map(fields::id),
        instance_id: detail(source, "instanceID").map(fields::id),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, detail(Some(data), "id"))))
}
