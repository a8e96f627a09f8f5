//! What real registries tell in two ways, through their dialects.

use serde_json::{Value, json};

use crate::{
    dialect::{
        Format,
        tests::{Fixtures, with},
    },
    event::{LogicalCategory, LogicalEvent, StoredEvent, fixture::at, link::link},
    image::Digest,
};

/// 8 March 2026.
const AFTER_FIXTURES: f64 = 3_000_000.0;

/// What a source of this name tells with this body, received so many seconds after all that is
/// told in fixtures.
fn told(source: &str, format: Format, body: &Value, late: f64) -> Vec<StoredEvent> {
    let parsed = Fixtures(format).read(body.to_string()).unwrap();
    let received = at(AFTER_FIXTURES + late);
    let stored = parsed.events.into_iter();
    stored
        .map(|event| StoredEvent::new(source.to_owned(), received, event))
        .collect()
}

fn made(raw: &[StoredEvent]) -> Vec<LogicalEvent> {
    link(raw, &|_: &Digest| true)
}

#[test]
fn a_push_that_harbor_tells_by_webhook_and_in_its_audit_log_is_one() {
    let harbor = Fixtures(Format::Harbor);
    let mut raw = told("webhook", Format::Harbor, &harbor.body("default-push"), 0.0);
    let rows = harbor.body("auditlogs");
    let row = with(json!([rows[0]]), "/0/op_time", json!("2026-03-01T09:00:00.412Z"));
    raw.extend(told("audit-log", Format::Harbor, &row, 3600.0));
    let made = made(&raw);
    let [push] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!(push.id, raw[0].event.id);
    assert_eq!(push.tags, ["v1"]);
    assert_eq!(push.digest, raw[0].event.digest, "the row names none");
    assert_eq!((push.raw_count, push.actor.as_deref()), (2, Some("ci")));
}

#[test]
fn a_push_that_github_tells_in_both_of_its_events_is_one() {
    let github = Fixtures(Format::GitHub);
    let one = github.body("registry-package-published");
    let again = json!({
        "action": one["action"],
        "package": one["registry_package"],
        "sender": one["sender"],
    });
    let mut raw = Vec::new();
    for (delivery, late) in [("1", 0.0), ("2", 1.0)] {
        let body = if delivery == "1" { &one } else { &again };
        let mut told = told("webhook", Format::GitHub, body, late);
        told[0].event.id = delivery.to_owned();
        raw.extend(told);
    }
    let made = made(&raw);
    let [push] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!((push.id.as_str(), push.raw_count), ("1", 2));
}

#[test]
fn a_push_that_ecr_tells_as_an_action_and_in_its_trail_is_one() {
    let ecr = Fixtures(Format::AmazonECR);
    let mut raw = told("actions", Format::AmazonECR, &ecr.body("image-action-push"), 0.0);
    let digest = raw[0].event.digest.as_ref().unwrap().to_string();
    let call = ecr.body("cloud-trail-through-event-bridge");
    let call = with(call, "/detail/eventName", json!("PutImage"));
    let call = with(call, "/detail/eventTime", json!("2026-03-01T08:59:59Z"));
    let call = with(
        call,
        "/detail/requestParameters",
        json!({"repositoryName": "shop/web", "imageTag": "v1"}),
    );
    let image = json!({"image": {"imageId": {"imageDigest": digest, "imageTag": "v1"}}});
    let call = with(call, "/detail/responseElements", image);
    raw.extend(told("trail", Format::AmazonECR, &call, 420.0));
    let made = made(&raw);
    let [push] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!(push.id, raw[0].event.id);
    assert_eq!(
        push.actor.as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/node/node-1")
    );
    assert_eq!(push.address, raw[1].event.address);
    assert!(push.media_type.is_some(), "the action's");
}

/// The row that a proxy writes of a request of `fixtures/events/distribution/pull-by-containerd`.
fn row(method: &str, reference: &str, time: &str) -> Value {
    json!({
        "category": "Pull", "repository": "shop/web", "method": method, "tag": reference,
        "clientIP": "10.42.0.5", "clientIPSource": "Peer", "eventTime": time, "actor": "node",
        "id": format!("{method} {reference} {time}"),
    })
}

#[test]
fn a_pull_by_containerd_that_a_proxys_log_tells_too_is_one() {
    let distribution = Fixtures(Format::Distribution);
    let mut raw = told(
        "registry",
        Format::Distribution,
        &distribution.body("pull-by-containerd"),
        0.0,
    );
    // The platform's manifest is a pull of its own while no edge is known.
    raw.truncate(2);
    let digest = raw[1].event.digest.as_ref().unwrap().to_string();
    // A log knows of a HEAD what was asked for, not what it is.
    let rows = json!([
        row("HEAD", "v1", "2026-03-01T09:05:00.120Z"),
        row("GET", &digest, "2026-03-01T09:05:00.320Z"),
    ]);
    raw.extend(told("proxy", Format::Generic, &rows, 5.0));
    assert!(raw[2].event.digest.is_none());
    let made = made(&raw);
    let [pull] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!(pull.id, raw[1].event.id);
    assert_eq!((pull.category, pull.raw_count), (LogicalCategory::Pull, 4));
    assert_eq!(pull.tags, ["v1"]);
    assert_eq!(pull.actor.as_deref(), Some("node"));
    assert_eq!(pull.user_agent.as_deref(), Some("containerd/v2.4.2"));
}

#[test]
fn three_clients_behind_one_address_are_three_pulls_by_registry_and_proxy() {
    let distribution = Fixtures(Format::Distribution);
    let body = distribution.body("pull-by-containerd");
    let mut raw = Vec::new();
    let mut rows = Vec::new();
    for client in 0..3 {
        let mut events = told("registry", Format::Distribution, &body, 0.0);
        events.truncate(2);
        for stored in &mut events {
            stored.event.id.push_str(&client.to_string());
        }
        let digest = events[1].event.digest.as_ref().unwrap().to_string();
        raw.extend(events);
        rows.push(row("HEAD", "v1", &format!("2026-03-01T09:05:00.{client}20Z")));
        rows.push(row("GET", &digest, &format!("2026-03-01T09:05:00.{client}60Z")));
    }
    raw.extend(told("proxy", Format::Generic, &Value::Array(rows), 5.0));
    let made = made(&raw);
    assert_eq!(made.len(), 3, "{made:?}");
    for pull in &made {
        assert_eq!((pull.category, pull.raw_count), (LogicalCategory::Pull, 4));
        assert_eq!(pull.tags, ["v1"]);
    }
}
