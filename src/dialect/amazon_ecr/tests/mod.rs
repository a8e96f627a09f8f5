mod samples;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::{
    Format, MAX_ENTRIES,
    tests::lines::{any_json, anything_somewhere, lines, sound, with},
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/events/amazon-ecr/",
            $name,
            ".json"
        ))
    };
}

fn read(body: impl AsRef<[u8]>) -> Result<Parsed, DialectError> {
    Format::AmazonECR.parse(&HeaderMap::new(), body.as_ref())
}

/// Lines without what all fixtures have in common.
fn short(parsed: &Parsed) -> Vec<String> {
    sound(parsed);
    let common = [
        "arn:aws:sts::111122223333:assumed-role/node/",
        "9c3b0000-0000-4000-8000-0000000000",
        "7d1f0000-0000-4000-8000-0000000000",
    ];
    let shorten = |line: String| common.iter().fold(line, |line, part| line.replace(part, ""));
    lines(parsed).into_iter().map(shorten).collect()
}

#[track_caller]
fn brings(body: impl AsRef<[u8]>, events: &[&str], ignored: i64) {
    let parsed = read(body).unwrap();
    assert_eq!(short(&parsed), events);
    assert_eq!(parsed.ignored, ignored);
}

const PUSH: &str = "Push shop/web :v1 @11 at 2026-03-01T09:00:00Z = 01";

#[test]
fn image_actions_are_pushes_and_deletes_of_manifests() {
    brings(fixture!("image-action-push"), &[PUSH], 0);
    let push = read(fixture!("image-action-push")).unwrap().events.remove(0);
    assert_eq!(
        push.media_type.as_deref(),
        Some("application/vnd.oci.image.index.v1+json")
    );
    brings(
        fixture!("image-action-delete"),
        &["DeleteManifest shop/web :v1 @11 at 2026-03-01T09:05:00Z = 02"],
        0,
    );
}

#[test]
fn a_log_file_holds_calls_of_all_kinds_and_of_other_services() {
    brings(
        fixture!("cloud-trail-log-file"),
        &[
            "Push shop/web :v1 @11 Peer 198.51.100.7 by node-1 at 2026-03-01T09:01:00Z = 01",
            "Pull shop/web :v1 Peer 198.51.100.7 by node-1 at 2026-03-01T09:02:00Z = 02",
            "Pull shop/web @11 Peer 2001:db8::7 by node-1 at 2026-03-01T09:03:00Z = 03",
            "Pull shop/web :v1 at 2026-03-01T09:04:00Z = 04",
            "Pull shop/web :v2 @22 at 2026-03-01T09:04:00Z = 04#2",
            "DeleteTag shop/web :v1 @11 Peer 198.51.100.7 by node-1 at 2026-03-01T09:05:00Z = 05",
            "DeleteManifest shop/web :v2 @22 Peer 198.51.100.7 by node-1 at 2026-03-01T09:05:00Z = 05#2",
            "DeleteManifest shop/web :stable @22 Peer 198.51.100.7 by node-1 at 2026-03-01T09:05:00Z = 05#3",
            "DeleteRepository shop/web Peer 198.51.100.7 by node-1 at 2026-03-01T09:06:00Z = 06",
            "DeleteManifest shop/web :v3 @33 at 2026-03-01T09:07:00Z = 07",
            "DeleteManifest shop/web :old @33 at 2026-03-01T09:07:00Z = 07#2",
            "DeleteManifest shop/web @44 at 2026-03-01T09:07:00Z = 07#3",
        ],
        5,
    );
    let parsed = read(fixture!("cloud-trail-log-file")).unwrap();
    assert_eq!(
        parsed.events[0].media_type.as_deref(),
        Some("application/vnd.oci.image.manifest.v1+json")
    );
    assert_eq!(parsed.events[1].user_agent.as_deref(), Some("containerd/2.2.0"));
    for (first, last) in [(5, 7), (9, 11)] {
        let request = &parsed.events[first].request_id;
        assert!(request.is_some());
        assert_eq!(*request, parsed.events[last].request_id);
    }
}

#[test]
fn records_come_bare_in_a_list_in_lines_and_through_event_bridge() {
    let pull = "Pull shop/web :v1 Peer 198.51.100.7 by node-1 at 2026-03-01T09:02:00Z = 02";
    brings(fixture!("cloud-trail-through-event-bridge"), &[pull], 0);
    let envelope: Value = serde_json::from_str(fixture!("cloud-trail-through-event-bridge")).unwrap();
    let record = &envelope["detail"];
    brings(record.to_string(), &[pull], 0);
    brings(json!([record, record]).to_string(), &[pull, pull], 0);
    brings(format!("{record}\n{record}\n"), &[pull, pull], 0);
}

