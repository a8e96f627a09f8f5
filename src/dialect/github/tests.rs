use serde_json::json;

use super::*;
use crate::dialect::{
    Format,
    tests::{Fixtures, with},
};

const GITHUB: Fixtures = Fixtures(Format::GitHub);

#[test]
fn each_fixture_brings_what_it_tells() {
    GITHUB.bring(&[
        ("another-kind-of-package", &[], 1),
        (
            "package-updated",
            &[
                "Push octo-shop/web/api:v2@22 type application/vnd.oci.image.index.v1+json by alice \
                 at 2026-03-04T09:30:00Z request sha256:e8c408b631fcec7614cf45f05f34a0c73755e01103b1e736a75824de7fda4514 \
                 id 5b1f2a60-0000-11f1-8000-000000000002",
            ],
            0,
        ),
        ("ping", &[], 1),
        (
            "published-without-a-tag",
            &[
                "Push octo-shop/web@33 type application/vnd.oci.image.index.v1+json by alice \
                 at 2026-03-04T09:30:00Z request sha256:796632a28bca18c4f20b14fce2918d9696c48e2a68ae2da394a9bacb525f8252 \
                 id 5b1f2a60-0000-11f1-8000-000000000003",
            ],
            0,
        ),
        (
            "published-without-a-version",
            &[
                "Push octo-shop/web by alice at 2026-03-04T09:30:00Z \
                 request sha256:f16724fc273c782dca3fd9746aa886102411f33d4d95bbc1ab81a71a834fbc63",
            ],
            0,
        ),
        (
            "registry-package-published",
            &[
                "Push octo-shop/web:v1@11 type application/vnd.oci.image.index.v1+json by alice \
                 at 2026-03-04T09:30:00Z request sha256:aa5573bf84060b3b7645689b56ec7a99bc313758825cd823fbb7422518ce1ce1 \
                 id 5b1f2a60-0000-11f1-8000-000000000001",
            ],
            0,
        ),
    ]);
}

/// What a published package brings when something else is in places of it.
fn published(changes: &[(&str, Value)]) -> Option<RegistryEvent> {
    let body = GITHUB.body("registry-package-published");
    let change = |body, (pointer, value): &(&str, Value)| with(body, pointer, value.clone());
    GITHUB.one(&changes.iter().fold(body, change))
}

#[test]
fn other_events_are_ignored() {
    for (pointer, value) in [
        ("/action", json!("deleted")),
        ("/action", json!(7)),
        ("/registry_package", json!("web")),
    ] {
        assert_eq!(published(&[(pointer, value)]), None, "{pointer}");
    }
}

#[test]
fn a_container_is_told_by_any_of_the_places_that_tell_it() {
    let (kind, ecosystem) = ("/registry_package/package_type", "/registry_package/ecosystem");
    let metadata = "/registry_package/package_version/container_metadata";
    for (changes, kept) in [
        (vec![(kind, json!("npm")), (ecosystem, json!("npm"))], true),
        (vec![(kind, json!("npm")), (metadata, json!(null))], true),
        (vec![(ecosystem, json!(7)), (metadata, json!(null))], true),
        (
            vec![
                (kind, json!("npm")),
                (ecosystem, json!("npm")),
                (metadata, json!(null)),
            ],
            false,
        ),
    ] {
        assert_eq!(published(&changes).is_some(), kept, "{changes:?}");
    }
}

#[test]
fn the_repository_is_the_path_of_the_url_in_lower_case() {
    for (url, path) in [
        ("ghcr.io/Octo-Shop/Web:v1", Some("Octo-Shop/Web")),
        ("ghcr.io/octo-shop/web", Some("octo-shop/web")),
        ("ghcr.io/octo-shop/web:", Some("octo-shop/web")),
        (
            "https://containers.example.com:8443/octo-shop/a/web:v1",
            Some("octo-shop/a/web"),
        ),
        ("ghcr.io/octo-shop/web:v1@sha256:00", Some("octo-shop/web")),
        ("ghcr.io/", None),
        ("ghcr.io", None),
        ("ghcr.io/:v1", None),
        ("", None),
    ] {
        assert_eq!(super::path(url), path, "{url}");
    }
    let url = "/registry_package/package_version/package_url";
    let event = published(&[(url, json!(null))]);
    assert_eq!(event.unwrap().repository, "octo-shop/web", "of owner and name");
    let owner = ("/registry_package/owner", json!(null));
    assert_eq!(published(&[(url, json!(null)), owner]), None);
}

#[test]
fn the_digest_is_the_first_valid_one() {
    let version = "/registry_package/package_version";
    let short = json!("sha256:0123");
    let mut changes: Vec<(&str, Value)> = Vec::new();
    let places = [
        "version",
        "name",
        "container_metadata/tag/digest",
        "container_metadata/manifest/digest",
    ];
    let places = places.map(|place| format!("{version}/{place}"));
    for place in &places {
        assert!(published(&changes).unwrap().digest.is_some(), "{changes:?}");
        changes.push((place.as_str(), short.clone()));
    }
    assert_eq!(published(&changes).unwrap().digest, None);
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    GITHUB.refuse("payload=%7B%7D", "NotJSON");
    GITHUB.refuse("[]", "UnexpectedShape");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    GITHUB.samples_bring(
        "ghcr",
        &[
            (
                "package.published",
                &["Push codertocat/hello-world@3d \
                     type application/vnd.docker.distribution.manifest.v2+json by Codertocat \
                     at 2019-05-09T23:28:29Z id 72d3162e-cc78-11e3-81ab-4c9367dc0958"],
                0,
            ),
            (
                "registry_package.published",
                &["Push codertocat/hello-world@3d \
                     type application/vnd.docker.distribution.manifest.v2+json by github-actions[bot] \
                     at 2019-05-09T23:28:29Z id 72d3162e-cc78-11e3-81ab-4c9367dc0958"],
                0,
            ),
            (
                "registry_package.published-tagged",
                &[
                    "Push octo-org/web:1.4.2@0a type application/vnd.docker.distribution.manifest.v2+json \
                     by octo-dev at 2026-01-05T13:00:00Z id 72d3162e-cc78-11e3-81ab-4c9367dc0958",
                ],
                0,
            ),
        ],
    );
}
