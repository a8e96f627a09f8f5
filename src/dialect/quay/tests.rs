use serde_json::json;

use super::*;
use crate::dialect::{Format, tests::Fixtures};

const QUAY: Fixtures = Fixtures(Format::Quay);

#[test]
fn each_fixture_brings_what_it_tells() {
    QUAY.bring(&[
        ("export-callback", &[], 1),
        (
            "log-entries",
            &[
                "Push shop/web:v1 from Header 203.0.113.24 by ada with containerd/2.1.0 \
                 id f0a1c2d3-0000-4000-8000-000000000001",
                "Pull shop/web@11 from Header 203.0.113.24 by shop+cluster with containerd/2.1.0 id 1000002",
                "Delete Tag shop/web:v1 from Header 203.0.113.24 by ada with containerd/2.1.0 \
                 id f0a1c2d3-0000-4000-8000-000000000003",
            ],
            3,
        ),
        (
            "notification-push",
            &["Push shop/web:v1", "Push shop/web:latest"],
            0,
        ),
        ("notification-vulnerability", &[], 1),
        (
            "splunk-extended-head",
            &[
                "Pull shop/web:v1 method HEAD from Header 203.0.113.24 through 203.0.113.24, 192.0.2.10 \
                 by shop+cluster with containerd/2.1.0 at 2026-03-01T09:00:00Z \
                 request 77aa0000-0000-4000-8000-000000000001",
            ],
            0,
        ),
        (
            "splunk-pull",
            &["Pull shop/web:v1 from Header 203.0.113.24 by shop+cluster with containerd/2.1.0"],
            0,
        ),
        (
            "usage-logs",
            &[
                "Push shop/web:v1 type application/vnd.oci.image.index.v1+json from Header 198.51.100.7 \
                 by ada with containerd/2.1.0 at 2026-03-01T09:00:01Z",
                "Pull shop/web:v1 from Header 203.0.113.24 by shop+cluster with containerd/2.1.0 \
                 at 2026-03-01T09:00:02Z",
                "Pull shop/web@11 type application/vnd.oci.image.manifest.v1+json from Header 203.0.113.24 \
                 with containerd/2.1.0 at 2026-03-01T09:00:03Z",
                "Push shop/web:stable@11 from Header 198.51.100.7 by ada at 2026-03-01T09:00:04Z",
                "Delete Tag shop/web:v1 from Header 198.51.100.7 by ada with containerd/2.1.0 \
                 at 2026-03-01T09:00:05Z",
                "Delete Tag shop/web:v2@22 from Header 198.51.100.7 by ada with containerd/2.1.0 \
                 at 2026-03-01T09:00:06Z",
                "Delete Tag shop/web:v3 by autoprune worker at 2026-03-01T09:00:07Z",
                "Delete Repository shop/web from Header 198.51.100.7 by ada at 2026-03-01T09:00:08Z",
            ],
            3,
        ),
    ]);
}

#[test]
fn events_for_splunk_come_one_after_the_other() {
    let (one, other) = (QUAY.body("splunk-pull"), QUAY.body("splunk-extended-head"));
    for between in ["", "\n", " "] {
        let parsed = QUAY.read(format!("{one}{between}{other}")).unwrap();
        let methods: Vec<_> = parsed
            .events
            .iter()
            .map(|event| event.method.as_deref())
            .collect();
        assert_eq!(methods, [None, Some("HEAD")]);
    }
}

#[test]
fn metadata_in_text_are_read_once_and_no_deeper_than_a_body() {
    let with = |text: String| QUAY.with("splunk-pull", "/event/metadata_json", json!(text));
    let metadata = QUAY.body("splunk-pull")["event"]["metadata_json"].to_string();
    let event = QUAY.one(&with(metadata.clone())).unwrap();
    assert_eq!(event.tag.as_deref(), Some("v1"));
    let twice = Value::from(metadata).to_string();
    assert_eq!(QUAY.one(&with(twice)).unwrap().tag, None);
    let deep = format!(r#"{{"tag": "v1", "x": {}{}}}"#, "[".repeat(99), "]".repeat(99));
    assert_eq!(QUAY.one(&with(deep)).unwrap().tag, None);
}

/// A log entry with this number and these metadata.
fn numbered(kind: u64, metadata: &Value) -> Option<RegistryEvent> {
    let metadata = json!({"namespace": "shop", "repo": "web"})
        .as_object()
        .unwrap()
        .iter()
        .chain(metadata.as_object().unwrap())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>();
    QUAY.one(&json!({"random_id": "x", "kind_id": kind, "metadata": metadata}))
}

#[test]
fn a_number_counts_only_where_the_metadata_fit() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let (tag, by_digest) = (json!({"tag": "v1"}), json!({"manifest_digest": digest}));
    for (kind, metadata, category) in [
        (16, &tag, Some(Category::Push)),
        (26, &tag, Some(Category::Delete)),
        (26, &by_digest, None),
        (30, &tag, Some(Category::Push)),
        (41, &tag, Some(Category::Pull)),
        (41, &by_digest, Some(Category::Pull)),
        (41, &json!({}), None),
        (42, &json!({}), None),
        (46, &tag, Some(Category::Push)),
        (19, &json!({}), None),
        (19, &tag, None),
        (43, &tag, None),
    ] {
        let found = numbered(kind, metadata).map(|event| event.category);
        assert_eq!(found, category, "{kind} {metadata}");
    }
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    let whole = QUAY.one(&QUAY.body("splunk-extended-head")).unwrap();
    let changed = |change: &dyn Fn(&mut RegistryEvent)| {
        let mut event = whole.clone();
        change(&mut event);
        event
    };
    for (pointer, value, kept) in [
        (
            "/event/datetime",
            json!("2026-03-01T09:00:00"),
            changed(&|event| event.time = None),
        ),
        ("/event/datetime", json!(1_772_355_600.0), whole.clone()),
        ("/event/datetime", json!("2026-03-01T09:00:00Z"), whole.clone()),
        (
            "/event/ip",
            json!("unknown"),
            changed(&|event| event.address = None),
        ),
        (
            "/event/x_forwarded_for",
            json!(null),
            changed(&|event| event.forwarded_chain = None),
        ),
        (
            "/event/http_method",
            json!(7),
            changed(&|event| event.method = None),
        ),
        ("/event/performer", json!(null), whole.clone()),
        ("/event/account", json!(null), whole.clone()),
        (
            "/event/metadata_json",
            json!(null),
            changed(&|event| event.tag = None),
        ),
    ] {
        let body = QUAY.with("splunk-extended-head", pointer, value.clone());
        let event = QUAY.one(&body).unwrap_or_else(|| panic!("{pointer} {value}"));
        let kept = RegistryEvent {
            id: event.id.clone(),
            ..kept
        };
        assert_eq!(event, kept, "{pointer} {value}");
    }
}

