//! What tests of several dialects share.

use std::{fs, path::Path};

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use crate::{
    dialect::{Format, Parsed, has_own_id},
    event::{Category, DeleteTarget, RegistryEvent},
};

/// An event as a line that leaves out what is absent, an id made of the content, and of digests
/// all but two characters:
/// `DeleteTag shop/web :v1 @11 HEAD Peer 192.0.2.1 by ci at 2026-03-01T09:00:00Z = id`.
pub fn told(event: &RegistryEvent) -> String {
    let target = event
        .target
        .map(|target| format!("{target:?}"))
        .unwrap_or_default();
    let digest = event
        .digest
        .as_ref()
        .map(|digest| digest.to_string()[7..9].to_owned());
    let address = event
        .address
        .map(|address| format!(" {:?} {}", address.source, address.ip));
    let part = |before: &str, text: &Option<String>| {
        text.as_ref()
            .map(|text| format!(" {before}{text}"))
            .unwrap_or_default()
    };
    [
        format!("{:?}{target} {}", event.category, event.repository),
        part(":", &event.tag),
        part("@", &digest),
        part("", &event.method),
        address.unwrap_or_default(),
        part("by ", &event.actor),
        part("at ", &event.time.map(|time| time.to_string())),
        part("= ", &has_own_id(event).then(|| event.id.clone())),
    ]
    .concat()
}

pub fn lines(parsed: &Parsed) -> Vec<String> {
    parsed.events.iter().map(told).collect()
}

/// What holds for whatever a body brings.
pub fn sound(parsed: &Parsed) {
    for event in &parsed.events {
        assert!(!event.id.is_empty() && event.id.len() <= 255, "{event:?}");
        assert!(
            !event.repository.is_empty() && event.repository.len() <= 255,
            "{event:?}"
        );
        assert_eq!(
            event.target.is_some(),
            event.category == Category::Delete,
            "{event:?}"
        );
        let named = event.target != Some(DeleteTarget::Tag) || event.tag.is_some();
        assert!(named, "{event:?}");
    }
}

/// Any JSON, a few levels deep.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(vec![
            "",
            "v1",
            "/",
            "a/b",
            ":",
            "@",
            "%",
            "%2",
            "%ff",
            "{}",
            "[]",
            "[::1%",
            "192.0.2.1:1",
            "sha256:",
            "2026-01-01T00:00:00Z"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,8}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A body with any JSON at one to three of its places.
pub fn anything_somewhere(body: &str) -> impl Strategy<Value = String> + use<> {
    let body: Value = serde_json::from_str(body).unwrap();
    let mut places = Vec::new();
    places_of(&body, String::new(), &mut places);
    vec((select(places), any_json()), 1..4).prop_map(move |changes| {
        let mut body = body.clone();
        for (pointer, value) in changes {
            if let Some(place) = body.pointer_mut(&pointer) {
                *place = value;
            }
        }
        body.to_string()
    })
}

/// A body with one value in another's place, or without it where there is none.
pub fn with(body: &str, pointer: &str, value: Option<Value>) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    body.to_string()
}

fn places_of(value: &Value, pointer: String, places: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places_of(field, format!("{pointer}/{name}"), places);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                places_of(item, format!("{pointer}/{position}"), places);
            }
        }
        _ => {}
    }
    places.push(pointer);
}

/// Reads the samples of others, which are not in this repository, in a subfolder of the
/// folder that `IMAGE_USAGE_EVENT_SAMPLES` names: `NAME.json`, its headers in `NAME.headers.json`.
/// Each file is expected to bring the lines beside its name.
pub fn samples(folder: &str, format: Format, expected: &[(&str, &[&str])]) {
    let Ok(root) = std::env::var("IMAGE_USAGE_EVENT_SAMPLES") else {
        println!("skipped: IMAGE_USAGE_EVENT_SAMPLES names no folder of samples");
        return;
    };
    let folder = Path::new(&root).join(folder);
    for (name, events) in expected {
        let body = fs::read(folder.join(format!("{name}.json"))).unwrap();
        let headers = fs::read(folder.join(format!("{name}.headers.json"))).unwrap_or(b"{}".to_vec());
        let headers: Value = serde_json::from_slice(&headers).unwrap();
        let headers: HeaderMap = headers
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(name, value)| {
                let name: HeaderName = name.parse().ok()?;
                Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
            })
            .collect();
        let parsed = format.parse(&headers, &body).unwrap();
        sound(&parsed);
        assert_eq!(lines(&parsed), *events, "{name}");
        assert_eq!(parsed.ignored > 0, events.is_empty(), "{name}");
    }
    let bodies = fs::read_dir(&folder).unwrap().filter(|file| {
        let name = file.as_ref().unwrap().file_name().into_string().unwrap();
        let about = [".headers.json", ".response.json", "-handshake.json"];
        !about.iter().any(|end| name.ends_with(end))
    });
    assert_eq!(bodies.count(), expected.len(), "in {}", folder.display());
}
