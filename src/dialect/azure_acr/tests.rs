use serde_json::json;

use super::*;
use crate::{
    dialect::{
        Format, MAX_ENTRIES,
        tests::{Fixtures, told, with},
    },
    event::AddressSource,
};

const AZURE: Fixtures = Fixtures(Format::AzureACR);

#[test]
fn each_fixture_brings_what_it_tells() {
    const KIND: &str = "type application/vnd.oci.image.index.v1+json";
    let sent = |what: &str, method: &str, last: u8| {
        format!(
            "{what} {KIND} method {method} with docker/29.0.0 at 2026-03-01T09:0{last}:00.123456789Z \
             request 6d5c0000-0000-4000-8000-00000000000{last} id 2b7e0000-0000-4000-8000-00000000000{last}"
        )
    };
    let logged = |what: &str, last: u8| {
        format!(
            "{what} {KIND} from Peer 203.0.113.9 by node with containerd/2.2.0 \
             at 2026-03-01T10:0{last}:00.1234567Z request 3f4a0000-0000-4000-8000-00000000000{last}"
        )
    };
    AZURE.bring(&[
        (
            "cloud-events",
            &[
                &sent("Push shop/web:v1@11", "PUT", 7),
                &sent("Delete Manifest shop/web@11", "DELETE", 8),
            ],
            0,
        ),
        (
            "event-grid",
            &[
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json method PUT \
                 from Peer 192.0.2.9 by ci with docker/29.0.0 at 2026-03-01T09:03:00.123456789Z \
                 request 6d5c0000-0000-4000-8000-000000000003 instance node-1 \
                 id 2b7e0000-0000-4000-8000-000000000003",
                &sent("Delete Manifest shop/web@11", "DELETE", 4),
            ],
            2,
        ),
        (
            "repository-events-table",
            &[
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json from Peer 203.0.113.9 \
                 by node with containerd/2.2.0 at 2026-03-01T10:01:00.1234567Z \
                 request 3f4a0000-0000-4000-8000-000000000001 id 3f4a0000-0000-4000-8000-000000000001",
                "Pull shop/web:v1@11 type application/vnd.oci.image.index.v1+json from Peer 203.0.113.9 \
                 by node with containerd/2.2.0 at 2026-03-01T10:02:00.1234567Z \
                 request 3f4a0000-0000-4000-8000-000000000002 id 3f4a0000-0000-4000-8000-000000000002",
                "Pull shop/web@11 type application/vnd.oci.image.index.v1+json from Peer 2001:db8::9 \
                 with containerd/2.2.0 at 2026-03-01T10:03:00.1234567Z \
                 request 3f4a0000-0000-4000-8000-000000000003 id 3f4a0000-0000-4000-8000-000000000003",
                &logged("Delete Tag shop/web:v1", 4),
                &logged("Delete Manifest shop/web@11", 5),
                &logged("Delete Manifest shop/web@22", 5),
                "Delete Repository shop/web from Peer 203.0.113.9 by node with containerd/2.2.0 \
                 at 2026-03-01T10:06:00.1234567Z request 3f4a0000-0000-4000-8000-000000000006",
                &logged("Delete Tag shop/web:v1@11", 7),
                &logged("Delete Manifest shop/web:v1@11", 8),
            ],
            4,
        ),
        (
            "resource-logs",
            &[
                "Pull shop/web:v1@11 type application/vnd.oci.image.index.v1+json from Peer 203.0.113.9 \
                 by node with containerd/2.2.0 at 2026-03-01T11:01:00.1234567Z \
                 request 5a6b0000-0000-4000-8000-000000000001 id 5a6b0000-0000-4000-8000-000000000001",
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json from Peer 203.0.113.9 \
                 by node with containerd/2.2.0 at 2026-03-01T11:02:00.1234567Z \
                 request 5a6b0000-0000-4000-8000-000000000002 id 5a6b0000-0000-4000-8000-000000000002",
            ],
            2,
        ),
        (
            "webhook-delete",
            &[&sent("Delete Manifest shop/web@11", "DELETE", 2)],
            0,
        ),
        ("webhook-push", &[&sent("Push shop/web:v1@11", "PUT", 1)], 0),
    ]);
}

/// A row of the log to change something in: a pull by tag.
fn row() -> Value {
    AZURE.body("repository-events-table")[1].clone()
}

#[test]
fn other_actions_of_webhooks_are_ignored() {
    for action in ["ping", "quarantine", "chart_push", "chart_delete"] {
        assert_eq!(
            AZURE.one(&AZURE.with("webhook-push", "/action", json!(action))),
            None
        );
    }
    assert_eq!(AZURE.one(&AZURE.with("webhook-push", "/action", json!(7))), None);
    assert_eq!(AZURE.one(&json!({"id": "x", "action": "ping"})), None);
}

