//! Google Artifact Registry: messages of the topic `gcr` ("Configure Pub/Sub notifications" in
//! its documentation), as Pub/Sub pushes them, without the wrapper ("Payload unwrapping") and
//! decoded, and entries of its audit log, bare or as a log sink writes them into a topic.
//!
//! Messages name no client. An entry for a pull by tag has no digest.

mod audit;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, IGNORED, NotText, detail, text},
};
use crate::event::{Category, DeleteTarget, RegistryEvent};

pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let records = json::records(body)?;
    let header = |name| headers.get(name)?.to_str().ok();
    // Of a message that came without its wrapper.
    let told = match records.as_slice() {
        [_] => Told {
            id: header("x-goog-pubsub-message-id"),
            time: header("x-goog-pubsub-publish-time").and_then(fields::time),
        },
        _ => Told::default(),
    };
    json::each(&records, |record| Ok(read(record, told)))?.ok_or(DialectError::UnexpectedShape(
        "it is no message of Pub/Sub, no notification of the topic gcr and no log entry",
    ))
}

/// What Pub/Sub says about a message.
#[derive(Clone, Copy, Default)]
struct Told<'a> {
    id: Option<&'a str>,
    time: Option<Timestamp>,
}

fn read(record: &Value, told: Told<'_>) -> Option<Parsed> {
    let message = record.get("message").unwrap_or(record);
    let of = |names: [&str; 2]| names.iter().find_map(|name| detail(Some(message), name));
    let id = of(["messageId", "message_id"]);
    let data = detail(Some(message), "data");
    if id.is_none() && data.is_none() {
        return unwrapped(record, told);
    }
    let told = Told {
        id,
        time: of(["publishTime", "publish_time"]).and_then(fields::time),
    };
    let inner = data
        .and_then(|data| BASE64_STANDARD.decode(data).ok())
        .and_then(|data| json::read(&data).ok());
    let parsed = inner.and_then(|inner| unwrapped(&inner, told));
    Some(parsed.unwrap_or(IGNORED))
}

/// `None` where it is neither a log entry nor a notification.
fn unwrapped(payload: &Value, told: Told<'_>) -> Option<Parsed> {
    if payload.get("logName").is_some() || payload.get("protoPayload").is_some() {
        return Some(audit::entry(payload));
    }
    payload.get("action")?;
    let mut parsed = Parsed::default();
    parsed.take(notification(payload, told));
    Some(parsed)
}

/// `digest` is `HOST/PATH@DIGEST`, `tag` is `HOST/PATH:TAG`; either may be absent.
fn notification(payload: &Value, told: Told<'_>) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(payload, "action")? {
        Some("INSERT") => Category::Push,
        Some("DELETE") => Category::Delete,
        _ => return Ok(None),
    };
    let digest = text(payload, "digest")?.map(|text| text.split_once('@').unwrap_or((text, "")));
    let tag = text(payload, "tag")?.map(|text| text.rsplit_once(':').unwrap_or((text, "")));
    let Some((_, path)) = digest.or(tag).and_then(|(name, _)| name.split_once('/')) else {
        return Ok(None);
    };
    let Some(repository) = fields::repository(path) else {
        return Ok(None);
    };
    let target = match (category, digest) {
        (Category::Delete, Some(_)) => Some(DeleteTarget::Manifest),
        (Category::Delete, None) => Some(DeleteTarget::Tag),
        _ => None,
    };
    let tag = tag.and_then(|(_, tag)| fields::tag(tag));
    if target == Some(DeleteTarget::Tag) && tag.is_none() {
        return Ok(None);
    }
    let event = RegistryEvent {
        tag,
        digest: digest.and_then(|(_, digest)| fields::digest(digest)),
        time: told.time,
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, told.id)))
}
