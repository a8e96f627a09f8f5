mod properties;
mod samples;

use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::dialect::{
    Format, MAX_ENTRIES,
    tests::lines::{lines, sound, with},
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/events/google-artifact-registry/",
            $name,
            ".json"
        ))
    };
}
use fixture;

fn read(body: impl AsRef<[u8]>) -> Result<Parsed, DialectError> {
    Format::GoogleArtifactRegistry.parse(&HeaderMap::new(), body.as_ref())
}

/// Lines without what all fixtures have in common.
fn short(parsed: &Parsed) -> Vec<String> {
    sound(parsed);
    let common = ["shop-project/images/", "@shop-project.example.com", "entry-"];
    let shorten = |line: String| common.iter().fold(line, |line, part| line.replace(part, ""));
    lines(parsed).into_iter().map(shorten).collect()
}

#[track_caller]
fn brings(body: impl AsRef<[u8]>, events: &[&str], ignored: i64) {
    let parsed = read(body).unwrap();
    assert_eq!(short(&parsed), events);
    assert_eq!(parsed.ignored, ignored);
}

fn message(data: impl AsRef<[u8]>) -> String {
    let data = json!(BASE64_STANDARD.encode(data));
    with(fixture!("pub-sub-push"), "/message/data", Some(data))
}

/// An entry of the audit log to change something in: a pull by tag.
fn pull() -> String {
    let entries: Value = serde_json::from_str(fixture!("audit-log")).unwrap();
    entries[1].to_string()
}

const PUSH: &str = "Push web :v1 @11 at 2026-03-01T09:00:00.25Z = 900000000001";
const PULL: &str = "Pull team/web :v1 GET Peer 203.0.113.5 by node at 2026-03-01T09:02:00.123456789Z = 02";

#[test]
fn a_message_is_read_as_pushed_and_as_a_subscriber_holds_it() {
    brings(fixture!("pub-sub-push"), &[PUSH], 0);
    let envelope: Value = serde_json::from_str(fixture!("pub-sub-push")).unwrap();
    brings(envelope["message"].to_string(), &[PUSH], 0);
    let names = [("messageId", "message_id"), ("publishTime", "publish_time")];
    for (camel, snake) in names {
        for name in [camel, snake] {
            let pointer = format!("/message/{name}");
            brings(with(fixture!("pub-sub-push"), &pointer, None), &[PUSH], 0);
        }
    }
}

#[test]
fn an_unwrapped_message_has_id_and_time_in_headers_or_nowhere() {
    let headers = HeaderMap::from_iter([
        (
            http::HeaderName::from_static("x-goog-pubsub-message-id"),
            HeaderValue::from_static("900000000001"),
        ),
        (
            http::HeaderName::from_static("x-goog-pubsub-publish-time"),
            HeaderValue::from_static("2026-03-01T09:00:00.25Z"),
        ),
    ]);
    let body = fixture!("notification-insert");
    let read_with = |body: &str| Format::GoogleArtifactRegistry.parse(&headers, body.as_bytes());
    assert_eq!(short(&read_with(body).unwrap()), [PUSH]);
    let two = read_with(&format!("[{body}, {body}]")).unwrap();
    assert_ne!(two.events[0].id, "900000000001", "headers are about one message");

    let bare = read(body).unwrap().events.remove(0);
    assert!(bare.id.starts_with("sha256:"), "a key of its content");
    assert_eq!(bare.time, None);
}

#[test]
fn a_notification_names_what_was_pushed_or_deleted() {
    let digest = format!("eu.gcr.io/shop/web@sha256:{}", "1".repeat(64));
    let tag = "eu.gcr.io/shop/web:v1";
    for (notification, line) in [
        (json!({"action": "INSERT", "digest": digest}), "Push shop/web @11"),
        (json!({"action": "INSERT", "tag": tag}), "Push shop/web :v1"),
        (
            json!({"action": "INSERT", "tag": tag, "digest": ""}),
            "Push shop/web :v1",
        ),
        (
            json!({"action": "INSERT", "digest": "eu.gcr.io/shop/web@sha256:01"}),
            "Push shop/web",
        ),
        (
            json!({"action": "INSERT", "digest": digest, "tag": "eu.gcr.io/shop/web:no tag"}),
            "Push shop/web @11",
        ),
        (
            json!({"action": "INSERT", "tag": "host.example.com:5000/web:v1"}),
            "Push web :v1",
        ),
        (
            json!({"action": "DELETE", "digest": digest}),
            "DeleteManifest shop/web @11",
        ),
        (json!({"action": "DELETE", "tag": tag}), "DeleteTag shop/web :v1"),
        (
            json!({"action": "DELETE", "digest": digest, "tag": tag}),
            "DeleteManifest shop/web :v1 @11",
        ),
    ] {
        brings(notification.to_string(), &[line], 0);
    }
    for notification in [
        json!({"action": "DELETE"}),
        json!({"action": "DELETE", "tag": "eu.gcr.io/shop/web"}),
        json!({"action": "DELETE", "tag": "eu.gcr.io/shop/web:no tag"}),
        json!({"action": "INSERT", "tag": "web:v1"}),
        json!({"action": "INSERT", "tag": 7}),
        json!({"action": "INSERT", "tag": tag, "digest": []}),
        json!({"action": "UPDATE", "tag": tag}),
        json!({"action": ["INSERT"], "tag": tag}),
    ] {
        brings(notification.to_string(), &[], 1);
    }
}

