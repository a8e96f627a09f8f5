//! The authorised clusters: their sessions, and what of them a report may see.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    analysis::{ClusterEvidence, ClusterState},
    cluster::{Progress, Session, SessionState},
    crd::{ClusterGrant, ClusterName, LabelSelector, WorkloadDetail},
    image::{Digest, RepositoryName},
    store::{LastKnown, UsageSpan},
};

use super::{grants, scope::NameFilter, shelf::Shelf, touch::ObjectKey};

/// A `ClusterAuthorization` as reports see it.
#[derive(Debug, Clone)]
pub struct AuthorizedCluster {
    pub key: ObjectKey,
    /// Uid of the `ClusterAuthorization`.
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub allowed: Vec<ClusterGrant>,
    /// Whether its namespace may serve others.
    pub is_granting: bool,
    pub scope: NameFilter,
    /// Where its pulls come from.
    pub egress: Vec<IpNet>,
    pub link: Link,
}

impl AuthorizedCluster {
    /// Whether a report sees no difference.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            key,
            uid,
            labels,
            allowed,
            is_granting,
            scope,
            egress,
            link,
        } = self;
        (key, uid, labels, allowed, is_granting, scope, egress)
            == (
                &other.key,
                &other.uid,
                &other.labels,
                &other.allowed,
                &other.is_granting,
                &other.scope,
                &other.egress,
            )
            && match (link, &other.link) {
                (Link::Session(one), Link::Session(two)) => Arc::ptr_eq(one, two),
                (Link::Suspended { since: one }, Link::Suspended { since: two }) => one == two,
                (Link::Broken { reason: one, .. }, Link::Broken { reason: two, .. }) => one == two,
                _ => false,
            }
    }
}

/// How the cluster is read, if it is.
#[derive(Debug, Clone)]
pub enum Link {
    Suspended {
        since: Timestamp,
    },
    /// It cannot be tried, for example for lack of a Secret.
    Broken {
        reason: &'static str,
        since: Timestamp,
    },
    Session(Arc<Session>),
}

/// A cluster that serves a report.
#[derive(Debug, Clone)]
pub struct Serving {
    pub cluster: Arc<AuthorizedCluster>,
    /// How much of its workloads the report may show.
    pub workloads: WorkloadDetail,
}

/// Which of the selected clusters serve a report.
#[derive(Debug, Default)]
pub struct Selection {
    pub clusters: Vec<Serving>,
    /// Uids of those that allow the report but that its selector leaves out.
    pub deselected: BTreeSet<String>,
    /// How many match the selector and do not allow the report's namespace.
    pub hidden: usize,
}

#[derive(Debug, Default)]
pub struct Clusters(Shelf<AuthorizedCluster>);

impl Clusters {
    pub fn insert(&self, cluster: AuthorizedCluster) {
        self.0.insert(cluster.key.clone(), cluster);
    }

    /// What was there.
    pub fn remove(&self, key: &ObjectKey) -> Option<Arc<AuthorizedCluster>> {
        self.0.remove(key)
    }

    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<AuthorizedCluster>> {
        self.0.get(key)
    }

    #[must_use]
    pub fn all(&self) -> Vec<Arc<AuthorizedCluster>> {
        self.0.all()
    }

    /// The clusters that serve a report in `namespace` with these labels.
    #[must_use]
    pub fn select(
        &self,
        selector: Option<&LabelSelector>,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> Selection {
        let mut selection = Selection::default();
        for cluster in self.all() {
            let grants = grants::serving(
                &cluster.allowed,
                &cluster.key.namespace,
                cluster.is_granting,
                namespace,
                labels,
            );
            let workloads = grants.map(|grant| grant.workloads).max();
            let selected = selector.is_none_or(|selector| selector.matches(&cluster.labels));
            match (workloads, selected) {
                (Some(workloads), true) => selection.clusters.push(Serving { cluster, workloads }),
                (Some(_), false) => {
                    selection.deselected.insert(cluster.uid.clone());
                }
                (None, true) => selection.hidden += 1,
                (None, false) => {}
            }
        }
        selection
    }
}

/// What a report asks of the clusters' inventories.
#[derive(Debug)]
pub struct InventoryQuestion<'a> {
    /// Every name of the repository.
    pub repositories: &'a [RepositoryName],
    /// Content whose other names are counted.
    pub digests: &'a [Digest],
}

/// A selected cluster and how its session fares, at one moment.
#[derive(Debug)]
pub struct Seen {
    pub cluster: Arc<AuthorizedCluster>,
    workloads: WorkloadDetail,
    session: Option<SessionState>,
}

impl Seen {
    #[must_use]
    pub fn now(Serving { cluster, workloads }: &Serving) -> Self {
        Self {
            cluster: cluster.clone(),
            workloads: *workloads,
            session: match &cluster.link {
                Link::Session(session) => Some(session.state()),
                Link::Suspended { .. } | Link::Broken { .. } => None,
            },
        }
    }

    /// What the evidence goes by; `None` while the first list is under way.
    fn state(&self) -> Option<ClusterState> {
        match (&self.cluster.link, &self.session) {
            (Link::Suspended { since }, _) => Some(ClusterState::Suspended { since: *since }),
            (Link::Broken { reason, since }, _) => Some(ClusterState::Unreachable {
                since: *since,
                reason,
            }),
            (Link::Session(_), session) => of_progress(session.as_ref()?.progress.clone()),
        }
    }

