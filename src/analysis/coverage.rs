//! What an answer rests on, and what is missing from it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    crd::{ClientDetails, ClusterName, ConditionStatus, Coverage, EventCategory},
    event::ClientRole,
    store::SourceState,
};

use super::{
    ClusterEvidence, ClusterState, EventEvidence, Evidence, Question, Range, RegistryEvidence, Subject,
    TagHistory,
};

/// How long a withdrawn cluster stays in the coverage of a report it served.
const WITHDRAWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

pub const KIND_CLUSTER: &str = "Cluster";
const KIND_REGISTRY: &str = "Registry";
const KIND_HIDDEN: &str = "Hidden";
const WITHDRAWN: &str = "Withdrawn";

/// A verdict on completeness, as a condition states it.
#[derive(Debug, PartialEq, Eq)]
pub struct Completeness {
    pub status: ConditionStatus,
    pub reason: &'static str,
    pub message: String,
}

impl Completeness {
    fn complete(message: &str) -> Self {
        Self {
            status: ConditionStatus::True,
            reason: "Complete",
            message: message.to_owned(),
        }
    }

    fn missing(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: ConditionStatus::False,
            reason,
            message: message.into(),
        }
    }
}

impl ClusterState {
    /// Word for the state, since when, and what it means; the last is empty where nothing is missing.
    fn describe(&self) -> (&'static str, Option<Timestamp>, String) {
        match self {
            Self::Synced { since } => ("Synced", Some(*since), String::new()),
            Self::Stale { since, reason } => (
                "Stale",
                Some(*since),
                format!("the cluster cannot be read ({reason}); its deployments are as last read"),
            ),
            Self::Unreachable { since, reason } => (
                "Unreachable",
                Some(*since),
                format!("the cluster could not be read ({reason}); see its ClusterAuthorization"),
            ),
            Self::Forbidden { since, kinds } => (
                "Forbidden",
                Some(*since),
                format!("the credentials may not read {}", kinds.join(", ")),
            ),
            Self::Suspended { since } => (
                "Suspended",
                Some(*since),
                "the ClusterAuthorization is suspended: the cluster's deployments are left out".to_owned(),
            ),
            Self::SameCluster { of } => (
                "SameCluster",
                None,
                format!(
                    "the same cluster as {}/{}, which is counted",
                    of.namespace, of.name
                ),
            ),
        }
    }

    /// Whether all that the report needs of the cluster was read.
    fn is_complete(&self) -> bool {
        matches!(self, Self::Synced { .. } | Self::SameCluster { .. })
    }
}

/// Coverage of the selected clusters, of those withdrawn and of those hidden.
#[must_use]
pub fn of_clusters(evidence: &Evidence) -> Vec<Coverage> {
    let mut coverage: Vec<Coverage> = evidence.clusters.iter().map(of_cluster).collect();
    coverage.extend(evidence.withdrawn.iter().cloned());
    coverage.sort_by(|a, b| (&a.source, &a.uid).cmp(&(&b.source, &b.uid)));
    if evidence.hidden_clusters > 0 {
        coverage.push(Coverage {
            source: evidence.hidden_clusters.to_string(),
            kind: KIND_HIDDEN.to_owned(),
            state: "NotAllowed".to_owned(),
            time: None,
            message: Some("this many clusters do not allow reports of this namespace".to_owned()),
            uid: None,
        });
    }
    coverage
}

fn of_cluster(cluster: &ClusterEvidence) -> Coverage {
    let (mut state, time, mut message) = cluster.state.describe();
    if cluster.scope_limited {
        if cluster.state.is_complete() {
            state = "ScopeLimited";
        }
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str("the authorisation's scope leaves namespaces out");
    }
    Coverage {
        source: display(&cluster.name),
        kind: KIND_CLUSTER.to_owned(),
        state: state.to_owned(),
        time,
        message: (!message.is_empty()).then_some(message),
        uid: Some(cluster.uid.clone()),
    }
}

fn display(name: &ClusterName) -> String {
    format!("{}/{}", name.namespace, name.name)
}

/// Clusters that a report rested on and that no longer serve it: they stay for 30 days, or until the report's
/// annotation accepts them. `serving` are the uids that still do, `deselected` those that the report's own
/// change left out.
#[must_use]
pub fn withdrawn(
    previous: &[Coverage],
    serving: &BTreeSet<&str>,
    deselected: &BTreeSet<&str>,
    accepted: &BTreeSet<&str>,
    now: Timestamp,
) -> Vec<Coverage> {
    previous
        .iter()
        .filter(|entry| entry.kind == KIND_CLUSTER)
        .filter_map(|entry| {
            let uid = entry.uid.as_deref()?;
            if serving.contains(uid) || deselected.contains(uid) || accepted.contains(uid) {
                return None;
            }
            let since = entry.time.filter(|_| entry.state == WITHDRAWN).unwrap_or(now);
            (now.duration_since(since) < WITHDRAWN_FOR).then(|| Coverage {
                source: entry.source.clone(),
                kind: KIND_CLUSTER.to_owned(),
                state: WITHDRAWN.to_owned(),
                time: Some(since),
                message: Some(format!(
                    "no longer authorised: its deployments are left out; to accept that, annotate the report with {}={uid}",
                    crate::crd::ACCEPT_WITHDRAWN
                )),
                uid: Some(uid.to_owned()),
            })
        })
        .collect()
}