#[test]
fn a_message_of_a_topic_holds_the_same_as_text() {
    brings(fixture!("sns-notification"), &[PUSH], 0);
    let wrapped = |message: &str| with(fixture!("sns-notification"), "/Message", Some(json!(message)));
    assert_eq!(
        read(wrapped(fixture!("cloud-trail-log-file"))),
        read(fixture!("cloud-trail-log-file"))
    );
    for message in [
        "",
        "not JSON",
        "{}",
        "[]",
        "7",
        r#"{"s3Bucket": "trail", "s3ObjectKey": ["log.json.gz"]}"#,
        &"[".repeat(99),
        fixture!("sns-notification"),
    ] {
        brings(wrapped(message), &[], 1);
    }
    brings(fixture!("sns-subscription-confirmation"), &[], 1);
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
        brings(with(fixture!("image-action-push"), pointer, Some(value)), &[], 1);
    }
}

#[test]
fn what_an_image_action_does_not_say_is_absent() {
    for (pointer, value, line) in [
        (
            "/detail/image-tag",
            None,
            "Push shop/web @11 at 2026-03-01T09:00:00Z = 01",
        ),
        (
            "/detail/image-digest",
            None,
            "Push shop/web :v1 at 2026-03-01T09:00:00Z = 01",
        ),
        (
            "/detail/image-digest",
            Some(json!("sha256:0123")),
            "Push shop/web :v1 at 2026-03-01T09:00:00Z = 01",
        ),
        ("/detail/manifest-media-type", None, PUSH),
        (
            "/time",
            Some(json!("2026-03-01T09:00:00")),
            "Push shop/web :v1 @11 = 01",
        ),
        ("/time", Some(json!(7)), "Push shop/web :v1 @11 = 01"),
    ] {
        brings(with(fixture!("image-action-push"), pointer, value), &[line], 0);
    }
    let parsed = read(with(fixture!("image-action-push"), "/id", None)).unwrap();
    assert!(parsed.events[0].id.starts_with("sha256:"), "a key of its content");
}

#[test]
fn a_delete_says_what_it_removed_or_is_ignored() {
    let (tag, digest) = ("/detail/image-tag", "/detail/image-digest");
    let delete = fixture!("image-action-delete");
    brings(
        with(delete, tag, None),
        &["DeleteManifest shop/web @11 at 2026-03-01T09:05:00Z = 02"],
        0,
    );
    brings(
        with(delete, digest, None),
        &["DeleteTag shop/web :v1 at 2026-03-01T09:05:00Z = 02"],
        0,
    );
    brings(with(&with(delete, digest, None), tag, None), &[], 1);
    brings(
        with(&with(delete, digest, None), tag, Some(json!("no tag"))),
        &[],
        1,
    );

    let deleted = |asked: Value, done: Value| {
        let record = json!({
            "eventSource": "ecr.amazonaws.com", "eventName": "BatchDeleteImage", "eventID": "x",
            "requestParameters": {"repositoryName": "shop/web", "imageIds": asked}, "responseElements": done,
        });
        short(&read(record.to_string()).unwrap())
    };
    let one = format!("sha256:{}", "1".repeat(64));
    let (by_tag, by_digest) = (json!({"imageTag": "v1"}), json!({"imageDigest": one}));
    let both = json!({"imageTag": "v1", "imageDigest": one});
    let done = json!({"imageIds": [both]});
    assert_eq!(
        deleted(json!([by_tag]), done.clone()),
        ["DeleteTag shop/web :v1 @11 = x"]
    );
    assert_eq!(
        deleted(json!([both]), done.clone()),
        ["DeleteTag shop/web :v1 @11 = x"]
    );
    assert_eq!(
        deleted(json!([by_digest]), done.clone()),
        ["DeleteManifest shop/web :v1 @11 = x"]
    );
    assert_eq!(
        deleted(json!([]), json!({"imageIds": [by_digest]})),
        ["DeleteManifest shop/web @11 = x"]
    );
    assert_eq!(
        deleted(
            json!([by_tag]),
            json!({"imageIds": [{"imageTag": "no tag"}, {}, 7]})
        ),
        [""; 0]
    );
    assert_eq!(deleted(json!([by_tag]), json!(null)), [""; 0]);
}

