use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Message, folder, messages};
use crate::{
    dialect::{Format, MAX_ENTRIES, Parsed},
    event::Category,
};

/// Any JSON, a few levels deep.
pub(in crate::dialect) fn any_json() -> impl Strategy<Value = Value> {
    let digest = format!("sha256:{}", "e".repeat(64));
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(vec![
            "pull",
            "deleted",
            "v1",
            "10.0.0.1:1",
            "[::1%",
            "%",
            "a/b:c@d",
            "2026-01-01T00:00:00Z",
            "sha256:",
        ])
        .prop_map(Value::from),
        Just(Value::from(digest)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((".{0,8}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every place in a value that a JSON pointer leads to.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn holds(parsed: &Parsed) -> Result<(), TestCaseError> {
    prop_assert!(parsed.events.len() <= MAX_ENTRIES && parsed.ignored >= 0);
    for event in &parsed.events {
        prop_assert!(!event.id.is_empty() && event.id.len() <= 255);
        prop_assert!(!event.repository.is_empty() && event.repository.len() <= 255);
        prop_assert_eq!(event.target.is_some(), event.category == Category::Delete);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of every format, in any places of every fixture.
    #[test]
    fn no_value_in_any_place_makes_a_dialect_panic_or_an_event_without_what_it_needs(
        changes in vec((any::<prop::sample::Index>(), any_json()), 1..4),
    ) {
        for format in Format::ALL {
            for Message { headers, body, .. } in messages(&folder(format)) {
                // Some fixtures are lines of JSON, or none at all.
                let Ok(mut body) = serde_json::from_slice::<Value>(&body) else {
                    continue;
                };
                let mut found = Vec::new();
                places(&body, "", &mut found);
                for (index, value) in &changes {
                    if let Some(place) = body.pointer_mut(index.get(&found).as_str()) {
                        *place = value.clone();
                    }
                }
                if let Ok(parsed) = format.parse(&headers, body.to_string().as_bytes()) {
                    holds(&parsed)?;
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_a_dialect_panic(body in vec(any::<u8>(), 0..200), json in any_json()) {
        for format in Format::ALL {
            for body in [body.as_slice(), json.to_string().as_bytes()] {
                if let Ok(parsed) = format.parse(&http::HeaderMap::new(), body) {
                    holds(&parsed)?;
                }
            }
        }
    }
}

#[test]
fn nesting_and_endless_lists_are_refused_by_every_dialect() {
    for format in Format::ALL {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        assert!(
            format.parse(&http::HeaderMap::new(), deep.as_bytes()).is_err(),
            "{}",
            format.name()
        );
        let long = json!(vec![json!({}); MAX_ENTRIES + 1]).to_string();
        assert!(
            format.parse(&http::HeaderMap::new(), long.as_bytes()).is_err(),
            "{}",
            format.name()
        );
    }
}
