use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::WorkloadUse,
    crd::{ClientDetails, ClusterName, Coverage, WorkloadDetail},
    dialect::Format,
    event::Network,
    image::RepositoryName,
    store::{AttributedEvent, SourceState, TagFacts, TagPointer, Tally, UsageSpan},
};

/// Everything an answer rests on, gathered at one moment.
#[derive(Debug)]
pub struct Evidence {
    pub clusters: Vec<ClusterEvidence>,
    /// Clusters that this report's namespace may not see, as a bare number.
    pub hidden_clusters: usize,
    /// Coverage of clusters that served this report before and no longer do.
    pub withdrawn: Vec<Coverage>,
    pub registry: RegistryEvidence,
}

/// What one selected cluster says.
#[derive(Debug)]
pub struct ClusterEvidence {
    pub name: ClusterName,
    /// Uid of the `ClusterAuthorization`.
    pub uid: String,
    pub state: ClusterState,
    /// Whether the authorisation's scope leaves namespaces out.
    pub scope_limited: bool,
    /// How much of its workloads the report may show.
    pub workloads: WorkloadDetail,
    /// Uses of the repository, in the namespaces that the scope includes.
    pub uses: Vec<WorkloadUse>,
    /// What ran it before, and what still does, in those namespaces.
    pub past: Vec<UsageSpan>,
    /// Containers that run the same content under another repository's name.
    pub same_content_elsewhere: i64,
    pub node_addresses: Vec<IpAddr>,
    /// Ranges that its pulls come from.
    pub egress: Vec<IpNet>,
}

/// How far a cluster's evidence goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    Synced {
        since: Timestamp,
    },
    /// Read in full, then lost: what is known is as of `since`.
    Stale {
        since: Timestamp,
        reason: &'static str,
    },
    /// Never read, and not reachable.
    Unreachable {
        since: Timestamp,
        reason: &'static str,
    },
    /// These kinds may not be read; the others were.
    Forbidden {
        since: Timestamp,
        kinds: Vec<&'static str>,
    },
    Suspended {
        since: Timestamp,
    },
    /// The same cluster as another selected authorisation, which is the one that counts.
    SameCluster {
        of: ClusterName,
    },
}

/// What the registry of the asked repository says.
#[derive(Debug)]
pub enum RegistryEvidence {
    /// No `ImageRegistry` that this namespace may use has an endpoint for it.
    None,
    /// Several at the same level claim it: neither serves.
    Conflict(Vec<String>),
    Events(Box<EventEvidence>),
}

impl RegistryEvidence {
    /// What tags point at, as far as events told.
    pub(super) fn pointers(&self) -> &[TagPointer] {
        match self {
            Self::None | Self::Conflict(_) => &[],
            Self::Events(events) => &events.pointers,
        }
    }
}

/// The events of one repository as they belong to the question.
#[derive(Debug)]
pub struct EventEvidence {
    /// Namespace and name of the `ImageRegistry`.
    pub registry: String,
    /// As the registry itself names it, whatever name was asked by.
    pub repository: RepositoryName,
    /// Mirrors of the registry, as host and prefix: whoever pulls there is hidden behind them.
    pub mirrors: Vec<String>,
    pub retention: SignedDuration,
    pub network: Arc<Network>,
    /// What the registry lets this report say of clients.
    pub client_details: ClientDetails,
    pub pointers: Vec<TagPointer>,
    pub tags: Vec<TagFacts>,
    pub sources: Vec<SourceState>,
    /// What the sources send that the registry has now, by name.
    pub formats: BTreeMap<String, Format>,
    /// Every event in the window, counted, whatever the filter says.
    pub tally: Vec<Tally>,
    /// The same for single tags of a repository that is asked about, where no use decides on them. A tag without
    /// an entry is judged by `tally`, which can only make its verdict more careful.
    pub tag_tallies: BTreeMap<String, Vec<Tally>>,
    /// The newest events that the filter lets through, at most its limit.
    pub lines: Vec<AttributedEvent>,
}
