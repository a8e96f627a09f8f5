mod properties;
mod samples;

use http::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::dialect::{
    Format, MAX_ENTRIES,
    tests::{Fixtures, told, with},
};

const GOOGLE: Fixtures = Fixtures(Format::GoogleArtifactRegistry);

#[test]
fn each_fixture_brings_what_it_tells() {
    let by_node = |what: &str, last: &str| {
        let minute = &last[..2];
        format!(
            "{what} from Peer 203.0.113.5 by node@shop-project.example.com with containerd/2.2.0 \
             at 2026-03-01T09:{minute}:00.123456789Z id entry-{last}"
        )
    };
    GOOGLE.bring(&[
        (
            "audit-log",
            &[
                &by_node("Pull shop-project/images/team/web:v1 method HEAD", "01"),
                &by_node("Pull shop-project/images/team/web:v1 method GET", "02"),
                "Pull shop-project/images/team/web@11 method GET at 2026-03-01T09:03:00.123456789Z \
                 id entry-03",
                &by_node("Push shop-project/images/team/web:v1@11 method PUT", "04"),
                &by_node(
                    "Delete Manifest shop-project/images/team/web@11 method DELETE",
                    "05",
                ),
                &by_node("Delete Tag shop-project/images/team/web:v1 method DELETE", "06"),
                &by_node("Delete Tag shop-project/images/team/web:v2", "07"),
                "Delete Manifest shop-project/images/team/web@22 from Peer 203.0.113.5 \
                 by node@shop-project.example.com with containerd/2.2.0 at 2026-03-01T09:08:00.123456789Z \
                 request projects/shop-project/locations/europe-west3/operations/0001 id entry-08",
                "Delete Manifest shop-project/images/team/web@22 from Peer 203.0.113.5 \
                 by node@shop-project.example.com with containerd/2.2.0 at 2026-03-01T09:09:00.123456789Z \
                 request projects/shop-project/locations/europe-west3/operations/0001 id entry-09",
                &by_node("Delete Repository shop-project/images/team/web", "10"),
                &by_node("Delete Manifest shop-project/images/team/web@33", "11"),
                &by_node("Delete Manifest shop-project/images/team/web@44", "11#2"),
                &by_node("Pull example.com/shop/web", "12"),
            ],
            6,
        ),
        ("notification-insert", &["Push shop-project/images/web:v1@11"], 0),
        (
            "pub-sub-audit-entry",
            &[&by_node("Pull shop-project/images/team/web:v1 method GET", "02")],
            0,
        ),
        (
            "pub-sub-push",
            &["Push shop-project/images/web:v1@11 at 2026-03-01T09:00:00.25Z id 900000000001"],
            0,
        ),
    ]);
}

fn message(data: impl AsRef<[u8]>) -> Value {
    let data = json!(BASE64_STANDARD.encode(data));
    GOOGLE.with("pub-sub-push", "/message/data", data)
}

/// An entry of the audit log to change something in: a pull by tag.
fn pull() -> Value {
    GOOGLE.body("audit-log")[1].clone()
}

#[test]
fn a_message_is_read_as_pushed_and_as_a_subscriber_holds_it() {
    let envelope = GOOGLE.body("pub-sub-push");
    GOOGLE.lacks(&envelope["message"], &envelope, "");
    for field in ["messageId", "message_id", "publishTime", "publish_time"] {
        let pointer = format!("/message/{field}");
        GOOGLE.lacks(&with(envelope.clone(), &pointer, None::<Value>), &envelope, "");
    }
}

#[test]
fn an_unwrapped_message_has_id_and_time_in_headers_or_nowhere() {
    let headers = HeaderMap::from_iter([
        (
            HeaderName::from_static("x-goog-pubsub-message-id"),
            HeaderValue::from_static("900000000001"),
        ),
        (
            HeaderName::from_static("x-goog-pubsub-publish-time"),
            HeaderValue::from_static("2026-03-01T09:00:00.25Z"),
        ),
    ]);
    let bare = GOOGLE.body("notification-insert");
    let parsed = parse(&headers, bare.to_string().as_bytes()).unwrap();
    assert_eq!(
        parsed.events.first(),
        GOOGLE.one(&GOOGLE.body("pub-sub-push")).as_ref()
    );
    let two = parse(&headers, json!([bare, bare]).to_string().as_bytes()).unwrap();
    assert_ne!(two.events[0].id, "900000000001", "headers are about one message");
}

#[test]
fn a_notification_names_what_was_pushed_or_deleted() {
    let digest = format!("eu.gcr.io/shop/web@sha256:{}", "1".repeat(64));
    let tag = "eu.gcr.io/shop/web:v1";
    for (notification, line) in [
        (json!({"action": "INSERT", "digest": digest}), "Push shop/web@11"),
        (json!({"action": "INSERT", "tag": tag}), "Push shop/web:v1"),
        (
            json!({"action": "INSERT", "tag": tag, "digest": ""}),
            "Push shop/web:v1",
        ),
        (
            json!({"action": "INSERT", "digest": "eu.gcr.io/shop/web@sha256:01"}),
            "Push shop/web",
        ),
        (
            json!({"action": "INSERT", "digest": digest, "tag": "eu.gcr.io/shop/web:no tag"}),
            "Push shop/web@11",
        ),
        (
            json!({"action": "INSERT", "tag": "host.example.com:5000/web:v1"}),
            "Push web:v1",
        ),
        (
            json!({"action": "DELETE", "digest": digest}),
            "Delete Manifest shop/web@11",
        ),
        (json!({"action": "DELETE", "tag": tag}), "Delete Tag shop/web:v1"),
        (
            json!({"action": "DELETE", "digest": digest, "tag": tag}),
            "Delete Manifest shop/web:v1@11",
        ),
    ] {
        let event = GOOGLE.one(&notification).unwrap();
        assert_eq!(told(&event), line, "{notification}");
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
        assert_eq!(GOOGLE.one(&notification), None, "{notification}");
    }
}

