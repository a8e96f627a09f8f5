mod samples;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    dialect::{
        Format, MAX_ENTRIES,
        tests::lines::{any_json, anything_somewhere, lines, sound, with},
    },
    event::AddressSource,
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/events/azure-acr/",
            $name,
            ".json"
        ))
    };
}

fn read(body: impl AsRef<[u8]>) -> Result<Parsed, DialectError> {
    Format::AzureACR.parse(&HeaderMap::new(), body.as_ref())
}

/// Lines without what all fixtures have in common.
fn short(parsed: &Parsed) -> Vec<String> {
    sound(parsed);
    let common = [
        "2b7e0000-0000-4000-8000-0000000000",
        "3f4a0000-0000-4000-8000-0000000000",
        "5a6b0000-0000-4000-8000-0000000000",
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

/// A row of the log to change something in: a pull by tag.
fn row() -> String {
    let rows: Value = serde_json::from_str(fixture!("repository-events-table")).unwrap();
    rows[1].to_string()
}

const PUSH: &str = "Push shop/web :v1 @11 PUT at 2026-03-01T09:01:00.123456789Z = 01";
const DELETE: &str = "DeleteManifest shop/web @11 DELETE at 2026-03-01T09:02:00.123456789Z = 02";
const PULL: &str = "Pull shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T10:02:00.1234567Z = 02";

#[test]
fn webhooks_tell_pushes_and_deletes() {
    brings(fixture!("webhook-push"), &[PUSH], 0);
    let push = read(fixture!("webhook-push")).unwrap().events.remove(0);
    assert_eq!(
        push.media_type.as_deref(),
        Some("application/vnd.oci.image.index.v1+json")
    );
    assert_eq!(push.user_agent.as_deref(), Some("docker/29.0.0"));
    assert_eq!(
        push.request_id.as_deref(),
        Some("6d5c0000-0000-4000-8000-000000000001")
    );
    brings(fixture!("webhook-delete"), &[DELETE], 0);
    for action in [
        json!("ping"),
        json!("quarantine"),
        json!("chart_push"),
        json!("chart_delete"),
        json!(7),
    ] {
        brings(with(fixture!("webhook-push"), "/action", Some(action)), &[], 1);
    }
    brings(r#"{"id": "x", "action": "ping"}"#, &[], 1);
}

#[test]
fn event_grid_sends_several_in_its_own_schema() {
    brings(
        fixture!("event-grid"),
        &[
            "Push shop/web :v1 @11 PUT Peer 192.0.2.9 by ci at 2026-03-01T09:03:00.123456789Z = 03",
            "DeleteManifest shop/web @11 DELETE at 2026-03-01T09:04:00.123456789Z = 04",
        ],
        2,
    );
    let parsed = read(fixture!("event-grid")).unwrap();
    assert_eq!(parsed.events[0].instance_id.as_deref(), Some("node-1"));
    let behind_a_proxy = fixture!("event-grid").replace("192.0.2.9:40112", "192.0.2.9");
    let address = read(behind_a_proxy).unwrap().events[0].address.unwrap();
    assert_eq!(address.source, AddressSource::Header);
}

#[test]
fn cloud_events_come_alone_or_several() {
    let push = "Push shop/web :v1 @11 PUT at 2026-03-01T09:07:00.123456789Z = 07";
    let delete = "DeleteManifest shop/web @11 DELETE at 2026-03-01T09:08:00.123456789Z = 08";
    brings(fixture!("cloud-events"), &[push, delete], 0);
    let events: Value = serde_json::from_str(fixture!("cloud-events")).unwrap();
    let one = events[0].to_string();
    brings(&one, &[push], 0);
    for (pointer, value) in [
        ("/type", json!("Microsoft.ContainerRegistry.ChartPushed")),
        ("/type", json!("Microsoft.EventGrid.SubscriptionValidationEvent")),
        ("/type", json!({})),
        ("/data", json!(null)),
        ("/data/target", json!([])),
        ("/data/target/repository", json!(7)),
    ] {
        brings(with(&one, pointer, Some(value)), &[], 1);
    }
    brings(with(&one, "/data", None), &[], 1);
}

#[test]
fn the_log_tells_pulls_too_as_a_table_has_it() {
    brings(
        fixture!("repository-events-table"),
        &[
            "Push shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T10:01:00.1234567Z = 01",
            PULL,
            "Pull shop/web @11 Peer 2001:db8::9 at 2026-03-01T10:03:00.1234567Z = 03",
            "DeleteTag shop/web :v1 Peer 203.0.113.9 by node at 2026-03-01T10:04:00.1234567Z",
            "DeleteManifest shop/web @11 Peer 203.0.113.9 by node at 2026-03-01T10:05:00.1234567Z",
            "DeleteManifest shop/web @22 Peer 203.0.113.9 by node at 2026-03-01T10:05:00.1234567Z",
            "DeleteRepository shop/web Peer 203.0.113.9 by node at 2026-03-01T10:06:00.1234567Z",
            "DeleteTag shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T10:07:00.1234567Z",
            "DeleteManifest shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T10:08:00.1234567Z",
        ],
        4,
    );
    let deletes = &read(fixture!("repository-events-table")).unwrap().events[4..6];
    assert_eq!(deletes[0].request_id, deletes[1].request_id);
    assert_ne!(deletes[0].id, deletes[1].id, "one request, two manifests");
}

#[test]
fn the_log_reads_the_same_as_resource_logs_in_lines_or_alone() {
    brings(
        fixture!("resource-logs"),
        &[
            "Pull shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T11:01:00.1234567Z = 01",
            "Push shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T11:02:00.1234567Z = 02",
        ],
        2,
    );
    let logs: Value = serde_json::from_str(fixture!("resource-logs")).unwrap();
    let pull = &logs["records"][0];
    let pulled = "Pull shop/web :v1 @11 Peer 203.0.113.9 by node at 2026-03-01T11:01:00.1234567Z = 01";
    brings(pull.to_string(), &[pulled], 0);
    brings(
        format!("{pull}\n{}\n", row().replace('\n', "")),
        &[pulled, PULL],
        0,
    );
    assert!(read(pull.to_string()).unwrap().events[0].user_agent.is_some());
}

#[test]
fn what_a_row_does_not_say_is_absent() {
    let at = "at 2026-03-01T10:02:00.1234567Z = 02";
    for (column, value, line) in [
        (
            "/Tag",
            None,
            format!("Pull shop/web @11 Peer 203.0.113.9 by node {at}"),
        ),
        (
            "/Tag",
            Some(json!("no tag")),
            format!("Pull shop/web @11 Peer 203.0.113.9 by node {at}"),
        ),
        (
            "/Digest",
            Some(json!("sha256:01")),
            format!("Pull shop/web :v1 Peer 203.0.113.9 by node {at}"),
        ),
        (
            "/CallerIpAddress",
            Some(json!("client.example.com")),
            format!("Pull shop/web :v1 @11 by node {at}"),
        ),
        (
            "/Identity",
            Some(json!({"claims": {}})),
            format!("Pull shop/web :v1 @11 Peer 203.0.113.9 {at}"),
        ),
        (
            "/TimeGenerated",
            None,
            "Pull shop/web :v1 @11 Peer 203.0.113.9 by node = 02".to_owned(),
        ),
        ("/ResultDescription", None, PULL.to_owned()),
        ("/ResultType", Some(json!("Succeeded")), PULL.to_owned()),
        ("/Category", None, PULL.to_owned()),
        ("/OperationName", Some(json!("pull")), PULL.to_owned()),
        ("/CorrelationId", None, PULL.replace(" = 02", "")),
    ] {
        brings(with(&row(), column, value), &[&line], 0);
    }
    for (column, value) in [
        ("/ResultDescription", json!("401")),
        ("/ResultDescription", json!(500)),
        ("/ResultType", json!("Failed")),
        ("/ResultType", json!("403")),
        ("/Repository", json!("")),
        ("/Repository", json!(7)),
        ("/Tag", json!(["v1"])),
        ("/Digest", json!(7)),
        ("/OperationName", json!("ListTags")),
        ("/OperationName", json!(7)),
    ] {
        brings(with(&row(), column, Some(value)), &[], 1);
    }
}

#[test]
fn a_delete_says_what_it_removed_or_is_ignored() {
    let one = format!("sha256:{}", "1".repeat(64));
    let kind = "application/vnd.oci.image.index.v1+json";
    for (mut object, line) in [
        (
            json!({"digest": one, "mediaType": kind}),
            Some("DeleteManifest shop/web @11 = x"),
        ),
        (
            json!({"digest": one, "tag": "v1"}),
            Some("DeleteManifest shop/web :v1 @11 = x"),
        ),
        (
            json!({"digest": "sha256:01"}),
            Some("DeleteManifest shop/web = x"),
        ),
        (json!({"tag": "v1"}), Some("DeleteTag shop/web :v1 = x")),
        (json!({}), Some("DeleteRepository shop/web = x")),
        (json!({"mediaType": kind}), None),
        (json!({"tag": "no tag"}), None),
        (json!({"digest": 7}), None),
    ] {
        object["repository"] = json!("shop/web");
        let body = json!({"id": "x", "action": "delete", "target": object});
        brings(body.to_string(), line.as_slice(), i64::from(line.is_none()));
    }
    let untag = with(&row(), "/OperationName", Some(json!("Untag")));
    brings(with(&untag, "/Tag", None), &[], 1);
    let delete = with(&row(), "/OperationName", Some(json!("Delete")));
    let line = "DeleteTag shop/web :v1 Peer 203.0.113.9 by node at 2026-03-01T10:02:00.1234567Z";
    brings(with(&delete, "/Digest", None), &[line], 0);
}

#[test]
fn a_body_of_another_kind_is_an_error_that_quotes_nothing() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("token=hunter2", "NotJSON"),
        ("\"hunter2\"", "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"{"records": "hunter2"}"#, "UnexpectedShape"),
        (r#"{"type": "hunter2"}"#, "UnexpectedShape"),
    ] {
        let error = read(body).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(read("[".repeat(99)), Err(DialectError::TooDeep));
    assert_eq!(read("[]"), Ok(Parsed::default()));
    brings(format!("[7, {}]", fixture!("webhook-push")), &[PUSH], 1);
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    for body in [|rows: Value| rows, |rows: Value| json!({"records": rows})] {
        let rows = |count| body(json!(vec![json!({"action": "ping"}); count])).to_string();
        assert_eq!(read(rows(MAX_ENTRIES)).unwrap().ignored, 10_000);
        assert_eq!(read(rows(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));
    }
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(
        body in any_json(),
        name in prop::sample::select(vec!["records", "eventType", "OperationName", "operationName", "action"]),
    ) {
        let _ = read(body.to_string());
        let _ = read(json!({name: body}).to_string());
    }

    #[test]
    fn no_value_in_a_known_place_makes_it_panic_or_unsound(
        body in prop_oneof![
            anything_somewhere(fixture!("webhook-push")),
            anything_somewhere(fixture!("webhook-delete")),
            anything_somewhere(fixture!("event-grid")),
            anything_somewhere(fixture!("cloud-events")),
            anything_somewhere(fixture!("repository-events-table")),
            anything_somewhere(fixture!("resource-logs")),
        ],
    ) {
        if let Ok(parsed) = read(body) {
            sound(&parsed);
        }
    }
}
