use serde_json::json;

use super::*;
use crate::dialect::{Format, tests::Fixtures};

const ALIBABA: Fixtures = Fixtures(Format::AlibabaACR);

#[test]
fn each_fixture_brings_what_it_tells() {
    ALIBABA.bring(&[
        (
            "access-log-batch",
            &[
                "Pull shop/web:v1 method HEAD from Peer 203.0.113.24 network Public \
                 by 200000000000000003:ci with containerd/2.1.0 at 2026-03-01T09:00:02.123456789Z \
                 request 9b0e6c1d-0000-4000-8000-000000000002 id 9b0e6c1d-0000-4000-8000-000000000002",
                "Pull shop/web@11 method GET from Peer 203.0.113.24 network Public \
                 by 200000000000000003:ci with containerd/2.1.0 at 2026-03-01T09:00:03.123456789Z \
                 request 9b0e6c1d-0000-4000-8000-000000000003 id 9b0e6c1d-0000-4000-8000-000000000003",
                "Pull shop/web:v1 method GET from Peer 10.1.2.3 network Private \
                 by 200000000000000003:ci with containerd/2.1.0 at 2026-03-01T09:00:05.123456789Z \
                 request 9b0e6c1d-0000-4000-8000-000000000005 id 9b0e6c1d-0000-4000-8000-000000000005",
                "Delete Tag shop/web:v1 method DELETE from Peer 2001:db8::7 network Public \
                 by 200000000000000003:ci with containerd/2.1.0 at 2026-03-01T09:00:07.123456789Z \
                 request 9b0e6c1d-0000-4000-8000-000000000007 id 9b0e6c1d-0000-4000-8000-000000000007",
            ],
            3,
        ),
        (
            "access-log-push",
            &[
                "Push shop/web:v1 method PUT from Peer 198.51.100.7 network Public \
                 by 200000000000000003:ci with containerd/2.1.0 at 2026-03-01T09:00:01.123456789Z \
                 request 9b0e6c1d-0000-4000-8000-000000000001 id 9b0e6c1d-0000-4000-8000-000000000001",
            ],
            0,
        ),
        (
            "event-bus-push",
            &["Push shop/web:v1@11 at 2026-03-01T09:00:00Z id 31aa77c0-0000-4000-8000-000000000001"],
            0,
        ),
        ("event-bus-scan", &[], 1),
        ("event-center-records", &[], 2),
        ("trigger-push", &["Push shop/web:v1@11"], 0),
    ]);
}

#[test]
fn rows_come_one_in_a_line_as_well() {
    let rows = ALIBABA.body("access-log-batch");
    let lines: Vec<String> = rows.as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(ALIBABA.read(lines.join("\n")), ALIBABA.read(rows.to_string()));
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let whole = ALIBABA.one(&ALIBABA.body("access-log-push")).unwrap();
    let changed = |change: &dyn Fn(&mut RegistryEvent)| {
        let mut event = whole.clone();
        change(&mut event);
        event
    };
    for (pointer, value, kept) in [
        ("/tag", json!(""), changed(&|event| event.tag = None)),
        (
            "/time",
            json!("2026-03-01 17:00:00"),
            changed(&|event| event.time = None),
        ),
        (
            "/network_type",
            json!("Intranet"),
            changed(&|event| event.network_type = None),
        ),
        (
            "/network_type",
            json!(1),
            changed(&|event| event.network_type = None),
        ),
        (
            "/http_request_remoteaddr",
            json!("-"),
            changed(&|event| event.address = None),
        ),
        (
            "/http_request_method",
            json!(null),
            changed(&|event| event.method = None),
        ),
        (
            "/user_identity_principal_id",
            json!(""),
            changed(&|event| event.actor = None),
        ),
        (
            "/http_request_useragent",
            json!({}),
            changed(&|event| event.user_agent = None),
        ),
        (
            "/http_request_id",
            json!(""),
            changed(&|event| event.request_id = None),
        ),
        ("/namespace_repo", json!(null), whole.clone()),
        ("/http_response_status", json!(201), whole.clone()),
        ("/http_response_status", json!("-"), whole.clone()),
        ("/http_response_status", json!(null), whole.clone()),
    ] {
        let body = ALIBABA.with("access-log-push", pointer, value.clone());
        let event = ALIBABA.one(&body).unwrap_or_else(|| panic!("{pointer} {value}"));
        let kept = RegistryEvent {
            id: event.id.clone(),
            ..kept
        };
        assert_eq!(event, kept, "{pointer} {value}");
    }
}