#[test]
fn messages_about_something_else_are_ignored() {
    for data in [
        "",
        "not JSON",
        "7",
        "[]",
        "{}",
        r#"{"kind": "DISCOVERY"}"#,
        r#"{"action": "INSERT"}"#,
        r#"{"logName": "projects/shop-project/logs/other", "insertId": "x"}"#,
        &GOOGLE.body("pub-sub-push").to_string(),
        &"[".repeat(99),
    ] {
        assert_eq!(GOOGLE.one(&message(data)), None, "{data}");
    }
    for data in [None, Some(json!("no base64")), Some(json!(7))] {
        let body = GOOGLE.with("pub-sub-push", "/message/data", data);
        assert_eq!(GOOGLE.one(&body), None, "{body}");
    }
}

#[test]
fn an_entry_comes_through_a_topic_too() {
    GOOGLE.lacks(&GOOGLE.body("pub-sub-audit-entry"), &pull(), "");
}

#[test]
fn what_an_entry_does_not_say_is_absent() {
    let url = "/protoPayload/request/requestUrl";
    let from = " from Peer 203.0.113.5";
    for (pointer, value, absent) in [
        (
            "/protoPayload/authenticationInfo",
            None,
            " by node@shop-project.example.com",
        ),
        (
            "/protoPayload/requestMetadata/callerIp",
            Some(json!("private")),
            from,
        ),
        ("/protoPayload/status", None, ""),
        ("/protoPayload/status", Some(json!({"code": 0})), ""),
        ("/protoPayload/resourceName", None, ""),
        ("/protoPayload/request", None, ":v1 method GET"),
        (
            url,
            Some(json!("/v2/shop-project/images/team%2fweb/manifests/v%31%")),
            ":v1",
        ),
        ("/timestamp", None, " at 2026-03-01T09:02:00.123456789Z"),
        ("/logName", None, ""),
    ] {
        GOOGLE.lacks(&with(pull(), pointer, value), &pull(), absent);
    }
    let metadata = "/protoPayload/requestMetadata";
    let agent = with(
        pull(),
        &format!("{metadata}/callerSuppliedUserAgent"),
        None::<Value>,
    );
    GOOGLE.lacks(&agent, &pull(), " with containerd/2.2.0");
    GOOGLE.lacks(&with(pull(), metadata, None::<Value>), &agent, from);

    let odd = "https://host.example.com/v2/shop-project/images/a/manifests/b/manifests/v1?x=/manifests/y";
    let [odd, whole] =
        [with(pull(), url, json!(odd)), pull()].map(|entry| told(&GOOGLE.one(&entry).unwrap()));
    assert_eq!(odd, whole.replace("team/web", "a/manifests/b"));

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
        assert_eq!(GOOGLE.one(&with(pull(), pointer, value)), None, "{pointer}");
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
        let parsed = GOOGLE.read(entry.to_string()).unwrap();
        parsed.events.iter().map(told).collect::<Vec<_>>()
    };
    let v1 = |method: &str| format!("google.devtools.artifactregistry.v1.ArtifactRegistry.{method}");
    for (method, resource, url, line) in [
        (
            "Docker-DeleteManifest".to_owned(),
            "dockerImages/web".to_owned(),
            Some("/v2/a/b/web/manifests/v1"),
            "Delete Tag a/b/web:v1 id x",
        ),
        (
            "Docker-DeleteManifest".to_owned(),
            "dockerImages/web".to_owned(),
            Some("/v2/a/b/web/manifests/sha256:0"),
            "Delete Manifest a/b/web id x",
        ),
        (
            "Docker-DeleteManifest".to_owned(),
            format!("dockerImages/web@{one}"),
            None,
            "Delete Manifest shop-project/images/web@11 id x",
        ),
        (
            v1("DeletePackage"),
            "packages/web".to_owned(),
            None,
            "Delete Repository shop-project/images/web id x",
        ),
        (
            v1("DeleteVersion"),
            format!("packages/web/versions/{one}"),
            None,
            "Delete Manifest shop-project/images/web@11 id x",
        ),
        (
            v1("DeleteVersion"),
            "packages/web/versions/sha256%3A0".to_owned(),
            None,
            "Delete Manifest shop-project/images/web id x",
        ),
        (
            v1("DeleteTag"),
            "packages/web/tags/v1".to_owned(),
            None,
            "Delete Tag shop-project/images/web:v1 id x",
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
        GOOGLE.refuse(body, reason);
    }
    GOOGLE.refuse("[".repeat(99), "TooDeep");
    assert_eq!(GOOGLE.read("[]"), Ok(Parsed::default()));
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    let entries = |count| json!(vec![json!({"logName": "x"}); count]).to_string();
    assert_eq!(GOOGLE.read(entries(MAX_ENTRIES)).unwrap().ignored, 10_000);
    GOOGLE.refuse(entries(MAX_ENTRIES + 1), "TooManyEntries");

    let batch = |count| {
        let name = "projects/p/locations/l/repositories/r/packages/i/versions/sha256:";
        json!({"protoPayload": {
            "serviceName": "artifactregistry.googleapis.com",
            "methodName": "google.devtools.artifactregistry.v1.ArtifactRegistry.BatchDeleteVersions",
            "request": {"names": vec![name; count]},
        }})
        .to_string()
    };
    assert_eq!(GOOGLE.read(batch(MAX_ENTRIES)).unwrap().events.len(), MAX_ENTRIES);
    GOOGLE.refuse(batch(MAX_ENTRIES + 1), "TooManyEntries");
}
