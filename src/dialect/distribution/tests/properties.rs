use proptest::{collection::vec, prelude::*, sample::select};

use super::{entry, one};
use crate::{dialect::tests::any_json, event::Category};

proptest! {
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
