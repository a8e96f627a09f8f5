//! Alibaba Container Registry: the notification of a trigger (Alibaba documentation,
//! "Manage triggers"), events of the event bus ("Container Registry events" of `EventBridge`;
//! what `data` holds for a push is documented for builds only), the history of
//! notifications (`ListEventCenterRecord`), and rows of the log store `acr_access_log`
//! ("Instance audit"), one, several in an array, or one a line.
//!
//! What it cannot tell: triggers and the event bus know pushes only, and neither who nor
//! from where; a trigger has no id and a time without a zone. Whether the audit log writes
//! the digest in place of the tag for a pull by digest is not documented: it is read if it does.

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::Value;

use super::{
    DialectError, MAX_ENTRIES, Parsed, fields,
    json::{self, NotText, detail, text, text_or_number},
};
use crate::event::{Category, DeleteTarget, NetworkType, RegistryEvent};

pub(super) fn parse(_headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
    let entries = json::records(body)?;
    json::expect_any(
        &entries,
        &["action", "push_data", "specversion", "Records"],
        "it is no trigger, event or log of Alibaba Container Registry",
    )?;
    let mut parsed = Parsed::default();
    for entry in &entries {
        if entry.get("action").is_some() {
            parsed.take(access(entry));
        } else if let Some(push) = entry.get("push_data") {
            parsed.take(trigger(entry, push));
        } else if let Some(Value::Array(records)) = entry.get("Records") {
            // Builds, scans, signatures and copies: notifications of no push or pull.
            if records.len() > MAX_ENTRIES {
                return Err(DialectError::TooManyEntries);
            }
            for _ in records {
                parsed.take(Ok(None));
            }
        } else {
            parsed.take(bus(entry));
        }
    }
    Ok(parsed)
}

/// A row of the instance audit log. The registry itself saw the address.
fn access(row: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let category = match text(row, "action")? {
        Some("PutImageManifest") => Category::Push,
        Some("GetImageManifest") => Category::Pull,
        Some("DeleteTag") => Category::Delete,
        _ => return Ok(None),
    };
    let status = text_or_number(row, "http_response_status").and_then(|status| status.parse::<u16>().ok());
    if status.is_some_and(|status| status >= 400) {
        return Ok(None);
    }
    let repository = match text(row, "namespace_repo")? {
        Some(full) => fields::repository(full),
        None => joined(text(row, "namespace")?, text(row, "repo")?),
    };
    let Some(repository) = repository else {
        return Ok(None);
    };
    let stated = text(row, "tag")?;
    let (tag, digest) = (stated.and_then(fields::tag), stated.and_then(fields::digest));
    let target = match (category, &tag, &digest) {
        (Category::Push | Category::Pull, _, _) => None,
        (Category::Delete, Some(_), _) => Some(DeleteTarget::Tag),
        (Category::Delete, None, Some(_)) => Some(DeleteTarget::Manifest),
        (Category::Delete, None, None) => return Ok(None),
    };
    let network_type = match detail(Some(row), "network_type") {
        Some("Internet") => Some(NetworkType::Public),
        Some("VPC") => Some(NetworkType::Private),
        _ => None,
    };
    let id = detail(Some(row), "http_request_id");
    let event = RegistryEvent {
        tag,
        digest,
        method: detail(Some(row), "http_request_method").and_then(fields::method),
        address: detail(Some(row), "http_request_remoteaddr").and_then(fields::peer),
        network_type,
        actor: detail(Some(row), "user_identity_principal_id").and_then(fields::free_text),
        user_agent: detail(Some(row), "http_request_useragent").and_then(fields::free_text),
        time: detail(Some(row), "time").and_then(fields::time),
        request_id: id.map(fields::id),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, id)))
}

/// The notification of a repository's trigger: a push, at a time without a zone.
fn trigger(entry: &Value, push: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let Some(object) = entry.get("repository") else {
        return Ok(None);
    };
    let repository = match text(object, "repo_full_name")? {
        Some(full) => fields::repository(full),
        None => joined(text(object, "namespace")?, text(object, "name")?),
    };
    let Some(repository) = repository else {
        return Ok(None);
    };
    let event = RegistryEvent {
        tag: text(push, "tag")?.and_then(fields::tag),
        digest: text(push, "digest")?.and_then(fields::digest),
        ..fields::event(Category::Push, None, repository)
    };
    Ok(Some(fields::named(event, None)))
}

/// An event of the bus. `aliyunpublishaddr` is the publisher's address, and
/// `aliyunaccountid` the account that owns the registry: neither is the client's.
fn bus(event: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let (Some("cr:Artifact:PushCompleted"), Some(data)) = (text(event, "type")?, event.get("data")) else {
        return Ok(None);
    };
    let Some(repository) = joined(text(data, "RepoNamespaceName")?, text(data, "RepoName")?) else {
        return Ok(None);
    };
    let push = RegistryEvent {
        tag: text(data, "Tag")?.and_then(fields::tag),
        digest: text(data, "Digest")?.and_then(fields::digest),
        time: detail(Some(event), "time").and_then(fields::time),
        ..fields::event(Category::Push, None, repository)
    };
    Ok(Some(fields::named(push, detail(Some(event), "id"))))
}

fn joined(namespace: Option<&str>, name: Option<&str>) -> Option<String> {
    fields::repository(&format!("{}/{}", namespace?, name?))
}
