//! Watching one kind and reconciling its objects.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future::BoxFuture};
use kube::{
    Api, Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        Controller, WatchStreamExt,
        controller::{self, Action},
        reflector, watcher,
    },
};
use serde::de::DeserializeOwned;
use tracing::{debug, warn};

use crate::{
    backoff::{backoff, random},
    telemetry::OutcomeLabel,
};

use super::{
    status::WriteError,
    touch::{ObjectKey, Touched},
    world::World,
};

const SHORTEST_RETRY: Duration = Duration::from_secs(1);
/// Objects of one kind that are reconciled at the same time.
const CONCURRENCY: u16 = 16;

/// What is done with the objects of one kind.
pub trait Reconcile<K>: Send + Sync + 'static {
    /// Looks at one object. An error is tried again with growing pauses.
    fn reconcile(self: Arc<Self>, object: Arc<K>) -> BoxFuture<'static, Result<Action, WriteError>>;
    /// The object is gone.
    fn gone(&self, key: &ObjectKey);
}

struct Driver<R> {
    kind: &'static str,
    world: Arc<World>,
    reconciler: Arc<R>,
    failures: Mutex<HashMap<ObjectKey, u32>>,
}

/// Runs until cancelled: every object of the kind is reconciled when it changes or is touched.
pub async fn drive<K, R>(world: Arc<World>, touched: Arc<Touched>, reconciler: Arc<R>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    R: Reconcile<K>,
{
    // The name of the kind is a constant of its type; leaking it once a process makes it a label.
    let kind: &'static str = Box::leak(K::kind(&()).into_owned().into_boxed_str());
    let api: Api<DeserializeGuard<K>> = Api::all(world.client.clone());
    let (reader, writer) = reflector::store();
    let gone = Gone {
        listed: HashSet::new(),
        known: HashSet::new(),
    };
    let changes = {
        let (world, reconciler, mut gone) = (world.clone(), reconciler.clone(), gone);
        watcher(api, watcher::Config::default())
            .default_backoff()
            .reflect(writer)
            .inspect_ok(move |event| {
                for key in gone.after(event) {
                    reconciler.gone(&key);
                }
                if matches!(event, watcher::Event::InitDone) {
                    world.readiness.is_there(kind);
                }
            })
            .applied_objects()
    };
    let driver = Arc::new(Driver {
        kind,
        world: world.clone(),
        reconciler,
        failures: Mutex::default(),
    });
    Controller::for_stream(changes, reader)
        .reconcile_on(touched.stream())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(world.cancel.clone().cancelled_owned())
        .run(reconcile::<K, R>, retry::<K, R>, driver)
        .for_each(|outcome| async move {
            match outcome {
                Ok(_)
                | Err(controller::Error::ObjectNotFound(_) | controller::Error::ReconcilerFailed(..)) => {}
                Err(error) => debug!(kind, %error, "watch failed, trying again"),
            }
        })
        .await;
}

async fn reconcile<K, R>(
    object: Arc<DeserializeGuard<K>>,
    driver: Arc<Driver<R>>,
) -> Result<Action, WriteError>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    R: Reconcile<K>,
{
    let key = ObjectKey::of(object.as_ref());
    let outcome = match &object.0 {
        Err(invalid) => {
            warn!(kind = driver.kind, object = %key, error = invalid.error, "not understood: written for another version");
            Ok(Action::await_change())
        }
        Ok(object) => {
            driver
                .reconciler
                .clone()
                .reconcile(Arc::new(object.clone()))
                .await
        }
    };
    let label = match &outcome {
        Ok(_) => {
            driver
                .failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&key);
            "Ok"
        }
        Err(error) => error.reason(),
    };
    driver
        .world
        .metrics
        .reconciliations
        .get_or_create(&OutcomeLabel {
            kind: driver.kind,
            outcome: label,
        })
        .inc();
    outcome
}

/// Full jitter below a bound that doubles.
#[allow(clippy::needless_pass_by_value)] // the signature is the controller's
fn retry<K, R>(object: Arc<DeserializeGuard<K>>, error: &WriteError, driver: Arc<Driver<R>>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    let key = ObjectKey::of(object.as_ref());
    let failures = {
        let mut failures = driver.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failures.entry(key.clone()).or_default();
        *failures += 1;
        *failures
    };
    let pause = backoff(failures + 1, random()).max(SHORTEST_RETRY);
    let cause = std::error::Error::source(error).map(ToString::to_string);
    warn!(kind = driver.kind, object = %key, %error, cause, ?pause, "reconciling failed, trying again");
    Action::requeue(pause)
}

/// Which objects a watch event takes away, also those that went while nobody watched.
struct Gone {
    known: HashSet<ObjectKey>,
    listed: HashSet<ObjectKey>,
}

impl Gone {
    fn after<K: ResourceExt>(&mut self, event: &watcher::Event<K>) -> Vec<ObjectKey> {
        match event {
            watcher::Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                self.listed.insert(ObjectKey::of(object));
                Vec::new()
            }
            watcher::Event::InitDone => {
                let known = std::mem::replace(&mut self.known, std::mem::take(&mut self.listed));
                known.difference(&self.known).cloned().collect()
            }
            watcher::Event::Apply(object) => {
                self.known.insert(ObjectKey::of(object));
                Vec::new()
            }
            watcher::Event::Delete(object) => {
                let key = ObjectKey::of(object);
                self.known.remove(&key);
                vec![key]
            }
        }
    }
}