    /// Whether nothing of it was read since the operator started.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self.state(), Some(ClusterState::Unreachable { .. }))
    }

    fn uid(&self) -> Option<&str> {
        self.session.as_ref()?.cluster_uid()
    }

    fn is_synced(&self) -> bool {
        self.session.as_ref().is_some_and(SessionState::is_synced)
    }
}

/// What several authorisations of one cluster are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameCluster {
    /// One cluster: the others say so.
    CountedOnce,
    /// A cluster each, as if they were different ones: for measurements alone.
    CountedEach,
}

/// What the selected clusters say, each in its place; `Err` names one that has not been read yet, so that an answer
/// would lack it. Of those that were not read since the start, `last_known` is what they were last seen to run, by the
/// uid of their authorisation.
pub fn evidence(
    seen: &[Seen],
    question: &InventoryQuestion<'_>,
    last_known: &BTreeMap<String, LastKnown>,
    same_cluster: SameCluster,
) -> Result<Vec<ClusterEvidence>, ObjectKey> {
    // Of several authorisations of one cluster, the first that is synced counts; without any, the first.
    let mut counted: BTreeMap<&str, &Seen> = BTreeMap::new();
    for one in seen {
        if let Some(uid) = one.uid()
            && same_cluster == SameCluster::CountedOnce
        {
            let best = counted.entry(uid).or_insert(one);
            if one.is_synced() && !best.is_synced() {
                *best = one;
            }
        }
    }
    seen.iter()
        .map(|one| {
            let counted = one.uid().and_then(|uid| counted.get(uid));
            let state = match counted {
                Some(of) if of.cluster.key != one.cluster.key => ClusterState::SameCluster {
                    of: cluster_name(&of.cluster),
                },
                _ => one.state().ok_or_else(|| one.cluster.key.clone())?,
            };
            Ok(cluster_evidence(one, state, question, last_known))
        })
        .collect()
}

fn of_progress(progress: Progress) -> Option<ClusterState> {
    Some(match progress {
        Progress::Connecting | Progress::Syncing => return None,
        Progress::Synced { since, forbidden } if forbidden.is_empty() => ClusterState::Synced { since },
        Progress::Synced { since, forbidden } => ClusterState::Forbidden {
            since,
            kinds: forbidden,
        },
        Progress::Stale { since, reason } => ClusterState::Stale { since, reason },
        Progress::Unreachable { since, reason } => ClusterState::Unreachable { since, reason },
    })
}

fn cluster_evidence(
    Seen {
        cluster, workloads, ..
    }: &Seen,
    state: ClusterState,
    question: &InventoryQuestion<'_>,
    last_known: &BTreeMap<String, LastKnown>,
) -> ClusterEvidence {
    let in_scope = |namespace: &str| cluster.scope.includes(namespace);
    let nothing = ClusterEvidence {
        name: cluster_name(cluster),
        uid: cluster.uid.clone(),
        state,
        scope_limited: cluster.scope.is_limited(),
        workloads: *workloads,
        uses: Vec::new(),
        past: Vec::new(),
        same_content_elsewhere: 0,
        node_addresses: Vec::new(),
        egress: cluster.egress.clone(),
    };
    if !shows_workloads(&nothing.state) {
        return nothing;
    }
    match (&cluster.link, &nothing.state) {
        (_, &ClusterState::Unreachable { reason, .. }) => match last_known.get(&cluster.uid) {
            Some(LastKnown { as_of, uses }) => ClusterEvidence {
                state: ClusterState::Stale {
                    since: *as_of,
                    reason,
                },
                uses: uses
                    .iter()
                    .filter(|used| in_scope(&used.namespace))
                    .cloned()
                    .collect(),
                ..nothing
            },
            None => nothing,
        },
        (Link::Suspended { .. } | Link::Broken { .. }, _) => nothing,
        (Link::Session(session), _) => {
            let inventory = session.inventory().read();
            ClusterEvidence {
                uses: question
                    .repositories
                    .iter()
                    .flat_map(|repository| inventory.uses(repository, &in_scope))
                    .collect(),
                same_content_elsewhere: inventory.same_content_elsewhere(
                    question.digests,
                    question.repositories,
                    &in_scope,
                ),
                node_addresses: inventory.node_addresses(),
                ..nothing
            }
        }
    }
}

/// Adds since when and until when the clusters ran what, by the uid of their authorisation. `evidence` is what
/// [`evidence`] said of `seen`.
pub fn add_past(evidence: &mut [ClusterEvidence], seen: &[Seen], mut spans: HashMap<String, Vec<UsageSpan>>) {
    for (evidence, Seen { cluster, .. }) in evidence.iter_mut().zip(seen) {
        if shows_workloads(&evidence.state) {
            evidence.past = spans.remove(&cluster.uid).unwrap_or_default();
            evidence
                .past
                .retain(|span| cluster.scope.includes(&span.used.namespace));
        }
    }
}

fn shows_workloads(state: &ClusterState) -> bool {
    !matches!(
        state,
        ClusterState::SameCluster { .. } | ClusterState::Suspended { .. }
    )
}

fn cluster_name(cluster: &AuthorizedCluster) -> ClusterName {
    ClusterName {
        namespace: cluster.key.namespace.clone(),
        name: cluster.key.name.clone(),
    }
}
