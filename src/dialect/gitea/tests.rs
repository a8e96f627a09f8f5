use serde_json::json;

use super::*;
use crate::{
    dialect::{Format, tests::Fixtures},
    event::DeleteTarget,
};

const GITEA: Fixtures = Fixtures(Format::Gitea);

fn with(name: &str, pointer: &str, value: Value) -> Option<RegistryEvent> {
    GITEA.one(&GITEA.with(name, pointer, value))
}

#[test]
fn each_fixture_brings_what_it_tells() {
    GITEA.bring(&[
        ("another-kind-of-package", &[], 1),
        (
            "created",
            &["Push shop/backend/web:v1 by bob at 2026-03-05T14:00:00Z \
                 id 9c6c1b50-0000-4000-8000-000000000001"],
            0,
        ),
        (
            "created-without-a-tag",
            &["Push shop/backend/web@11 by bob at 2026-03-05T14:00:00Z \
                 id 9c6c1b50-0000-4000-8000-000000000002"],
            0,
        ),
        (
            "deleted",
            &["Delete Tag shop/backend/web:v1 by bob id 9c6c1b50-0000-4000-8000-000000000003"],
            0,
        ),
        (
            "deleted-without-a-tag",
            &["Delete Manifest shop/backend/web@11 by bob id 9c6c1b50-0000-4000-8000-000000000004"],
            0,
        ),
    ]);
}

#[test]
fn other_events_and_shapes_are_ignored() {
    for (pointer, value) in [
        ("/action", json!("updated")),
        ("/action", json!(null)),
        ("/package", json!(null)),
        ("/package/type", json!(7)),
        ("/package/owner", json!(null)),
        ("/package/owner/login", json!("")),
        ("/package/name", json!({})),
        ("/package/version", json!(1)),
    ] {
        assert_eq!(with("created", pointer, value), None, "{pointer}");
    }
}

#[test]
fn a_delete_is_of_what_the_version_names() {
    for (version, target) in [
        ("v2", Some(DeleteTarget::Tag)),
        ("", None),
        ("no tag", None),
        ("sha256:0123", None),
    ] {
        let event = with("deleted", "/package/version", json!(version));
        assert_eq!(event.and_then(|event| event.target), target, "{version}");
    }
    let event = with("created", "/package/version", json!("sha256:0123")).unwrap();
    assert_eq!((event.tag, event.digest), (None, None));
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    for value in [
        json!("0001-01-01T00:00:00Z"),
        json!(1_772_442_000),
        json!("2026-03-05T14:00:00"),
    ] {
        assert_eq!(with("created", "/package/created_at", value).unwrap().time, None);
    }
    for value in [json!(null), json!("bob"), json!({"login": ""})] {
        assert_eq!(with("created", "/sender", value).unwrap().actor, None);
    }
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    GITEA.refuse("payload=%7B%7D", "NotJSON");
    GITEA.refuse("[]", "UnexpectedShape");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    GITEA.samples_bring(
        "gitea",
        &[
            (
                "package.created",
                &["Push my-org/web:1.4.2 by ci-bot at 2026-01-05T14:00:00Z \
                     id f6266f16-1bf3-46a5-9ea4-602e06ead473"],
                0,
            ),
            (
                "package.created-untagged-manifest",
                &["Push my-org/web@b3 by ci-bot at 2026-01-05T14:00:00Z \
                     id f6266f16-1bf3-46a5-9ea4-602e06ead473"],
                0,
            ),
            (
                "package.deleted",
                &["Delete Tag my-org/web:1.4.2 by admin id f6266f16-1bf3-46a5-9ea4-602e06ead473"],
                0,
            ),
        ],
    );
}
