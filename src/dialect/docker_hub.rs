//! Webhooks of Docker Hub: one push of one tag a delivery (Docker's documentation, "Webhooks"
//! of a repository).
//!
//! They tell neither pulls nor deletes, no digest, no client address and no id.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, Parsed, fields,
    json::{self, NotText, detail, text},
};
use crate::event::{Category, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let payload = json::object(body)?;
    let mut parsed = Parsed::default();
    parsed.take(event(&payload));
    Ok(parsed)
}

fn event(payload: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let (Some(push), Some(object)) = (payload.get("push_data"), payload.get("repository")) else {
        return Ok(None);
    };
    let Some(repository) = text(object, "repo_name")?.and_then(fields::repository) else {
        return Ok(None);
    };
    let pushed_at = push.get("pushed_at").and_then(Value::as_number);
    let event = RegistryEvent {
        tag: text(push, "tag")?.and_then(fields::tag),
        actor: detail(Some(push), "pusher").and_then(fields::free_text),
        time: pushed_at.and_then(fields::epoch_seconds),
        ..fields::event(Category::Push, None, repository)
    };
    Ok(Some(fields::named(event, None)))
}
