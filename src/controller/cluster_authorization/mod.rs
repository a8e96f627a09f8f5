//! Cluster authorisations: check, connect, keep a session each, say how it goes.

mod decide;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use sha2::{Digest as _, Sha256};
use tracing::info;

use crate::{
    cluster::{Access, Guard, Kubeconfig, Session, SessionEvents, SessionOptions},
    crd::{ClusterAuthorization, ClusterAuthorizationStatus, condition_type},
    image::RepositoryName,
};

use self::decide::{Problem, View, status_of};

use super::{
    clusters::{AuthorizedCluster, Link},
    grants,
    kinds::{self, Reconcile},
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
        let view = match self.link(&key, authorization, &previous).await {
            Ok(link) => self.connect(&key, authorization, link),
            Err(problem) => {
                if problem.is_refusal() {
                    self.disconnect(&key);
                } else {
                    let link = Link::Broken {
                        reason: problem.reason(),
                        since: Timestamp::now(),
                    };
                    self.connect(&key, authorization, link);
                }
                View::Problem(problem)
            }
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

    /// How the cluster is to be read: a running session if its credentials are still the same.
    async fn link(
        &self,
        key: &ObjectKey,
        authorization: &ClusterAuthorization,
        previous: &ClusterAuthorizationStatus,
    ) -> Result<Link, Problem> {
        let spec = &authorization.spec;
        let settings = &self.world.settings;
        if grants::reaches_beyond(&spec.allowed_reports) && !settings.is_granting(&key.namespace) {
            return Err(Problem::GrantNotPermitted);
        }
        if spec.suspend {
            self.secrets.release(key);
            let suspended = previous.conditions.iter().find(|condition| {
                condition.r#type == condition_type::SYNCED && condition.reason == decide::SUSPENDED
            });
            let since = suspended.map_or_else(Timestamp::now, |condition| condition.last_transition_time);
            return Ok(Link::Suspended { since });
        }
        let (access, fingerprint) = match (&spec.cluster.in_cluster, &spec.cluster.kubeconfig_secret_ref) {
            (Some(_), None) if key.namespace != settings.namespace => {
                return Err(Problem::InClusterNotPermitted);
            }
            (Some(_), None) => {
                self.secrets.release(key);
                (Access::OwnCluster(self.world.client.clone()), [0; 32])
            }
            (None, Some(reference)) => {
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
                            let missing =
                                SecretProblem::KeyMissing(reference.name.clone(), reference.key.clone());
                            return Err(Problem::Secret(missing));
                        }
                    };
                (
                    Access::Kubeconfig(Box::new(kubeconfig.map_err(Problem::Kubeconfig)?)),
                    fingerprint,
                )
            }
            _ => return Err(Problem::ClusterNotChosen),
        };
        let mut fingerprints = self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.world.clusters.get(key);
        if let Some(Link::Session(session)) = known.as_ref().map(|cluster| &cluster.link)
            && fingerprints.get(key) == Some(&fingerprint)
        {
            return Ok(Link::Session(session.clone()));
        }
        fingerprints.insert(key.clone(), fingerprint);
        info!(cluster = %key, "connecting");
        Ok(Link::Session(Arc::new(Session::start(SessionOptions {
            access,
            guard: Guard::new(self.world.settings.address_rules()),
            events: Arc::new(ClusterEvents {
                key: key.clone(),
                clusters: self.world.touched_clusters.clone(),
                interests: self.world.interests.clone(),
            }),
            tasks: self.world.tasks.clone(),
            cancel: self.world.cancel.child_token(),
        }))))
    }

    /// Lets reports see the cluster as it is authorised now.
    fn connect(&self, key: &ObjectKey, authorization: &ClusterAuthorization, link: Link) -> View {
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
            link,
        };
        let view = match &next.link {
            // Who found the link broken says why.
            Link::Suspended { .. } | Link::Broken { .. } => View::Suspended,
            Link::Session(session) => View::Connected {
                state: session.state(),
                usage: session.inventory().read().usage(),
            },
        };
        if !known.is_some_and(|known| known.is_same(&next)) {
            self.world.clusters.insert(next);
            self.world.interests.touch_all();
        }
        view
    }

    fn disconnect(&self, key: &ObjectKey) {
        self.fingerprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        if self.world.clusters.remove(key).is_some() {
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
}

impl SessionEvents for ClusterEvents {
    fn state_changed(&self) {
        self.clusters.touch([self.key.clone()]);
        self.interests.touch_all();
    }

    fn repositories_changed(&self, repositories: &[Arc<RepositoryName>]) {
        self.interests
            .touch_repositories(repositories.iter().map(AsRef::as_ref));
    }
}
