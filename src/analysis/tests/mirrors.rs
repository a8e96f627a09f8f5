use super::fixture::{answer, cluster, events, evidence, tag, tally, used};
use crate::{
    analysis::{Evidence, RegistryEvidence},
    cluster::{Lifecycle::Running, WorkloadUse},
    event::LogicalCategory,
};

/// What is known of `library/app` of a registry with a mirror, whose events are these.
fn mirrored(uses: Vec<WorkloadUse>, pulls: Vec<crate::store::Tally>) -> Evidence {
    let mut events = events(&[("v1", 'a')]);
    events.repository = "hub.example/library/app".parse().unwrap();
    events.mirrors = vec!["harbor.local/hub/".to_owned()];
    events.tally = pulls;
    evidence(
        vec![cluster("one", uses)],
        RegistryEvidence::Events(Box::new(events)),
    )
}

#[test]
fn a_report_shows_the_registrys_own_name_and_deployments_the_one_they_use() {
    let uses = vec![
        used("hub.example/library/app:v1", None, Running, 1),
        used("harbor.local/hub/library/app:v1", None, Running, 2),
    ];
    let status = answer(tag("v1"), &mirrored(uses, Vec::new()));
    let image = status.image.unwrap();
    assert_eq!(image.reference, "hub.example/library/app:v1");
    assert_eq!(
        (
            image.registry.as_str(),
            image.namespace.as_deref(),
            image.repository.as_str()
        ),
        ("hub.example", Some("library"), "app")
    );
    assert_eq!(status.verdict.unwrap().value, "InUse");
    assert_eq!(status.summary.unwrap().pods, 3);
    let mut references: Vec<String> = status.deployments.into_iter().map(|row| row.reference).collect();
    references.sort();
    assert_eq!(
        references,
        ["harbor.local/hub/library/app:v1", "hub.example/library/app:v1"]
    );
}

#[test]
fn a_mirror_is_said_to_hide_clients() {
    let status = answer(tag("v1"), &mirrored(Vec::new(), Vec::new()));
    let entry = status
        .coverage
        .iter()
        .find(|entry| entry.state == "MirrorHidesClients")
        .unwrap();
    assert_eq!(entry.source, "system/registry");
    let message = entry.message.as_deref().unwrap();
    assert!(
        message.contains("the mirror harbor.local/hub/ appear as the mirror itself"),
        "{message}"
    );
}

#[test]
fn unused_does_not_claim_that_nobody_else_pulled_where_a_mirror_hides_it() {
    let verdict = |pulls| {
        let verdict = answer(tag("v1"), &mirrored(Vec::new(), pulls)).verdict.unwrap();
        (verdict.value, verdict.reasons)
    };
    assert_eq!(
        verdict(Vec::new()),
        (
            "Unused".to_owned(),
            vec!["NoReferenceMirrorHidesClients".to_owned()]
        )
    );
    // The mirror itself is no client of a selected cluster: whoever asked it is not known.
    let pull = tally(LogicalCategory::Pull, Some("198.51.100.99"), 1);
    assert_eq!(
        verdict(vec![pull]),
        ("Unknown".to_owned(), vec!["PulledFromElsewhere".to_owned()])
    );
}
