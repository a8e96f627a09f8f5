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
    /// Every object that was there at the start has been looked at. May be said again.
    fn all_looked_at(&self) {}
}

struct Driver<R> {
    kind: &'static str,
    world: Arc<World>,
    reconciler: Arc<R>,
    failures: Mutex<HashMap<ObjectKey, u32>>,
    first_look: Arc<Mutex<FirstLook>>,
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
    let first_look = Arc::new(Mutex::new(FirstLook::default()));
    let changes = {
        let (world, reconciler, mut gone) = (world.clone(), reconciler.clone(), gone);
        let first_look = first_look.clone();
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
                let mut first_look = first_look.lock().unwrap_or_else(PoisonError::into_inner);
                if first_look.after(event, &gone.known) {
                    reconciler.all_looked_at();
                }
            })
            .applied_objects()
    };
    let driver = Arc::new(Driver {
        kind,
        world: world.clone(),
        reconciler,
        failures: Mutex::default(),
        first_look,
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
    let mut first_look = driver.first_look.lock().unwrap_or_else(PoisonError::into_inner);
    if first_look.looked_at(&key) {
        driver.reconciler.all_looked_at();
    }
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

/// Which objects that were there at the start have not been looked at yet.
#[derive(Default)]
struct FirstLook {
    /// Before the list is whole.
    early: HashSet<ObjectKey>,
    waiting: Option<HashSet<ObjectKey>>,
}

impl FirstLook {
    /// Takes a watch event after which these are known; whether nothing waits any more.
    fn after<K>(&mut self, event: &watcher::Event<K>, known: &HashSet<ObjectKey>) -> bool {
        match (event, &mut self.waiting) {
            (watcher::Event::InitDone, None) => {
                let waiting = known
                    .difference(&std::mem::take(&mut self.early))
                    .cloned()
                    .collect();
                self.waiting = Some(waiting);
            }
            (watcher::Event::InitDone | watcher::Event::Delete(_), Some(waiting)) if !waiting.is_empty() => {
                waiting.retain(|key| known.contains(key));
            }
            _ => return false,
        }
        self.is_over()
    }

    /// Whether nothing waits any more, now that this has been looked at.
    fn looked_at(&mut self, key: &ObjectKey) -> bool {
        match &mut self.waiting {
            None => {
                self.early.insert(key.clone());
                false
            }
            Some(waiting) => waiting.remove(key) && self.is_over(),
        }
    }

    fn is_over(&self) -> bool {
        self.waiting.as_ref().is_some_and(HashSet::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            namespace: "team".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_first_look_is_over_when_all_that_were_listed_are_looked_at_or_gone() {
        let known = |names: &[&str]| names.iter().map(|name| key(name)).collect::<HashSet<_>>();
        let mut look = FirstLook::default();
        assert!(!look.looked_at(&key("early")));
        let listed = known(&["early", "a", "b"]);
        assert!(!look.after(&watcher::Event::<()>::InitDone, &listed));
        assert!(!look.looked_at(&key("a")));
        assert!(!look.looked_at(&key("a")), "again");
        assert!(!look.looked_at(&key("new")));
        assert!(look.after(&watcher::Event::Delete(()), &known(&["early", "a"])));
        assert!(!look.looked_at(&key("a")), "it is over already");
    }

    #[test]
    fn the_first_look_at_nothing_is_over_with_the_list() {
        let mut look = FirstLook::default();
        assert!(look.after(&watcher::Event::<()>::InitDone, &HashSet::new()));
        assert!(!look.after(&watcher::Event::<()>::InitDone, &HashSet::new()));
    }
}
