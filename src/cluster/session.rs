//! One authorised cluster: a client, who it is and what it lets us read, the watches, and how they fare.

mod progress;

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    backoff::{backoff, random},
    image::RepositoryName,
};

use super::{
    ClusterIdentity, Guard, Kubeconfig, Limits, Permission, SharedInventory, Timeouts, TouchSink,
    guarded_client, probe,
    watch::{self as watches, ClusterState, Target},
};

pub use self::progress::Progress;
use self::progress::Reach;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether the API server answers.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The same while it is in doubt whether it still does.
const PROBE_AGAIN: Duration = Duration::from_secs(2);
/// Looks in a row without an answer before the cluster counts as not reachable.
const PROBES_MISSED: u32 = 2;
/// Rights are checked again after so many looks.
const PROBES_BETWEEN_REVIEWS: u32 = 30;

/// With what a cluster is read.
pub enum Access {
    /// The cluster that the operator runs in, with its own client.
    OwnCluster(kube::Client),
    Kubeconfig(Box<Kubeconfig>),
}

/// Told what a session notices. Called from its tasks: must return at once.
pub trait SessionEvents: fmt::Debug + Send + Sync + 'static {
    /// Anything may have changed.
    fn state_changed(&self);
    /// Uses of these repositories changed.
    fn repositories_changed(&self, repositories: &[Arc<RepositoryName>]);
}

/// What a session needs.
pub struct SessionOptions {
    pub access: Access,
    pub guard: Guard,
    pub events: Arc<dyn SessionEvents>,
    /// Owns the session's tasks.
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
}

/// What there is to say about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionState {
    pub progress: Progress,
    /// Nothing before it has answered for the first time.
    pub cluster: Option<ClusterIdentity>,
    /// Empty before they were checked.
    pub permissions: Vec<Permission>,
}

impl SessionState {
    #[must_use]
    pub fn is_synced(&self) -> bool {
        matches!(self.progress, Progress::Synced { .. })
    }

    #[must_use]
    pub fn cluster_uid(&self) -> Option<&str> {
        self.cluster.as_ref()?.uid.as_deref()
    }
}

/// Reads one cluster for as long as it lives.
#[derive(Debug)]
pub struct Session {
    inventory: SharedInventory,
    state: watch::Receiver<SessionState>,
    _ends_with_it: DropGuard,
}

impl Session {
    /// Begins to connect, in a task of `options.tasks`.
    #[must_use]
    pub fn start(options: SessionOptions) -> Self {
        let SessionOptions {
            access,
            guard,
            events,
            tasks,
            cancel,
        } = options;
        let inventory = SharedInventory::default();
        let (sender, state) = watch::channel(SessionState {
            progress: Progress::Connecting,
            cluster: None,
            permissions: Vec::new(),
        });
        let reader = Reader {
            inventory: inventory.clone(),
            events,
            state: sender,
            cancel: cancel.clone(),
        };
        tasks.spawn(async move {
            let cancel = reader.cancel.clone();
            cancel.run_until_cancelled(reader.read(access, &guard)).await;
        });
        Self {
            inventory,
            state,
            _ends_with_it: cancel.drop_guard(),
        }
    }

    #[must_use]
    pub fn state(&self) -> SessionState {
        self.state.borrow().clone()
    }

    #[must_use]
    pub fn inventory(&self) -> &SharedInventory {
        &self.inventory
    }
}

struct Reader {
    inventory: SharedInventory,
    events: Arc<dyn SessionEvents>,
    state: watch::Sender<SessionState>,
    cancel: CancellationToken,
}

impl Reader {
    async fn read(self, access: Access, guard: &Guard) {
        let client = match client(access, guard) {
            Ok(client) => client,
            Err(reason) => {
                // Nothing changes before the authorisation or the configuration does.
                self.progress(Progress::Unreachable {
                    since: Timestamp::now(),
                    reason,
                });
                return std::future::pending().await;
            }
        };
        self.identify(&client).await;
        let (states, kinds) = watch::channel(ClusterState::new(Timestamp::now()));
        let (newest, clients) = watch::channel(client.clone());
        let target = Target {
            inventory: self.inventory.clone(),
            sink: Arc::new(Sink(self.events.clone())),
            states,
        };
        let (reach, reached) = watch::channel(Reach::Reached);
        let watching = watches::run(clients, Limits::default(), target, self.cancel.clone());
        tokio::join!(
            async {
                if let Err(error) = watching.await {
                    tracing::error!(%error, "a cluster is no longer read");
                    self.progress(Progress::Stale {
                        since: Timestamp::now(),
                        reason: "InternalError",
                    });
                }
            },
            self.probe(&newest, &reach),
            self.follow(kinds, reached),
        );
    }

