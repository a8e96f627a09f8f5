use serde_json::json;

use super::*;
use crate::dialect::{
    Format, MAX_ENTRIES,
    tests::{Fixtures, told, with},
};

const AMAZON: Fixtures = Fixtures(Format::AmazonECR);

#[test]
fn each_fixture_brings_what_it_tells() {
    let call = |what: &str, last: &str| {
        let minute = &last[..1];
        format!(
            "{what} with containerd/2.2.0 at 2026-03-01T09:0{minute}:00Z \
             request 4e2a0000-0000-4000-8000-00000000000{minute} id 9c3b0000-0000-4000-8000-00000000000{last}"
        )
    };
    let node = "from Peer 198.51.100.7 by arn:aws:sts::111122223333:assumed-role/node/node-1";
    let by_node = |what: &str, last: &str| call(&format!("{what} {node}"), last);
    AMAZON.bring(&[
        (
            "cloud-trail-log-file",
            &[
                &by_node(
                    "Push shop/web:v1@11 type application/vnd.oci.image.manifest.v1+json",
                    "1",
                ),
                &by_node("Pull shop/web:v1", "2"),
                "Pull shop/web@11 from Peer 2001:db8::7 \
                 by arn:aws:sts::111122223333:assumed-role/node/node-1 with containerd/2.2.0 \
                 at 2026-03-01T09:03:00Z request 4e2a0000-0000-4000-8000-000000000003 \
                 id 9c3b0000-0000-4000-8000-000000000003",
                &call("Pull shop/web:v1", "4"),
                &call("Pull shop/web:v2@22", "4#2"),
                &by_node("Delete Tag shop/web:v1@11", "5"),
                &by_node("Delete Manifest shop/web:v2@22", "5#2"),
                &by_node("Delete Manifest shop/web:stable@22", "5#3"),
                &by_node("Delete Repository shop/web", "6"),
                "Delete Manifest shop/web:v3@33 with AWS Internal at 2026-03-01T09:07:00Z \
                 request 9c3b0000-0000-4000-8000-000000000007 id 9c3b0000-0000-4000-8000-000000000007",
                "Delete Manifest shop/web:old@33 with AWS Internal at 2026-03-01T09:07:00Z \
                 request 9c3b0000-0000-4000-8000-000000000007 id 9c3b0000-0000-4000-8000-000000000007#2",
                "Delete Manifest shop/web@44 with AWS Internal at 2026-03-01T09:07:00Z \
                 request 9c3b0000-0000-4000-8000-000000000007 id 9c3b0000-0000-4000-8000-000000000007#3",
            ],
            5,
        ),
        (
            "cloud-trail-through-event-bridge",
            &[&by_node("Pull shop/web:v1", "2")],
            0,
        ),
        (
            "image-action-delete",
            &["Delete Manifest shop/web:v1@11 at 2026-03-01T09:05:00Z \
                 id 7d1f0000-0000-4000-8000-000000000002"],
            0,
        ),
        (
            "image-action-push",
            &[
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json at 2026-03-01T09:00:00Z \
                 id 7d1f0000-0000-4000-8000-000000000001",
            ],
            0,
        ),
        (
            "sns-notification",
            &[
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json at 2026-03-01T09:00:00Z \
                 id 7d1f0000-0000-4000-8000-000000000001",
            ],
            0,
        ),
        ("sns-subscription-confirmation", &[], 1),
    ]);
}

#[test]
fn records_come_bare_in_a_list_and_in_lines() {
    let envelope = AMAZON.body("cloud-trail-through-event-bridge");
    let record = &envelope["detail"];
    let pull = AMAZON.one(&envelope);
    assert!(pull.is_some());
    assert_eq!(AMAZON.one(record), pull);
    let two = Parsed {
        events: [pull.clone(), pull].into_iter().flatten().collect(),
        ignored: 0,
    };
    assert_eq!(AMAZON.read(json!([record, record]).to_string()).unwrap(), two);
    assert_eq!(AMAZON.read(format!("{record}\n{record}\n")).unwrap(), two);
}