#[test]
fn messages_about_something_else_are_ignored() {
    brings(message(r#"{"action": "INSERT"}"#), &[], 1);
    for data in [
        "",
        "not JSON",
        "7",
        "[]",
        "{}",
        r#"{"kind": "DISCOVERY"}"#,
        fixture!("pub-sub-push"),
    ] {
        brings(message(data), &[], 1);
    }
    brings(message("[".repeat(99)), &[], 1);
    for data in [None, Some(json!("no base64")), Some(json!(7))] {
        brings(with(fixture!("pub-sub-push"), "/message/data", data), &[], 1);
    }
}

#[test]
fn the_audit_log_has_requests_of_the_docker_api_and_calls() {
    brings(
        fixture!("audit-log"),
        &[
            "Pull team/web :v1 HEAD Peer 203.0.113.5 by node at 2026-03-01T09:01:00.123456789Z = 01",
            PULL,
            "Pull team/web @11 GET at 2026-03-01T09:03:00.123456789Z = 03",
            "Push team/web :v1 @11 PUT Peer 203.0.113.5 by node at 2026-03-01T09:04:00.123456789Z = 04",
            "DeleteManifest team/web @11 DELETE Peer 203.0.113.5 by node at 2026-03-01T09:05:00.123456789Z = 05",
            "DeleteTag team/web :v1 DELETE Peer 203.0.113.5 by node at 2026-03-01T09:06:00.123456789Z = 06",
            "DeleteTag team/web :v2 Peer 203.0.113.5 by node at 2026-03-01T09:07:00.123456789Z = 07",
            "DeleteManifest team/web @22 Peer 203.0.113.5 by node at 2026-03-01T09:08:00.123456789Z = 08",
            "DeleteManifest team/web @22 Peer 203.0.113.5 by node at 2026-03-01T09:09:00.123456789Z = 09",
            "DeleteRepository team/web Peer 203.0.113.5 by node at 2026-03-01T09:10:00.123456789Z = 10",
            "DeleteManifest team/web @33 Peer 203.0.113.5 by node at 2026-03-01T09:11:00.123456789Z = 11",
            "DeleteManifest team/web @44 Peer 203.0.113.5 by node at 2026-03-01T09:11:00.123456789Z = 11#2",
            "Pull example.com/shop/web Peer 203.0.113.5 by node at 2026-03-01T09:12:00.123456789Z = 12",
        ],
        6,
    );
    let parsed = read(fixture!("audit-log")).unwrap();
    assert_eq!(parsed.events[1].user_agent.as_deref(), Some("containerd/2.2.0"));
    let operation = &parsed.events[7].request_id;
    assert!(operation.is_some(), "start and end of an operation are one act");
    assert_eq!(*operation, parsed.events[8].request_id);
}

#[test]
fn an_entry_comes_through_a_topic_too() {
    brings(fixture!("pub-sub-audit-entry"), &[PULL], 0);
    brings(pull(), &[PULL], 0);
    brings(
        message(r#"{"logName": "projects/shop-project/logs/other", "insertId": "x"}"#),
        &[],
        1,
    );
}

#[test]
fn what_an_entry_does_not_say_is_absent() {
    let at = "at 2026-03-01T09:02:00.123456789Z = 02";
    for (pointer, value, line) in [
        (
            "/protoPayload/authenticationInfo",
            None,
            format!("Pull team/web :v1 GET Peer 203.0.113.5 {at}"),
        ),
        (
            "/protoPayload/requestMetadata",
            None,
            format!("Pull team/web :v1 GET by node {at}"),
        ),
        (
            "/protoPayload/requestMetadata/callerIp",
            Some(json!("private")),
            format!("Pull team/web :v1 GET by node {at}"),
        ),
        ("/protoPayload/status", None, PULL.to_owned()),
        ("/protoPayload/status/code", Some(json!(0)), PULL.to_owned()),
        ("/protoPayload/resourceName", None, PULL.to_owned()),
        (
            "/protoPayload/request",
            None,
            format!("Pull team/web Peer 203.0.113.5 by node {at}"),
        ),
        (
            "/protoPayload/request/requestUrl",
            Some(json!(
                "https://host.example.com/v2/shop-project/images/a/manifests/b/manifests/v1?x=/manifests/y"
            )),
            format!("Pull a/manifests/b :v1 GET Peer 203.0.113.5 by node {at}"),
        ),
        (
            "/protoPayload/request/requestUrl",
            Some(json!("/v2/shop-project/images/team%2fweb/manifests/v%31%")),
            format!("Pull team/web GET Peer 203.0.113.5 by node {at}"),
        ),
        (
            "/timestamp",
            None,
            "Pull team/web :v1 GET Peer 203.0.113.5 by node = 02".to_owned(),
        ),
        ("/logName", None, PULL.to_owned()),
    ] {
        brings(with(&pull(), pointer, value), &[&line], 0);
    }
    for (pointer, value) in [
        (
            "/protoPayload/serviceName",
            json!("containerregistry.googleapis.com"),
        ),
        ("/protoPayload/methodName", json!("Docker-GetTags")),
        ("/protoPayload/methodName", json!(7)),
        ("/protoPayload/status", json!({"code": 7})),
        ("/protoPayload/status", json!({"code": "7"})),
        ("/protoPayload/request/requestUrl", json!("/v2//manifests/v1")),
        ("/protoPayload", json!(null)),
        ("/protoPayload", json!("text")),
    ] {
        brings(with(&pull(), pointer, Some(value)), &[], 1);
    }
}

#[test]
fn a_delete_says_what_it_removed_or_is_ignored() {
    let images = "projects/shop-project/locations/europe-west3/repositories/images";
    let one = format!("sha256:{}", "1".repeat(64));
    let did = |method: &str, resource: &str, url: Option<&str>| {
        let entry = json!({"insertId": "x", "protoPayload": {
            "serviceName": "artifactregistry.googleapis.com", "methodName": method,
            "resourceName": format!("{images}/{resource}"), "request": {"requestUrl": url},
        }});
        short(&read(entry.to_string()).unwrap())
    };
    let v1 = |method: &str| format!("google.devtools.artifactregistry.v1.ArtifactRegistry.{method}");
    for (method, resource, url, line) in [
        (
            "Docker-DeleteManifest".to_owned(),
            "dockerImages/web".to_owned(),
            Some("/v2/a/b/web/manifests/v1"),
            "DeleteTag a/b/web :v1 = x",
        ),
        (
            "Docker-DeleteManifest".to_owned(),
            "dockerImages/web".to_owned(),
            Some("/v2/a/b/web/manifests/sha256:0"),
            "DeleteManifest a/b/web = x",
        ),
        (
            "Docker-DeleteManifest".to_owned(),
            format!("dockerImages/web@{one}"),
            None,
            "DeleteManifest web @11 = x",
        ),
        (
            v1("DeletePackage"),
            "packages/web".to_owned(),
            None,
            "DeleteRepository web = x",
        ),
        (
            v1("DeleteVersion"),
            format!("packages/web/versions/{one}"),
            None,
            "DeleteManifest web @11 = x",
        ),
        (
            v1("DeleteVersion"),
            "packages/web/versions/sha256%3A0".to_owned(),
            None,
            "DeleteManifest web = x",
        ),
        (
            v1("DeleteTag"),
            "packages/web/tags/v1".to_owned(),
            None,
            "DeleteTag web :v1 = x",
        ),
    ] {
        assert_eq!(did(&method, &resource, url), [line], "{method} {resource}");
    }
    for (method, resource, url) in [
        ("Docker-DeleteManifest".to_owned(), "dockerImages/web", None),
        (
            "Docker-DeleteTag".to_owned(),
            "dockerImages/web",
            Some("/v2/a/b/web/tags/v1"),
        ),
        (v1("DeletePackage"), "dockerImages/web", None),
        (v1("DeletePackage"), "packages/web/other", None),
        (v1("DeleteVersion"), "packages/web/versions/1.0", None),
        (v1("DeleteTag"), "packages/web/tags/no%20tag", None),
        (v1("DeleteFile"), "packages/web", None),
        (v1("BatchDeleteVersions"), "packages/web", None),
        ("DeletePackage".to_owned(), "packages/web", None),
    ] {
        assert_eq!(did(&method, resource, url), [""; 0], "{method} {resource}");
    }
}

#[test]
fn a_body_of_another_kind_is_an_error_that_quotes_nothing() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("token=hunter2", "NotJSON"),
        ("\"hunter2\"", "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"{"message": "hunter2"}"#, "UnexpectedShape"),
        (r#"{"message": {}}"#, "UnexpectedShape"),
    ] {
        let error = read(body).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(read("[".repeat(99)), Err(DialectError::TooDeep));
    assert_eq!(read("[]"), Ok(Parsed::default()));
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    let entries = |count| json!(vec![json!({"logName": "x"}); count]).to_string();
    assert_eq!(read(entries(MAX_ENTRIES)).unwrap().ignored, 10_000);
    assert_eq!(read(entries(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));

    let batch = |count| {
        let name = "projects/p/locations/l/repositories/r/packages/i/versions/sha256:";
        json!({"protoPayload": {
            "serviceName": "artifactregistry.googleapis.com",
            "methodName": "google.devtools.artifactregistry.v1.ArtifactRegistry.BatchDeleteVersions",
            "request": {"names": vec![name; count]},
        }})
        .to_string()
    };
    assert_eq!(read(batch(MAX_ENTRIES)).unwrap().events.len(), MAX_ENTRIES);
    assert_eq!(read(batch(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));
}
