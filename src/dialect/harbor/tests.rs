use serde_json::json;

use super::*;
use crate::dialect::{
    Format,
    tests::{Fixtures, with},
};

const HARBOR: Fixtures = Fixtures(Format::Harbor);

#[test]
fn each_fixture_brings_what_it_tells() {
    HARBOR.bring(&[
        (
            "auditlog-exts",
            &[
                "Push shop/web:v1@11 by ci at 2026-03-01T09:00:21Z id 21",
                "Pull shop/web:v1@11 by robot$shop+cluster-a at 2026-03-01T09:00:22Z id 22",
                "Push shop/web:stable by ada at 2026-03-01T09:00:23Z id 23",
                "Delete Manifest shop/web@11 by ada at 2026-03-01T09:00:25Z id 25",
            ],
            3,
        ),
        (
            "auditlogs",
            &[
                "Push shop/web:v1 by ci at 2026-03-01T09:00:11Z id 11",
                "Pull shop/web:v1 by anonymous at 2026-03-01T09:00:12Z id 12",
                "Pull shop/web@11 by robot$shop+cluster-a at 2026-03-01T09:00:13Z id 13",
                "Delete Manifest shop/web@11 by ada at 2026-03-01T09:00:14Z id 14",
                "Delete Tag shop/web:v1 by ada at 2026-03-01T09:00:15Z id 15",
                "Delete Repository shop/web by ada at 2026-03-01T09:00:16Z id 16",
            ],
            1,
        ),
        (
            "cloudevents-delete",
            &[
                "Delete Manifest shop/web:v1@11 by harbor-jobservice at 2026-03-01T09:02:00Z \
                 request 7c11e3aa-0000-4000-8000-000000000003",
            ],
            0,
        ),
        (
            "cloudevents-pull-of-two",
            &[
                "Pull shop/web:v1@11 by robot$shop+scan-Trivy-1 at 2026-03-01T09:01:00Z \
                 request 7c11e3aa-0000-4000-8000-000000000002",
                "Pull shop/web@22 by robot$shop+scan-Trivy-1 at 2026-03-01T09:01:00Z \
                 request 7c11e3aa-0000-4000-8000-000000000002",
            ],
            0,
        ),
        (
            "cloudevents-push",
            &["Push shop/web:v1@11 by ci at 2026-03-01T09:00:00Z \
              request 7c11e3aa-0000-4000-8000-000000000001"],
            0,
        ),
        ("cloudevents-quota-warned", &[], 1),
        (
            "default-delete",
            &["Delete Manifest shop/web:v1@11 by retention at 2026-03-01T09:02:00Z"],
            0,
        ),
        (
            "default-pull-by-digest",
            &["Pull shop/web@11 by robot$shop+cluster-a at 2026-03-01T09:01:00Z"],
            0,
        ),
        (
            "default-push",
            &["Push shop/web:v1@11 by ci at 2026-03-01T09:00:00Z"],
            0,
        ),
        ("default-scanning-completed", &[], 1),
        ("default-tag-retention", &[], 1),
    ]);
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let whole = HARBOR.one(&HARBOR.body("default-push")).unwrap();
    for (pointer, value, kept) in [
        (
            "/occur_at",
            json!("yesterday"),
            RegistryEvent {
                time: None,
                ..whole.clone()
            },
        ),
        (
            "/occur_at",
            json!(-1),
            RegistryEvent {
                time: None,
                ..whole.clone()
            },
        ),
        (
            "/operator",
            json!(""),
            RegistryEvent {
                actor: None,
                ..whole.clone()
            },
        ),
        (
            "/event_data/resources/0/digest",
            json!("sha256:0123"),
            RegistryEvent {
                digest: None,
                ..whole.clone()
            },
        ),
        (
            "/event_data/resources/0/tag",
            json!("not a tag"),
            RegistryEvent {
                tag: None,
                ..whole.clone()
            },
        ),
        (
            "/event_data/repository/repo_full_name",
            json!(null),
            whole.clone(),
        ),
    ] {
        let body = HARBOR.with("default-push", pointer, value.clone());
        let event = HARBOR.one(&body).unwrap_or_else(|| panic!("{pointer} {value}"));
        let kept = RegistryEvent {
            id: event.id.clone(),
            ..kept
        };
        assert_eq!(event, kept, "{pointer} {value}");
    }
}

#[test]
fn what_several_policies_send_of_one_request_is_one_event() {
    let first = HARBOR.one(&HARBOR.body("cloudevents-push"));
    let second = HARBOR.with(
        "cloudevents-push",
        "/id",
        json!("0d5a2f10-0000-4000-8000-0000000000ff"),
    );
    let second = with(second, "/source", json!("/projects/7/webhook/policies/4"));
    assert_eq!(HARBOR.one(&second), first);

    let pushed_again = with(
        second,
        "/requestid",
        json!("7c11e3aa-0000-4000-8000-0000000000ff"),
    );
    assert_ne!(HARBOR.one(&pushed_again).unwrap().id, first.unwrap().id);
    // Of what names no request, each id is an event.
    for id in ["a", "b"] {
        let alone = HARBOR.with("cloudevents-push", "/requestid", None);
        let alone = with(alone, "/id", json!(id));
        assert_eq!(HARBOR.one(&alone).unwrap().id, id);
    }
}

