//! One authorised cluster: a client, who it is and what it lets us read, the watches, and how they fare.

mod progress;
mod reader;

use std::{fmt, sync::Arc};

use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::image::RepositoryName;

use super::{ClusterIdentity, Guard, Kind, Kubeconfig, SharedInventory, probe::Rights};

pub use self::progress::Progress;
use self::reader::Reader;

/// The reason of a cluster that is not the one that was authorised.
pub const CLUSTER_CHANGED: &str = "ClusterChanged";

/// With what a cluster is read.
#[derive(Clone)]
pub enum Access {
    /// The cluster that the operator runs in, with its own client.
    OwnCluster(kube::Client),
    Kubeconfig(Box<Kubeconfig>),
}

/// Told what a session notices. Called from its tasks: must return at once.
pub trait SessionEvents: fmt::Debug + Send + Sync + 'static {
    /// Anything but uses may have changed.
    fn state_changed(&self);
    /// Any use may have changed.
    fn uses_changed(&self);
    /// Uses of these repositories changed.
    fn repositories_changed(&self, repositories: &[Arc<RepositoryName>]);
}

/// What a session needs.
pub struct SessionOptions {
    pub access: Access,
    /// Uids of the clusters that may answer; empty where any may, since none was ever connected. The first that
    /// answers is the only one from then on.
    pub expected: Vec<String>,
    /// What to read.
    pub kinds: Arc<[Kind]>,
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
    /// Which cluster answers instead of the expected one; it is not read.
    pub stranger: Option<ClusterIdentity>,
    pub rights: Rights,
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
    access: watch::Sender<Access>,
    _ends_with_it: DropGuard,
}

impl Session {
    /// Begins to connect, in a task of `options.tasks`.
    #[must_use]
    pub fn start(options: SessionOptions) -> Self {
        let SessionOptions {
            access,
            expected,
            kinds,
            guard,
            events,
            tasks,
            cancel,
        } = options;
        let inventory = SharedInventory::default();
        let (sender, state) = watch::channel(SessionState {
            progress: Progress::Connecting,
            cluster: None,
            stranger: None,
            rights: Rights::default(),
        });
        let (access, accesses) = watch::channel(access);
        let reader = Reader {
            inventory: inventory.clone(),
            expected,
            kinds,
            guard,
            events,
            state: sender,
            cancel: cancel.clone(),
        };
        tasks.spawn(async move {
            let cancel = reader.cancel.clone();
            cancel.run_until_cancelled(reader.read(accesses)).await;
        });
        Self {
            inventory,
            state,
            access,
            _ends_with_it: cancel.drop_guard(),
        }
    }

    /// Goes on with newer credentials, without listing again, once the same cluster answers to them.
    pub fn renew(&self, access: Access) {
        self.access.send_replace(access);
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

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnCluster(_) => "OwnCluster",
            Self::Kubeconfig(_) => "Kubeconfig([redacted])",
        })
    }
}
