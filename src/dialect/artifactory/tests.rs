use serde_json::json;

use super::*;
use crate::{
    dialect::{
        Format::Artifactory,
        tests::{brings, samples, with},
    },
    event::DeleteTarget,
};

#[test]
fn pushes_promotions_and_deletes_of_a_tag() {
    for (name, line) in [
        ("pushed", "Push docker-local/shop/web :v1 @1111"),
        ("promoted", "Push docker-prod/shop/web :v1 @1111"),
        ("deleted", "Delete Tag docker-local/shop/web :v1 @1111"),
        ("pushed-by-digest", "Push docker-local/shop/web @2222"),
        (
            "a-proxy-fills-its-cache",
            "Push docker-hub-cache/library/base :latest @3333",
        ),
        (
            "the-data-alone",
            "Push docker-hub-cache/library/base :latest @3333",
        ),
        ("nothing-but-the-least", "Push docker-local/web"),
    ] {
        brings(Artifactory, name, &[line], 0);
    }
}

#[test]
fn other_domains_and_unknown_types_are_ignored() {
    brings(Artifactory, "another-domain", &[], 1);
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
        assert_eq!(
            with(Artifactory, "pushed", &[(pointer, value)]),
            None,
            "{pointer}"
        );
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
        let event = with(Artifactory, "deleted", &[("/data/tag", tag.clone())]);
        assert_eq!(event.and_then(|event| event.target), target, "{tag}");
    }
}

#[test]
fn a_digest_that_is_none_is_absent() {
    for sha256 in ["sample_checksum", "", "0123"] {
        let event = with(Artifactory, "pushed", &[("/data/sha256", json!(sha256))]);
        assert_eq!(event.unwrap().digest, None, "{sha256}");
    }
}

#[test]
fn a_body_that_is_no_object_is_an_error() {
    let error = Artifactory.parse(&HeaderMap::new(), b"[]").unwrap_err();
    assert_eq!(error.reason(), "UnexpectedShape");
}

#[test]
fn samples_of_others() {
    samples(
        Artifactory,
        "jfrog-artifactory",
        &[
            ("artifact-deployed-ignore", &[]),
            (
                "docker-deleted",
                &["Delete Tag sample_repo/sample_arch :sample_image"],
            ),
            ("docker-promoted", &["Push sample_repo/sample_arch :sample_image"]),
            ("docker-pushed", &["Push sample_repo/sample_arch :sample_image"]),
            (
                "docker-pushed-data",
                &["Push docker-remote-cache/library/ubuntu :latest @35c4"],
            ),
            ("docker-pushed-full", &["Push docker-local/team/app :1.4.2 @0824"]),
        ],
    );
}
