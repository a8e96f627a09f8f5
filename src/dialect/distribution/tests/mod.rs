mod gitlab;
mod samples;

use serde_json::json;

use super::*;
use crate::dialect::{Format, tests::Fixtures};

const DISTRIBUTION: Fixtures = Fixtures(Format::Distribution);

/// What a body with this one entry brings.
fn one(entry: &Value) -> Option<RegistryEvent> {
    DISTRIBUTION.one(&json!({ "events": [entry] }))
}

/// A pull by tag to change something in.
fn entry() -> Value {
    DISTRIBUTION.body("address-from-a-header")["events"][0].clone()
}

fn with(pointer: &str, value: Value) -> Value {
    crate::dialect::tests::with(entry(), pointer, value)
}

fn hash(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

#[test]
fn each_fixture_brings_what_it_tells() {
    DISTRIBUTION.bring(&[
        (
            "address-from-a-header",
            &[
                "Pull shop/web:v1@11 type application/vnd.docker.distribution.manifest.v2+json method GET \
                 from Header 203.0.113.24 with docker/27.3.1 go/go1.22.7 os/linux arch/amd64 \
                 UpstreamClient(Docker-Client/27.3.1 \\(linux\\)) at 2026-03-01T09:06:00Z request \
                 0a1b2c3d-0000-4000-8000-000000000051 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 id \
                 5e0f3c1a-0000-4000-8000-000000000051",
            ],
            0,
        ),
        ("blobs-mounts-and-others", &[], 3),
        (
            "delete-manifest-with-its-tags",
            &[
                "Delete Manifest shop/web@11 method DELETE from Peer 198.51.100.9 by admin with curl/8.5.0 \
                 at 2026-03-02T08:00:00Z request 0a1b2c3d-0000-4000-8000-000000000021 \
                 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 id 5e0f3c1a-0000-4000-8000-000000000021",
                "Delete Tag shop/web:v1 method DELETE from Peer 198.51.100.9 by admin with curl/8.5.0 \
                 at 2026-03-02T08:00:00.1Z request 0a1b2c3d-0000-4000-8000-000000000021 \
                 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 id 5e0f3c1a-0000-4000-8000-000000000022",
            ],
            0,
        ),
        (
            "delete-tag-and-repository",
            &[
                "Delete Tag shop/web:v2 method DELETE from Peer 198.51.100.9 by admin with curl/8.5.0 \
                 at 2026-03-02T08:10:00Z request 0a1b2c3d-0000-4000-8000-000000000031 \
                 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 id 5e0f3c1a-0000-4000-8000-000000000031",
                "Delete Repository shop/web method DELETE from Peer 198.51.100.9 by admin with curl/8.5.0 \
                 at 2026-03-02T08:11:00Z request 0a1b2c3d-0000-4000-8000-000000000032 \
                 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 id 5e0f3c1a-0000-4000-8000-000000000032",
            ],
            0,
        ),
        ("nothing-but-the-least", &["Pull web"], 0),
        (
            "pull-by-containerd",
            &[
                "Pull shop/web:v1@11 type application/vnd.oci.image.index.v1+json method HEAD \
                 from Peer 10.42.0.5 with containerd/v2.4.2 at 2026-03-01T09:05:00.123456789Z \
                 request 0a1b2c3d-0000-4000-8000-000000000011 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000011",
                "Pull shop/web@11 type application/vnd.oci.image.index.v1+json method GET \
                 from Peer 10.42.0.5 with containerd/v2.4.2 at 2026-03-01T09:05:00.323456789Z \
                 request 0a1b2c3d-0000-4000-8000-000000000012 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000012",
                "Pull shop/web@aa type application/vnd.oci.image.manifest.v1+json method GET \
                 from Peer 10.42.0.5 with containerd/v2.4.2 at 2026-03-01T09:05:00.523456789Z \
                 request 0a1b2c3d-0000-4000-8000-000000000013 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000013",
            ],
            1,
        ),
        (
            "push-index-and-children",
            &[
                "Push shop/web@aa type application/vnd.oci.image.manifest.v1+json method PUT \
                 from Peer 198.51.100.7 by ci with crane/0.22.1 at 2026-03-01T09:00:00.100000001Z \
                 request 0a1b2c3d-0000-4000-8000-000000000001 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000001",
                "Push shop/web@bb type application/vnd.oci.image.manifest.v1+json method PUT \
                 from Peer 198.51.100.7 by ci with crane/0.22.1 at 2026-03-01T09:00:00.2000002Z \
                 request 0a1b2c3d-0000-4000-8000-000000000002 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000002",
                "Push shop/web:v1@11 type application/vnd.oci.image.index.v1+json method PUT \
                 from Peer 198.51.100.7 by ci with crane/0.22.1 at 2026-03-01T09:00:00.300000003Z \
                 request 0a1b2c3d-0000-4000-8000-000000000003 instance 6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11 \
                 id 5e0f3c1a-0000-4000-8000-000000000003",
            ],
            0,
        ),
    ]);
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
        DISTRIBUTION.refuse(body, reason);
    }
    DISTRIBUTION.refuse(b"{\"events\": [\"\xff\"]}", "NotJSON");
}

#[test]
fn no_events_are_no_error() {
    for body in ["{}", r#"{"events": null}"#, r#"{"events": []}"#] {
        assert_eq!(DISTRIBUTION.read(body), Ok(Parsed::default()), "{body}");
    }
}

#[test]
fn more_entries_than_any_registry_sends_are_refused() {
    let body = |count: usize| json!({ "events": vec![json!({}); count] }).to_string();
    assert_eq!(DISTRIBUTION.read(body(MAX_ENTRIES)).unwrap().ignored, 10_000);
    DISTRIBUTION.refuse(body(MAX_ENTRIES + 1), "TooManyEntries");
}
