use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{info, warn};

use super::{
    client::Client,
    poller::{Poller, Stores},
    problem::Problem,
    source::Polled,
};
use crate::{
    cluster::Guard,
    store::{Cursors, EventLog, Keeping},
};

/// What a poll is started with.
pub struct PollOptions {
    pub polled: Polled,
    pub guard: Guard,
    pub log: Arc<dyn EventLog>,
    pub cursors: Arc<dyn Cursors>,
    pub keeping: Arc<dyn Keeping>,
    /// Called when what is wrong with the registry is something else than before; must not block.
    pub on_change: Box<dyn Fn() + Send + Sync>,
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
}

/// A source that is being polled, until this is dropped.
pub struct Poll {
    polled: Polled,
    problem: Arc<Mutex<Option<Problem>>>,
    _running: DropGuard,
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll")
            .field("polled", &self.polled)
            .finish_non_exhaustive()
    }
}

fn log_change(polled: &Polled, problem: Option<Problem>) {
    let Polled { registry, source, .. } = polled;
    let (namespace, registry) = (&registry.namespace, &registry.name);
    if let Some(problem) = problem {
        warn!(namespace, registry, source, %problem, "a log cannot be read");
    } else {
        info!(namespace, registry, source, "a log is read again");
    }
}

impl Poll {
    #[must_use]
    pub fn start(options: PollOptions) -> Self {
        let PollOptions {
            polled,
            guard,
            log,
            cursors,
            keeping,
            on_change,
            tasks,
            cancel,
        } = options;
        let cancel = cancel.child_token();
        let client = Client::new(polled.server.clone(), &guard);
        // Without a client it stays as it is until the object, its Secret or the configuration changes.
        let problem = client
            .as_ref()
            .err()
            .map(|error| Problem::Unreachable(error.reason()));
        let problem = Arc::new(Mutex::new(problem));
        if let Ok(client) = client {
            let stores = Stores {
                log,
                cursors,
                keeping,
            };
            let poller = Poller::new(polled.clone(), client, stores);
            let (known, cancel, told_of) = (problem.clone(), cancel.clone(), polled.clone());
            tasks.spawn(async move {
                let told = |problem| {
                    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    if std::mem::replace(&mut *known, problem) != problem {
                        drop(known);
                        log_change(&told_of, problem);
                        on_change();
                    }
                };
                cancel.run_until_cancelled(poller.run(told)).await;
            });
        }
        Self {
            polled,
            problem,
            _running: cancel.drop_guard(),
        }
    }

    #[must_use]
    pub fn polled(&self) -> &Polled {
        &self.polled
    }

    /// Why the log cannot be read now.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