#[test]
fn what_a_record_does_not_say_is_absent() {
    let whole = "Pull shop/web :v1 Peer 198.51.100.7 by node-1 at 2026-03-01T09:02:00Z = 02";
    for (pointer, value, line) in [
        (
            "/detail/userIdentity",
            None,
            "Pull shop/web :v1 Peer 198.51.100.7 at 2026-03-01T09:02:00Z = 02",
        ),
        (
            "/detail/userIdentity/arn",
            Some(json!(7)),
            "Pull shop/web :v1 Peer 198.51.100.7 at 2026-03-01T09:02:00Z = 02",
        ),
        (
            "/detail/sourceIPAddress",
            Some(json!("AWS Internal")),
            "Pull shop/web :v1 by node-1 at 2026-03-01T09:02:00Z = 02",
        ),
        (
            "/detail/sourceIPAddress",
            Some(json!([7])),
            "Pull shop/web :v1 by node-1 at 2026-03-01T09:02:00Z = 02",
        ),
        (
            "/detail/eventTime",
            None,
            "Pull shop/web :v1 Peer 198.51.100.7 by node-1 = 02",
        ),
        ("/detail/userAgent", None, whole),
        ("/detail/requestID", None, whole),
        ("/detail/errorCode", Some(json!(null)), whole),
        ("/id", None, whole),
    ] {
        brings(
            with(fixture!("cloud-trail-through-event-bridge"), pointer, value),
            &[line],
            0,
        );
    }
    for (pointer, value) in [
        ("/detail/eventSource", json!("ecr-public.amazonaws.com")),
        ("/detail/eventName", json!("BatchGetImages")),
        ("/detail/errorCode", json!("AccessDenied")),
        ("/detail/requestParameters", json!(null)),
        ("/detail/requestParameters/repositoryName", json!(7)),
        ("/detail/requestParameters/imageIds", json!({"imageTag": "v1"})),
        ("/detail/requestParameters/imageIds", json!([])),
    ] {
        brings(
            with(fixture!("cloud-trail-through-event-bridge"), pointer, Some(value)),
            &[],
            1,
        );
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
        let error = read(body).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(read("[".repeat(99)), Err(DialectError::TooDeep));
    assert_eq!(read("[]"), Ok(Parsed::default()));
    assert_eq!(read(r#"{"Records": []}"#), Ok(Parsed::default()));
    brings(format!("[7, {}]", fixture!("image-action-push")), &[PUSH], 1);
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    let records = |count| json!({"Records": vec![json!({}); count]}).to_string();
    assert_eq!(read(records(MAX_ENTRIES)).unwrap().ignored, 10_000);
    assert_eq!(read(records(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));

    let pull = |count| {
        let ids = vec![json!({"imageTag": "v1"}); count];
        let pointer = "/detail/requestParameters/imageIds";
        with(
            fixture!("cloud-trail-through-event-bridge"),
            pointer,
            Some(json!(ids)),
        )
    };
    assert_eq!(read(pull(MAX_ENTRIES)).unwrap().events.len(), MAX_ENTRIES);
    assert_eq!(read(pull(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));

    let image = json!({"lifecycleEventImage": {"digest": "sha256:", "tagList": vec!["v"; MAX_ENTRIES]}});
    let policy = json!({
        "eventSource": "ecr.amazonaws.com", "eventName": "PolicyExecutionEvent",
        "serviceEventDetails": {"repositoryName": "shop/web", "lifecycleEventImageActions": [image, image]},
    });
    assert_eq!(read(policy.to_string()), Err(DialectError::TooManyEntries));
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(body in any_json(), name in select_name()) {
        let _ = read(body.to_string());
        let _ = read(json!({name: body}).to_string());
    }

    #[test]
    fn no_value_in_a_known_place_makes_it_panic_or_unsound(
        body in prop_oneof![
            anything_somewhere(fixture!("image-action-push")),
            anything_somewhere(fixture!("image-action-delete")),
            anything_somewhere(fixture!("cloud-trail-log-file")),
            anything_somewhere(fixture!("cloud-trail-through-event-bridge")),
            anything_somewhere(fixture!("sns-notification")),
        ],
    ) {
        if let Ok(parsed) = read(body) {
            sound(&parsed);
        }
    }
}

fn select_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["Records", "detail", "eventSource", "TopicArn", "Message"])
}