#[test]
fn a_message_of_a_topic_holds_the_same_as_text() {
    let wrapped = |message: &str| AMAZON.with("sns-notification", "/Message", json!(message));
    let push = AMAZON.body("image-action-push");
    assert_eq!(AMAZON.one(&wrapped(&push.to_string())), AMAZON.one(&push));
    let file = AMAZON.body("cloud-trail-log-file").to_string();
    assert_eq!(AMAZON.read(wrapped(&file).to_string()), AMAZON.read(&file));
    for message in [
        "",
        "not JSON",
        "{}",
        "[]",
        "7",
        r#"{"s3Bucket": "trail", "s3ObjectKey": ["log.json.gz"]}"#,
        &"[".repeat(99),
        &AMAZON.body("sns-notification").to_string(),
    ] {
        assert_eq!(AMAZON.one(&wrapped(message)), None, "{message}");
    }
}

#[test]
fn other_events_of_the_bus_and_failures_are_ignored() {
    for (pointer, value) in [
        ("/detail-type", json!("ECR Image Scan")),
        ("/detail-type", json!("ECR Pull Through Cache Action")),
        ("/detail-type", json!("ECR Replication Action")),
        ("/detail-type", json!(7)),
        ("/detail", json!([])),
        ("/detail/result", json!("FAILURE")),
        ("/detail/result", json!(null)),
        ("/detail/action-type", json!("ARCHIVE")),
        ("/detail/action-type", json!(["DELETE"])),
        ("/detail/repository-name", json!("")),
        ("/detail/repository-name", json!({})),
        ("/detail/image-tag", json!(["v1"])),
        ("/detail/image-digest", json!(7)),
    ] {
        let body = AMAZON.with("image-action-push", pointer, value);
        assert_eq!(AMAZON.one(&body), None, "{body}");
    }
}

#[test]
fn what_an_image_action_does_not_say_is_absent() {
    let whole = AMAZON.body("image-action-push");
    for (pointer, value, absent) in [
        ("/detail/image-tag", None, ":v1"),
        ("/detail/image-digest", None, "@11"),
        ("/detail/image-digest", Some(json!("sha256:0123")), "@11"),
        (
            "/detail/manifest-media-type",
            None,
            " type application/vnd.oci.image.index.v1+json",
        ),
        (
            "/time",
            Some(json!("2026-03-01T09:00:00")),
            " at 2026-03-01T09:00:00Z",
        ),
        ("/time", Some(json!(7)), " at 2026-03-01T09:00:00Z"),
        ("/id", None, " id 7d1f0000-0000-4000-8000-000000000001"),
    ] {
        AMAZON.lacks(&with(whole.clone(), pointer, value), &whole, absent);
    }
}

#[test]
fn a_delete_says_what_it_removed_or_is_ignored() {
    let (tag, digest) = ("/detail/image-tag", "/detail/image-digest");
    let delete = AMAZON.body("image-action-delete");
    AMAZON.lacks(&with(delete.clone(), tag, None::<Value>), &delete, ":v1");
    let of_tag = with(delete, digest, None::<Value>);
    let event = AMAZON.one(&of_tag).unwrap();
    assert_eq!(
        told(&event),
        "Delete Tag shop/web:v1 at 2026-03-01T09:05:00Z id 7d1f0000-0000-4000-8000-000000000002"
    );
    assert_eq!(AMAZON.one(&with(of_tag.clone(), tag, None::<Value>)), None);
    assert_eq!(AMAZON.one(&with(of_tag, tag, json!("no tag"))), None);

    let deleted = |asked: Value, done: Value, expected: Option<&str>| {
        let record = json!({
            "eventSource": "ecr.amazonaws.com", "eventName": "BatchDeleteImage", "eventID": "x",
            "requestParameters": {"repositoryName": "shop/web", "imageIds": asked}, "responseElements": done,
        });
        let parsed = AMAZON.read(record.to_string()).unwrap();
        let lines: Vec<String> = parsed.events.iter().map(told).collect();
        assert_eq!(lines, expected.as_slice(), "{record}");
    };
    let one = format!("sha256:{}", "1".repeat(64));
    let (by_tag, by_digest) = (json!({"imageTag": "v1"}), json!({"imageDigest": one}));
    let both = json!({"imageTag": "v1", "imageDigest": one});
    let done = json!({"imageIds": [both]});
    let tag = "Delete Tag shop/web:v1@11 request x id x";
    let manifest = "Delete Manifest shop/web:v1@11 request x id x";
    let untagged = "Delete Manifest shop/web@11 request x id x";
    deleted(json!([by_tag]), done.clone(), Some(tag));
    deleted(json!([both]), done.clone(), Some(tag));
    deleted(json!([by_digest]), done, Some(manifest));
    deleted(json!([]), json!({"imageIds": [by_digest]}), Some(untagged));
    let nothing = json!({"imageIds": [{"imageTag": "no tag"}, {}, 7]});
    deleted(json!([by_tag]), nothing, None);
    deleted(json!([by_tag]), json!(null), None);
}

