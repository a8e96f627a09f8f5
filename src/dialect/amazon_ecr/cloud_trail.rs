//! Records of API calls and of lifecycle policies at work ("`CloudTrail` record contents" in
//! its user guide; requests and responses as in the ECR API reference).

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    dialect::{
        MAX_ENTRIES, Parsed, fields,
        json::{IGNORED, detail, list, text},
    },
    event::{Category, DeleteTarget, RegistryEvent},
};

/// What one record brings: nothing where the call failed, was about no image or was another service's.
pub(super) fn record(record: &Value) -> Parsed {
    let of = |field| detail(Some(record), field);
    let own = of("eventID");
    let failed = record.get("errorCode").is_some_and(|code| !code.is_null());
    if of("eventSource") != Some("ecr.amazonaws.com") || failed {
        return IGNORED;
    }
    let (request, response) = (record.get("requestParameters"), record.get("responseElements"));
    let mut events = match of("eventName") {
        Some("PutImage") => push(request, response),
        Some("BatchGetImage") => pulls(request),
        Some("BatchDeleteImage") => deletes(request, response),
        Some("DeleteRepository") => repository(request)
            .map(|name| fields::event(Category::Delete, Some(DeleteTarget::Repository), name))
            .into_iter()
            .collect(),
        Some("PolicyExecutionEvent") => expired(record.get("serviceEventDetails")),
        _ => Vec::new(),
    };
    for event in &mut events {
        event.address = of("sourceIPAddress").and_then(fields::peer);
        event.actor = detail(record.get("userIdentity"), "arn").and_then(fields::free_text);
        event.user_agent = of("userAgent").and_then(fields::free_text);
        event.time = of("eventTime").and_then(fields::time);
        // A lifecycle policy acts without a request.
        event.request_id = of("requestID").or(own).map(fields::id);
    }
    fields::named_each(events, own)
}

fn repository(parameters: Option<&Value>) -> Option<String> {
    detail(parameters, "repositoryName").and_then(fields::repository)
}

fn push(request: Option<&Value>, response: Option<&Value>) -> Vec<RegistryEvent> {
    let image = response.and_then(|response| response.get("image"));
    let pushed = image.and_then(|image| image.get("imageId"));
    let event = repository(request).map(|name| RegistryEvent {
        tag: detail(request, "imageTag")
            .or(detail(pushed, "imageTag"))
            .and_then(fields::tag),
        digest: detail(pushed, "imageDigest")
            .or(detail(request, "imageDigest"))
            .and_then(fields::digest),
        media_type: detail(image, "imageManifestMediaType")
            .or(detail(request, "imageManifestMediaType"))
            .and_then(fields::media_type),
        ..fields::event(Category::Push, None, name)
    });
    event.into_iter().collect()
}

fn pulls(request: Option<&Value>) -> Vec<RegistryEvent> {
    let Some(name) = repository(request) else {
        return Vec::new();
    };
    images(request)
        .map(|image| RegistryEvent {
            tag: image.tag.and_then(fields::tag),
            digest: image.digest.and_then(fields::digest),
            ..fields::event(Category::Pull, None, name.clone())
        })
        .collect()
}

/// Asked for by tag, the tag is removed, and the image only with its last one; asked for by
/// digest, the image and all its tags (API reference, `BatchDeleteImage`).
fn deletes(request: Option<&Value>, response: Option<&Value>) -> Vec<RegistryEvent> {
    let Some(name) = repository(request) else {
        return Vec::new();
    };
    let whole: HashSet<&str> = images(request)
        .filter(|image| image.tag.is_none())
        .filter_map(|image| image.digest)
        .collect();
    images(response)
        .filter_map(|image| {
            let manifest = image.tag.is_none() || image.digest.is_some_and(|digest| whole.contains(digest));
            let target = if manifest {
                DeleteTarget::Manifest
            } else {
                DeleteTarget::Tag
            };
            let tag = image.tag.and_then(fields::tag);
            (manifest || tag.is_some()).then(|| RegistryEvent {
                tag,
                digest: image.digest.and_then(fields::digest),
                ..fields::event(Category::Delete, Some(target), name.clone())
            })
        })
        .collect()
}

/// What a lifecycle policy removed: whole images, named with each of their tags. Rules with
/// another action than `expire` remove nothing.
fn expired(details: Option<&Value>) -> Vec<RegistryEvent> {
    let Some(name) = repository(details) else {
        return Vec::new();
    };
    let policy = details.and_then(|details| details.get("lifecycleEventPolicy"));
    let kept: HashSet<i64> = list(policy, "lifecycleEventRules")
        .iter()
        .filter(|rule| detail(Some(rule), "action") != Some("expire"))
        .filter_map(priority)
        .collect();
    let mut events = Vec::new();
    for action in list(details, "lifecycleEventImageActions") {
        let Some(image) = action.get("lifecycleEventImage") else {
            continue;
        };
        let digest = detail(Some(image), "digest");
        if digest.is_none() || priority(action).is_some_and(|rule| kept.contains(&rule)) {
            continue;
        }
        let event = RegistryEvent {
            digest: digest.and_then(fields::digest),
            ..fields::event(Category::Delete, Some(DeleteTarget::Manifest), name.clone())
        };
        let tags = list(Some(image), "tagList").iter();
        let tags = tags.filter_map(|tag| fields::tag(tag.as_str()?));
        let before = events.len();
        events.extend(tags.take(MAX_ENTRIES + 1).map(|tag| RegistryEvent {
            tag: Some(tag),
            ..event.clone()
        }));
        if events.len() == before {
            events.push(event);
        }
        // More than a body may bring: it will be refused.
        if events.len() > MAX_ENTRIES {
            break;
        }
    }
    events
}

fn priority(rule: &Value) -> Option<i64> {
    rule.get("rulePriority")?.as_i64()
}

struct Image<'a> {
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// The images that a request or a response names by tag or digest; at most one more than a
/// body may bring.
fn images(parameters: Option<&Value>) -> impl Iterator<Item = Image<'_>> {
    let named = list(parameters, "imageIds").iter().filter_map(|id| {
        let (tag, digest) = (text(id, "imageTag").ok()?, text(id, "imageDigest").ok()?);
        (tag.is_some() || digest.is_some()).then_some(Image { tag, digest })
    });
    named.take(MAX_ENTRIES + 1)
}
