//! Quay: the notification of a push (Quay documentation, "Repository Notifications"), and
//! action logs: pages of the usage logs API (`data/logs_model/datatypes.py` there), entries
//! as they are written to Kafka, Kinesis and Elasticsearch (`elastic_logs.py`), and events
//! for Splunk's HTTP event collector (`splunk_logs_model.py`, `splunk_hec_logs_producer.py`),
//! one or several after each other.
//!
//! What it cannot tell: a notification has neither digest, user, address, time nor id, so
//! that the same tag once more is the same event. A log row names the tag or the digest,
//! whichever was asked for, and a HEAD only where extended logging writes the method.
//! Only entries for Kafka, Kinesis and Elasticsearch have an id, and their times have no zone.

mod kinds;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    DialectError, MAX_ENTRIES, Parsed, fields,
    json::{self, NotText, detail, text, text_or_number},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let entries = json::records(body)?;
    json::expect_any(
        &entries,
        &[
            "logs",
            "event",
            "kind",
            "kind_id",
            "updated_tags",
            "docker_url",
            "export_id",
        ],
        "it is neither a notification nor an action log of Quay",
    )?;
    let mut parsed = Parsed::default();
    for entry in &entries {
        let list = ["logs", "updated_tags"]
            .iter()
            .find_map(|field| entry.get(field)?.as_array());
        if list.is_some_and(|list| parsed.events.len() + list.len() > MAX_ENTRIES) {
            return Err(DialectError::TooManyEntries);
        }
        if let Some(rows) = entry.get("logs").and_then(Value::as_array) {
            for row in rows {
                parsed.take(action(row));
            }
        } else if let Some(tags) = entry.get("updated_tags").and_then(Value::as_array) {
            pushed(entry, tags, &mut parsed);
        } else {
            parsed.take(action(entry.get("event").unwrap_or(entry)));
        }
    }
    Ok(parsed)
}

fn pushed(notification: &Value, tags: &[Value], parsed: &mut Parsed) {
    let repository = detail(Some(notification), "repository").and_then(fields::repository);
    let Some(repository) = repository.filter(|_| !tags.is_empty()) else {
        parsed.ignored += 1;
        return;
    };
    for tag in tags {
        let push = tag.as_str().and_then(fields::tag).map(|tag| {
            let event = RegistryEvent {
                tag: Some(tag),
                ..fields::event(Category::Push, None, repository.clone())
            };
            fields::named(event, None)
        });
        parsed.take(Ok(push));
    }
}

/// One action, whoever wrote it down: what it is about is in its metadata.
fn action(row: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let Some(kind) = kinds::of(row)? else {
        return Ok(None);
    };
    let metadata: &Value = &metadata(row);
    let Some(repository) = repository(row, metadata)? else {
        return Ok(None);
    };
    let tag = text(metadata, "tag")?.and_then(fields::tag);
    // Where a tag was deleted by its name, `digest` holds the name.
    let digest = ["manifest_digest", "digest"]
        .iter()
        .find_map(|field| fields::digest(detail(Some(metadata), field)?));
    let told = match kind.target {
        Some(DeleteTarget::Tag) => tag.is_some(),
        Some(DeleteTarget::Repository) => metadata.get("tag").is_none(),
        _ => !kind.by_number || tag.is_some() || digest.is_some(),
    };
    if !told {
        return Ok(None);
    }
    let (row, metadata) = (Some(row), Some(metadata));
    let event = RegistryEvent {
        tag,
        digest,
        media_type: detail(metadata, "mediaType").and_then(fields::media_type),
        method: detail(row, "http_method").and_then(fields::method),
        // Quay's proxy takes it from `X-Forwarded-For`, by default of whoever sends one.
        address: detail(row, "ip").and_then(fields::header),
        forwarded_chain: detail(row, "x_forwarded_for").and_then(fields::free_text),
        actor: actor(row, metadata).and_then(fields::free_text),
        user_agent: detail(metadata, "user-agent")
            .or_else(|| detail(row, "user_agent"))
            .and_then(fields::free_text),
        time: row.and_then(|row| time(row.get("datetime")?)),
        request_id: detail(row, "request_id").map(fields::id),
        ..fields::event(kind.category, kind.target, repository)
    };
    let id = row.and_then(|row| text_or_number(row, "random_id"));
    Ok(Some(fields::named(event, id.as_deref())))
}

/// Some versions write the metadata as JSON in text.
fn metadata(row: &Value) -> Cow<'_, Value> {
    match row.get("metadata").or_else(|| row.get("metadata_json")) {
        Some(Value::String(text)) => Cow::Owned(json::read(text.as_bytes()).unwrap_or_default()),
        Some(object) => Cow::Borrowed(object),
        None => Cow::Owned(Value::Null),
    }
}

fn repository(row: &Value, metadata: &Value) -> Result<Option<String>, NotText> {
    let namespace = match text(metadata, "namespace")? {
        Some(namespace) => Some(namespace),
        None => detail(Some(row), "namespace_name")
            .or_else(|| detail(Some(row), "account"))
            .or_else(|| detail(row.get("namespace"), "name")),
    };
    let name = match text(metadata, "repo")? {
        Some(name) => Some(name),
        None => detail(Some(row), "repository"),
    };
    Ok(namespace
        .zip(name)
        .and_then(|(namespace, name)| fields::repository(&format!("{namespace}/{name}"))))
}

/// An object in pages of the API, a name for Splunk, and nowhere but in the metadata else.
fn actor<'a>(row: Option<&'a Value>, metadata: Option<&'a Value>) -> Option<&'a str> {
    detail(row?.get("performer"), "name")
        .or_else(|| detail(row, "performer"))
        .or_else(|| detail(row, "performer_username"))
        .or_else(|| detail(metadata, "username"))
        .or_else(|| detail(metadata, "performer"))
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => fields::time(text).or_else(|| fields::mail_time(text)),
        Value::Number(number) => fields::epoch_seconds(number),
        _ => None,
    }
}