#[test]
fn what_does_not_say_what_it_is_about_is_ignored() {
    for (name, pointer, value) in [
        ("splunk-pull", "/event", json!("pull_repo")),
        ("splunk-pull", "/event/kind", json!("pull_repo_failed")),
        ("splunk-pull", "/event/kind", json!(41)),
        ("splunk-pull", "/event/metadata_json/repo", json!(7)),
        ("splunk-pull", "/event/metadata_json/tag", json!(["v1"])),
        ("notification-push", "/updated_tags", json!([])),
        ("notification-push", "/updated_tags", json!({"v1": "x"})),
        ("notification-push", "/updated_tags", json!(["no tag"])),
        ("notification-push", "/repository", json!(null)),
        ("usage-logs", "/logs", json!(null)),
        ("usage-logs", "/logs", json!([7])),
    ] {
        let mut body = QUAY.with(name, pointer, value.clone());
        if pointer == "/repository" {
            body["updated_tags"] = json!(["v1"]);
        }
        assert_eq!(QUAY.one(&body), None, "{name} {pointer} {value}");
    }
}

#[test]
fn a_delete_of_a_repository_names_no_tag() {
    let row = |metadata: Value| json!({"kind": "delete_repo", "metadata": metadata});
    let whole = QUAY
        .one(&row(json!({"namespace": "shop", "repo": "web"})))
        .unwrap();
    assert_eq!(whole.target, Some(DeleteTarget::Repository));
    let tag = row(json!({"namespace": "shop", "repo": "web", "tag": "v1"}));
    assert_eq!(QUAY.one(&tag), None);
}

#[test]
fn more_than_any_delivery_has_is_refused() {
    let logs = |count: usize| json!({ "logs": vec![json!({}); count] }).to_string();
    assert_eq!(QUAY.read(logs(MAX_ENTRIES)).unwrap().ignored, 10_000);
    QUAY.refuse(logs(MAX_ENTRIES + 1), "TooManyEntries");
    let tags = QUAY.with("notification-push", "/updated_tags", json!(vec!["v1"; 6_000]));
    QUAY.refuse(format!("{tags}{tags}"), "TooManyEntries");
}

#[test]
fn a_body_of_something_else_is_refused() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("hunter2", "NotJSON"),
        (r#"{"event": "hunter2""#, "NotJSON"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#""hunter2""#, "UnexpectedShape"),
    ] {
        QUAY.refuse(body, reason);
    }
    QUAY.refuse("[".repeat(1_000), "TooDeep");
    assert_eq!(QUAY.read(br#"{"logs": []}"#), Ok(Parsed::default()));
}

#[test]
fn samples_of_others_decode_as_they_should() {
    QUAY.samples_bring(
        "quay",
        &[
            (
                "api-logs-page",
                &[
                    "Push init/test-image:v1 from Header 10.88.0.1 by init \
                 with containers/5.34.3 (github.com/containers/image) at 2026-07-31T12:38:55Z",
                    "Pull init/test-image:v1 type application/vnd.oci.image.index.v1+json \
                 from Header 203.0.113.30 by init+cluster with containerd/2.0.0 at 2026-07-31T12:40:01Z",
                    "Pull init/test-image@c7 type application/vnd.oci.image.manifest.v1+json \
                 from Header 203.0.113.30 with containerd/2.0.0 at 2026-07-31T12:40:02Z",
                    "Delete Tag init/test-image:v1 from Header 10.88.0.1 by init with curl/8 \
                 at 2026-07-31T12:50:00Z",
                ],
                0,
            ),
            (
                "kafka-or-elasticsearch-logentry",
                &[
                    "Pull init/test-image:v1 type application/vnd.oci.image.index.v1+json \
                 from Header 203.0.113.30 by init with containerd/2.0.0 id 123456789",
                ],
                0,
            ),
            ("log-export-callback", &[], 1),
            (
                "splunk-hec-event",
                &[
                    "Pull init/test-image:v1 from Header 203.0.113.30 by init with containerd/2.0.0 \
                 at 2026-07-31T12:40:01Z",
                ],
                0,
            ),
            ("webhook-repo-push", &["Push exampleorg/foo:3.10"], 0),
        ],
    );
}
