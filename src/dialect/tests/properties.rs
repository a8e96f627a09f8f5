use std::sync::LazyLock;

use http::HeaderMap;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use super::{Fixtures, Message};
use crate::{
    dialect::{Format, MAX_ENTRIES, Parsed},
    event::{Category, DeleteTarget},
};

/// All of every format, but for the ones that are no single JSON value.
static FIXTURES: LazyLock<Vec<(Format, HeaderMap, Value)>> = LazyLock::new(|| {
    let of = |format| {
        let messages = Fixtures(format).messages().into_iter();
        messages.filter_map(move |Message { headers, body, .. }| {
            Some((format, headers, serde_json::from_slice(&body).ok()?))
        })
    };
    Format::ALL.into_iter().flat_map(of).collect()
});

/// What holds for whatever a body brings.
pub fn sound(parsed: &Parsed) {
    assert!(parsed.events.len() <= MAX_ENTRIES && parsed.ignored >= 0);
    for event in &parsed.events {
        assert!((1..=255).contains(&event.id.len()), "{event:?}");
        assert!((1..=255).contains(&event.repository.len()), "{event:?}");
        let deletes = event.category == Category::Delete;
        assert_eq!(event.target.is_some(), deletes, "{event:?}");
        let named = event.target != Some(DeleteTarget::Tag) || event.tag.is_some();
        assert!(named, "{event:?}");
    }
}

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let texts = vec![
        "",
        "/",
        ":",
        "@",
        "%",
        "%2",
        "%ff",
        "{}",
        "[]",
        "{\"tag\":7}",
        "v1",
        "a/b",
        "a/b:c@d",
        "pull",
        "deleted",
        "DELETE_ARTIFACT",
        "delete_tag",
        "192.0.2.1:1",
        "[::1%",
        "2026-01-01T00:00:00Z",
        "sha256:",
    ];
    let digest = format!("sha256:{}", "e".repeat(64));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(texts).prop_map(Value::from),
        Just(Value::from(digest)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,8}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Values for up to three places of a body.
pub fn changes() -> impl Strategy<Value = Vec<(Index, Value)>> {
    vec((any::<Index>(), any_json()), 1..4)
}

pub fn disturbed(body: &Value, changes: &[(Index, Value)]) -> Value {
    let mut body = body.clone();
    for (index, value) in changes {
        let mut found = Vec::new();
        places(&body, String::new(), &mut found);
        let place = index.get(&found).as_str();
        *body.pointer_mut(place).unwrap() = value.clone();
    }
    body
}

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, format!("{at}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                places(value, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
    found.push(at);
}

proptest! {
    #[test]
    fn whatever_stands_in_any_place_of_any_fixture_the_rest_is_read_or_refused(changes in changes()) {
        for (format, headers, body) in FIXTURES.iter() {
            let body = disturbed(body, &changes).to_string();
            if let Ok(parsed) = format.parse(headers, body.as_bytes()) {
                sound(&parsed);
            }
        }
    }

    #[test]
    fn any_bytes_and_any_json_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), json in any_json()) {
        for format in Format::ALL {
            for body in [bytes.as_slice(), json.to_string().as_bytes()] {
                if let Ok(parsed) = Fixtures(format).read(body) {
                    sound(&parsed);
                }
            }
        }
    }
}

#[test]
fn nesting_and_endless_lists_are_refused_by_every_dialect() {
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    let long = json!(vec![json!({}); MAX_ENTRIES + 1]).to_string();
    for format in Format::ALL {
        for body in [&deep, &long] {
            assert!(Fixtures(format).read(body).is_err(), "{}", format.name());
        }
    }
}
