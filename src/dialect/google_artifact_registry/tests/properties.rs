use proptest::prelude::*;
use serde_json::json;

use super::{fixture, message, pull, read};
use crate::dialect::tests::lines::{any_json, anything_somewhere, sound, with};

proptest! {
    #[test]
    fn no_json_makes_it_panic(
        body in any_json(),
        name in prop::sample::select(vec!["message", "data", "messageId", "protoPayload", "action"]),
    ) {
        let body = json!({name: body}).to_string();
        let _ = read(&body);
        let _ = read(message(&body));
    }

    #[test]
    fn no_value_in_a_known_place_makes_it_panic_or_unsound(
        body in prop_oneof![
            anything_somewhere(fixture!("notification-insert")),
            anything_somewhere(fixture!("pub-sub-push")),
            anything_somewhere(fixture!("audit-log")),
        ],
    ) {
        for body in [message(&body), body] {
            if let Ok(parsed) = read(body) {
                sound(&parsed);
            }
        }
    }

    #[test]
    fn no_name_of_a_resource_makes_it_panic(resource in "[a-z%@:/0-9]{0,60}", url in ".{0,40}") {
        for url in [format!("/v2/{url}/manifests/{resource}"), url] {
            let changed = with(&pull(), "/protoPayload/resourceName", Some(json!(resource)));
            if let Ok(parsed) = read(with(&changed, "/protoPayload/request/requestUrl", Some(json!(url)))) {
                sound(&parsed);
            }
        }
    }
}
