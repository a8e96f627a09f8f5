use serde_json::json;

use super::*;
use crate::dialect::{
    Format,
    tests::{Fixtures, Message},
};

const ZOT: Fixtures = Fixtures(Format::Zot);
const MANIFEST: &str = "type application/vnd.oci.image.manifest.v1+json";

#[test]
fn each_fixture_brings_what_it_tells() {
    let told = |what: &str, rest: &str, last: u8| {
        format!("{what} {MANIFEST} {rest} id ab12cd34-0000-4000-8000-00000000000{last}")
    };
    let client = "from Peer 198.51.100.7 by ci with skopeo/1.20.0 at 2026-03-01T09:00:00.123456789Z";
    let deletes = format!("method DELETE {client}");
    ZOT.bring(&[
        (
            "image-deleted",
            &[&told("Delete Tag shop/web:v1@11", &deletes, 4)],
            0,
        ),
        (
            "image-deleted-by-digest",
            &[&told("Delete Manifest shop/web@11", &deletes, 5)],
            0,
        ),
        ("image-scanned", &[], 1),
        (
            "image-updated",
            &[&told("Push shop/web:v1@11", &format!("method PUT {client}"), 1)],
            0,
        ),
        (
            "image-updated-by-digest",
            &[&told("Push shop/web@11", "at 2026-03-01T09:00:00.123456789Z", 2)],
            0,
        ),
        (
            "image-updated-own-prefix",
            &[&told(
                "Push shop/web:v1@11",
                "at 2026-03-01T09:00:00.123456789Z",
                3,
            )],
            0,
        ),
        ("repository-created", &[], 1),
        (
            "structured",
            &[&told("Push shop/web:v1@11", "at 2026-03-01T09:00:00Z", 8)],
            0,
        ),
    ]);
}

/// A structured delete with these fields in its data.
fn deleted(reference: &Value, digest: &Value) -> Value {
    let mut body = ZOT.with("structured", "/type", json!("zotregistry.image.deleted"));
    body["data"]["reference"] = reference.clone();
    body["data"]["digest"] = digest.clone();
    body
}

#[test]
fn a_delete_is_of_what_the_reference_names() {
    let digest = format!("sha256:{}", "1".repeat(64));
    for (reference, stated, target) in [
        (json!("v1"), json!(digest), Some(DeleteTarget::Tag)),
        (json!("v1"), json!(null), Some(DeleteTarget::Tag)),
        (json!(digest), json!(digest), Some(DeleteTarget::Manifest)),
        (json!(digest), json!(null), Some(DeleteTarget::Manifest)),
        (
            json!("sha256:01"),
            json!("sha256:01"),
            Some(DeleteTarget::Manifest),
        ),
        (json!(null), json!(digest), Some(DeleteTarget::Manifest)),
        (json!("no tag"), json!(digest), None),
        (json!(null), json!(null), None),
        (json!(["v1"]), json!(digest), None),
    ] {
        let found = ZOT
            .one(&deleted(&reference, &stated))
            .and_then(|event| event.target);
        assert_eq!(found, target, "{reference} {stated}");
    }
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let whole = ZOT.one(&ZOT.body("structured")).unwrap();
    let plain = RegistryEvent {
        time: None,
        ..whole.clone()
    };
    let time = ZOT.with("structured", "/time", json!("2026-03-01T09:00:00"));
    assert_eq!(ZOT.one(&time), Some(plain));
    for (field, value) in [
        ("actor", json!("ci")),
        ("actor", json!({"name": ""})),
        ("request", json!([])),
        (
            "request",
            json!({"addr": "client.local:1", "method": 7, "useragent": ""}),
        ),
    ] {
        let mut body = ZOT.body("structured");
        body["data"][field] = value.clone();
        assert_eq!(ZOT.one(&body).as_ref(), Some(&whole), "{field} {value}");
    }
}

#[test]
fn what_is_no_image_event_is_ignored() {
    for (pointer, value) in [
        ("/type", json!("zotregistry.image.lint_failed")),
        ("/type", json!(null)),
        ("/data", json!("shop/web")),
        ("/data/name", json!("")),
        ("/data/name", json!(7)),
    ] {
        let body = ZOT.with("structured", pointer, value.clone());
        assert_eq!(ZOT.one(&body), None, "{pointer} {value}");
    }
    let without_data = json!({"specversion": "1.0", "type": "zotregistry.image.updated"});
    assert_eq!(ZOT.one(&without_data), None);
}

#[test]
fn several_structured_events_come_in_an_array() {
    let body = json!([ZOT.body("structured"), {"specversion": "1.0"}, 7]);
    let parsed = ZOT.read(body.to_string()).unwrap();
    assert_eq!((parsed.events.len(), parsed.ignored), (1, 2));
}

#[test]
fn without_its_headers_a_binary_event_says_too_little() {
    let Message { headers, body, .. } = ZOT.message("image-updated");
    assert_eq!(parse(&headers, &body).unwrap().events.len(), 1);
    ZOT.refuse(body, "UnexpectedShape");
}

#[test]
fn a_body_of_something_else_is_refused() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("hunter2", "NotJSON"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#""hunter2""#, "UnexpectedShape"),
    ] {
        ZOT.refuse(body, reason);
    }
    ZOT.refuse("[".repeat(1_000), "TooDeep");
    ZOT.refuse("{}".repeat(10_001), "TooManyEntries");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    let told = |what: &str, rest: &str, last: u8| {
        format!("{what} {MANIFEST} {rest} id 6f2d1f0c-1a53-4a6f-8f0c-00000000000{last}")
    };
    let delete = told(
        "Delete Tag myrepo:v1.0@3c",
        "method DELETE from Peer 10.0.0.1 by admin with curl/8.5.0 at 2026-01-05T12:01:00Z",
        2,
    );
    let push = told(
        "Push myrepo:v2.0@44",
        "method PUT from Peer 10.0.0.1 by admin with skopeo/1.14.0 at 2026-01-05T12:00:00.123456789Z",
        1,
    );
    let structured = told("Push myrepo:v2.0@44", "at 2026-01-05T12:00:00Z", 4);
    ZOT.samples_bring(
        "zot",
        &[
            ("image.deleted", &[&delete], 0),
            ("image.updated", &[&push], 0),
            ("image.updated.structured", &[&structured], 0),
            ("repository.created-ignore", &[], 1),
        ],
    );
}