/// Whether every selected cluster was read in full.
#[must_use]
pub fn clusters_complete(evidence: &Evidence) -> Completeness {
    if evidence.clusters.is_empty() && evidence.withdrawn.is_empty() {
        return if evidence.hidden_clusters > 0 {
            Completeness::missing(
                "NoClusterAllowsNamespace",
                "no ClusterAuthorization that is selected allows reports of this namespace",
            )
        } else {
            Completeness::missing(
                "NoCluster",
                "no ClusterAuthorization is selected: apply one, or change spec.clusters.selector",
            )
        };
    }
    let gaps: Vec<Coverage> = of_clusters(evidence)
        .into_iter()
        .filter(|entry| {
            entry.kind == KIND_CLUSTER && !matches!(entry.state.as_str(), "Synced" | "SameCluster")
        })
        .collect();
    if gaps.is_empty() {
        return Completeness::complete("every selected cluster was read in full");
    }
    let reason = match gaps[0].state.as_str() {
        "Stale" => "ClusterStale",
        "Unreachable" => "ClusterUnreachable",
        "Forbidden" => "ClusterRightsMissing",
        "Suspended" => "ClusterSuspended",
        "ScopeLimited" => "NamespacesLeftOut",
        _ => "ClusterWithdrawn",
    };
    let mut message = gaps
        .iter()
        .take(5)
        .map(|gap| format!("{} is {}", gap.source, gap.state))
        .collect::<Vec<_>>()
        .join(", ");
    if gaps.len() > 5 {
        message.push_str(" and others");
    }
    Completeness::missing(reason, message)
}

/// Coverage of the registry's sources, and of what its events have not told.
#[must_use]
pub fn of_registry(
    evidence: &RegistryEvidence,
    question: &Question,
    history: &TagHistory,
    now: Timestamp,
) -> Vec<Coverage> {
    let entry = |source: &str, state: &str, time, message: Option<String>| Coverage {
        source: source.to_owned(),
        kind: KIND_REGISTRY.to_owned(),
        state: state.to_owned(),
        time,
        message,
        uid: None,
    };
    match evidence {
        RegistryEvidence::None => vec![entry(
            &question.repository.host,
            "Unknown",
            None,
            Some(
                "no ImageRegistry with this host serves this namespace: its events are not known".to_owned(),
            ),
        )],
        RegistryEvidence::Conflict(names) => vec![entry(
            &question.repository.host,
            "HostConflict",
            None,
            Some(format!("claimed by {}: none of them serves", names.join(" and "))),
        )],
        RegistryEvidence::Events(events) => {
            let mut coverage: Vec<Coverage> = if events.sources.is_empty() {
                vec![entry(
                    &events.registry,
                    "Unknown",
                    None,
                    Some("no event has been received yet".to_owned()),
                )]
            } else {
                events
                    .sources
                    .iter()
                    .map(|source| {
                        let gaps = gaps_in(source, question, now);
                        let state = if gaps == 0 { "Complete" } else { "Partial" };
                        let message = (gaps > 0).then(|| {
                            format!("{gaps} stretches of time in the window whose events may be lost")
                        });
                        entry(
                            &format!("{}/{}", events.registry, source.source),
                            state,
                            Some(source.since),
                            message,
                        )
                    })
                    .collect()
            };
            if let Subject::Tag(tag) = &question.subject
                && !history.knows(tag)
            {
                coverage.push(entry(
                    &events.registry,
                    "TagPointerUnknown",
                    None,
                    Some("no event has told what the tag points at".to_owned()),
                ));
            }
            if !events.mirrors.is_empty() {
                coverage.push(entry(
                    &events.registry,
                    "MirrorHidesClients",
                    None,
                    Some(format!(
                        "pulls through the mirror {} appear as the mirror itself, and not at all where it has the image already",
                        events.mirrors.join(" and ")
                    )),
                ));
            }
            if let Some(what) = hidden(events.client_details) {
                coverage.push(entry(
                    &events.registry,
                    "ClientDetailsHidden",
                    None,
                    Some(format!("the ImageRegistry does not show this namespace {what}")),
                ));
            }
            if events.tally.iter().any(|tally| {
                events.network.client(tally.address, tally.network_type).role == ClientRole::Proxy
            }) {
                coverage.push(entry(
                    &events.registry,
                    "ClientsHidden",
                    None,
                    Some(
                        "some events came through a trusted proxy: their clients' addresses are not known"
                            .to_owned(),
                    ),
                ));
            }
            coverage
        }
    }
}

