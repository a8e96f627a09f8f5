use serde_json::json;

use super::*;
use crate::{
    dialect::{Format, tests::Fixtures},
    event::{AddressSource, DeleteTarget},
};

const NEXUS: Fixtures = Fixtures(Format::Nexus);

fn with(name: &str, pointer: &str, value: Value) -> Option<RegistryEvent> {
    NEXUS.one(&NEXUS.with(name, pointer, value))
}

#[test]
fn each_fixture_brings_what_it_tells() {
    NEXUS.bring(&[
        ("another-format", &[], 1),
        (
            "asset-created",
            &[
                "Push shop/web@11 from Header 203.0.113.41 by alice at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000006",
            ],
            0,
        ),
        ("asset-of-a-layer", &[], 1),
        (
            "asset-of-a-tag",
            &[
                "Push shop/web:v1 from Header 203.0.113.41 by alice at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000007",
            ],
            0,
        ),
        (
            "component-created",
            &[
                "Push shop/web:v1 from Header 203.0.113.41 by alice at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000001",
            ],
            0,
        ),
        (
            "component-deleted",
            &[
                "Delete Tag shop/web:v1 from Header 2001:db8::7 by alice at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000003",
            ],
            0,
        ),
        (
            "component-deleted-without-a-tag",
            &[
                "Delete Manifest shop/web@11 from Header 203.0.113.41 by alice at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000004",
            ],
            0,
        ),
        ("component-purged", &[], 1),
        (
            "component-updated-by-a-task",
            &["Push shop/web:v1 by *TASK at 2026-03-06T15:00:00.219Z \
                 id 7f4a0000-0000-4000-8000-000000000002"],
            0,
        ),
    ]);
}

#[test]
fn other_formats_and_shapes_are_ignored() {
    for (pointer, value) in [
        ("/action", json!("MOVED")),
        ("/action", json!(null)),
        ("/component", json!("shop/web")),
        ("/component/format", json!(null)),
        ("/component/name", json!(7)),
        ("/component/version", json!(7)),
    ] {
        assert_eq!(with("component-created", pointer, value), None, "{pointer}");
    }
}

#[test]
fn the_path_of_an_asset_tells_a_manifest() {
    for (path, expected) in [
        ("/v2/shop/web/manifests/v1", Some(("shop/web", "v1"))),
        ("v2/web/manifests/v1", Some(("web", "v1"))),
        ("v2/manifests/manifests/v1", Some(("manifests", "v1"))),
        ("v2/shop/web/blobs/sha256:00", None),
        ("v2/manifests/v1", None),
        ("v2/shop/web/tags/list", None),
        ("shop/web/manifests/v1", None),
        ("v2/", None),
        ("", None),
    ] {
        let expected = expected.map(|(repository, reference)| (repository, Some(reference)));
        assert_eq!(manifest(path), expected, "{path}");
    }
}

#[test]
fn a_delete_is_of_what_the_version_names() {
    for (version, target) in [("v2", Some(DeleteTarget::Tag)), ("", None), ("sha256:01", None)] {
        let event = with("component-deleted", "/component/version", json!(version));
        assert_eq!(event.and_then(|event| event.target), target, "{version}");
    }
}

#[test]
fn an_initiator_is_a_user_and_an_address_or_a_user_alone() {
    let address = |ip: &str| SourceAddress {
        ip: ip.parse().unwrap(),
        source: AddressSource::Header,
    };
    for (text, user, ip) in [
        ("alice/203.0.113.41", "alice", Some("203.0.113.41")),
        ("staff/alice/203.0.113.41", "staff/alice", Some("203.0.113.41")),
        ("alice/0:0:0:0:0:0:0:1", "alice", Some("::1")),
        ("alice/[2001:db8::7]", "alice", Some("2001:db8::7")),
        ("anonymous", "anonymous", None),
        ("staff/alice", "staff/alice", None),
    ] {
        assert_eq!(initiator(text), (Some(user), ip.map(address)), "{text}");
    }
    let event = with("component-created", "/initiator", json!("/203.0.113.41")).unwrap();
    assert_eq!(
        (event.actor, event.address),
        (None, Some(address("203.0.113.41")))
    );
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    NEXUS.refuse("[]", "UnexpectedShape");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    NEXUS.samples_bring(
        "nexus",
        &[
            (
                "asset.created-manifest",
                &[
                    "Push team/app@fe from Header 203.0.113.41 by ci-bot at 2026-01-05T15:01:00.1Z \
                     id 7f4a6dde-5c68-4999-bcc0-a62f3fb8ae48",
                ],
                0,
            ),
            (
                "component.created",
                &[
                    "Push app1/alpine:3.4 from Header 127.0.0.1 by admin at 2020-04-05T21:49:44.219Z \
                     id 7f4a6dde-5c68-4999-bcc0-a62f3fb8ae48",
                ],
                0,
            ),
            (
                "component.deleted",
                &[
                    "Delete Tag team/app:1.4.2 from Header 203.0.113.40 by admin at 2026-01-05T15:00:00.219Z \
                     id 7f4a6dde-5c68-4999-bcc0-a62f3fb8ae48",
                ],
                0,
            ),
        ],
    );
}
