//! May it be deleted? The strongest use seen wins; missing coverage turns only `Unused` into `Unknown`.

use std::collections::BTreeSet;

use crate::{cluster::Lifecycle, event::LogicalCategory, store::Tally};

use super::{
    ClusterEvidence, ClusterState, EventEvidence, Evidence, KnownClients, Matched, RegistryEvidence, Subject,
    TagHistory,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Unknown,
    Unused,
    RollbackOnly,
    ScheduledOnly,
    ScaledToZero,
    InUse,
}

impl Value {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Unused => "Unused",
            Self::RollbackOnly => "RollbackOnly",
            Self::ScheduledOnly => "ScheduledOnly",
            Self::ScaledToZero => "ScaledToZero",
            Self::InUse => "InUse",
        }
    }

    fn of(lifecycle: Lifecycle) -> Self {
        match lifecycle {
            Lifecycle::Running => Self::InUse,
            Lifecycle::Template => Self::ScaledToZero,
            Lifecycle::Scheduled => Self::ScheduledOnly,
            Lifecycle::Finished | Lifecycle::Revision => Self::RollbackOnly,
        }
    }
}

/// The strongest use among these, if there is one.
#[must_use]
pub fn strongest<'a>(lifecycles: impl Iterator<Item = &'a Lifecycle>) -> Option<Value> {
    lifecycles.map(|lifecycle| Value::of(*lifecycle)).max()
}

/// The verdict and its reasons.
#[must_use]
pub fn judge(
    subject: &Subject,
    history: &TagHistory,
    evidence: &Evidence,
    known: &KnownClients,
    matched: &[Matched<'_>],
) -> (Value, Vec<&'static str>) {
    if let Some(value) = strongest(matched.iter().map(|matched| &matched.used.lifecycle)) {
        let reason = match value {
            Value::InUse => "PodsRunning",
            Value::ScaledToZero => "TemplateWithoutPods",
            Value::ScheduledOnly => "CronJobTemplate",
            _ => "OldRevisionOrFinished",
        };
        return (value, vec![reason]);
    }
    let doubts = doubts(subject, history, evidence, known);
    if doubts.is_empty() {
        let reason = match &evidence.registry {
            // The registry sees the mirror's pulls, and of those whom it serves nothing.
            RegistryEvidence::Events(events) if !events.sources.is_empty() && !events.mirrors.is_empty() => {
                "NoReferenceMirrorHidesClients"
            }
            RegistryEvidence::Events(events) if !events.sources.is_empty() => "NoReferenceAndNoForeignPull",
            _ => "NoReferenceEventsNotAvailable",
        };
        (Value::Unused, vec![reason])
    } else {
        (Value::Unknown, doubts.into_iter().collect())
    }
}

/// Why "nothing refers to it" is not enough to say that it is unused.
fn doubts(
    subject: &Subject,
    history: &TagHistory,
    evidence: &Evidence,
    known: &KnownClients,
) -> BTreeSet<&'static str> {
    let mut doubts = BTreeSet::new();
    let counted: Vec<&ClusterEvidence> = evidence
        .clusters
        .iter()
        .filter(|cluster| !matches!(cluster.state, ClusterState::SameCluster { .. }))
        .collect();
    if counted.is_empty() {
        doubts.insert(if evidence.hidden_clusters > 0 {
            "NoClusterAllowsNamespace"
        } else {
            "SelectorMatchesNothing"
        });
    }
    for cluster in counted {
        match &cluster.state {
            ClusterState::Synced { .. } | ClusterState::SameCluster { .. } => {}
            ClusterState::Stale { .. } => {
                doubts.insert("ClusterStale");
            }
            ClusterState::Unreachable { .. } => {
                doubts.insert("ClusterUnreachable");
            }
            ClusterState::Forbidden { .. } => {
                doubts.insert("ClusterRightsMissing");
            }
            ClusterState::Suspended { .. } => {
                doubts.insert("ClusterSuspended");
            }
        }
        if cluster.scope_limited {
            doubts.insert("NamespacesLeftOut");
        }
        if *subject != Subject::Repository
            && cluster
                .uses
                .iter()
                .any(|used| place_unknown(subject, history, used))
        {
            doubts.insert("DigestPlaceUnknown");
        }
    }
    if !evidence.withdrawn.is_empty() {
        doubts.insert("ClusterWithdrawn");
    }
    if let RegistryEvidence::Events(events) = &evidence.registry
        && pulled_from_elsewhere(subject, events, known)
    {
        doubts.insert("PulledFromElsewhere");
    }
    if matches!(evidence.registry, RegistryEvidence::Conflict(_)) {
        doubts.insert("HostConflict");
    }
    doubts
}

/// A reference by a digest that could be a part of the asked image: an index holds manifests under digests of
/// their own, and nothing has told what this one is.
fn place_unknown(subject: &Subject, history: &TagHistory, used: &crate::cluster::WorkloadUse) -> bool {
    used.image
        .digest
        .as_ref()
        .is_some_and(|digest| *subject != Subject::Digest(digest.clone()) && !history.has_seen(digest))
}

/// Somebody whom no selected cluster explains still looks at the image.
fn pulled_from_elsewhere(subject: &Subject, events: &EventEvidence, known: &KnownClients) -> bool {
    let tallies = match subject {
        Subject::Tag(tag) => events.tag_tallies.get(tag).unwrap_or(&events.tally),
        Subject::Digest(_) | Subject::Repository => &events.tally,
    };
    let explained = |tally: &Tally| {
        let client = events.network.client(tally.address, tally.network_type);
        known.of(&client).is_some()
    };
    tallies
        .iter()
        .filter(|tally| matches!(tally.category, LogicalCategory::Pull | LogicalCategory::Check))
        .any(|tally| !explained(tally))
}