#[test]
fn what_failed_or_is_about_no_manifest_is_ignored() {
    for (name, pointer, value) in [
        ("access-log-push", "/action", json!("GetBlob")),
        ("access-log-push", "/action", json!(null)),
        ("access-log-push", "/http_response_status", json!("401")),
        ("access-log-push", "/http_response_status", json!(500)),
        ("access-log-push", "/namespace_repo", json!(["shop/web"])),
        ("access-log-push", "/tag", json!({})),
        ("event-bus-push", "/type", json!("cr:ActionTrail:ApiCall")),
        ("event-bus-push", "/data", json!(null)),
        ("event-bus-push", "/data/RepoName", json!("")),
        ("trigger-push", "/push_data", json!([])),
        ("trigger-push", "/repository", json!({"name": "web"})),
    ] {
        let body = ALIBABA.with(name, pointer, value.clone());
        let event = ALIBABA.one(&body);
        // A trigger without its details is a push all the same.
        let kept = pointer == "/push_data";
        assert_eq!(event.is_some(), kept, "{name} {pointer} {value}");
    }
}

#[test]
fn a_delete_has_to_name_its_tag_or_its_digest() {
    let digest = format!("sha256:{}", "1".repeat(64));
    for (tag, target) in [
        ("v1", Some(DeleteTarget::Tag)),
        (digest.as_str(), Some(DeleteTarget::Manifest)),
        ("", None),
        ("no tag", None),
        ("sha256:01", None),
    ] {
        let mut row = ALIBABA.with("access-log-push", "/action", json!("DeleteTag"));
        row["tag"] = json!(tag);
        let found = ALIBABA.one(&row).and_then(|event| event.target);
        assert_eq!(found, target, "{tag}");
    }
}

#[test]
fn more_than_any_delivery_has_is_refused() {
    let records = |count: usize| json!({ "Records": vec![json!({}); count] }).to_string();
    assert_eq!(ALIBABA.read(records(MAX_ENTRIES)).unwrap().ignored, 10_000);
    ALIBABA.refuse(records(MAX_ENTRIES + 1), "TooManyEntries");
    let rows = r#"{"action": "GetBlob"}"#.repeat(MAX_ENTRIES + 1);
    ALIBABA.refuse(rows, "TooManyEntries");
}

#[test]
fn a_body_of_something_else_is_refused() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("hunter2", "NotJSON"),
        (r#"{"action": "hunter2""#, "NotJSON"),
        ("7", "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"[["hunter2"]]"#, "UnexpectedShape"),
    ] {
        ALIBABA.refuse(body, reason);
    }
    ALIBABA.refuse("[".repeat(1_000), "TooDeep");
    assert_eq!(ALIBABA.read(b"[]"), Ok(Parsed::default()));
}

#[test]
fn samples_of_others_decode_as_they_should() {
    const CLIENT: &str = "from Peer 203.0.113.24 network Public by 300786000000000000:builder \
                          with docker/24.0.2 go/go1.20.4 at 2026-04-12T08:58:30.855892463Z";
    let row = |what: &str, client: &str, last: u8| {
        let id = format!("718e09d1-aab5-4c1e-9a40-0f3a2b1c0d0{last}");
        format!("{what} {client} request {id} id {id}")
    };
    let vpc = CLIENT.replace("203.0.113.24 network Public", "10.1.2.3 network Private");
    let delete = row("Delete Tag test-ns/test-repo:v1 method DELETE", CLIENT, 4);
    let pull = row("Pull test-ns/test-repo:v1 method GET", CLIENT, 1);
    let pull_in_batch = row("Pull test-ns/test-repo:v1 method GET", CLIENT, 6);
    let pull_from_vpc = row("Pull test-ns/test-repo:v1 method GET", &vpc, 2);
    let push = row("Push test-ns/test-repo:v1 method PUT", CLIENT, 3);
    ALIBABA.samples_bring(
        "alibaba-acr",
        &[
            ("access-log-batch", &[&pull_in_batch], 1),
            ("access-log-delete-tag", &[&delete], 0),
            ("access-log-get-blob-ignore", &[], 1),
            ("access-log-pull-internet", &[&pull], 0),
            ("access-log-pull-vpc", &[&pull_from_vpc], 0),
            ("access-log-push", &[&push], 0),
            ("eventbridge-build-completed-ignore", &[], 1),
            (
                "eventbridge-push-completed-GUESSED-data",
                &["Push scan/mix-vuls:1.0.3@6f at 2020-11-19T13:04:41Z \
                     id 45ef4de1-7c35-447a-bd93-fab000000001"],
                0,
            ),
            ("openapi-list-event-center-record", &[], 1),
            ("trigger-webhook-push", &["Push namespace/repoTest:latest@45"], 0),
        ],
    );
}
