use http::HeaderMap;
use proptest::{collection::vec, prelude::*, sample::Index, sample::select};
use serde_json::Value;

use super::support::{delivery, fixtures, names};
use crate::{
    dialect::{DialectError, Format, MAX_ENTRIES, Parsed},
    event::Category,
};

/// Formats whose fixtures are disturbed.
const FOLDERS: [(Format, &str); 4] = [
    (Format::Harbor, "harbor"),
    (Format::AlibabaACR, "alibaba-acr"),
    (Format::Quay, "quay"),
    (Format::Zot, "zot"),
];

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(vec![
            "",
            "/",
            ":",
            "@",
            "v1",
            "DELETE_ARTIFACT",
            "delete_tag",
            "10.0.0.1:1",
            "[::1%",
            "2026-01-01T00:00:00Z",
            "sha256:",
            "{\"tag\":7}",
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

/// How many values there are: this one and all in it.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Puts a value in place of the one that is as many steps away as `place` says.
fn replace(value: &mut Value, place: usize, with: &Value) {
    if place == 0 {
        *value = with.clone();
        return;
    }
    let inner: Vec<&mut Value> = match value {
        Value::Array(values) => values.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return,
    };
    let mut place = place - 1;
    for value in inner {
        let here = count(value);
        if place < here {
            replace(value, place, with);
            return;
        }
        place -= here;
    }
}

/// A fixture with other values in up to three places.
fn disturbed() -> impl Strategy<Value = (Format, HeaderMap, Value)> {
    let all: Vec<(Format, HeaderMap, Value)> = FOLDERS
        .iter()
        .flat_map(|(format, folder)| {
            let folder = fixtures(folder);
            names(&folder).into_iter().map(move |name| {
                let (headers, body) = delivery(&folder, &name);
                (*format, headers, serde_json::from_slice(&body).unwrap())
            })
        })
        .collect();
    (select(all), vec((any::<Index>(), any_json()), 1..4)).prop_map(
        |((format, headers, mut body), others)| {
            for (place, value) in others {
                let place = place.index(count(&body));
                replace(&mut body, place, &value);
            }
            (format, headers, body)
        },
    )
}

fn is_sound(parsed: Result<Parsed, DialectError>) -> Result<(), TestCaseError> {
    let Ok(parsed) = parsed else { return Ok(()) };
    prop_assert!(parsed.events.len() <= MAX_ENTRIES && parsed.ignored >= 0);
    for event in parsed.events {
        prop_assert!(!event.id.is_empty() && event.id.len() <= 255);
        prop_assert!(!event.repository.is_empty() && event.repository.len() <= 255);
        prop_assert_eq!(event.target.is_some(), event.category == Category::Delete);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_stands_in_a_place_the_rest_is_read_or_refused((format, headers, body) in disturbed()) {
        is_sound(format.parse(&headers, body.to_string().as_bytes()))?;
    }

    #[test]
    fn any_json_is_read_or_refused(body in any_json()) {
        for (format, _) in FOLDERS {
            is_sound(format.parse(&HeaderMap::new(), body.to_string().as_bytes()))?;
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..200)) {
        for (format, _) in FOLDERS {
            is_sound(format.parse(&HeaderMap::new(), &body))?;
        }
    }
}
