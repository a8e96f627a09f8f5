//! Harbor: webhooks in the payload formats Default and `CloudEvents` (Harbor documentation,
//! "Configure Webhook Notifications"; `src/pkg/notifier/model/event.go` and
//! `src/pkg/notifier/formats/` there), and rows of the audit log APIs `/auditlogs` and
//! `/auditlog-exts` (`api/v2.0/swagger.yaml`; `ResolveToAuditLog` in
//! `src/controller/event/topic.go`).
//!
//! What it cannot tell: the client's address and user agent, in any form. A deleted artifact
//! names one of its tags; a tag deleted alone is in the audit log only. Default payloads
//! have no id and whole seconds: the same within one second is one event. The id of `CloudEvents`
//! is one of the delivery: each policy that sends an event gives it another, with the same
//! `requestid` and time (`src/pkg/notifier/formats/cloudevents.go`). So what one request did to
//! one artifact is one event.

#[cfg(test)]
mod tests;

use http::HeaderMap;
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
        &["event_data", "occur_at", "specversion", "operation"],
        "it is neither a webhook nor a page of an audit log of Harbor",
    )?;
    let mut parsed = Parsed::default();
    for entry in &entries {
        if entry.get("operation").is_some() {
            parsed.take(audit_row(entry));
        } else {
            webhook(entry, &mut parsed)?;
        }
    }
    Ok(parsed)
}

/// What a webhook says of all its resources.
struct Webhook<'a> {
    entry: &'a Value,
    category: Category,
    data: &'a Value,
}

fn webhook(entry: &Value, parsed: &mut Parsed) -> Result<(), DialectError> {
    let webhook = subject(entry);
    let resources = webhook
        .as_ref()
        .and_then(|webhook| webhook.data.get("resources")?.as_array());
    let (Some(webhook), Some(resources)) = (webhook, resources.filter(|resources| !resources.is_empty()))
    else {
        parsed.ignored += 1;
        return Ok(());
    };
    if parsed.events.len() + resources.len() > MAX_ENTRIES {
        return Err(DialectError::TooManyEntries);
    }
    for (place, resource) in resources.iter().enumerate() {
        parsed.take(artifact(&webhook, resource, place));
    }
    Ok(())
}

/// `None` where it is about scans, quotas, replications and whatever else is not one artifact.
/// What a tag retention removed comes as deletes of artifacts as well.
fn subject(entry: &Value) -> Option<Webhook<'_>> {
    let data = match entry.get("specversion") {
        Some(_) => "data",
        None => "event_data",
    };
    let category = match detail(Some(entry), "type")? {
        "PUSH_ARTIFACT" | "harbor.artifact.pushed" => Category::Push,
        "PULL_ARTIFACT" | "harbor.artifact.pulled" => Category::Pull,
        "DELETE_ARTIFACT" | "harbor.artifact.deleted" => Category::Delete,
        _ => return None,
    };
    Some(Webhook {
        entry,
        category,
        data: entry.get(data)?,
    })
}

fn artifact(webhook: &Webhook<'_>, resource: &Value, place: usize) -> Result<Option<RegistryEvent>, NotText> {
    let &Webhook {
        entry,
        category,
        data,
    } = webhook;
    let Some(repository) = data.get("repository").map(repository).transpose()?.flatten() else {
        return Ok(None);
    };
    // Without a tag, Harbor writes the digest in its place.
    let (stated_tag, stated_digest) = (text(resource, "tag")?, text(resource, "digest")?);
    let target = (category == Category::Delete).then_some(DeleteTarget::Manifest);
    let time = detail(Some(entry), "time").and_then(fields::time).or_else(|| {
        entry
            .get("occur_at")
            .and_then(Value::as_number)
            .and_then(fields::epoch_seconds)
    });
    let event = RegistryEvent {
        tag: stated_tag.and_then(fields::tag),
        digest: stated_digest.or(stated_tag).and_then(fields::digest),
        actor: detail(Some(entry), "operator").and_then(fields::free_text),
        time,
        request_id: detail(Some(entry), "requestid").map(fields::id),
        ..fields::event(category, target, repository)
    };
    let own = detail(Some(entry), "id").filter(|_| event.request_id.is_none());
    let id = own.map(|id| match place {
        0 => id.to_owned(),
        _ => format!("{id}#{}", place + 1),
    });
    Ok(Some(fields::named(event, id.as_deref())))
}

fn repository(object: &Value) -> Result<Option<String>, NotText> {
    if let Some(full) = text(object, "repo_full_name")? {
        return Ok(fields::repository(full));
    }
    let (namespace, name) = (text(object, "namespace")?, text(object, "name")?);
    Ok(namespace
        .zip(name)
        .and_then(|(namespace, name)| fields::repository(&format!("{namespace}/{name}"))))
}

/// `resource` is `repository:tag`, `repository@digest`, in older versions
/// `repository:digest`, or a bare repository. A tag is created by a request of its own
/// where it is set on an artifact that is there already: a push that names no digest.
fn audit_row(entry: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let (category, target) = match (text(entry, "operation")?, text(entry, "resource_type")?) {
        (Some("create"), Some("artifact" | "tag")) => (Category::Push, None),
        (Some("pull"), Some("artifact")) => (Category::Pull, None),
        (Some("delete"), Some("artifact")) => (Category::Delete, Some(DeleteTarget::Manifest)),
        (Some("delete"), Some("tag")) => (Category::Delete, Some(DeleteTarget::Tag)),
        (Some("delete"), Some("repository")) => (Category::Delete, Some(DeleteTarget::Repository)),
        _ => return Ok(None),
    };
    let failed = entry.get("operation_result").and_then(Value::as_bool) == Some(false);
    let Some(resource) = text(entry, "resource")?.filter(|_| !failed) else {
        return Ok(None);
    };
    let (name, reference) = match resource.split_once('@').or_else(|| resource.split_once(':')) {
        Some((name, reference)) => (name, Some(reference)),
        None => (resource, None),
    };
    let tag = reference.and_then(fields::tag);
    let told = match target {
        Some(DeleteTarget::Repository) => reference.is_none(),
        Some(DeleteTarget::Tag) => tag.is_some(),
        Some(DeleteTarget::Manifest) => reference.is_some(),
        None => true,
    };
    let Some(repository) = fields::repository(name).filter(|_| told) else {
        return Ok(None);
    };
    // `push artifact: repository@digest`, also where the resource has a tag.
    let described =
        || detail(Some(entry), "operation_description").and_then(|text| Some(text.rsplit_once('@')?.1));
    let event = RegistryEvent {
        tag,
        digest: reference
            .and_then(fields::digest)
            .or_else(|| described().and_then(fields::digest)),
        actor: detail(Some(entry), "username").and_then(fields::free_text),
        time: detail(Some(entry), "op_time").and_then(fields::time),
        ..fields::event(category, target, repository)
    };
    Ok(Some(fields::named(event, text_or_number(entry, "id").as_deref())))
}