/// What of clients the registry keeps to itself.
fn hidden(details: ClientDetails) -> Option<&'static str> {
    match details {
        ClientDetails::Full => None,
        ClientDetails::Network => Some("client addresses, actors and user agents"),
        ClientDetails::None => Some("who its clients are and whence they come"),
    }
}

/// Whether no event of the window is known to be missing.
#[must_use]
pub fn events_complete(evidence: &RegistryEvidence, question: &Question, now: Timestamp) -> Completeness {
    let events = match evidence {
        RegistryEvidence::None => {
            return Completeness::missing(
                "NoRegistry",
                format!(
                    "no ImageRegistry with the host {} serves this namespace: apply one to learn of pushes, pulls and deletes",
                    question.repository.host
                ),
            );
        }
        RegistryEvidence::Conflict(names) => {
            return Completeness::missing(
                "HostConflict",
                format!(
                    "the host {} is claimed by {}",
                    question.repository.host,
                    names.join(" and ")
                ),
            );
        }
        RegistryEvidence::Events(events) => events,
    };
    if events.client_details == ClientDetails::None && !question.filter.network_types.is_empty() {
        return Completeness::missing(
            "ClientDetailsHidden",
            format!(
                "{} does not show this namespace the network types that spec.events.networkTypes asks for",
                events.registry
            ),
        );
    }
    if events.sources.is_empty() {
        return Completeness::missing(
            "NothingReceived",
            format!("{} has not received any event yet", events.registry),
        );
    }
    let gap = [EventCategory::Push, EventCategory::Pull, EventCategory::Delete]
        .into_iter()
        .filter(|category| question.filter.asks_for(*category))
        .find_map(|category| missing_of(category, events, question, now));
    let start = question.range.window(now).start;
    let kept_since = now.saturating_sub(events.retention).unwrap_or(Timestamp::MIN);
    if let Some(gap) = gap {
        gap
    } else if kept_since > start && !is_rounding(question.range, kept_since, start) {
        Completeness::missing(
            "WindowBeforeRetention",
            "the window begins before the oldest event that retention keeps",
        )
    } else {
        Completeness::complete("no event of the window is known to be missing")
    }
}

/// What may be missing of one category: nothing where one source that tells of it has no gap.
fn missing_of(
    category: EventCategory,
    events: &EventEvidence,
    question: &Question,
    now: Timestamp,
) -> Option<Completeness> {
    let start = question.range.window(now).start;
    let telling: Vec<(usize, Timestamp)> = events
        .telling(category)
        .map(|(source, since)| (gaps_in(source, question, now), since))
        .collect();
    if telling.is_empty() {
        let message = if events.may_tell(category) {
            format!(
                "{} has not reported a {category:?} yet: whether its sources report them is not known",
                events.registry
            )
        } else {
            format!(
                "{} has no source that reports events of the category {category:?}",
                events.registry
            )
        };
        return Some(Completeness::missing("CategoryNotReported", message));
    }
    let without_gap = telling.iter().filter(|(gaps, _)| *gaps == 0);
    match without_gap.map(|(_, since)| *since).min() {
        None => Some(Completeness::missing(
            "PossibleGap",
            "events of a part of the window may be lost; see the ImageRegistry's status",
        )),
        Some(since) if since > start => Some(Completeness::missing(
            "WindowBeforeCoverage",
            format!("events are known since {since:.0}, the window begins before"),
        )),
        Some(_) => None,
    }
}

/// A window that ends now begins up to a step earlier than it was asked to; that is no gap.
fn is_rounding(range: Range, kept_since: Timestamp, start: Timestamp) -> bool {
    matches!(range, Range::Last(_)) && kept_since.duration_since(start) <= SignedDuration::from_hours(1)
}

fn gaps_in(source: &SourceState, question: &Question, now: Timestamp) -> usize {
    let window = question.range.window(now);
    let gaps = source.gaps.iter();
    gaps.filter(|gap| gap.window.start < window.end && (gap.is_open || gap.window.end >= window.start))
        .count()
}

/// Since when everything that a verdict rests on has been watched; nothing where a part is not watched.
#[must_use]
pub fn observed_since(evidence: &Evidence) -> Option<Timestamp> {
    evidence
        .clusters
        .iter()
        .filter_map(|cluster| match cluster.state {
            ClusterState::Synced { since } => Some(Some(since)),
            ClusterState::SameCluster { .. } => None,
            _ => Some(None),
        })
        .try_fold(None, |latest: Option<Timestamp>, since| {
            since.map(|since| Some(latest.map_or(since, |l| l.max(since))))
        })
        .flatten()
}
