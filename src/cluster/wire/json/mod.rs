//! The same objects as JSON: the fallback where a server, or a proxy before it, does
//! not speak protobuf. Absent and `null` are the same.

mod custom;
mod objects;

use std::{borrow::Cow, collections::HashMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::{from_slice, value::RawValue};

use self::objects::{Node, Pod, Workload};
use super::{Event, Failure, INITIAL_EVENTS_END, Malformed, PageEnd};
use crate::cluster::{
    Kind,
    model::{self, Object},
};

/// Reads the line twice, the first time for the event's type alone: a bookmark's
/// object and an error's are not what the kind promises.
pub(super) fn event(kind: Kind, line: &[u8]) -> Result<Event<'_>, Malformed> {
    let event = match &*parse::<Typed>(line)?.event_type {
        "ADDED" | "MODIFIED" => Event::Applied(match kind {
            Kind::Pod => Object::Pod(parse::<Body<Pod>>(line)?.object.into_model()),
            Kind::Node => Object::Node(parse::<Body<Node>>(line)?.object.into_model()),
            Kind::Custom(custom) => {
                Object::Workload(custom::read(custom, parse::<Body<&RawValue>>(line)?.object)?)
            }
            kind => Object::Workload(parse::<Body<Workload>>(line)?.object.into_model(kind)),
        }),
        "DELETED" => Event::Deleted(parse::<Body<Bare>>(line)?.object.metadata.into_model()),
        "BOOKMARK" => {
            let Bookmark {
                resource_version,
                annotations,
            } = parse::<Body<Marked>>(line)?.object.metadata;
            Event::Bookmark {
                resource_version,
                initial_end: annotations
                    .unwrap_or_default()
                    .get(INITIAL_EVENTS_END)
                    .is_some_and(|value| value == "true"),
            }
        }
        "ERROR" => Event::Failed(parse_owned::<Body<Status>>(line)?.object.into_failure()),
        _ => Event::Unknown,
    };
    Ok(event)
}

pub(super) fn page<'a>(
    kind: Kind,
    body: &'a [u8],
    each: &mut dyn FnMut(Object<'a>),
) -> Result<PageEnd, Malformed> {
    fn items<'a, T: Deserialize<'a>>(body: &'a [u8], mut each: impl FnMut(T)) -> Result<ListMeta, Malformed> {
        let list: List<T> = parse(body)?;
        list.items.unwrap_or_default().into_iter().for_each(&mut each);
        Ok(list.metadata)
    }
    let mut is_malformed = false;
    let metadata = match kind {
        Kind::Pod => items(body, |pod: Pod| each(Object::Pod(pod.into_model()))),
        Kind::Node => items(body, |node: Node| each(Object::Node(node.into_model()))),
        Kind::Custom(custom) => items(body, |object: &RawValue| match custom::read(custom, object) {
            Ok(workload) => each(Object::Workload(workload)),
            Err(Malformed) => is_malformed = true,
        }),
        kind => items(body, |workload: Workload| {
            each(Object::Workload(workload.into_model(kind)));
        }),
    }?;
    if is_malformed {
        return Err(Malformed);
    }
    Ok(PageEnd {
        resource_version: metadata.resource_version,
        next: metadata.next.filter(|token| !token.is_empty()),
    })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Malformed> {
    from_slice(text).map_err(|_| Malformed)
}

fn parse_owned<T: DeserializeOwned>(text: &[u8]) -> Result<T, Malformed> {
    parse(text)
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Body<T> {
    object: T,
}

#[derive(Deserialize)]
struct List<T> {
    metadata: ListMeta,
    items: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    code: Option<u16>,
    details: Option<StatusDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusDetails {
    retry_after_seconds: Option<u64>,
}

impl Status {
    fn into_failure(self) -> Failure {
        Failure {
            code: self.code.unwrap_or(0),
            retry_after: self
                .details
                .and_then(|details| details.retry_after_seconds)
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs),
        }
    }
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow)]
    metadata: Bookmark<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bookmark<'a> {
    #[serde(borrow)]
    resource_version: Cow<'a, str>,
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Bare<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    creation_timestamp: Option<&'a str>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
}

#[derive(Deserialize)]
struct OwnerReference<'a> {
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    controller: Option<bool>,
}

impl<'a> Meta<'a> {
    fn into_model(self) -> model::Meta<'a> {
        let controller = self
            .owner_references
            .unwrap_or_default()
            .into_iter()
            .find(|owner| owner.controller == Some(true));
        model::Meta {
            uid: self.uid,
            name: self.name,
            namespace: self.namespace,
            resource_version: self.resource_version,
            created: self
                .creation_timestamp
                .and_then(|time| time.parse::<Timestamp>().ok())
                .map_or(0, Timestamp::as_second),
            deleting: self.deletion_timestamp.is_some(),
            controller: controller.map(|owner| model::Controller {
                uid: owner.uid,
                kind: owner.kind,
                name: owner.name,
            }),
        }
    }
}