#[test]
fn what_a_record_does_not_say_is_absent() {
    let mut whole = AMAZON.body("cloud-trail-through-event-bridge");
    whole["detail"]["errorCode"] = json!(null);
    let by = " by arn:aws:sts::111122223333:assumed-role/node/node-1";
    let from = " from Peer 198.51.100.7";
    for (pointer, value, absent) in [
        ("/detail/userIdentity", None, by),
        ("/detail/userIdentity/arn", Some(json!(7)), by),
        ("/detail/sourceIPAddress", Some(json!("AWS Internal")), from),
        ("/detail/sourceIPAddress", Some(json!([7])), from),
        ("/detail/eventTime", None, " at 2026-03-01T09:02:00Z"),
        ("/detail/userAgent", None, " with containerd/2.2.0"),
        ("/detail/errorCode", None, ""),
        ("/id", None, ""),
    ] {
        AMAZON.lacks(&with(whole.clone(), pointer, value), &whole, absent);
    }
    let event = AMAZON
        .one(&with(whole.clone(), "/detail/requestID", None::<Value>))
        .unwrap();
    assert_eq!(event.request_id, Some(event.id), "the record's own");
    for (pointer, value) in [
        ("/detail/eventSource", json!("ecr-public.amazonaws.com")),
        ("/detail/eventName", json!("BatchGetImages")),
        ("/detail/errorCode", json!("AccessDenied")),
        ("/detail/requestParameters", json!(null)),
        ("/detail/requestParameters/repositoryName", json!(7)),
        ("/detail/requestParameters/imageIds", json!({"imageTag": "v1"})),
        ("/detail/requestParameters/imageIds", json!([])),
    ] {
        let body = with(whole.clone(), pointer, value);
        assert_eq!(AMAZON.one(&body), None, "{body}");
    }
}

