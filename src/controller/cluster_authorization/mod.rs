//! Cluster authorisations: check, connect, keep a session each, say how it goes.

mod decide;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use ipnet::IpNet;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::{
    cluster::{Access, Guard, Kubeconfig, Session, SessionEvents, SessionOptions, SessionState, Validity},
    crd::{CONFIRM_CLUSTER, Cluster, ClusterAuthorization, ClusterAuthorizationStatus, condition_type},
    event::client_ranges,
    image::RepositoryName,
};

use self::decide::{Problem, View, status_of};

use super::{
    clusters::{AuthorizedCluster, Link},
    grants,
    kinds::{self, Reconcile},
    last_known::Unsaved,
    scope::NameFilter,
    secrets::{SecretProblem, Secrets},
    status::{CalmWriter, NUMBERS_EVERY, WriteError},
    touch::{Interests, ObjectKey, Touched},
    world::World,
};

/// Runs until cancelled.
pub async fn run(world: Arc<World>) {
    let touched = world.touched_clusters.clone();
    let secrets = Secrets::new(&world, touched.clone());
    let authorizations = Arc::new(Authorizations {
        world: world.clone(),
        secrets,
        fingerprints: Mutex::default(),
        statuses: CalmWriter::default(),
    });
    kinds::drive::<ClusterAuthorization, Authorizations>(world, touched, authorizations).await;
}

struct Authorizations {
    world: Arc<World>,
    secrets: Secrets,
    /// What each session was started with: a hash, never the credentials.
    fingerprints: Mutex<HashMap<ObjectKey, Fingerprint>>,
    statuses: CalmWriter,
}

type Fingerprint = [u8; 32];

impl Reconcile<ClusterAuthorization> for Authorizations {
    fn reconcile(
        self: Arc<Self>,
        authorization: Arc<ClusterAuthorization>,
    ) -> BoxFuture<'static, Result<Action, WriteError>> {
        async move { self.reconcile_authorization(&authorization).await }.boxed()
    }

    fn gone(&self, key: &ObjectKey) {
        self.secrets.release(key);
        self.statuses.forget(key);
        self.disconnect(key);
    }
}

impl Authorizations {
    async fn reconcile_authorization(
        &self,
        authorization: &ClusterAuthorization,
    ) -> Result<Action, WriteError> {
        let key = ObjectKey::of(authorization);
        let previous = authorization.status.clone().unwrap_or_default();
        let view = match self.permitted(&key, authorization) {
            Err(problem) => {
                self.disconnect(&key);
                View::Problem(problem)
            }
            Ok(egress) => match self.link(&key, authorization, &previous).await {
                Ok((link, validity)) => match self.connect(&key, authorization, egress, link) {
                    Link::Session(session) => View::Connected {
                        state: session.state(),
                        usage: session.inventory().read().usage(),
                        validity,
                    },
                    Link::Suspended { .. } | Link::Broken { .. } => View::Suspended,
                },
                Err(problem) => {
                    let link = Link::Broken {
                        reason: problem.reason(),
                        since: Timestamp::now(),
                    };
                    self.connect(&key, authorization, egress, link);
                    View::Problem(problem)
                }
            },
        };
        self.count_clusters();
        let status = status_of(
            &view,
            &previous,
            authorization.metadata.generation,
            Timestamp::now(),
        );
        let only_usage = ClusterAuthorizationStatus {
            usage: previous.usage.clone(),
            ..status.clone()
        } == previous;
        self.statuses
            .write::<ClusterAuthorization, _>(&self.world, &key, [&previous, &status], only_usage)
            .await?;
        Ok(Action::requeue(NUMBERS_EVERY))
    }

