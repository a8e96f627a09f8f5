use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use super::{entry, one, read};
use crate::event::Category;

/// Any JSON, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        select(vec![
            "pull",
            "v1",
            "10.0.0.1:1",
            "[::1%",
            "%",
            "2026-01-01T00:00:00Z",
            "sha256:"
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

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in vec(any::<u8>(), 0..200)) {
        let _ = read(body);
    }

    #[test]
    fn no_json_makes_it_panic(body in any_json()) {
        let _ = read(body.to_string());
    }

    #[test]
    fn no_value_in_a_known_place_makes_it_panic_or_lose_count(
        values in vec((select(vec![
            "/id", "/timestamp", "/action", "/target", "/target/repository", "/target/tag", "/target/digest",
            "/target/mediaType", "/target/url", "/request", "/request/id", "/request/addr", "/request/method",
            "/request/useragent", "/actor", "/source", "/source/instanceID",
        ]), any_json()), 1..4),
    ) {
        let mut entry = entry();
        for (pointer, value) in values {
            if let Some(place) = entry.pointer_mut(pointer) {
                *place = value;
            }
        }
        if let Some(event) = one(&entry) {
            prop_assert!(!event.id.is_empty() && event.id.len() <= 255);
            prop_assert!(!event.repository.is_empty() && event.repository.len() <= 255);
            prop_assert_eq!(event.target.is_some(), event.category == Category::Delete);
        }
    }
}
