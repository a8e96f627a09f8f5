//! Image registries: accept, open their webhooks, say what has come.

mod decide;
#[cfg(test)]
mod downtime;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::{info, warn};

use crate::{
    crd::ImageRegistry,
    receive::{Authentication, Source, SourcePath},
    store::{Refusing, RegistryKey, Terms},
};

use self::decide::{Accepted, Problem, Received, accept, status_of};

use super::{
    kinds::{self, Reconcile},
    registries::Registry,
    secrets::Secrets,
    status::{CalmWriter, NUMBERS_EVERY, STORE_RETRY, WriteError},
    touch::ObjectKey,
    world::World,
};

/// Runs until cancelled.
pub async fn run(world: Arc<World>) {
    let touched = world.touched_registries.clone();
    let secrets = Secrets::new(&world, touched.clone());
    let registries = Arc::new(ImageRegistries {
        world: world.clone(),
        secrets,
        paths: Mutex::default(),
        told: Mutex::default(),
        statuses: CalmWriter::default(),
    });
    kinds::drive::<ImageRegistry, ImageRegistries>(world, touched, registries).await;
}

struct ImageRegistries {
    world: Arc<World>,
    secrets: Secrets,
    /// The webhooks each registry has.
    paths: Mutex<HashMap<ObjectKey, Vec<SourcePath>>>,
    /// What the store was told to keep of each.
    told: Mutex<HashMap<ObjectKey, (RegistryKey, Terms)>>,
    statuses: CalmWriter,
}

/// What readiness waits for: before the webhooks are open, deliveries are answered that there is no such source.
pub const WEBHOOKS: &str = "webhooks of ImageRegistries";

impl Reconcile<ImageRegistry> for ImageRegistries {
    fn reconcile(
        self: Arc<Self>,
        registry: Arc<ImageRegistry>,
    ) -> BoxFuture<'static, Result<Action, WriteError>> {
        async move { self.reconcile_registry(&registry).await }.boxed()
    }

    fn gone(&self, key: &ObjectKey) {
        self.secrets.release(key);
        self.statuses.forget(key);
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        self.withdraw(key);
    }

    fn all_looked_at(&self) {
        self.world.readiness.is_there(WEBHOOKS);
    }
}

impl ImageRegistries {
    async fn reconcile_registry(&self, object: &ImageRegistry) -> Result<Action, WriteError> {
        let key = ObjectKey::of(object);
        let previous = object.status.clone().unwrap_or_default();
        let outcome = match accept(object, &self.world.settings) {
            Ok(accepted) => self.open(&key, object, accepted).await,
            Err(problem) => Err(problem),
        };
        if outcome.is_err() {
            self.withdraw(&key);
        }
        let is_store_away = matches!(&outcome, Ok(Received { sources: None, .. }));
        let status = status_of(outcome, object, &previous, Timestamp::now());
        let only_counts = status.conditions == previous.conditions && !previous.sources.is_empty();
        self.statuses
            .write::<ImageRegistry, _>(&self.world, &key, [&previous, &status], only_counts)
            .await?;
        Ok(Action::requeue(if is_store_away {
            STORE_RETRY
        } else {
            NUMBERS_EVERY
        }))
    }

    /// Opens the webhooks, lets reports use the registry, and reads what has come so far.
    async fn open(
        &self,
        key: &ObjectKey,
        object: &ImageRegistry,
        accepted: Accepted,
    ) -> Result<Received, Problem> {
        let Accepted {
            hosts,
            network,
            retention,
            quota,
            rate,
            is_granting,
        } = accepted;
        let registry = Registry {
            key: key.clone(),
            uid: object.uid().unwrap_or_default(),
            hosts,
            network: Arc::new(network),
            retention,
            formats: decide::formats(object),
            quota,
            allowed: object.spec.allowed_reports.clone(),
            is_granting,
        };
        let store_key = registry.store_key();
        let terms = registry.terms();
        let mut paths = Vec::new();
        for source in &object.spec.sources {
            let (method, reference) = decide::authentication(source)?;
            let secrets = match reference {
                Some(reference) => {
                    let data = self.secrets.follow(key, &reference.name).await?;
                    decide::secrets(&method, reference, &data)?
                }
                None => Vec::new(),
            };
            let path = SourcePath {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                source: source.name.clone(),
            };
            self.world.directory.insert(
                path.clone(),
                Source {
                    registry: store_key.clone(),
                    name: source.name.clone(),
                    format: decide::format(source.format),
                    authentication: Authentication { method, secrets },
                    rate,
                },
            );
            paths.push(path);
        }
        self.close_others(key, &paths);
        let rivals = self.world.registries.rivals(&registry);
        let known = self.world.registries.get(key);
        let is_news = !known.is_some_and(|known| known.is_same(&registry));
        if is_news {
            info!(registry = %key, "accepted");
            self.world.registries.insert(registry);
            self.world.interests.touch_all();
            self.world.touched_registries.touch(rivals.clone());
            self.count();
        }
        self.keep(key, &store_key, terms).await;
        let mut refusing = self.world.keeping.refusing(&store_key);
        let exceeded = self.world.directory.exceeded(&store_key);
        let sources = match self.world.events.sources(store_key).await {
            Ok(sources) => Some(sources),
            Err(error) => {
                warn!(registry = %key, %error, "failed to read what has been received");
                refusing.get_or_insert(Refusing::Unavailable);
                None
            }
        };
        Ok(Received {
            sources,
            rejected: paths
                .iter()
                .map(|path| (path.source.clone(), self.world.directory.rejected(path)))
                .collect(),
            rivals,
            refusing,
            exceeded,
        })
    }

    /// Tells the store what to keep, until it has taken it.
    async fn keep(&self, key: &ObjectKey, store_key: &RegistryKey, terms: Terms) {
        let told = Some((store_key.clone(), terms));
        let known = self
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        if known == told {
            return;
        }
        match self.world.keeping.keep(store_key.clone(), terms).await {
            Ok(()) => {
                let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                all.extend(told.map(|told| (key.clone(), told)));
            }
            Err(error) => warn!(registry = %key, %error, "failed to note what is to be kept: trying again"),
        }
    }

    fn close_others(&self, key: &ObjectKey, kept: &[SourcePath]) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let before = paths.insert(key.clone(), kept.to_vec()).unwrap_or_default();
        for path in before.iter().filter(|path| !kept.contains(path)) {
            self.world.directory.remove(path);
        }
    }

    fn withdraw(&self, key: &ObjectKey) {
        let paths = self
            .paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
        for path in paths.unwrap_or_default() {
            self.world.directory.remove(&path);
        }
        if let Some(registry) = self.world.registries.remove(key) {
            self.world.interests.touch_all();
            self.world
                .touched_registries
                .touch(self.world.registries.rivals(&registry));
        }
        self.count();
    }

    fn count(&self) {
        let all = self.world.registries.all().len();
        self.world
            .metrics
            .registries
            .set(i64::try_from(all).unwrap_or(i64::MAX));
    }
}
