use serde_json::json;

use super::*;
use crate::dialect::{
    Format::DockerHub,
    tests::{brings, samples, with},
};

#[test]
fn a_push_of_a_tag() {
    brings(
        DockerHub,
        "push",
        &["Push shop/web :v1 as alice at 2026-03-02T09:00:00Z"],
        0,
    );
    brings(
        DockerHub,
        "push-with-a-broken-time",
        &["Push shop/web :v1 as alice at 2026-03-02T09:00:00.5Z"],
        0,
    );
    brings(DockerHub, "nothing-but-the-least", &["Push shop/web"], 0);
}

#[test]
fn what_is_no_push_or_does_not_say_of_what_is_ignored() {
    brings(DockerHub, "no-push", &[], 1);
    for (pointer, value) in [
        ("/repository/repo_name", json!("")),
        ("/repository/repo_name", json!(7)),
        ("/repository", json!("shop/web")),
        ("/push_data/tag", json!(["v1"])),
    ] {
        assert_eq!(with(DockerHub, "push", &[(pointer, value)]), None, "{pointer}");
    }
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let whole = with(DockerHub, "push", &[]).unwrap();
    for value in [
        json!("1772442000"),
        json!(null),
        json!(-1),
        json!(1e300),
        json!([]),
    ] {
        let event = with(DockerHub, "push", &[("/push_data/pushed_at", value)]).unwrap();
        assert_eq!(event.time, None);
        assert_eq!(event.tag, whole.tag);
    }
    for value in [json!(""), json!("not a tag"), json!(null)] {
        assert_eq!(
            with(DockerHub, "push", &[("/push_data/tag", value)]).unwrap().tag,
            None
        );
    }
    assert_eq!(
        with(DockerHub, "push", &[("/push_data/pusher", json!({}))])
            .unwrap()
            .actor,
        None
    );
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    for (body, reason) in [
        ("payload=x", "NotJSON"),
        ("[]", "UnexpectedShape"),
        ("7", "UnexpectedShape"),
    ] {
        let error = DockerHub.parse(&HeaderMap::new(), body.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
    }
}

#[test]
fn samples_of_others() {
    samples(
        DockerHub,
        "docker-hub",
        &[(
            "push",
            &["Push exampleuser/testhook :latest as trustedbuilder at 2014-12-03T00:22:41Z"],
        )],
    );
}
