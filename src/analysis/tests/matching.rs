use super::fixture::{answer, cluster, digest, evidence, known, tag, used};
use crate::{
    analysis::Subject,
    cluster::Lifecycle::{Running, Template},
};

/// How one use is a use of the subject, when v1 was pushed with digest a and later moved to b, and v2 has c.
fn matched(subject: Subject, reference: &str, running: Option<&str>) -> Option<String> {
    let lifecycle = if running.is_some() { Running } else { Template };
    let uses = vec![used(reference, running, lifecycle, i64::from(running.is_some()))];
    let status = answer(
        subject,
        &evidence(
            vec![cluster("one", uses)],
            known(&[("v1", 'a'), ("v1", 'b'), ("v2", 'c')]),
        ),
    );
    status.deployments.first().map(|row| row.r#match.clone())
}

#[test]
fn a_tag_is_matched_by_what_it_points_at_or_by_its_name() {
    let by_digest = format!("r.example/team/app@{}", digest('b'));
    let other_digest = format!("r.example/team/app@{}", digest('c'));
    let tag_and_other_digest = format!("r.example/team/app:v1@{}", digest('c'));
    for (reference, running, expected) in [
        ("r.example/team/app:v1", Some("b"), Some("Exact")),
        // Deployed from an earlier push: the same tag, another content.
        ("r.example/team/app:v1", Some("a"), Some("TagOnly")),
        // A config digest cannot be compared.
        ("r.example/team/app:v1", Some("~d"), Some("TagOnly")),
        ("r.example/team/app:v1", Some("~b"), Some("Exact")),
        ("r.example/team/app:v1", None, Some("TagOnly")),
        // The same content under another tag of the repository.
        ("r.example/team/app:v2", Some("b"), Some("Exact")),
        ("r.example/team/app:v2", Some("c"), None),
        ("r.example/team/app", Some("c"), None),
        (by_digest.as_str(), None, Some("Exact")),
        (other_digest.as_str(), Some("c"), None),
        // With both, the digest decides.
        (tag_and_other_digest.as_str(), Some("c"), None),
    ] {
        assert_eq!(
            matched(tag("v1"), reference, running).as_deref(),
            expected,
            "{reference} running {running:?}"
        );
    }
}

#[test]
fn no_tag_means_latest() {
    assert_eq!(
        matched(tag("latest"), "r.example/team/app", Some("d")).as_deref(),
        Some("TagOnly")
    );
}

#[test]
fn a_tag_nobody_told_of_is_matched_by_its_name_alone() {
    assert_eq!(
        matched(tag("v9"), "r.example/team/app:v9", Some("d")).as_deref(),
        Some("TagOnly")
    );
    assert_eq!(matched(tag("v9"), "r.example/team/app:v1", Some("b")), None);
}

#[test]
fn a_digest_is_matched_by_what_runs_or_by_what_would_be_pulled() {
    let subject = || Subject::Digest(digest('b'));
    let by_digest = format!("r.example/team/app@{}", digest('b'));
    for (reference, running, expected) in [
        ("r.example/team/app:v1", Some("b"), Some("Exact")),
        (by_digest.as_str(), None, Some("Exact")),
        ("r.example/team/app:v2", Some("b"), Some("Exact")),
        // Its tag points at the digest, and what runs cannot be compared.
        ("r.example/team/app:v1", None, Some("TagOnly")),
        ("r.example/team/app:v1", Some("~d"), Some("TagOnly")),
        // Its tag points at the digest now, but what runs is another.
        ("r.example/team/app:v1", Some("a"), None),
        ("r.example/team/app:v2", None, None),
    ] {
        assert_eq!(
            matched(subject(), reference, running).as_deref(),
            expected,
            "{reference} running {running:?}"
        );
    }
}

#[test]
fn a_repository_is_matched_by_all_its_images() {
    for (reference, running, expected) in [
        ("r.example/team/app:v1", Some("b"), "Exact"),
        ("r.example/team/app:v1", Some("a"), "TagOnly"),
        ("r.example/team/app:v9", Some("d"), "TagOnly"),
    ] {
        assert_eq!(
            matched(Subject::Repository, reference, running).as_deref(),
            Some(expected),
            "{reference}"
        );
    }
}