#[test]
fn an_address_without_a_port_comes_from_a_header() {
    let pointer = "/0/data/request/addr";
    let behind_a_proxy = AZURE.with("event-grid", pointer, json!("192.0.2.9"));
    let event = AZURE.one(&behind_a_proxy[0]).unwrap();
    assert_eq!(event.address.unwrap().source, AddressSource::Header);
}

#[test]
fn cloud_events_come_alone_too() {
    let events = AZURE.body("cloud-events");
    let whole = AZURE.read(events.to_string()).unwrap();
    assert_eq!(AZURE.one(&events[0]).as_ref(), whole.events.first());
    for (pointer, value) in [
        ("/type", Some(json!("Microsoft.ContainerRegistry.ChartPushed"))),
        (
            "/type",
            Some(json!("Microsoft.EventGrid.SubscriptionValidationEvent")),
        ),
        ("/type", Some(json!({}))),
        ("/data", Some(json!(null))),
        ("/data/target", Some(json!([]))),
        ("/data/target/repository", Some(json!(7))),
        ("/data", None),
    ] {
        assert_eq!(
            AZURE.one(&with(events[0].clone(), pointer, value)),
            None,
            "{pointer}"
        );
    }
}

#[test]
fn deletes_of_several_manifests_in_one_request_have_ids_of_their_own() {
    let parsed = AZURE
        .read(AZURE.body("repository-events-table").to_string())
        .unwrap();
    let deletes = &parsed.events[4..6];
    assert_eq!(deletes[0].request_id, deletes[1].request_id);
    assert_ne!(deletes[0].id, deletes[1].id);
}

#[test]
fn the_log_reads_the_same_as_resource_logs_in_lines_or_alone() {
    let pull = &AZURE.body("resource-logs")["records"][0];
    let (first, second) = (AZURE.one(pull).unwrap(), AZURE.one(&row()).unwrap());
    let whole = AZURE.read(AZURE.message("resource-logs").body).unwrap();
    assert_eq!(first, whole.events[0]);
    let lines = AZURE.read(format!("{pull}\n{}\n", row())).unwrap();
    assert_eq!(lines.events, [first, second]);
}

#[test]
fn what_a_row_does_not_say_is_absent() {
    let id = "3f4a0000-0000-4000-8000-000000000002";
    let by_request = format!(" request {id} id {id}");
    for (column, value, absent) in [
        ("/Tag", None, ":v1"),
        ("/Tag", Some(json!("no tag")), ":v1"),
        ("/Digest", Some(json!("sha256:01")), "@11"),
        (
            "/CallerIpAddress",
            Some(json!("client.example.com")),
            " from Peer 203.0.113.9",
        ),
        ("/Identity", Some(json!({"claims": {}})), " by node"),
        ("/TimeGenerated", None, " at 2026-03-01T10:02:00.1234567Z"),
        ("/ResultDescription", None, ""),
        ("/ResultType", Some(json!("Succeeded")), ""),
        ("/Category", None, ""),
        ("/OperationName", Some(json!("pull")), ""),
        ("/CorrelationId", None, by_request.as_str()),
    ] {
        AZURE.lacks(&with(row(), column, value), &row(), absent);
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
        assert_eq!(AZURE.one(&with(row(), column, value)), None, "{column}");
    }
}

#[test]
fn a_delete_says_what_it_removed_or_is_ignored() {
    let one = format!("sha256:{}", "1".repeat(64));
    let kind = "application/vnd.oci.image.index.v1+json";
    for (mut object, line) in [
        (
            json!({"digest": one, "mediaType": kind}),
            Some("Delete Manifest shop/web@11 type application/vnd.oci.image.index.v1+json id x"),
        ),
        (
            json!({"digest": one, "tag": "v1"}),
            Some("Delete Manifest shop/web:v1@11 id x"),
        ),
        (
            json!({"digest": "sha256:01"}),
            Some("Delete Manifest shop/web id x"),
        ),
        (json!({"tag": "v1"}), Some("Delete Tag shop/web:v1 id x")),
        (json!({}), Some("Delete Repository shop/web id x")),
        (json!({"mediaType": kind}), None),
        (json!({"tag": "no tag"}), None),
        (json!({"digest": 7}), None),
    ] {
        object["repository"] = json!("shop/web");
        let event = AZURE.one(&json!({"id": "x", "action": "delete", "target": object}));
        assert_eq!(event.as_ref().map(told).as_deref(), line, "{object}");
    }
    let untag = with(row(), "/OperationName", json!("Untag"));
    assert_eq!(AZURE.one(&with(untag, "/Tag", None::<Value>)), None);
    let delete = with(row(), "/OperationName", json!("Delete"));
    let event = AZURE.one(&with(delete, "/Digest", None::<Value>)).unwrap();
    assert_eq!(
        told(&event),
        "Delete Tag shop/web:v1 type application/vnd.oci.image.index.v1+json from Peer 203.0.113.9 by node \
         with containerd/2.2.0 at 2026-03-01T10:02:00.1234567Z request 3f4a0000-0000-4000-8000-000000000002"
    );
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
        AZURE.refuse(body, reason);
    }
    AZURE.refuse("[".repeat(99), "TooDeep");
    assert_eq!(AZURE.read("[]"), Ok(Parsed::default()));
    let parsed = AZURE
        .read(json!([7, AZURE.body("webhook-push")]).to_string())
        .unwrap();
    assert_eq!((parsed.events.len(), parsed.ignored), (1, 1));
}

