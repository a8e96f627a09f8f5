use proptest::prelude::*;
use serde_json::json;

use super::{GOOGLE, message, pull};
use crate::dialect::tests::{changes, disturbed, sound, with};

proptest! {
    #[test]
    fn whatever_stands_in_the_data_of_a_message_it_is_read_or_ignored(changes in changes()) {
        for body in [GOOGLE.body("notification-insert"), GOOGLE.body("pub-sub-push"), pull()] {
            let body = disturbed(&body, &changes).to_string();
            sound(&GOOGLE.read(message(body).to_string()).unwrap());
        }
    }

    #[test]
    fn no_name_of_a_resource_makes_it_panic(resource in "[a-z%@:/0-9]{0,60}", url in ".{0,40}") {
        let named = with(pull(), "/protoPayload/resourceName", json!(resource));
        for url in [format!("/v2/{url}/manifests/{resource}"), url] {
            let body = with(named.clone(), "/protoPayload/request/requestUrl", json!(url));
            sound(&GOOGLE.read(body.to_string()).unwrap());
        }
    }
}
