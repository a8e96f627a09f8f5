use serde_json::json;

use super::*;
use crate::{
    dialect::{
        Format::Gitea,
        tests::{brings, samples, with},
    },
    event::DeleteTarget,
};

#[test]
fn versions_created_and_deleted() {
    for (name, line) in [
        (
            "created",
            "Push shop/backend/web :v1 as bob at 2026-03-05T14:00:00Z id 9c6c1b50-0000-4000-8000-000000000001",
        ),
        (
            "created-without-a-tag",
            "Push shop/backend/web @1111 as bob at 2026-03-05T14:00:00Z id 9c6c1b50-0000-4000-8000-000000000002",
        ),
        (
            "deleted",
            "Delete Tag shop/backend/web :v1 as bob id 9c6c1b50-0000-4000-8000-000000000003",
        ),
        (
            "deleted-without-a-tag",
            "Delete Manifest shop/backend/web @1111 as bob id 9c6c1b50-0000-4000-8000-000000000004",
        ),
    ] {
        brings(Gitea, name, &[line], 0);
    }
}

#[test]
fn other_packages_events_and_shapes_are_ignored() {
    brings(Gitea, "another-kind-of-package", &[], 1);
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
        assert_eq!(with(Gitea, "created", &[(pointer, value)]), None, "{pointer}");
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
        let event = with(Gitea, "deleted", &[("/package/version", json!(version))]);
        assert_eq!(event.and_then(|event| event.target), target, "{version}");
    }
    let event = with(Gitea, "created", &[("/package/version", json!("sha256:0123"))]).unwrap();
    assert_eq!((event.tag, event.digest), (None, None));
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    for (pointer, value) in [
        ("/package/created_at", json!("0001-01-01T00:00:00Z")),
        ("/package/created_at", json!(1_772_442_000)),
        ("/package/created_at", json!("2026-03-05T14:00:00")),
    ] {
        assert_eq!(with(Gitea, "created", &[(pointer, value)]).unwrap().time, None);
    }
    for value in [json!(null), json!("bob"), json!({"login": ""})] {
        assert_eq!(with(Gitea, "created", &[("/sender", value)]).unwrap().actor, None);
    }
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    for (body, reason) in [("payload=%7B%7D", "NotJSON"), ("[]", "UnexpectedShape")] {
        let error = Gitea.parse(&HeaderMap::new(), body.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
    }
}

#[test]
fn samples_of_others() {
    samples(
        Gitea,
        "gitea",
        &[
            (
                "package.created",
                &[
                    "Push my-org/web :1.4.2 as ci-bot at 2026-01-05T14:00:00Z id f6266f16-1bf3-46a5-9ea4-602e06ead473",
                ],
            ),
            (
                "package.created-untagged-manifest",
                &[
                    "Push my-org/web @b3f5 as ci-bot at 2026-01-05T14:00:00Z id f6266f16-1bf3-46a5-9ea4-602e06ead473",
                ],
            ),
            (
                "package.deleted",
                &["Delete Tag my-org/web :1.4.2 as admin id f6266f16-1bf3-46a5-9ea4-602e06ead473"],
            ),
        ],
    );
}