#[test]
fn lists_are_bounded_wherever_they_are() {
    for body in [|rows: Value| rows, |rows: Value| json!({"records": rows})] {
        let rows = |count| body(json!(vec![json!({"action": "ping"}); count])).to_string();
        assert_eq!(AZURE.read(rows(MAX_ENTRIES)).unwrap().ignored, 10_000);
        AZURE.refuse(rows(MAX_ENTRIES + 1), "TooManyEntries");
    }
}

#[test]
fn samples_of_others_decode_as_they_should() {
    let delete = "Delete Manifest aci-helloworld@21 \
                  type application/vnd.docker.distribution.manifest.v2+json method DELETE \
                  with python-requests/2.18.4 at 2018-04-26T17:56:00.996603117Z \
                  request aeda5b99-4197-409f-b8a8-ff539edb7de2 id f06e3921-301f-42ec-b368-212f7d5354bd";
    let push = "Push aci-helloworld:v1@21 type application/vnd.docker.distribution.manifest.v2+json method \
                PUT with docker/18.03.0-ce go/go1.9.4 git-commit/0520e24 os/windows arch/amd64 \
                UpstreamClient(Docker-Client/18.03.0-ce \\\\(windows\\\\)) at 2018-04-25T21:39:47.276585742Z \
                request 7c66f28b-de19-40a4-821c-6f5f6c0003a4 id 31c51664-e5bd-416a-a5df-e5206bc47ed0";
    AZURE.samples_bring(
        "azure-acr",
        &[
            ("eventgrid-cloudevents-image-deleted", &[delete], 0),
            ("eventgrid-cloudevents-image-pushed", &[push], 0),
            ("eventgrid-image-deleted", &[delete], 0),
            ("eventgrid-image-pushed", &[push], 0),
            ("eventgrid-subscription-validation", &[], 1),
            (
                "log-analytics-repository-event-pull",
                &[
                    "Pull team/app:1.4.2@9c type application/vnd.oci.image.index.v1+json \
                     from Peer 203.0.113.9 by aks-kubelet with containerd/1.7.22 \
                     at 2026-01-05T11:05:00.1234567Z request 2f4c2a07-5d65-4a4a-8a7a-1c5a1d7f0001 \
                     id 2f4c2a07-5d65-4a4a-8a7a-1c5a1d7f0001",
                ],
                0,
            ),
            ("webhook-chart-push-ignore", &[], 1),
            (
                "webhook-delete",
                &["Delete Manifest hello-world@00 \
                     type application/vnd.docker.distribution.manifest.v2+json method DELETE \
                     with python-requests/2.18.4 at 2023-11-17T16:54:53.657764628Z \
                     request 3d78b540-ab61-4f75-0000-7ca9ecf559b3 id afc359ce-df7f-4e32-0000-1ff8aa80927b"],
                0,
            ),
            ("webhook-ping", &[], 1),
            (
                "webhook-push",
                &[
                    "Push hello-world:v1@00 type application/vnd.docker.distribution.manifest.v2+json method \
                     PUT with docker/17.09.0-ce go/go1.8.3 git-commit/afdb6d4 kernel/4.10.0-27-generic \
                     os/linux arch/amd64 UpstreamClient(Docker-Client/17.09.0-ce \\(linux\\)) at \
                     2023-11-17T16:52:01.343145347Z request 3cbb6949-7549-4fa1-0000-a6d5451dffc7 id \
                     cb8c3971-9adc-488b-0000-43cbb4974ff5",
                ],
                0,
            ),
        ],
    );
}
