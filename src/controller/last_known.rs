//! Keeps what clusters were last seen to run in the store, so that a restart of the operator still shows what a
//! cluster that cannot be read ran.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::warn;

use crate::{
    cluster::Session,
    image::RepositoryName,
    store::{LastKnown, RepositoryUses, StoreError},
};

use super::{
    clusters::{AuthorizedCluster, Link, Seen},
    touch::ObjectKey,
    world::World,
};

const SAVE_EVERY: Duration = Duration::from_secs(15);
/// A cluster in which nothing changes is noted as current this often.
const NOTE_EVERY: Duration = Duration::from_mins(1);
/// Repositories of one transaction.
const CHUNK: usize = 32;
/// With more changed repositories, all are looked at.
const MOST_CHANGED: usize = 10_000;
/// What belongs to no authorisation any more is forgotten this often, and not before all had time to be read.
const TIDY_EVERY: Duration = Duration::from_hours(1);

/// Changes that are not saved yet.
#[derive(Debug, Default)]
pub struct Unsaved(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    clusters: HashMap<ObjectKey, Changed>,
    /// Uids of `ClusterAuthorizations` to forget.
    forget: HashSet<String>,
}

#[derive(Debug)]
enum Changed {
    Everything,
    Repositories(HashSet<Arc<RepositoryName>>),
}

impl Unsaved {
    /// Any use may have changed.
    pub fn everything(&self, cluster: &ObjectKey) {
        self.changes(|changes| {
            changes.clusters.insert(cluster.clone(), Changed::Everything);
        });
    }

    /// Uses of these repositories changed.
    pub fn repositories(&self, cluster: &ObjectKey, repositories: &[Arc<RepositoryName>]) {
        self.changes(|changes| {
            let changed = changes
                .clusters
                .entry(cluster.clone())
                .or_insert_with(|| Changed::Repositories(HashSet::new()));
            if let Changed::Repositories(known) = changed {
                known.extend(repositories.iter().cloned());
                if known.len() > MOST_CHANGED {
                    *changed = Changed::Everything;
                }
            }
        });
    }

    /// The cluster of the `ClusterAuthorization` with this uid is no longer authorised.
    pub fn forget(&self, cluster: &ObjectKey, uid: &str) {
        self.changes(|changes| {
            changes.clusters.remove(cluster);
            changes.forget.insert(uid.to_owned());
        });
    }

    fn take(&self, cluster: &ObjectKey) -> Option<Changed> {
        self.changes(|changes| changes.clusters.remove(cluster))
    }

    fn changes<T>(&self, change: impl FnOnce(&mut Changes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Saves until cancelled, and once more then.
pub async fn run(world: Arc<World>) {
    let mut noted: HashMap<String, Instant> = HashMap::new();
    let mut tidied = Instant::now();
    loop {
        let is_stopping = world
            .cancel
            .run_until_cancelled(tokio::time::sleep(SAVE_EVERY))
            .await
            .is_none();
        save_all(&world, &mut noted).await;
        if is_stopping {
            return;
        }
        if tidied.elapsed() >= TIDY_EVERY {
            tidied = Instant::now();
            tidy(&world).await;
        }
    }
}

async fn save_all(world: &World, noted: &mut HashMap<String, Instant>) {
    for uid in world
        .unsaved
        .changes(|changes| std::mem::take(&mut changes.forget))
    {
        noted.remove(&uid);
        if let Err(error) = world.usage.forget_uses(uid.clone()).await {
            warn!(%error, "failed to forget the last known deployments of a cluster");
            world.unsaved.changes(|changes| changes.forget.insert(uid));
        }
    }
    for cluster in world.clusters.all() {
        let Link::Session(session) = &cluster.link else {
            continue;
        };
        if !session.state().is_synced() {
            continue;
        }
        let changed = world.unsaved.take(&cluster.key);
        let is_noted = noted
            .get(&cluster.uid)
            .is_some_and(|noted| noted.elapsed() < NOTE_EVERY);
        if changed.is_none() && is_noted {
            continue;
        }
        match save(world, &cluster, session, changed).await {
            Ok(()) => {
                noted.insert(cluster.uid.clone(), Instant::now());
            }
            Err(error) => {
                warn!(cluster = %cluster.key, %error, "failed to save the last known deployments");
                world.unsaved.everything(&cluster.key);
            }
        }
    }
}

async fn save(
    world: &World,
    cluster: &AuthorizedCluster,
    session: &Session,
    changed: Option<Changed>,
) -> Result<(), StoreError> {
    // Taken before the inventory is read: nothing older is called current.
    let as_of = Timestamp::now();
    let repositories: HashSet<Arc<RepositoryName>> = match changed {
        None => HashSet::new(),
        Some(Changed::Repositories(repositories)) => repositories,
        Some(Changed::Everything) => {
            let kept = world.usage.used_repositories(cluster.uid.clone()).await?;
            let used = session.inventory().read().repositories();
            kept.into_iter().map(Arc::new).chain(used).collect()
        }
    };
    let repositories: Vec<_> = repositories.into_iter().collect();
    let mut chunks: Vec<&[Arc<RepositoryName>]> = repositories.chunks(CHUNK).collect();
    if chunks.is_empty() {
        chunks.push(&[]);
    }
    for chunk in chunks {
        let uses: Vec<RepositoryUses> = {
            let inventory = session.inventory().read();
            chunk
                .iter()
                .map(|repository| (repository.as_ref().clone(), inventory.uses(repository, &|_| true)))
                .collect()
        };
        world.usage.save_uses(cluster.uid.clone(), as_of, uses).await?;
    }
    Ok(())
}

async fn tidy(world: &World) {
    let authorised: HashSet<String> = world
        .clusters
        .all()
        .iter()
        .map(|cluster| cluster.uid.clone())
        .collect();
    let kept = match world.usage.usage_clusters().await {
        Ok(kept) => kept,
        Err(error) => {
            warn!(%error, "failed to read which clusters are known");
            return;
        }
    };
    for uid in kept.into_iter().filter(|uid| !authorised.contains(uid)) {
        if let Err(error) = world.usage.forget_uses(uid).await {
            warn!(%error, "failed to forget the last known deployments of a cluster");
        }
    }
}

/// What those of these clusters that were not read since the start were last seen to run, by uid.
pub async fn recall(
    world: &World,
    seen: &[Seen],
    repositories: &[RepositoryName],
) -> Result<BTreeMap<String, LastKnown>, StoreError> {
    let mut last_known = BTreeMap::new();
    for one in seen.iter().filter(|one| one.is_unread()) {
        let uid = one.cluster.uid.clone();
        let known = world.usage.last_known(uid.clone(), repositories.to_vec()).await?;
        last_known.extend(known.map(|known| (uid, known)));
    }
    Ok(last_known)
}
