//! Amazon ECR: image actions ("Amazon ECR events and `EventBridge`" in its user guide) and
//! `CloudTrail` records ("Logging Amazon ECR actions with AWS `CloudTrail`" there), as
//! `EventBridge` sends them, as log files hold them (`{"Records": […]}`), one by one, and inside
//! notifications of SNS ("Parsing message formats" in its developer guide).
//!
//! Image actions name no client. A record of a pull by tag has no digest, and none tells HEAD
//! from GET. Scans, replication and pulls through a cache are ignored.

mod cloud_trail;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, IGNORED, NotText, detail, text},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    json::each(&json::records(body)?, read)?.ok_or(DialectError::UnexpectedShape(
        "it is no event of EventBridge, no record of CloudTrail and no message of SNS",
    ))
}

fn read(record: &Value) -> Result<Option<Parsed>, DialectError> {
    if detail(Some(record), "TopicArn").is_none() {
        return unwrapped(record);
    }
    let message = match detail(Some(record), "Type") {
        Some("Notification") => detail(Some(record), "Message"),
        // Confirmations of subscriptions hold a sentence there.
        _ => None,
    };
    let inner = match message.map(|message| json::read(message.as_bytes())) {
        Some(Ok(inner)) => unwrapped(&inner)?,
        _ => None,
    };
    Ok(Some(inner.unwrap_or(IGNORED)))
}

/// `None` where it is none of what may lie in a message or in a body.
fn unwrapped(record: &Value) -> Result<Option<Parsed>, DialectError> {
    if let Some(Value::Array(records)) = record.get("Records") {
        return json::each(records, |record| Ok(Some(cloud_trail::record(record))));
    }
    Ok(match (record.get("detail-type"), record.get("detail")) {
        (Some(Value::String(kind)), Some(inner)) if kind == "ECR Image Action" => {
            let mut parsed = Parsed::default();
            parsed.take(image_action(record, inner));
            Some(parsed)
        }
        (Some(_), Some(inner)) => Some(cloud_trail::record(inner)),
        _ => record
            .get("eventSource")
            .is_some()
            .then(|| cloud_trail::record(record)),
    })
}

fn image_action(envelope: &Value, action: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(action, "action-type")? {
        Some("PUSH") => Category::Push,
        Some("DELETE") => Category::Delete,
        _ => return Ok(None),
    };
    if text(action, "result")? != Some("SUCCESS") {
        return Ok(None);
    }
    let (tag, digest) = (text(action, "image-tag")?, text(action, "image-digest")?);
    let target = match (category, digest, tag) {
        (Category::Delete, Some(_), _) => Some(DeleteTarget::Manifest),
        (Category::Delete, None, Some(_)) => Some(DeleteTarget::Tag),
        (Category::Delete, None, None) => return Ok(None),
        _ => None,
    };
    let tag = tag.and_then(fields::tag);
    let Some(repository) = text(action, "repository-name")?.and_then(fields::repository) else {
        return Ok(None);
    };
    if target == Some(DeleteTarget::Tag) && tag.is_none() {
        return Ok(None);
    }
    let event = RegistryEvent {
        tag,
        digest: digest.and_then(fields::digest),
        media_type: detail(Some(action), "manifest-media-type").and_then(fields::media_type),
        time: detail(Some(envelope), "time").and_then(fields::time),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, detail(Some(envelope), "id"))))
}
