mod gitlab;
mod properties;
mod samples;

use serde_json::json;

use super::*;
use crate::dialect::Format;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/events/distribution/",
            $name,
            ".json"
        ))
    };
}

fn read(body: impl AsRef<[u8]>) -> Result<Parsed, DialectError> {
    Format::Distribution.parse(&HeaderMap::new(), body.as_ref())
}

/// What a body with this one entry brings.
fn one(entry: &Value) -> Option<RegistryEvent> {
    let parsed = read(json!({ "events": [entry] }).to_string()).unwrap();
    assert_eq!(parsed.events.len() + usize::try_from(parsed.ignored).unwrap(), 1);
    parsed.events.into_iter().next()
}

/// A pull by tag to change something in.
fn entry() -> Value {
    let body: Value = serde_json::from_str(fixture!("address-from-a-header")).unwrap();
    body["events"][0].clone()
}

fn with(pointer: &str, value: Value) -> Value {
    let mut entry = entry();
    *entry.pointer_mut(pointer).unwrap() = value;
    entry
}

fn hash(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// An event as a line: what, of which repository, tag, digest, by which method, whence.
fn told(event: &RegistryEvent) -> String {
    let target = event
        .target
        .map(|target| format!("{target:?}"))
        .unwrap_or_default();
    let digest = event.digest.as_ref().map(ToString::to_string);
    let address = event
        .address
        .map(|address| format!("{:?} {}", address.source, address.ip));
    format!(
        "{:?}{target} {} {} {} {} {}",
        event.category,
        event.repository,
        event.tag.as_deref().unwrap_or("-"),
        digest.as_deref().map_or("-", |digest| &digest[7..8]),
        event.method.as_deref().unwrap_or("-"),
        address.as_deref().unwrap_or("-"),
    )
}

#[track_caller]
fn brings(body: &str, events: &[&str], ignored: i64) {
    let parsed = read(body).unwrap();
    assert_eq!(parsed.events.iter().map(told).collect::<Vec<_>>(), events);
    assert_eq!(parsed.ignored, ignored);
}

#[test]
fn pushes_of_an_index_and_its_children() {
    brings(
        fixture!("push-index-and-children"),
        &[
            "Push shop/web - a PUT Peer 198.51.100.7",
            "Push shop/web - b PUT Peer 198.51.100.7",
            "Push shop/web v1 1 PUT Peer 198.51.100.7",
        ],
        0,
    );
    let index = read(fixture!("push-index-and-children"))
        .unwrap()
        .events
        .pop()
        .unwrap();
    assert_eq!(index.id, "5e0f3c1a-0000-4000-8000-000000000003");
    assert_eq!(
        index.time,
        Some("2026-03-01T09:00:00.300000003Z".parse().unwrap())
    );
    assert_eq!(
        index.media_type.as_deref(),
        Some("application/vnd.oci.image.index.v1+json")
    );
    assert_eq!(index.actor.as_deref(), Some("ci"));
    assert_eq!(index.user_agent.as_deref(), Some("crane/0.22.1"));
    assert_eq!(
        index.request_id.as_deref(),
        Some("0a1b2c3d-0000-4000-8000-000000000003")
    );
    assert_eq!(
        index.instance_id.as_deref(),
        Some("6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11")
    );
}

#[test]
fn a_pull_by_containerd_is_a_head_by_tag_and_gets_by_digest() {
    brings(
        fixture!("pull-by-containerd"),
        &[
            "Pull shop/web v1 1 HEAD Peer 10.42.0.5",
            "Pull shop/web - 1 GET Peer 10.42.0.5",
            "Pull shop/web - a GET Peer 10.42.0.5",
        ],
        1,
    );
    let parsed = read(fixture!("pull-by-containerd")).unwrap();
    assert!(
        parsed.events.iter().all(|event| event.actor.is_none()),
        "an actor {{}} is none"
    );
}

#[test]
fn the_delete_of_a_manifest_and_of_the_tag_that_went_with_it() {
    brings(
        fixture!("delete-manifest-with-its-tags"),
        &[
            "DeleteManifest shop/web - 1 DELETE Peer 198.51.100.9",
            "DeleteTag shop/web v1 - DELETE Peer 198.51.100.9",
        ],
        0,
    );
    let parsed = read(fixture!("delete-manifest-with-its-tags")).unwrap();
    assert_eq!(parsed.events[0].request_id, parsed.events[1].request_id);
}

#[test]
fn the_delete_of_a_tag_and_of_a_repository() {
    brings(
        fixture!("delete-tag-and-repository"),
        &[
            "DeleteTag shop/web v2 - DELETE Peer 198.51.100.9",
            "DeleteRepository shop/web - - DELETE Peer 198.51.100.9",
        ],
        0,
    );
}

#[test]
fn blobs_mounts_and_unknown_actions_are_ignored_and_counted() {
    brings(fixture!("blobs-mounts-and-others"), &[], 3);
}

#[test]
fn an_address_without_a_port_comes_from_a_header() {
    brings(
        fixture!("address-from-a-header"),
        &["Pull shop/web v1 1 GET Header 203.0.113.24"],
        0,
    );
}

#[test]
fn an_event_of_almost_nothing_is_kept_under_a_key_of_its_content() {
    brings(fixture!("nothing-but-the-least"), &["Pull web - - - -"], 0);
    let event = read(fixture!("nothing-but-the-least")).unwrap().events.remove(0);
    assert!(event.id.starts_with("sha256:"), "{}", event.id);
    assert_eq!(event.time, None);
    assert_eq!(
        event.id,
        read(fixture!("nothing-but-the-least")).unwrap().events[0].id
    );
}

#[test]
fn what_cannot_be_read_of_an_optional_field_is_absent() {
    for (pointer, value) in [
        ("/timestamp", json!("2026-03-01T09:06:00")),
        ("/timestamp", json!(1_772_355_960)),
        ("/target/digest", json!("sha256:0123")),
        ("/target/digest", json!("md5:d41d8cd98f00b204e9800998ecf8427e")),
        ("/target/tag", json!("")),
        ("/target/tag", json!("not a tag")),
        ("/target/tag", json!(hash("2"))),
        ("/request/addr", json!("client.local")),
        ("/request/addr", json!({"ip": "10.0.0.1"})),
        ("/request/method", json!("GET /")),
        ("/request/useragent", json!("")),
        ("/request", json!([])),
        ("/actor", json!(null)),
        ("/actor", json!({"name": ""})),
        ("/source", json!("registry")),
        ("/id", json!(7)),
    ] {
        let event = one(&with(pointer, value.clone())).unwrap_or_else(|| panic!("{pointer} {value}"));
        let whole = one(&entry()).unwrap();
        let kept = match pointer {
            "/timestamp" => RegistryEvent { time: None, ..whole },
            "/target/digest" => RegistryEvent {
                digest: None,
                ..whole
            },
            "/target/tag" => RegistryEvent { tag: None, ..whole },
            "/request/addr" => RegistryEvent {
                address: None,
                ..whole
            },
            "/request/method" => RegistryEvent {
                method: None,
                ..whole
            },
            "/request/useragent" => RegistryEvent {
                user_agent: None,
                ..whole
            },
            "/request" => RegistryEvent {
                address: None,
                method: None,
                user_agent: None,
                request_id: None,
                ..whole
            },
            "/source" => RegistryEvent {
                instance_id: None,
                ..whole
            },
            "/id" => RegistryEvent {
                id: event.id.clone(),
                ..whole
            },
            _ => whole,
        };
        assert_eq!(event, kept, "{pointer} {value}");
    }
}

#[test]
fn an_entry_that_does_not_say_what_it_is_about_is_ignored() {
    for entry in [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!({"action": 7}),
        with("/action", json!("PULL")),
        with("/target", json!("web")),
        with("/target/repository", json!(null)),
        with("/target/repository", json!("")),
        with("/target/repository", json!("r".repeat(256))),
        with("/target/tag", json!(["v1"])),
        with("/target/digest", json!(7)),
    ] {
        assert_eq!(one(&entry), None, "{entry}");
    }
}

#[test]
fn the_media_type_tells_a_manifest_from_a_layer_and_else_the_url_does() {
    let manifest_url = "https://r/v2/team/app/manifests/v1";
    for (media_type, url, kept) in [
        ("application/vnd.oci.image.index.v1+json", "", true),
        (
            "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
            "",
            true,
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "",
            true,
        ),
        (
            "application/vnd.docker.container.image.rootfs.diff+x-gtar",
            manifest_url,
            false,
        ),
        ("application/vnd.oci.image.layer.v1.tar+gzip", manifest_url, false),
        ("application/vnd.oci.image.config.v1+json", manifest_url, false),
        ("application/octet-stream", "https://r/v2/team/app/blobs/x", false),
        ("application/vnd.example+json", manifest_url, true),
        ("application/vnd.example+json", "", false),
        ("", "https://r/v2/team/app/manifests/v1?ns=x#y", true),
        ("", "https://r/v2/manifests/app/blobs/x", false),
        ("", "https://r/v2/team/manifests/manifests/v1", true),
        ("", "manifests", false),
        ("", "", false),
    ] {
        let mut entry = with("/target/mediaType", json!(media_type));
        entry["target"]["url"] = json!(url);
        assert_eq!(one(&entry).is_some(), kept, "{media_type} {url}");
    }
}

#[test]
fn a_delete_is_of_the_repository_only_when_it_names_nothing_else() {
    for (tag, digest, expected) in [
        (
            json!(null),
            json!(null),
            Some((DeleteTarget::Repository, None, None)),
        ),
        (json!(""), json!(""), Some((DeleteTarget::Repository, None, None))),
        (
            json!("v1"),
            json!(null),
            Some((DeleteTarget::Tag, Some("v1"), None)),
        ),
        (
            json!(null),
            json!(hash("1")),
            Some((DeleteTarget::Manifest, None, Some(hash("1")))),
        ),
        (
            json!("v1"),
            json!(hash("1")),
            Some((DeleteTarget::Manifest, Some("v1"), Some(hash("1")))),
        ),
        (
            json!(null),
            json!("sha256:0123"),
            Some((DeleteTarget::Manifest, None, None)),
        ),
        (
            json!(hash("1")),
            json!(null),
            Some((DeleteTarget::Manifest, None, Some(hash("1")))),
        ),
        (json!("no tag"), json!(null), None),
        (json!(["v1"]), json!(null), None),
        (json!(null), json!({}), None),
    ] {
        let target = json!({"repository": "team/app", "tag": tag, "digest": digest});
        let event = one(&json!({"id": "x", "action": "delete", "target": target}));
        let found = event.map(|event| {
            (
                event.target.unwrap(),
                event.tag,
                event.digest.map(|digest| digest.to_string()),
            )
        });
        let expected = expected.map(|(target, tag, digest)| (target, tag.map(str::to_owned), digest));
        assert_eq!(found, expected, "{target}");
    }
}

#[test]
fn a_body_that_is_no_list_of_events_is_an_error_that_quotes_nothing() {
    for (body, reason) in [
        ("", "NotJSON"),
        ("token=hunter2", "NotJSON"),
        (r#"{"events": [{"id": "hunter2""#, "NotJSON"),
        ("\"hunter2\"", "UnexpectedShape"),
        ("[]", "UnexpectedShape"),
        (r#"{"hunter2": 1}"#, "UnexpectedShape"),
        (r#"{"events": "hunter2"}"#, "UnexpectedShape"),
    ] {
        let error = read(body).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(read(b"{\"events\": [\"\xff\"]}").unwrap_err().reason(), "NotJSON");
}

#[test]
fn no_events_are_no_error() {
    for body in ["{}", r#"{"events": null}"#, r#"{"events": []}"#] {
        assert_eq!(read(body), Ok(Parsed::default()), "{body}");
    }
}

#[test]
fn more_entries_than_any_registry_sends_are_refused() {
    let body = |count: usize| json!({ "events": vec![json!({}); count] }).to_string();
    assert_eq!(read(body(MAX_ENTRIES)).unwrap().ignored, 10_000);
    assert_eq!(read(body(MAX_ENTRIES + 1)), Err(DialectError::TooManyEntries));
}
