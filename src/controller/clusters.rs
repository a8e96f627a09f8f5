//! The authorised clusters: their sessions, and what of them a report may see.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    analysis::{ClusterEvidence, ClusterState},
    cluster::{Inventory, Progress, Session, SessionState},
    crd::{AllowedReports, ClusterName, LabelSelector},
    image::{Digest, RepositoryName},
};

use super::{grants, scope::NameFilter, shelf::Shelf, touch::ObjectKey};

/// A `ClusterAuthorization` as reports see it.
#[derive(Debug, Clone)]
pub struct AuthorizedCluster {
    pub key: ObjectKey,
    /// Uid of the `ClusterAuthorization`.
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    pub allowed: Vec<AllowedReports>,
    /// Whether its namespace may serve others.
    pub is_granting: bool,
    pub scope: NameFilter,
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
            link,
        } = self;
        (key, uid, labels, allowed, is_granting, scope)
            == (
                &other.key,
                &other.uid,
                &other.labels,
                &other.allowed,
                &other.is_granting,
                &other.scope,
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

/// Which of the selected clusters serve a report.
#[derive(Debug, Default)]
pub struct Selection {
    pub clusters: Vec<Arc<AuthorizedCluster>>,
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
            let allowed = grants::allows(
                &cluster.allowed,
                &cluster.key.namespace,
                cluster.is_granting,
                namespace,
                labels,
            );
            let selected = selector.is_none_or(|selector| selector.matches(&cluster.labels));
            match (allowed, selected) {
                (true, true) => selection.clusters.push(cluster),
                (true, false) => {
                    selection.deselected.insert(cluster.uid.clone());
                }
                (false, true) => selection.hidden += 1,
                (false, false) => {}
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

/// What the selected clusters say; `Err` names one that has not been read yet, so that an answer would lack it.
pub fn evidence(
    clusters: &[Arc<AuthorizedCluster>],
    question: &InventoryQuestion<'_>,
) -> Result<Vec<ClusterEvidence>, ObjectKey> {
    let states: Vec<(&AuthorizedCluster, Option<SessionState>)> = clusters
        .iter()
        .map(|cluster| {
            let state = match &cluster.link {
                Link::Session(session) => Some(session.state()),
                Link::Suspended { .. } | Link::Broken { .. } => None,
            };
            (cluster.as_ref(), state)
        })
        .collect();
    let mut counted: BTreeMap<String, ClusterName> = BTreeMap::new();
    for (cluster, state) in &states {
        // The first that is read in full counts for its cluster; without any, the first.
        if let Some(uid) = state.as_ref().and_then(|state| state.cluster_uid()) {
            counted
                .entry(uid.to_owned())
                .or_insert_with(|| cluster_name(cluster));
        }
    }
    for (cluster, state) in states.iter().rev() {
        if let Some(state) = state
            && matches!(state.progress, Progress::Synced { .. })
            && let Some(uid) = state.cluster_uid()
        {
            counted.insert(uid.to_owned(), cluster_name(cluster));
        }
    }
    states
        .into_iter()
        .map(|(cluster, state)| {
            let name = cluster_name(cluster);
            let same = state
                .as_ref()
                .and_then(|state| state.cluster_uid())
                .and_then(|uid| counted.get(uid))
                .filter(|counted| **counted != name)
                .map(|of| ClusterState::SameCluster { of: of.clone() });
            let session_state = match (&cluster.link, state) {
                (Link::Suspended { since }, _) => ClusterState::Suspended { since: *since },
                (Link::Broken { reason, since }, _) => ClusterState::Unreachable {
                    since: *since,
                    reason,
                },
                (Link::Session(_), None) => return Err(cluster.key.clone()),
                (Link::Session(_), Some(state)) => {
                    of_progress(state.progress).ok_or_else(|| cluster.key.clone())?
                }
            };
            let cluster_state = same.unwrap_or(session_state);
            let inventory = match (&cluster.link, &cluster_state) {
                (_, ClusterState::SameCluster { .. } | ClusterState::Unreachable { .. }) => None,
                (Link::Session(session), _) => Some(session.inventory().read()),
                _ => None,
            };
            Ok(cluster_evidence(
                cluster,
                name,
                cluster_state,
                inventory.as_deref(),
                question,
            ))
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
    cluster: &AuthorizedCluster,
    name: ClusterName,
    state: ClusterState,
    inventory: Option<&Inventory>,
    question: &InventoryQuestion<'_>,
) -> ClusterEvidence {
    let in_scope = |namespace: &str| cluster.scope.includes(namespace);
    ClusterEvidence {
        name,
        uid: cluster.uid.clone(),
        state,
        scope_limited: cluster.scope.is_limited(),
        uses: inventory.map_or_else(Vec::new, |inventory| {
            question
                .repositories
                .iter()
                .flat_map(|repository| inventory.uses(repository, &in_scope))
                .collect()
        }),
        same_content_elsewhere: inventory.map_or(0, |inventory| {
            inventory.same_content_elsewhere(question.digests, question.repositories, &in_scope)
        }),
        node_addresses: inventory.map_or_else(Vec::new, Inventory::node_addresses),
    }
}

fn cluster_name(cluster: &AuthorizedCluster) -> ClusterName {
    ClusterName {
        namespace: cluster.key.namespace.clone(),
        name: cluster.key.name.clone(),
    }
}
