use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::fixture::{answer, cluster, events, evidence, gap, known, now, question, tag, time};
use crate::{
    analysis::{ClusterState, Evidence, Range, RegistryEvidence, report, withdrawn},
    crd::{Coverage, ImageUsageReportStatus},
    dialect::Format,
    event::Category,
    store::Gap,
};

fn condition(status: &ImageUsageReportStatus, kind: &str) -> (String, String) {
    let condition = status
        .conditions
        .iter()
        .find(|condition| condition.r#type == kind)
        .unwrap();
    (format!("{:?}", condition.status), condition.reason.clone())
}

fn events_complete(evidence: &Evidence, hours: i64) -> String {
    let mut question = question(tag("v1"));
    question.range = Range::Last(SignedDuration::from_hours(hours));
    condition(
        &report(&question, evidence, &ImageUsageReportStatus::default(), 1, now()),
        "EventsComplete",
    )
    .1
}

#[test]
fn what_is_missing_from_the_events_is_said() {
    let with = |change: fn(&mut crate::analysis::EventEvidence)| {
        let mut events = events(&[("v1", 'a')]);
        change(&mut events);
        evidence(
            vec![cluster("one", Vec::new())],
            RegistryEvidence::Events(Box::new(events)),
        )
    };
    let complete = with(|_| {});
    assert_eq!(events_complete(&complete, 24), "Complete");
    // Known since the first of June: 30 days back from the last of June at noon is before.
    assert_eq!(events_complete(&complete, 30 * 24), "WindowBeforeCoverage");
    let short = with(|events| {
        events.sources[0].since = time("2026-01-01T00:00:00Z");
        events.retention = SignedDuration::from_hours(7 * 24);
    });
    assert_eq!(events_complete(&short, 30 * 24), "WindowBeforeRetention");
    assert_eq!(
        events_complete(&short, 7 * 24),
        "Complete",
        "the window begins on a full hour"
    );
    let gap_now = with(|events| {
        events.sources[0]
            .gaps
            .push(gap("2026-06-30T08:00:00Z", "2026-06-30T09:00:00Z"));
    });
    assert_eq!(events_complete(&gap_now, 24), "PossibleGap");
    let gap_long_ago = with(|events| {
        events.sources[0]
            .gaps
            .push(gap("2026-06-02T08:00:00Z", "2026-06-02T09:00:00Z"));
    });
    assert_eq!(events_complete(&gap_long_ago, 24), "Complete");
    let gap_since_long_ago = with(|events| {
        events.sources[0].gaps.push(Gap {
            is_open: true,
            ..gap("2026-06-02T08:00:00Z", "2026-06-02T09:00:00Z")
        });
    });
    assert_eq!(events_complete(&gap_since_long_ago, 24), "PossibleGap");
    let says = |change: fn(&mut crate::analysis::EventEvidence)| events_complete(&with(change), 24);
    assert_eq!(
        says(|events| events.formats = [("notifications".to_owned(), Format::DockerHub)].into()),
        "CategoryNotReported",
        "it reports pushes alone"
    );
    let harbor = |events: &mut crate::analysis::EventEvidence| {
        events.formats = [("notifications".to_owned(), Format::Harbor)].into();
    };
    assert_eq!(says(harbor), "CategoryNotReported", "it has reported none so far");
    let mut told = events(&[("v1", 'a')]);
    told.formats = [("notifications".to_owned(), Format::Harbor)].into();
    told.sources[0].reported = [Category::Push, Category::Pull, Category::Delete]
        .map(|category| (category, time("2026-06-10T00:00:00Z")))
        .into();
    let told = evidence(
        vec![cluster("one", Vec::new())],
        RegistryEvidence::Events(Box::new(told)),
    );
    assert_eq!(events_complete(&told, 24), "Complete");
    assert_eq!(events_complete(&told, 21 * 24), "WindowBeforeCoverage");
    // Of two sources of the same events one without a gap is enough.
    let two = with(|events| {
        let mut second = events.sources[0].clone();
        second.source = "second".to_owned();
        events.formats.insert(second.source.clone(), Format::Distribution);
        events.sources[0]
            .gaps
            .push(gap("2026-06-30T08:00:00Z", "2026-06-30T09:00:00Z"));
        events.sources.push(second);
    });
    assert_eq!(events_complete(&two, 24), "Complete");
    let silent = with(|events| events.sources.clear());
    assert_eq!(events_complete(&silent, 24), "NothingReceived");
    let none = evidence(vec![cluster("one", Vec::new())], RegistryEvidence::None);
    assert_eq!(events_complete(&none, 24), "NoRegistry");
}

#[test]
fn gaps_never_show_in_ready() {
    let mut evidence = evidence(vec![cluster("one", Vec::new())], RegistryEvidence::None);
    evidence.clusters[0].state = ClusterState::Unreachable {
        since: now(),
        reason: "TimedOut",
    };
    let status = answer(tag("v1"), &evidence);
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!(
        condition(&status, "ClustersComplete"),
        ("False".into(), "ClusterUnreachable".into())
    );
    assert_eq!(status.coverage[0].state, "Unreachable");
}

#[test]
fn a_tag_that_no_event_named_is_said_to_be_unknown() {
    let states = |pointers| -> Vec<String> {
        let status = answer(
            tag("v1"),
            &evidence(vec![cluster("one", Vec::new())], known(pointers)),
        );
        status
            .coverage
            .into_iter()
            .map(|coverage| coverage.state)
            .collect()
    };
    assert!(states(&[]).contains(&"TagPointerUnknown".to_owned()));
    assert!(!states(&[("v1", 'a')]).contains(&"TagPointerUnknown".to_owned()));
}

#[test]
fn hidden_clusters_are_a_bare_number() {
    let mut evidence = evidence(Vec::new(), RegistryEvidence::None);
    evidence.hidden_clusters = 2;
    let coverage = &answer(tag("v1"), &evidence).coverage[0];
    assert_eq!(
        (coverage.kind.as_str(), coverage.source.as_str()),
        ("Hidden", "2")
    );
}

#[test]
fn a_withdrawn_cluster_stays_in_coverage_for_thirty_days_or_until_accepted() {
    let entry = |state: &str, time| Coverage {
        source: "system/far".into(),
        kind: "Cluster".into(),
        state: state.into(),
        time,
        message: None,
        uid: Some("far".into()),
    };
    let none = BTreeSet::new();
    let far = BTreeSet::from(["far"]);
    let states = |previous: Coverage,
                  serving: &BTreeSet<&str>,
                  deselected: &BTreeSet<&str>,
                  accepted: &BTreeSet<&str>| {
        let kept = withdrawn(&[previous], serving, deselected, accepted, now());
        kept.into_iter()
            .map(|coverage| coverage.state)
            .collect::<Vec<_>>()
    };
    let synced = || entry("Synced", Some(time("2026-01-01T00:00:00Z")));
    assert_eq!(states(synced(), &none, &none, &none), ["Withdrawn"]);
    assert!(states(synced(), &far, &none, &none).is_empty(), "it still serves");
    assert!(
        states(synced(), &none, &far, &none).is_empty(),
        "the report itself left it out"
    );
    assert!(
        states(synced(), &none, &none, &far).is_empty(),
        "accepted by the annotation"
    );
    let recent = entry("Withdrawn", Some(time("2026-06-10T00:00:00Z")));
    assert_eq!(states(recent, &none, &none, &none), ["Withdrawn"]);
    let long_ago = entry("Withdrawn", Some(time("2026-05-30T00:00:00Z")));
    assert!(states(long_ago, &none, &none, &none).is_empty());
}
