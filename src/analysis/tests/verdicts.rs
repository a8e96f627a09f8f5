use super::fixture::{answer, cluster, digest, events, evidence, known, tag, tally, used};
use crate::{
    analysis::{ClusterState, Evidence, RegistryEvidence, Subject},
    cluster::{
        Lifecycle::{self, Finished, Revision, Running, Scheduled, Template},
        WorkloadUse,
    },
    crd::{ClusterName, Coverage},
    event::LogicalCategory,
};

const V1: &str = "r.example/team/app:v1";

fn verdict(evidence: &Evidence) -> (String, Vec<String>) {
    let verdict = answer(tag("v1"), evidence).verdict.unwrap();
    (verdict.value, verdict.reasons)
}

fn of_uses(lifecycles: &[Lifecycle]) -> String {
    let uses: Vec<WorkloadUse> = lifecycles
        .iter()
        .map(|lifecycle| used(V1, None, *lifecycle, i64::from(*lifecycle == Running)))
        .collect();
    verdict(&evidence(vec![cluster("one", uses)], known(&[("v1", 'a')]))).0
}

#[test]
fn the_strongest_use_wins() {
    for (lifecycles, expected) in [
        (&[Running, Template, Scheduled, Revision, Finished][..], "InUse"),
        (&[Template, Scheduled, Revision], "ScaledToZero"),
        (&[Scheduled, Finished], "ScheduledOnly"),
        (&[Revision], "RollbackOnly"),
        (&[Finished], "RollbackOnly"),
        (&[], "Unused"),
    ] {
        assert_eq!(of_uses(lifecycles), expected, "{lifecycles:?}");
    }
}

fn nothing_runs() -> Evidence {
    evidence(vec![cluster("one", Vec::new())], known(&[("v1", 'a')]))
}

#[test]
fn missing_coverage_turns_unused_into_unknown_and_says_why() {
    let with_state = |state: ClusterState| {
        let mut evidence = nothing_runs();
        evidence.clusters[0].state = state;
        evidence
    };
    let since = super::fixture::now();
    let mut limited = nothing_runs();
    limited.clusters[0].scope_limited = true;
    let mut withdrawn = nothing_runs();
    withdrawn.withdrawn.push(Coverage {
        source: "system/gone".into(),
        kind: "Cluster".into(),
        state: "Withdrawn".into(),
        time: None,
        message: None,
        uid: Some("u".into()),
    });
    let nobody = evidence(Vec::new(), known(&[]));
    let hidden = Evidence {
        hidden_clusters: 1,
        ..evidence(Vec::new(), known(&[]))
    };
    let conflict = evidence(
        vec![cluster("one", Vec::new())],
        RegistryEvidence::Conflict(vec!["a/b".into()]),
    );
    for (evidence, reason) in [
        (
            with_state(ClusterState::Stale {
                since,
                reason: "TimedOut",
            }),
            "ClusterStale",
        ),
        (
            with_state(ClusterState::Unreachable {
                since,
                reason: "TimedOut",
            }),
            "ClusterUnreachable",
        ),
        (
            with_state(ClusterState::Forbidden {
                since,
                kinds: vec!["jobs"],
            }),
            "ClusterRightsMissing",
        ),
        (with_state(ClusterState::Suspended { since }), "ClusterSuspended"),
        (limited, "NamespacesLeftOut"),
        (withdrawn, "ClusterWithdrawn"),
        (nobody, "SelectorMatchesNothing"),
        (hidden, "NoClusterAllowsNamespace"),
        (conflict, "HostConflict"),
    ] {
        assert_eq!(verdict(&evidence), ("Unknown".into(), vec![reason.to_owned()]));
    }
}

#[test]
fn a_use_counts_whatever_is_missing() {
    let mut evidence = evidence(
        vec![cluster("one", vec![used(V1, Some("a"), Running, 1)])],
        RegistryEvidence::None,
    );
    evidence.hidden_clusters = 3;
    evidence.clusters[0].scope_limited = true;
    assert_eq!(verdict(&evidence).0, "InUse");
}

#[test]
fn unused_needs_no_events_and_says_so() {
    let without = evidence(vec![cluster("one", Vec::new())], RegistryEvidence::None);
    assert_eq!(
        verdict(&without),
        ("Unused".into(), vec!["NoReferenceEventsNotAvailable".to_owned()])
    );
    assert_eq!(
        verdict(&nothing_runs()),
        ("Unused".into(), vec!["NoReferenceAndNoForeignPull".to_owned()])
    );
}

#[test]
fn a_reference_by_a_digest_whose_place_is_not_known_may_be_part_of_the_image() {
    let by = |letter| {
        let reference = format!("r.example/team/app@{}", digest(letter));
        let uses = vec![used(&reference, Some("d"), Running, 1)];
        evidence(vec![cluster("one", uses)], known(&[("v1", 'a'), ("v2", 'c')]))
    };
    assert_eq!(
        verdict(&by('d')),
        ("Unknown".into(), vec!["DigestPlaceUnknown".to_owned()])
    );
    assert_eq!(verdict(&by('c')).0, "Unused", "c is known to be v2's");
}

#[test]
fn a_pull_that_no_selected_cluster_explains_speaks_against_unused() {
    let with = |category, address| {
        let mut events = events(&[("v1", 'a')]);
        events.tally.push(tally(category, address, 1));
        evidence(
            vec![cluster("one", Vec::new())],
            RegistryEvidence::Events(Box::new(events)),
        )
    };
    for (category, address, expected) in [
        (LogicalCategory::Pull, Some("203.0.113.7"), "Unknown"),
        (LogicalCategory::Check, Some("203.0.113.7"), "Unknown"),
        (LogicalCategory::Pull, None, "Unknown"),
        (LogicalCategory::Pull, Some("192.0.2.10"), "Unused"),
        (LogicalCategory::Push, Some("203.0.113.7"), "Unused"),
    ] {
        assert_eq!(
            verdict(&with(category, address)).0,
            expected,
            "{category:?} {address:?}"
        );
    }
}

#[test]
fn two_authorisations_of_one_cluster_are_one() {
    let mut twice = nothing_runs();
    let mut other = cluster("two", Vec::new());
    other.state = ClusterState::SameCluster {
        of: ClusterName {
            namespace: "system".into(),
            name: "one".into(),
        },
    };
    twice.clusters.push(other);
    assert_eq!(verdict(&twice).0, "Unused");
}

#[test]
fn each_tag_of_a_repository_has_a_verdict() {
    let uses = vec![
        used(V1, Some("a"), Running, 2),
        used("r.example/team/app:v3", None, Scheduled, 0),
    ];
    let status = answer(
        Subject::Repository,
        &evidence(vec![cluster("one", uses)], {
            let mut events = events(&[("v1", 'a'), ("v2", 'b')]);
            events.tags = ["v1", "v2"]
                .map(|tag| crate::store::TagFacts {
                    tag: tag.into(),
                    digest: None,
                    last_push: None,
                    last_pull: None,
                    deleted: None,
                })
                .to_vec();
            RegistryEvidence::Events(Box::new(events))
        }),
    );
    let tags: Vec<(&str, &str, i64)> = status
        .tags
        .iter()
        .map(|tag| (tag.tag.as_str(), tag.verdict.as_str(), tag.pods))
        .collect();
    assert_eq!(
        tags,
        [
            ("v1", "InUse", 2),
            ("v2", "Unused", 0),
            ("v3", "ScheduledOnly", 0)
        ]
    );
    assert_eq!(status.verdict.unwrap().value, "InUse");
}