    /// Whether the object may be served at all; else no report counts on it. Its egress ranges.
    fn permitted(
        &self,
        key: &ObjectKey,
        authorization: &ClusterAuthorization,
    ) -> Result<Vec<IpNet>, Problem> {
        let (spec, settings) = (&authorization.spec, &self.world.settings);
        if grants::reaches_beyond(&spec.allowed_reports) && !settings.is_granting(&key.namespace) {
            return Err(Problem::GrantNotPermitted);
        }
        match (&spec.cluster.in_cluster, &spec.cluster.kubeconfig_secret_ref) {
            (Some(_), None) if !settings.may_set_in_cluster(&key.namespace) => {
                return Err(Problem::InClusterNotPermitted);
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => return Err(Problem::ClusterNotChosen),
        }
        Ok(client_ranges("egressCIDRs", &spec.egress_cidrs)?)
    }

    /// How the cluster is to be read: a running session if its credentials are still the same.
    async fn link(
        &self,
        key: &ObjectKey,
        authorization: &ClusterAuthorization,
        previous: &ClusterAuthorizationStatus,
    ) -> Result<(Link, Option<Validity>), Problem> {
        let spec = &authorization.spec;
        if spec.suspend {
            self.secrets.release(key);
            let suspended = previous.conditions.iter().find(|condition| {
                condition.r#type == condition_type::SYNCED && condition.reason == decide::SUSPENDED
            });
            let since = suspended.map_or_else(Timestamp::now, |condition| condition.last_transition_time);
            return Ok((Link::Suspended { since }, None));
        }
        let (access, validity, fingerprint) = self.access(key, &spec.cluster).await?;
        let confirmed = authorization.annotations().get(CONFIRM_CLUSTER);
        let mut fingerprints = self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_renewed = fingerprints.insert(key.clone(), fingerprint) != Some(fingerprint);
        let known = self.world.clusters.get(key);
        if let Some(Link::Session(session)) = known.as_ref().map(|cluster| &cluster.link)
            && !is_confirmed(&session.state(), confirmed)
        {
            if is_renewed {
                info!(cluster = %key, "moving to new credentials");
                session.renew(access);
            }
            return Ok((Link::Session(session.clone()), validity));
        }
        if let Some(other) = known.filter(|known| matches!(known.link, Link::Session(_))) {
            // What was seen in the cluster before says nothing about the confirmed one.
            self.world.unsaved.forget(&other.key, &other.uid);
        }
        info!(cluster = %key, "connecting");
        let connected = previous.cluster.as_ref().and_then(|cluster| cluster.uid.clone());
        let session = Session::start(SessionOptions {
            access,
            expected: connected.into_iter().chain(confirmed.cloned()).collect(),
            kinds: self.world.kinds.clone(),
            guard: Guard::new(self.world.settings.address_rules()),
            events: Arc::new(ClusterEvents {
                key: key.clone(),
                clusters: self.world.touched_clusters.clone(),
                interests: self.world.interests.clone(),
                unsaved: self.world.unsaved.clone(),
            }),
            tasks: self.world.tasks.clone(),
            cancel: self.world.cancel.child_token(),
        });
        Ok((Link::Session(Arc::new(session)), validity))
    }

    /// With what a permitted cluster is reached, until when that is good, and what tells it from other credentials.
    async fn access(
        &self,
        key: &ObjectKey,
        cluster: &Cluster,
    ) -> Result<(Access, Option<Validity>, Fingerprint), Problem> {
        let Some(reference) = &cluster.kubeconfig_secret_ref else {
            self.secrets.release(key);
            return Ok((Access::OwnCluster(self.world.client.clone()), None, [0; 32]));
        };
        self.secrets.release_others(key, &[&reference.name]);
        let data = self.secrets.follow(key, &reference.name).await?;
        let (kubeconfig, fingerprint) =
            match (data.get(&reference.key), data.get("server"), data.get("config")) {
                (Some(bytes), _, _) => (Kubeconfig::from_kubeconfig(bytes), fingerprint(&[bytes])),
                // Argo CD writes no kubeconfig but its parts.
                (None, Some(server), Some(config)) => (
                    Kubeconfig::from_argocd(server, config),
                    fingerprint(&[server, config]),
                ),
                _ => {
                    let missing = SecretProblem::KeyMissing(reference.name.clone(), reference.key.clone());
                    return Err(Problem::Secret(missing));
                }
            };
        let kubeconfig = kubeconfig.map_err(Problem::Kubeconfig)?;
        let validity = kubeconfig.validity();
        Ok((Access::Kubeconfig(Box::new(kubeconfig)), validity, fingerprint))
    }

    /// Lets reports see the cluster as it is authorised now; how it is read.
    fn connect(
        &self,
        key: &ObjectKey,
        authorization: &ClusterAuthorization,
        egress: Vec<IpNet>,
        link: Link,
    ) -> Link {
        let known = self.world.clusters.get(key);
        let link = match (link, known.as_ref().map(|cluster| &cluster.link)) {
            // The same state as before keeps its time.
            (
                Link::Broken { reason, .. },
                Some(Link::Broken {
                    reason: before,
                    since,
                }),
            ) if reason == *before => Link::Broken {
                reason,
                since: *since,
            },
            (link, _) => link,
        };
        let next = AuthorizedCluster {
            key: key.clone(),
            uid: authorization.uid().unwrap_or_default(),
            labels: authorization.labels().clone(),
            allowed: authorization.spec.allowed_reports.clone(),
            is_granting: self.world.settings.is_granting(&key.namespace),
            scope: NameFilter::new(&authorization.spec.scope.namespaces),
            egress,
            link,
        };
        let link = next.link.clone();
        if !known.is_some_and(|known| known.is_same(&next)) {
            self.world.clusters.insert(next);
            self.world.interests.touch_all();
        }
        link
    }

    fn disconnect(&self, key: &ObjectKey) {
        self.fingerprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        if let Some(removed) = self.world.clusters.remove(key) {
            self.world.unsaved.forget(key, &removed.uid);
            self.world.interests.touch_all();
        }
        self.count_clusters();
    }

    fn count_clusters(&self) {
        let all = self.world.clusters.all();
        let synced = all
            .iter()
            .filter(|cluster| matches!(&cluster.link, Link::Session(session) if session.state().is_synced()));
        let metrics = &self.world.metrics;
        metrics
            .clusters_synced
            .set(i64::try_from(synced.count()).unwrap_or(i64::MAX));
        metrics.clusters.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
    }
}

/// Whether the cluster that answers instead of the expected one is the one that was confirmed.
fn is_confirmed(state: &SessionState, confirmed: Option<&String>) -> bool {
    let stranger = state.stranger.as_ref().and_then(|cluster| cluster.uid.as_ref());
    stranger.is_some() && stranger == confirmed
}

fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Hands on what a session notices.
#[derive(Debug)]
struct ClusterEvents {
    key: ObjectKey,
    clusters: Arc<Touched>,
    interests: Arc<Interests>,
    unsaved: Arc<Unsaved>,
}

impl SessionEvents for ClusterEvents {
    fn state_changed(&self) {
        self.clusters.touch([self.key.clone()]);
        self.interests.touch_all();
    }

    fn uses_changed(&self) {
        self.unsaved.everything(&self.key);
        self.state_changed();
    }

    fn repositories_changed(&self, repositories: &[Arc<RepositoryName>]) {
        self.unsaved.repositories(&self.key, repositories);
        self.interests
            .touch_repositories(repositories.iter().map(AsRef::as_ref));
    }
}
