use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use http::Uri;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{
    authentication::{Authentication, Keys, Method, Verifier},
    rate::{Meter, Rate},
};
use crate::{dialect::Format, store::RegistryKey};

/// Where a source delivers: it names an `ImageRegistry` and one of its sources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePath {
    pub namespace: String,
    pub name: String,
    pub source: String,
}

impl fmt::Display for SourcePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            source,
        } = self;
        write!(f, "/v1/events/{namespace}/{name}/{source}")
    }
}

/// A source that may deliver.
#[derive(Debug)]
pub struct Source {
    pub registry: RegistryKey,
    pub name: String,
    pub format: Format,
    pub authentication: Authentication,
    /// How many deliveries its registry may make, through all of its sources.
    pub rate: Option<Rate>,
}

/// The sources that may deliver, by their path. The controller fills it, the server reads it.
#[derive(Debug, Default)]
pub struct Directory(RwLock<HashMap<SourcePath, Arc<Entry>>>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) registry: RegistryKey,
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) verifier: Verifier,
    /// One for all sources of the registry.
    meter: Option<Arc<Meter>>,
    counts: Arc<Counts>,
}

/// What outlives a change of an entry.
#[derive(Debug, Default)]
struct Counts {
    rejected: AtomicI64,
    turns: OnceLock<Arc<Semaphore>>,
}

impl Directory {
    /// Opens a path, or changes what it accepts.
    pub fn insert(&self, path: SourcePath, source: Source) {
        let Source {
            registry,
            name,
            format,
            authentication,
            rate,
        } = source;
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let counts = sources
            .get(&path)
            .map_or_else(Arc::default, |known| Arc::clone(&known.counts));
        let meter = rate.map(|rate| {
            let mut of_registry = sources.values().filter(|known| known.registry == registry);
            let known = of_registry.find_map(|known| known.meter.clone());
            let meter = known.unwrap_or_else(|| Arc::new(Meter::new(rate)));
            meter.set(rate);
            meter
        });
        let entry = Entry {
            registry,
            name,
            format,
            verifier: Verifier::new(authentication),
            meter,
            counts,
        };
        sources.insert(path, Arc::new(entry));
    }

    /// Closes a path.
    pub fn remove(&self, path: &SourcePath) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
    }

    /// Requests of a path refused since it was opened.
    #[must_use]
    pub fn rejected(&self, path: &SourcePath) -> i64 {
        self.entry(path)
            .map_or(0, |entry| entry.counts.rejected.load(Ordering::Relaxed))
    }

    /// The rate that a registry is above.
    #[must_use]
    pub fn exceeded(&self, registry: &RegistryKey) -> Option<Rate> {
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut of_registry = sources.values().filter(|entry| entry.registry == *registry);
        of_registry.find_map(|entry| entry.meter.as_ref()?.exceeded())
    }

    /// Paths whose tokens are checked with the keys at an address.
    #[must_use]
    pub fn with_keys_at(&self, url: &Uri) -> Vec<SourcePath> {
        let sources = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let uses = |entry: &Entry| match entry.verifier.method() {
            Method::SignedToken(rules) => matches!(&rules.keys, Keys::Fetched(keys) if keys.url() == url),
            _ => false,
        };
        let using = sources.iter().filter(|(_, entry)| uses(entry));
        using.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn entry(&self, path: &SourcePath) -> Option<Arc<Entry>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .cloned()
    }
}

impl Entry {
    pub(super) fn count_rejected(&self) {
        self.counts.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a delivery; whether it is within the rate of the registry.
    pub(super) fn is_within_rate(&self) -> bool {
        self.meter.as_ref().is_none_or(|meter| meter.take())
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        self.meter.as_ref().map(|meter| meter.rate())
    }

    /// Waits for a turn among the `at_once` that the source has.
    pub(super) async fn turn(&self, at_once: usize) -> Result<OwnedSemaphorePermit, AcquireError> {
        let turns = self
            .counts
            .turns
            .get_or_init(|| Arc::new(Semaphore::new(at_once)));
        Arc::clone(turns).acquire_owned().await
    }
}
