//! Keys that issuers of tokens publish: fetched while a source uses them, and again before they are outdated.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use http::Uri;
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::Fetcher;
use crate::{
    backoff::{backoff, random},
    receive::authentication::KeySet,
};

/// When keys are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least and the most time for which fetched keys count as current, whatever the answer says.
    pub current: (Duration, Duration),
    /// The least time between two fetches where a token names a key that is not there.
    pub look_again: Duration,
    /// How much longer keys are used where no newer ones can be fetched.
    pub outlive: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            current: (Duration::from_mins(5), Duration::from_hours(24)),
            look_again: Duration::from_mins(1),
            outlive: Duration::from_hours(24),
        }
    }
}

/// Whether there are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysState {
    /// The first answer is not there yet.
    Fetching,
    Available,
    /// Why there are none, as a word for a condition.
    Unavailable(&'static str),
}

/// The keys at one address. The task that fetches them ends when nobody has this any more.
#[derive(Debug)]
pub struct FetchedKeys {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    url: Uri,
    pace: Pace,
    held: RwLock<Held>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Held {
    keys: Option<Set>,
    /// Why the last fetch failed.
    failure: Option<&'static str>,
}

#[derive(Debug)]
struct Set {
    keys: Arc<KeySet>,
    fetched: Instant,
    /// The end of their use.
    until: Instant,
}

impl FetchedKeys {
    /// Where they are.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.shared.url
    }

    #[must_use]
    pub fn state(&self) -> KeysState {
        self.shared.state()
    }

    /// Nothing where there are none, or only outdated ones.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.shared.keys()
    }

    /// A token names a key that is not among them. Whether there may be new ones: they are fetched then. Who publishes
    /// them was asked just now where not.
    #[must_use]
    pub fn look_again(&self) -> bool {
        self.shared.wanted.notify_one();
        let held = self.shared.held.read().unwrap_or_else(PoisonError::into_inner);
        let set = held.keys.as_ref();
        set.is_none_or(|set| set.fetched.elapsed() >= self.shared.pace.look_again)
    }
}

impl Drop for FetchedKeys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn keys(&self) -> Option<Arc<KeySet>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let set = held.keys.as_ref()?;
        (Instant::now() < set.until).then(|| set.keys.clone())
    }

    fn state(&self) -> KeysState {
        if self.keys().is_some() {
            return KeysState::Available;
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.failure.map_or(KeysState::Fetching, KeysState::Unavailable)
    }

    /// Fetches until aborted.
    async fn follow(&self, fetcher: &Fetcher, on_change: &OnChange) {
        let (mut failures, mut told) = (0_u32, KeysState::Fetching);
        loop {
            let begun = Instant::now();
            let wait = match self.fetch(fetcher).await {
                Ok(current) => {
                    failures = 0;
                    current
                }
                Err(reason) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        warn!(
                            host = self.url.host(),
                            reason, "failed to fetch keys of tokens, trying again"
                        );
                    }
                    backoff(failures, random())
                }
            };
            let state = self.state();
            if state != told {
                told = state;
                info!(host = self.url.host(), ?state, "keys of tokens");
                on_change(&self.url);
            }
            let looking_again = async {
                self.wanted.notified().await;
                sleep_until(begun + self.pace.look_again).await;
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = looking_again => {}
            }
        }
    }

    /// How long what was fetched is current, or why there is nothing.
    async fn fetch(&self, fetcher: &Fetcher) -> Result<Duration, &'static str> {
        let answer = match fetcher.get(&self.url).await {
            Ok(answer) => KeySet::parse(&answer.body)
                .map(|keys| (keys, answer.max_age))
                .map_err(|_| "InvalidKeys"),
            Err(error) => Err(error.reason()),
        };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok((keys, max_age)) => {
                let (least, most) = self.pace.current;
                let current = max_age.unwrap_or(least).clamp(least, most);
                let now = Instant::now();
                *held = Held {
                    keys: Some(Set {
                        keys: Arc::new(keys),
                        fetched: now,
                        until: now + current + self.pace.outlive,
                    }),
                    failure: None,
                };
                Ok(current)
            }
            Err(reason) => {
                held.failure = Some(reason);
                Err(reason)
            }
        }
    }
}

type OnChange = Arc<dyn Fn(&Uri) + Send + Sync>;

/// Keys by their address, each fetched by one task however many sources use them.
pub struct RemoteKeys {
    fetcher: Fetcher,
    pace: Pace,
    tasks: TaskTracker,
    cancel: CancellationToken,
    on_change: OnChange,
    followed: Mutex<HashMap<Uri, Weak<FetchedKeys>>>,
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys")
            .field("fetcher", &self.fetcher)
            .finish_non_exhaustive()
    }
}

impl RemoteKeys {
    #[must_use]
    pub fn new(
        fetcher: Fetcher,
        pace: Pace,
        tasks: TaskTracker,
        cancel: CancellationToken,
        on_change: impl Fn(&Uri) + Send + Sync + 'static,
    ) -> Self {
        Self {
            fetcher,
            pace,
            tasks,
            cancel,
            on_change: Arc::new(on_change),
            followed: Mutex::default(),
        }
    }

    /// The keys at an address, fetched from now on for as long as somebody has them.
    #[must_use]
    pub fn at(&self, url: &Uri) -> Arc<FetchedKeys> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|_, keys| keys.strong_count() > 0);
        if let Some(keys) = followed.get(url).and_then(Weak::upgrade) {
            return keys;
        }
        let keys = Arc::new(self.follow(url.clone()));
        followed.insert(url.clone(), Arc::downgrade(&keys));
        keys
    }

    fn follow(&self, url: Uri) -> FetchedKeys {
        let shared = Arc::new(Shared {
            url,
            pace: self.pace,
            held: RwLock::default(),
            wanted: Notify::new(),
        });
        let (followed, fetcher) = (shared.clone(), self.fetcher.clone());
        let (cancel, on_change) = (self.cancel.clone(), self.on_change.clone());
        let task = self.tasks.spawn(async move {
            cancel
                .run_until_cancelled(followed.follow(&fetcher, &on_change))
                .await;
        });
        FetchedKeys {
            shared,
            task: task.abort_handle(),
        }
    }
}
