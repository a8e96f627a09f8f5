use super::fixture::{
    answer, cluster, digest, events, evidence, known, now, question, tag, tally, time, used,
};
use crate::{
    analysis::{
        ClusterEvidence, EventEvidence, Evidence, RegistryEvidence, Subject, asks_for_past, fit, report,
    },
    cluster::{
        ContainerType,
        Lifecycle::{Finished, Revision, Running, Scheduled, Template},
        WorkloadUse,
    },
    crd::{
        ClientDetails, EventCategory, ImageUsageReportStatus, NetworkType, Summary, WorkloadDetail,
        condition_type,
    },
    dialect::Format,
    event::{AddressSource, Attribution, LogicalCategory, LogicalEvent, SourceAddress, TimeSource},
    store::{AttributedEvent, UsageSpan},
};

const V1: &str = "r.example/team/app:v1";

#[test]
fn a_row_without_pods_that_says_nothing_new_is_left_out() {
    let uses = vec![
        used(V1, Some("a"), Running, 3),
        used(V1, None, Template, 0),
        used(V1, None, Revision, 0),
        WorkloadUse {
            name: "nightly".into(),
            ..used(V1, None, Scheduled, 0)
        },
        WorkloadUse {
            name: "nightly".into(),
            ..used(V1, Some("a"), Finished, 2)
        },
        WorkloadUse {
            name: "nightly".into(),
            ..used(V1, None, Revision, 0)
        },
    ];
    let status = answer(
        tag("v1"),
        &evidence(vec![cluster("one", uses)], known(&[("v1", 'a')])),
    );
    let rows: Vec<(&str, &str, i64)> = status
        .deployments
        .iter()
        .map(|row| {
            (
                row.name.as_deref().unwrap_or_default(),
                row.state.as_str(),
                row.pods,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("web", "Running", 3),
            ("nightly", "Finished", 2),
            ("nightly", "Scheduled", 0)
        ]
    );
}

#[test]
fn a_pod_with_the_image_in_two_containers_is_one_pod() {
    let uses = vec![
        used(V1, Some("a"), Running, 3),
        WorkloadUse {
            container: "migrate".into(),
            container_type: ContainerType::Init,
            ..used(V1, Some("a"), Running, 3)
        },
        // During a rollout the same container runs two digests.
        used(V1, Some("b"), Running, 1),
    ];
    let summary = answer(tag("v1"), &evidence(vec![cluster("one", uses)], known(&[])))
        .summary
        .unwrap();
    assert_eq!(
        (summary.pods, summary.workloads, summary.digests, summary.clusters),
        (4, 1, 2, 1)
    );
}

fn summary(
    tallies: Vec<crate::store::Tally>,
    categories: &[EventCategory],
    networks: &[NetworkType],
) -> Summary {
    let mut events = events(&[]);
    events.tally = tallies;
    let evidence = evidence(
        vec![cluster("one", Vec::new())],
        RegistryEvidence::Events(Box::new(events)),
    );
    let mut question = question(tag("v1"));
    question.filter.categories = categories.iter().copied().collect();
    question.filter.network_types = networks.iter().copied().collect();
    report(&question, &evidence, &ImageUsageReportStatus::default(), 1, now())
        .summary
        .unwrap()
}

#[test]
fn the_summary_counts_by_category_network_and_address() {
    let shared = crate::store::Tally {
        attribution: Attribution::Shared,
        ..tally(LogicalCategory::Pull, Some("198.51.100.1"), 5)
    };
    let tallies = || {
        vec![
            tally(LogicalCategory::Push, Some("10.0.0.1"), 1),
            tally(LogicalCategory::Pull, Some("192.0.2.10"), 3),
            tally(LogicalCategory::Pull, Some("203.0.113.7"), 2),
            tally(LogicalCategory::Pull, None, 4),
            tally(LogicalCategory::Check, Some("203.0.113.8"), 7),
            tally(LogicalCategory::UnresolvedDelete, Some("10.0.0.1"), 1),
            shared.clone(),
        ]
    };
    let all = summary(tallies(), &[], &[]);
    assert_eq!(
        (all.pushes, all.pulls, all.checks, all.deletes),
        (Some(1), Some(9), Some(7), Some(0))
    );
    assert_eq!((all.shared_pulls, all.unresolved_deletes), (Some(5), Some(1)));
    assert_eq!(all.public_pulls, Some(5), "192.0.2.10 is public, if known");
    assert_eq!((all.client_addresses, all.unknown_addresses), (Some(5), Some(3)));
    assert_eq!(all.without_network_type, None);

    let public = summary(tallies(), &[EventCategory::Pull], &[NetworkType::Public]);
    assert_eq!(
        (public.pushes, public.pulls, public.deletes),
        (None, Some(5), None)
    );
    assert_eq!(public.without_network_type, Some(4), "dropped, and said so");
}

#[test]
fn a_category_that_no_source_reports_is_absent_too() {
    let told = |format| {
        let events = EventEvidence {
            formats: [("notifications".to_owned(), format)].into(),
            tally: vec![tally(LogicalCategory::Push, Some("10.0.0.1"), 1)],
            ..events(&[("v1", 'a')])
        };
        let registry = RegistryEvidence::Events(Box::new(events));
        let summary = answer(tag("v1"), &evidence(Vec::new(), registry))
            .summary
            .unwrap();
        (summary.pushes, summary.pulls, summary.deletes)
    };
    assert_eq!(told(Format::Distribution), (Some(1), Some(0), Some(0)));
    assert_eq!(told(Format::Zot), (Some(1), None, Some(0)));
    assert_eq!(told(Format::DockerHub), (Some(1), None, None));
}

#[test]
fn a_registry_shows_of_its_clients_what_it_grants() {
    let line = |ip: &str, source| AttributedEvent {
        event: LogicalEvent {
            address: Some(SourceAddress {
                ip: ip.parse().unwrap(),
                source,
            }),
            actor: Some("somebody".into()),
            user_agent: Some("containerd/2.3".into()),
            network_type: None,
            id: "an id".into(),
            category: LogicalCategory::Pull,
            target: None,
            repository: "team/app".into(),
            tags: vec!["v1".into()],
            digest: None,
            media_type: None,
            time: time("2026-06-30T10:00:00Z"),
            time_source: TimeSource::Event,
            raw_count: 1,
        },
        attribution: Attribution::Named,
    };
    let shown = |client_details, networks: &[NetworkType]| {
        let events = EventEvidence {
            client_details,
            tally: vec![
                tally(LogicalCategory::Pull, Some("192.0.2.10"), 3),
                tally(LogicalCategory::Pull, Some("203.0.113.7"), 2),
            ],
            lines: vec![
                line("192.0.2.10", AddressSource::Peer),
                line("203.0.113.7", AddressSource::Header),
            ],
            ..events(&[("v1", 'a')])
        };
        let registry = RegistryEvidence::Events(Box::new(events));
        let evidence = evidence(vec![cluster("one", Vec::new())], registry);
        let mut question = question(tag("v1"));
        question.filter.network_types = networks.iter().copied().collect();
        report(&question, &evidence, &ImageUsageReportStatus::default(), 1, now())
    };
    for (details, expected) in [
        (
            ClientDetails::Full,
            [
                "Public 192.0.2.10 - node of system/one somebody containerd/2.3",
                "- - 203.0.113.7 - somebody containerd/2.3",
            ],
        ),
        (
            ClientDetails::Network,
            ["Public - - node of system/one - -", "- - - - - -"],
        ),
        (ClientDetails::None, ["- - - - - -", "- - - - - -"]),
    ] {
        let status = shown(details, &[]);
        let told: Vec<String> = status
            .events
            .iter()
            .map(|line| {
                [
                    &line.network_type,
                    &line.client_ip,
                    &line.claimed_client_ip,
                    &line.client,
                    &line.actor,
                    &line.user_agent,
                ]
                .map(|field| field.as_deref().unwrap_or("-"))
                .join(" ")
            })
            .collect();
        assert_eq!(told, expected, "{details:?}");
        let text = serde_json::to_string(&status).unwrap();
        let is_hidden = details != ClientDetails::Full;
        for secret in ["192.0.2.10", "203.0.113.7", "somebody", "containerd"] {
            assert_ne!(text.contains(secret), is_hidden, "{details:?}: {secret}");
        }
        assert_eq!(text.contains("ClientDetailsHidden"), is_hidden, "{details:?}");
    }

    let nothing = shown(ClientDetails::None, &[]).summary.unwrap();
    assert_eq!((nothing.pulls, nothing.client_addresses), (Some(5), Some(2)));
    assert_eq!((nothing.public_pulls, nothing.unknown_addresses), (None, None));

    let filtered = shown(ClientDetails::None, &[NetworkType::Public]);
    let summary = filtered.summary.unwrap();
    assert_eq!((summary.pulls, summary.without_network_type), (Some(0), Some(5)));
    let complete = filtered
        .conditions
        .iter()
        .find(|condition| condition.r#type == condition_type::EVENTS_COMPLETE);
    assert_eq!(complete.unwrap().reason, "ClientDetailsHidden");
}

#[test]
fn a_category_that_nobody_reports_is_absent_and_never_zero() {
    let evidence = evidence(vec![cluster("one", Vec::new())], RegistryEvidence::None);
    let summary = answer(tag("v1"), &evidence).summary.unwrap();
    assert_eq!(
        (summary.pushes, summary.pulls, summary.deletes, summary.checks),
        (None, None, None, None)
    );
}

fn many_rows(count: usize) -> Evidence {
    let uses = (0..count)
        .map(|index| WorkloadUse {
            name: format!("workload-{index:05}").into(),
            ..used(V1, Some("a"), Running, i64::try_from(count - index).unwrap())
        })
        .collect();
    evidence(vec![cluster("one", uses)], known(&[("v1", 'a')]))
}

#[test]
fn lists_are_cut_and_counts_stay_exact() {
    let mut status = answer(tag("v1"), &many_rows(2_000));
    fit(&mut status, 64 * 1024);
    let bytes = serde_json::to_vec(&status).unwrap().len();
    assert!(bytes <= 64 * 1024 && bytes > 60 * 1024, "{bytes}");
    let shown = i64::try_from(status.deployments.len()).unwrap();
    assert_eq!(shown + status.truncated.deployments, 2_000);
    assert_eq!(status.summary.unwrap().workloads, 2_000);
    assert_eq!(status.deployments[0].pods, 2_000, "the biggest stay");
}

#[test]
fn what_fits_is_not_cut() {
    let mut status = answer(tag("v1"), &many_rows(10));
    let uncut = status.clone();
    fit(&mut status, 64 * 1024);
    assert_eq!(status, uncut);
}

#[test]
fn the_digest_of_a_tag_is_shown_where_it_is_known() {
    let digest_of = |pointers| {
        answer(
            tag("v1"),
            &evidence(vec![cluster("one", Vec::new())], known(pointers)),
        )
        .image
        .unwrap()
        .digest
    };
    assert_eq!(
        digest_of(&[("v1", 'a'), ("v1", 'b')]),
        Some(digest('b').to_string())
    );
    assert_eq!(digest_of(&[("v1", 'a'), ("v1", '-')]), None);
    assert_eq!(digest_of(&[]), None);
}

#[test]
fn a_cluster_that_allows_counts_shows_one_row_without_names() {
    let sidecar = WorkloadUse {
        container: "sidecar".into(),
        ..used(V1, Some("a"), Running, 3)
    };
    let other = WorkloadUse {
        name: "other".into(),
        namespace: "hidden".into(),
        ..used(V1, Some("a"), Running, 2)
    };
    let uses = vec![used(V1, Some("a"), Running, 3), sidecar, other];
    let counted = ClusterEvidence {
        workloads: WorkloadDetail::Counts,
        ..cluster("counted", uses.clone())
    };
    let status = answer(
        tag("v1"),
        &evidence(vec![counted, cluster("named", uses)], known(&[("v1", 'a')])),
    );
    let rows: Vec<_> = status
        .deployments
        .iter()
        .map(|row| (row.cluster.name.as_str(), row.name.as_deref(), row.pods))
        .collect();
    assert_eq!(
        rows,
        [
            ("counted", None, 5),
            ("named", Some("web"), 3),
            ("named", Some("web"), 3),
            ("named", Some("other"), 2)
        ]
    );
    let hidden = serde_json::to_string(&status.deployments[0]).unwrap();
    assert!(!hidden.contains("web") && !hidden.contains("hidden"), "{hidden}");
    assert_eq!(status.summary.unwrap().pods, 10, "all are counted");
}

#[test]
fn a_gateway_that_a_cluster_names_is_known_and_explains_its_pulls() {
    let mut events = events(&[("v1", 'a')]);
    events.tally = vec![tally(LogicalCategory::Pull, Some("203.0.113.7"), 2)];
    let behind = |egress: &[&str]| ClusterEvidence {
        egress: egress.iter().map(|range| range.parse().unwrap()).collect(),
        ..cluster("one", Vec::new())
    };
    let mut evidence = evidence(vec![behind(&[])], RegistryEvidence::Events(Box::new(events)));
    let stranger = answer(tag("v1"), &evidence);
    assert_eq!(stranger.verdict.unwrap().value, "Unknown");
    assert_eq!(stranger.summary.unwrap().unknown_addresses, Some(1));

    evidence.clusters = vec![behind(&["2001:db8::/64", "203.0.113.0/24"])];
    let explained = answer(tag("v1"), &evidence);
    assert_eq!(explained.verdict.unwrap().value, "Unused");
    assert_eq!(explained.summary.unwrap().unknown_addresses, Some(0));
}

#[test]
fn what_runs_no_more_was_last_in_use_when_its_last_container_ended() {
    let ran = |reference, digest, until: Option<&str>| UsageSpan {
        used: used(reference, Some(digest), Running, 0),
        until: until.map(time),
    };
    let past = vec![
        ran(V1, "a", Some("2026-06-30T08:00:00Z")),
        ran(V1, "b", Some("2026-06-30T09:00:00Z")),
        ran("r.example/team/app:v2", "c", Some("2026-06-30T10:00:00Z")),
    ];
    let with = |uses, past| {
        let one = ClusterEvidence {
            past,
            ..cluster("one", uses)
        };
        evidence(vec![one], known(&[("v1", 'a'), ("v3", 'c')]))
    };
    let last = |subject, evidence| answer(subject, evidence).summary.unwrap().last_in_use;
    let gone = with(Vec::new(), past.clone());
    assert_eq!(last(tag("v1"), &gone), Some(time("2026-06-30T09:00:00Z")));
    // By the digest that ran, whatever its tag was.
    assert_eq!(last(tag("v3"), &gone), Some(time("2026-06-30T10:00:00Z")));
    assert_eq!(last(tag("never"), &gone), None);
    let tags = answer(Subject::Repository, &gone).tags;
    assert!(
        tags.iter().all(|tag| tag.last_in_use.is_none()),
        "no event names a tag: {tags:?}"
    );

    let running = with(vec![used(V1, Some("a"), Running, 1)], past.clone());
    assert_eq!(last(tag("v1"), &running), None, "it is in use");
    let asks = |subject, evidence: &Evidence| asks_for_past(&subject, &evidence.clusters, &evidence.registry);
    assert!(asks(tag("v1"), &gone) && asks(Subject::Repository, &running));
    assert!(!asks(tag("v1"), &running), "what runs has no end to tell");
    let scaled = with(vec![used(V1, None, Template, 0)], past);
    assert_eq!(last(tag("v1"), &scaled), Some(time("2026-06-30T09:00:00Z")));
    let ended_just_now = with(Vec::new(), vec![ran(V1, "a", None)]);
    assert_eq!(last(tag("v1"), &ended_just_now), Some(now()));
}