    /// Until the API server has said who it is and what it lets us read.
    async fn identify(&self, client: &kube::Client) {
        let mut failures = 0;
        loop {
            let answer = async {
                let cluster = probe::identity(client).await?;
                let permissions = probe::permissions(client).await?;
                Ok::<_, &'static str>((cluster, permissions))
            };
            match answer.await {
                Ok((cluster, permissions)) => {
                    self.state.send_modify(|state| {
                        state.cluster = Some(cluster);
                        state.permissions = permissions;
                        state.progress = Progress::Syncing;
                    });
                    self.events.state_changed();
                    return;
                }
                Err(reason) => {
                    let since = match self.state.borrow().progress {
                        Progress::Unreachable { since, .. } => since,
                        _ => Timestamp::now(),
                    };
                    self.progress(Progress::Unreachable { since, reason });
                    failures += 1;
                    // At least a second: the answer may have been immediate.
                    tokio::time::sleep(Duration::from_secs(1) + backoff(failures + 1, random())).await;
                }
            }
        }
    }

    /// Looks again and again whether the API server answers, and at times what it lets us read.
    async fn probe(&self, clients: &watch::Sender<kube::Client>, reach: &watch::Sender<Reach>) {
        let client = &clients.borrow().clone();
        let mut missed = 0;
        let mut must_reconnect = false;
        for look in 1_u32.. {
            let is_doubtful = must_reconnect && missed < PROBES_MISSED;
            tokio::time::sleep(if is_doubtful { PROBE_AGAIN } else { PROBE_EVERY }).await;
            match probe::version(client).await {
                Ok(_) => {
                    if std::mem::take(&mut must_reconnect) {
                        // The watches' connections may have died of the same without being told, and those that
                        // wait to try again need to wait no longer.
                        clients.send_replace(client.clone());
                    }
                    missed = 0;
                    reach
                        .send_if_modified(|reach| std::mem::replace(reach, Reach::Reached) != Reach::Reached);
                }
                Err(reason) => {
                    missed += 1;
                    // A wait that was asked for is kept.
                    must_reconnect |= reason != "TooManyRequests";
                    if missed >= PROBES_MISSED || reason == "Unauthorized" {
                        reach.send_if_modified(|reach| reach.lose(reason, Timestamp::now()));
                    }
                }
            }
            if look % PROBES_BETWEEN_REVIEWS == 0
                && missed == 0
                && let Ok(permissions) = probe::permissions(client).await
            {
                let is_news = self.state.send_if_modified(|state| {
                    std::mem::replace(&mut state.permissions, permissions.clone()) != permissions
                });
                if is_news {
                    self.events.state_changed();
                }
            }
        }
    }

    /// Makes one progress of the kinds' states and of whether the API server answers.
    async fn follow(&self, mut kinds: watch::Receiver<ClusterState>, mut reach: watch::Receiver<Reach>) {
        loop {
            let next = {
                let kinds = kinds.borrow_and_update();
                let reach = reach.borrow_and_update();
                progress::of(&kinds, &reach, &self.state.borrow().progress, Timestamp::now())
            };
            self.progress(next);
            tokio::select! {
                changed = kinds.changed() => if changed.is_err() { return },
                changed = reach.changed() => if changed.is_err() { return },
            }
        }
    }

    fn progress(&self, next: Progress) {
        let is_news = self.state.send_if_modified(|state| {
            let is_news = state.progress != next;
            state.progress = next;
            is_news
        });
        if is_news {
            self.events.state_changed();
        }
    }
}

fn client(access: Access, guard: &Guard) -> Result<kube::Client, &'static str> {
    match access {
        Access::OwnCluster(client) => Ok(client),
        Access::Kubeconfig(kubeconfig) => {
            let config = kubeconfig.into_config(Timeouts {
                connect: CONNECT_TIMEOUT,
                // A watch is silent for as long as nothing changes; every request has a deadline of its own.
                read: None,
                write: CONNECT_TIMEOUT,
            });
            guarded_client(config, guard).map_err(|error| error.reason())
        }
    }
}

#[derive(Debug)]
struct Sink(Arc<dyn SessionEvents>);

impl TouchSink for Sink {
    fn repositories(&self, names: &[Arc<RepositoryName>]) {
        self.0.repositories_changed(names);
    }

    fn everything(&self) {
        self.0.state_changed();
    }
}
