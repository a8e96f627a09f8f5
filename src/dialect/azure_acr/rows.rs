//! Rows of the log `ContainerRegistryRepositoryEvents`: as a table of Azure Monitor has them
//! ("`ContainerRegistryRepositoryEvents`" in its table reference), or as resource logs ("Common
//! and service-specific schemas for Azure resource logs"), which write names in lower camel case
//! and may keep what is the service's own in `properties`.

use serde_json::Value;

use crate::{
    dialect::{
        fields,
        json::{NotText, detail},
    },
    event::{Category, DeleteTarget, RegistryEvent},
};

/// Whether it is a row of a log at all.
pub(super) fn is_row(record: &Value) -> bool {
    field(record, "OperationName").is_some()
}

/// A row tells of one manifest, tag or repository. Failed requests give no event.
pub(super) fn row(row: &Value) -> Result<Option<RegistryEvent>, NotText> {
    let of = |name| text(row, name).ok().flatten();
    let category = of("Category").or(of("Type"));
    if category.is_some_and(|name| name != "ContainerRegistryRepositoryEvents") || failed(row) {
        return Ok(None);
    }
    let Some(repository) = text(row, "Repository")?.and_then(fields::repository) else {
        return Ok(None);
    };
    let (stated_tag, stated_digest) = (text(row, "Tag")?, text(row, "Digest")?);
    let tag = stated_tag.and_then(fields::tag);
    let operation = text(row, "OperationName")?.unwrap_or_default();
    let Some((category, target)) = act(operation, stated_tag, stated_digest) else {
        return Ok(None);
    };
    if target == Some(DeleteTarget::Tag) && tag.is_none() {
        return Ok(None);
    }
    let request = of("CorrelationId");
    let event = RegistryEvent {
        tag,
        digest: stated_digest.and_then(fields::digest),
        media_type: of("MediaType").and_then(fields::media_type),
        address: of("CallerIpAddress").and_then(fields::peer),
        actor: of("Identity").and_then(fields::free_text),
        user_agent: of("UserAgent").and_then(fields::free_text),
        time: of("TimeGenerated")
            .or(detail(Some(row), "time"))
            .and_then(fields::time),
        request_id: request.map(fields::id),
        ..fields::event(category, target, repository)
    };
    // A request pushes or pulls one manifest, but may remove several.
    let own = request.filter(|_| category != Category::Delete);
    Ok(Some(fields::named(event, own)))
}

/// What was done to what. Of names only Push and Pull are documented, of the others that
/// there are "untag, delete (including repository delete), purge tag, and purge manifest".
fn act(operation: &str, tag: Option<&str>, digest: Option<&str>) -> Option<(Category, Option<DeleteTarget>)> {
    let operation = operation.to_ascii_lowercase();
    let of = |word: &str| operation.contains(word);
    let target = match operation.as_str() {
        "push" => return Some((Category::Push, None)),
        "pull" => return Some((Category::Pull, None)),
        _ if !["untag", "delete", "purge"].into_iter().any(of) => return None,
        _ if of("tag") && !of("manifest") => DeleteTarget::Tag,
        _ => match (digest, tag) {
            (Some(_), _) => DeleteTarget::Manifest,
            (None, Some(_)) => DeleteTarget::Tag,
            (None, None) if of("delete") => DeleteTarget::Repository,
            (None, None) => return None,
        },
    };
    Some((Category::Delete, Some(target)))
}

/// A column that holds text. Absent, `null` and empty are the same.
fn text<'a>(row: &'a Value, name: &str) -> Result<Option<&'a str>, NotText> {
    match field(row, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(NotText),
    }
}

/// A column: under its own name, in lower camel case, or that in `properties`.
fn field<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    row.get(name).or_else(|| {
        let mut lower = name.to_owned();
        lower.get_mut(..1)?.make_ascii_lowercase();
        row.get(&lower).or_else(|| row.get("properties")?.get(&lower))
    })
}

/// `ResultType` and `ResultDescription` say how the request ended, the latter by its HTTP status.
fn failed(row: &Value) -> bool {
    ["ResultType", "ResultDescription"].iter().any(|name| {
        let result = field(row, name);
        let status = result.and_then(|result| {
            let number = || result.as_str()?.trim().parse().ok();
            result.as_i64().or_else(number)
        });
        let word = result.and_then(Value::as_str).unwrap_or_default();
        status.is_some_and(|status| status >= 400) || word.to_ascii_lowercase().starts_with("fail")
    })
}