#[test]
fn what_does_not_say_what_it_is_about_is_ignored() {
    for (pointer, value) in [
        ("/type", json!("PUSH_ARTEFACT")),
        ("/type", json!(7)),
        ("/event_data", json!(null)),
        ("/event_data/resources", json!([])),
        ("/event_data/resources", json!({})),
        ("/event_data/resources/0/tag", json!(["v1"])),
        ("/event_data/repository", json!("shop/web")),
        ("/event_data/repository/repo_full_name", json!(7)),
    ] {
        let body = HARBOR.with("default-push", pointer, value.clone());
        assert_eq!(HARBOR.one(&body), None, "{pointer} {value}");
    }
}

#[test]
fn a_row_whose_object_cannot_be_told_deletes_nothing() {
    let digest = format!("shop/web:sha256:{}", "1".repeat(64));
    let digest = digest.as_str();
    for (kind, resource, target) in [
        ("artifact", "shop/web", None),
        ("artifact", digest, Some(DeleteTarget::Manifest)),
        ("tag", "shop/web:", None),
        ("tag", digest, None),
        ("tag", "shop/web:v1", Some(DeleteTarget::Tag)),
        ("repository", "shop/web:v1", None),
        ("repository", "shop/web", Some(DeleteTarget::Repository)),
        ("project", "shop", None),
    ] {
        let row = json!({"operation": "delete", "resource_type": kind, "resource": resource});
        let found = HARBOR.one(&row).and_then(|event| event.target);
        assert_eq!(found, target, "{kind} {resource}");
    }
}

#[test]
fn more_resources_than_any_delivery_has_are_refused() {
    let body = |count: usize| {
        let resources = json!(vec![json!({"tag": "v1"}); count]);
        HARBOR
            .with("default-push", "/event_data/resources", resources)
            .to_string()
    };
    assert_eq!(HARBOR.read(body(MAX_ENTRIES)).unwrap().events.len(), MAX_ENTRIES);
    HARBOR.refuse(body(MAX_ENTRIES + 1), "TooManyEntries");
}

#[test]
fn a_body_of_something_else_is_refused() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("hunter2", "NotJSON"),
        (r#"{"type": "hunter2""#, "NotJSON"),
        (r#""hunter2""#, "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"[{"hunter2": 1}, 7]"#, "UnexpectedShape"),
    ] {
        HARBOR.refuse(body, reason);
    }
    HARBOR.refuse("[".repeat(1_000), "TooDeep");
    assert_eq!(HARBOR.read(b"[]"), Ok(Parsed::default()));
}

#[test]
fn samples_of_others_decode_as_they_should() {
    HARBOR.samples_bring(
        "harbor",
        &[
            (
                "api-auditlog-exts-page",
                &[
                    "Push library/busybox:1.36@3b by ci-bot at 2026-01-05T08:00:00Z id 88",
                    "Pull library/busybox:1.36@3b by robot$cluster-a at 2026-01-05T08:01:00Z id 89",
                    "Delete Tag library/busybox:1.36 by admin at 2026-01-05T08:02:30Z id 90",
                ],
                1,
            ),
            (
                "api-auditlogs-page",
                &[
                    "Push library/busybox:1.36 by admin at 2026-01-05T08:00:00Z id 1203",
                    "Pull library/busybox:1.36 by anonymous at 2026-01-05T08:01:00Z id 1204",
                    "Delete Manifest library/busybox@3b by admin at 2026-01-05T08:02:00Z id 1205",
                    "Delete Tag library/busybox:1.36 by admin at 2026-01-05T08:02:30Z id 1206",
                ],
                0,
            ),
            (
                "cloudevents-delete",
                &[
                    "Delete Manifest harbor/alpine:3.8@2b by harbor-jobservice at 2023-04-03T06:16:38Z \
                     request ca0f3ceb-810f-4598-a268-a2291ad4de49",
                ],
                0,
            ),
            (
                "cloudevents-pull",
                &["Pull harbor/alpine@95 \
                     by robot$harbor+wHSYCuGD-Trivy-8e2e7505-d1e6-11ed-9e71-0242ac130009 \
                     at 2023-04-03T06:12:52Z request bb4b5b91-aac7-4acd-8dff-e4118e53f6d1"],
                0,
            ),
            (
                "cloudevents-pull-scanner",
                &["Pull library/busybox@dd \
                     by robot$library+scanner-Trivy-51fe4548-bbe5-11ed-9217-0242ac14000d \
                     at 2023-03-06T06:08:43Z request 2eedfab8-61d3-4f3c-8ec3-8f82d1ec4c84"],
                0,
            ),
            (
                "cloudevents-push",
                &[
                    "Push harbor/alpine@95 by harbor-jobservice at 2023-04-03T06:04:46Z \
                     request 51c0b694-0168-4f3c-b0db-282565455d7b",
                ],
                0,
            ),
            ("cloudevents-quota-exceeded-ignore", &[], 1),
            (
                "default-delete",
                &["Delete Manifest harbor/alpine:3.8@2b by harbor-jobservice at 2023-04-03T06:16:38Z"],
                0,
            ),
            (
                "default-pull",
                &["Pull harbor/alpine@95 \
                     by robot$harbor+wHSYCuGD-Trivy-8e2e7505-d1e6-11ed-9e71-0242ac130009 \
                     at 2023-04-03T06:12:52Z"],
                0,
            ),
            (
                "default-pull-admin",
                &["Pull library/busybox@dd by admin at 2023-03-06T05:58:23Z"],
                0,
            ),
            (
                "default-push",
                &["Push harbor/alpine@95 by harbor-jobservice at 2023-04-03T06:04:53Z"],
                0,
            ),
            (
                "default-push-tagged-flux",
                &["Push test-webhook/debian:latest@8a by admin at 2020-04-15T03:45:08Z"],
                0,
            ),
            ("default-replication-ignore", &[], 1),
            ("default-scanning-completed-ignore", &[], 1),
        ],
    );
}
