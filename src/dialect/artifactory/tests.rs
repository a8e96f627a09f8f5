use serde_json::json;

use super::*;
use crate::{
    dialect::{Format, tests::Fixtures},
    event::DeleteTarget,
};

const ARTIFACTORY: Fixtures = Fixtures(Format::Artifactory);

fn with(name: &str, pointer: &str, value: Value) -> Option<RegistryEvent> {
    ARTIFACTORY.one(&ARTIFACTORY.with(name, pointer, value))
}

#[test]
fn each_fixture_brings_what_it_tells() {
    ARTIFACTORY.bring(&[
        (
            "a-proxy-fills-its-cache",
            &["Push docker-hub-cache/library/base:latest@33"],
            0,
        ),
        ("another-domain", &[], 1),
        ("deleted", &["Delete Tag docker-local/shop/web:v1@11"], 0),
        ("nothing-but-the-least", &["Push docker-local/web"], 0),
        ("promoted", &["Push docker-prod/shop/web:v1@11"], 0),
        ("pushed", &["Push docker-local/shop/web:v1@11"], 0),
        ("pushed-by-digest", &["Push docker-local/shop/web@22"], 0),
        (
            "the-data-alone",
            &["Push docker-hub-cache/library/base:latest@33"],
            0,
        ),
    ]);
}

#[test]
fn other_domains_and_unknown_types_are_ignored() {
    for (pointer, value) in [
        ("/event_type", json!("scanned")),
        ("/event_type", json!(null)),
        ("/domain", json!(7)),
        ("/data", json!(null)),
        ("/data/repo_key", json!("")),
        ("/data/image_name", json!(null)),
        ("/data/image_name", json!("i".repeat(255))),
        ("/data/sha256", json!(1)),
    ] {
        assert_eq!(with("pushed", pointer, value), None, "{pointer}");
    }
}

#[test]
fn a_delete_is_of_what_the_tag_names() {
    let digest = format!("sha256:{}", "5".repeat(64));
    for (tag, target) in [
        (json!("v1"), Some(DeleteTarget::Tag)),
        (json!(digest), Some(DeleteTarget::Manifest)),
        (json!("no tag"), None),
        (json!(null), None),
        (json!(7), None),
    ] {
        let event = with("deleted", "/data/tag", tag.clone());
        assert_eq!(event.and_then(|event| event.target), target, "{tag}");
    }
}

#[test]
fn a_digest_that_is_none_is_absent() {
    for sha256 in ["sample_checksum", "", "0123"] {
        let event = with("pushed", "/data/sha256", json!(sha256));
        assert_eq!(event.unwrap().digest, None, "{sha256}");
    }
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    ARTIFACTORY.refuse("[]", "UnexpectedShape");
}

#[test]
fn samples_of_others_decode_as_they_should() {
    ARTIFACTORY.samples_bring(
        "jfrog-artifactory",
        &[
            ("artifact-deployed-ignore", &[], 1),
            (
                "docker-deleted",
                &["Delete Tag sample_repo/sample_arch:sample_image"],
                0,
            ),
            (
                "docker-promoted",
                &["Push sample_repo/sample_arch:sample_image"],
                0,
            ),
            ("docker-pushed", &["Push sample_repo/sample_arch:sample_image"], 0),
            (
                "docker-pushed-data",
                &["Push docker-remote-cache/library/ubuntu:latest@35"],
                0,
            ),
            ("docker-pushed-full", &["Push docker-local/team/app:1.4.2@08"], 0),
        ],
    );
}
