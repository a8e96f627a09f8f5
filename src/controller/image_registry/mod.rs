//! Image registries: accept, open their webhooks, say what has come.

mod authentication;
mod decide;
#[cfg(test)]
mod downtime;
mod endpoints;
mod polled;
mod signed;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use tracing::{info, warn};

use crate::{
    cluster::Guard,
    crd::{self, EventSource, ImageRegistry},
    poll::{self, Poll, PollOptions, Polled},
    receive::{Authentication, Source, SourcePath},
    store::{Refusing, RegistryKey, Terms},
};

use self::{
    authentication::Wanted,
    decide::{Accepted, Problem, Received, accept, status_of},
    polled::Owner,
    signed::MissingKeys,
};

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
        polls: Mutex::default(),
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
    /// The polled sources each registry has.
    polls: Mutex<HashMap<ObjectKey, Vec<Poll>>>,
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

    /// Opens the webhooks, begins to poll, lets reports use the registry, and reads what has come so far.
    async fn open(
        &self,
        key: &ObjectKey,
        object: &ImageRegistry,
        accepted: Accepted,
    ) -> Result<Received, Problem> {
        let Accepted {
            endpoints,
            network,
            retention,
            quota,
            rate,
            is_granting,
        } = accepted;
        let registry = Registry {
            key: key.clone(),
            uid: object.uid().unwrap_or_default(),
            endpoints,
            network: Arc::new(network),
            retention,
            formats: decide::formats(object),
            polled: decide::polled(object),
            quota,
            allowed: object.spec.allowed_reports.clone(),
            is_granting,
        };
        let store_key = registry.store_key();
        let terms = registry.terms();
        let owner = Owner {
            registry: &store_key,
            retention,
        };
        let (mut webhooks, mut polled, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        self.secrets
            .release_others(key, &authentication::secret_names(&object.spec.sources));
        for source in &object.spec.sources {
            match (&source.webhook, &source.poll) {
                (Some(webhook), None) => {
                    let (path, authentication) = self.webhook(key, source, webhook).await?;
                    let fetched = signed::fetched_keys(&authentication.method);
                    keys.extend(fetched.map(|keys| (source.name.clone(), keys)));
                    let source = Source {
                        registry: store_key.clone(),
                        name: source.name.clone(),
                        format: decide::format(source.format),
                        authentication,
                        rate,
                    };
                    webhooks.push((path, source));
                }
                (None, Some(poll)) => polled.push(self.polled(key, owner, source, poll).await?),
                _ => return Err(Problem::NotOneWay(source.name.clone())),
            }
        }
        // All or none: a source beside one that is not accepted stays closed.
        let paths: Vec<SourcePath> = webhooks.iter().map(|(path, _)| path.clone()).collect();
        for (path, source) in webhooks {
            self.world.directory.insert(path, source);
        }
        self.close_others(key, &paths);
        self.poll(key, polled);
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
            unread: self.unread(key),
            missing_keys: keys
                .iter()
                .find_map(|(source, keys)| MissingKeys::of(source, keys)),
        })
    }

    /// Where a source delivers, and what it is believed by.
    async fn webhook(
        &self,
        key: &ObjectKey,
        source: &EventSource,
        webhook: &crd::Webhook,
    ) -> Result<(SourcePath, Authentication), Problem> {
        let (method, secrets) = match authentication::authentication(webhook)? {
            Wanted::Nothing(method) => (method, Vec::new()),
            Wanted::Secrets(method, reference) => {
                let data = self.secrets.follow(key, &reference.name).await?;
                let secrets = authentication::secrets(&method, reference, &data)?;
                (method, secrets)
            }
            Wanted::Token(token) => (self.token(key, token).await?, Vec::new()),
            Wanted::Topic(topic) => (self.topic(key, topic).await?, Vec::new()),
        };
        let path = SourcePath {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            source: source.name.clone(),
        };
        Ok((path, Authentication { method, secrets }))
    }

    /// What a polled source asks for.
    async fn polled(
        &self,
        key: &ObjectKey,
        owner: Owner<'_>,
        source: &EventSource,
        poll: &crd::Poll,
    ) -> Result<Polled, Problem> {
        let secret = self
            .secrets
            .follow(key, &polled::credentials_ref(poll)?.name)
            .await?;
        let authority = match &poll.ca_secret_ref {
            Some(reference) => Some(self.secrets.follow(key, &reference.name).await?),
            None => None,
        };
        polled::polled(owner, source, poll, &secret, authority.as_ref())
    }

    /// Has these sources polled and no others; one that is as before goes on.
    fn poll(&self, key: &ObjectKey, polled: Vec<Polled>) {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = polls.remove(key).unwrap_or_default();
        let now: Vec<Poll> = polled
            .into_iter()
            .map(
                |polled| match before.iter().position(|poll| *poll.polled() == polled) {
                    Some(place) => before.swap_remove(place),
                    None => self.start(key, polled),
                },
            )
            .collect();
        if !now.is_empty() {
            polls.insert(key.clone(), now);
        }
    }

    fn start(&self, key: &ObjectKey, polled: Polled) -> Poll {
        info!(registry = %key, source = polled.source, "polling");
        let world = &self.world;
        let (touched, key) = (world.touched_registries.clone(), key.clone());
        Poll::start(PollOptions {
            polled,
            guard: Guard::new(world.settings.address_rules()),
            log: world.log.clone(),
            cursors: world.cursors.clone(),
            keeping: world.keeping.clone(),
            on_change: Box::new(move || touched.touch([key.clone()])),
            tasks: world.tasks.clone(),
            cancel: world.cancel.clone(),
        })
    }

    fn unread(&self, key: &ObjectKey) -> BTreeMap<String, poll::Problem> {
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_registry = polls.get(key).into_iter().flatten();
        of_registry
            .filter_map(|poll| Some((poll.polled().source.clone(), poll.problem()?)))
            .collect()
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
        self.poll(key, Vec::new());
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