#[test]
fn a_body_of_another_kind_is_an_error_that_quotes_nothing() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("token=hunter2", "NotJSON"),
        ("\"hunter2\"", "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"{"Records": "hunter2"}"#, "UnexpectedShape"),
        (r#"[["hunter2"]]"#, "UnexpectedShape"),
    ] {
        AMAZON.refuse(body, reason);
    }
    AMAZON.refuse("[".repeat(99), "TooDeep");
    assert_eq!(AMAZON.read("[]"), Ok(Parsed::default()));
    assert_eq!(AMAZON.read(r#"{"Records": []}"#), Ok(Parsed::default()));
    let parsed = AMAZON
        .read(json!([7, AMAZON.body("image-action-push")]).to_string())
        .unwrap();
    assert_eq!((parsed.events.len(), parsed.ignored), (1, 1));
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    let records = |count| json!({"Records": vec![json!({}); count]}).to_string();
    assert_eq!(AMAZON.read(records(MAX_ENTRIES)).unwrap().ignored, 10_000);
    AMAZON.refuse(records(MAX_ENTRIES + 1), "TooManyEntries");

    let pull = |count| {
        let ids = json!(vec![json!({"imageTag": "v1"}); count]);
        let pointer = "/detail/requestParameters/imageIds";
        AMAZON
            .with("cloud-trail-through-event-bridge", pointer, ids)
            .to_string()
    };
    assert_eq!(AMAZON.read(pull(MAX_ENTRIES)).unwrap().events.len(), MAX_ENTRIES);
    AMAZON.refuse(pull(MAX_ENTRIES + 1), "TooManyEntries");

    let image = json!({"lifecycleEventImage": {"digest": "sha256:", "tagList": vec!["v"; MAX_ENTRIES]}});
    let policy = json!({
        "eventSource": "ecr.amazonaws.com", "eventName": "PolicyExecutionEvent",
        "serviceEventDetails": {"repositoryName": "shop/web", "lifecycleEventImageActions": [image, image]},
    });
    AMAZON.refuse(policy.to_string(), "TooManyEntries");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    let pull = "Pull testrepo:latest from Peer 203.0.113.12 by arn:aws:sts::123456789012:user/Mary_Major \
                with console.amazonaws.com at 2019-04-15T17:23:20Z \
                request 2a1b97ee-5fa3-11e9-a8cd-cd2391aeda93 id c84f5880-c2f9-4585-9757-28fa5c1065df";
    let push = "Push my-repository-name:latest at 2019-11-16T01:54:34Z \
                id 13cde686-328b-6117-af20-0e5566167482";
    AMAZON.samples_bring(
        "aws-ecr",
        &[
            (
                "cloudtrail-BatchDeleteImage",
                &[
                    "Delete Tag team/app:1.4.1@5c from Peer 10.0.4.17 \
                     by arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc with aws-cli/2.17.0 \
                     at 2026-01-05T09:00:00Z request 2a1b97ee-5fa3-11e9-a8cd-cd2391aeda93 \
                     id c84f5880-c2f9-4585-9757-28fa5c106501",
                    "Delete Manifest team/app@8b from Peer 10.0.4.17 \
                     by arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc with aws-cli/2.17.0 \
                     at 2026-01-05T09:00:00Z request 2a1b97ee-5fa3-11e9-a8cd-cd2391aeda93 \
                     id c84f5880-c2f9-4585-9757-28fa5c106501#2",
                ],
                0,
            ),
            ("cloudtrail-BatchGetImage", &[pull], 0),
            (
                "cloudtrail-BatchGetImage-by-digest",
                &["Pull team/app@8b from Peer 10.0.4.17 \
                     by arn:aws:sts::123456789012:assumed-role/eks-node/i-0abc with containerd/1.7.22 \
                     at 2026-01-05T09:01:00Z request 2a1b97ee-5fa3-11e9-a8cd-cd2391aeda93 \
                     id c84f5880-c2f9-4585-9757-28fa5c106502"],
                0,
            ),
            ("cloudtrail-CreateRepository-ignore", &[], 1),
            (
                "cloudtrail-PolicyExecutionEvent",
                &[
                    "Delete Manifest testrepo:alpine@dd with AWS Internal at 2020-03-12T20:22:12Z \
                     request 9354dd7f-9aac-4e9d-956d-12561a4923aa id 9354dd7f-9aac-4e9d-956d-12561a4923aa",
                    "Delete Manifest testrepo:centos@6a with AWS Internal at 2020-03-12T20:22:12Z \
                     request 9354dd7f-9aac-4e9d-956d-12561a4923aa id 9354dd7f-9aac-4e9d-956d-12561a4923aa#2",
                ],
                0,
            ),
            (
                "cloudtrail-PutImage",
                &["Push testrepo:latest@98 from Peer 203.0.113.12 \
                     by arn:aws:sts::123456789012:user/Mary_Major with console.amazonaws.com \
                     at 2019-04-15T16:45:00Z request cf044b7d-5f9d-11e9-9b2a-95983139cc57 \
                     id 2bfd4ee2-2178-4a82-a27d-b12939923f0f"],
                0,
            ),
            ("eventbridge-cloudtrail-BatchGetImage", &[pull], 0),
            (
                "eventbridge-image-action-delete",
                &[
                    "Delete Manifest my-repository-name:latest at 2019-11-16T02:01:05Z \
                     id dd3b46cb-2c74-f49e-393b-28286b67279d",
                ],
                0,
            ),
            ("eventbridge-image-action-push", &[push], 0),
            ("eventbridge-image-scan-ignore", &[], 1),
            ("eventbridge-pull-through-cache-ignore", &[], 1),
            ("eventbridge-scan-resource-change-ignore", &[], 1),
            ("sns-notification-wrapping-push", &[push], 0),
            ("sns-subscription-confirmation", &[], 1),
        ],
    );
}
