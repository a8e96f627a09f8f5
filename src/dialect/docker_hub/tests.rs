use serde_json::json;

use crate::dialect::{Format, tests::Fixtures};

const DOCKER_HUB: Fixtures = Fixtures(Format::DockerHub);

#[test]
fn each_fixture_brings_what_it_tells() {
    DOCKER_HUB.bring(&[
        ("no-push", &[], 1),
        ("nothing-but-the-least", &["Push shop/web"], 0),
        ("push", &["Push shop/web:v1 by alice at 2026-03-02T09:00:00Z"], 0),
        (
            "push-with-a-broken-time",
            &["Push shop/web:v1 by alice at 2026-03-02T09:00:00.5Z"],
            0,
        ),
    ]);
}

#[test]
fn what_does_not_say_of_what_it_is_a_push_is_ignored() {
    for (pointer, value) in [
        ("/repository/repo_name", json!("")),
        ("/repository/repo_name", json!(7)),
        ("/repository", json!("shop/web")),
        ("/push_data/tag", json!(["v1"])),
    ] {
        let body = DOCKER_HUB.with("push", pointer, value);
        assert_eq!(DOCKER_HUB.one(&body), None, "{pointer}");
    }
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let with = |pointer, value| DOCKER_HUB.one(&DOCKER_HUB.with("push", pointer, value)).unwrap();
    for value in [
        json!("1772442000"),
        json!(null),
        json!(-1),
        json!(1e300),
        json!([]),
    ] {
        let event = with("/push_data/pushed_at", value);
        assert_eq!((event.time, event.tag.as_deref()), (None, Some("v1")));
    }
    for value in [json!(""), json!("not a tag"), json!(null)] {
        assert_eq!(with("/push_data/tag", value).tag, None);
    }
    assert_eq!(with("/push_data/pusher", json!({})).actor, None);
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    DOCKER_HUB.refuse("payload=x", "NotJSON");
    DOCKER_HUB.refuse("[]", "UnexpectedShape");
    DOCKER_HUB.refuse("7", "UnexpectedShape");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    DOCKER_HUB.samples_bring(
        "docker-hub",
        &[(
            "push",
            &["Push exampleuser/testhook:latest by trustedbuilder at 2014-12-03T00:22:41Z"],
            0,
        )],
    );
}
