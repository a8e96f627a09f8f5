//! One authorised cluster: a client, what it may read, the watches, and how they fare.

use std::{
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::image::RepositoryName;

use super::{
    Guard, Kubeconfig, SharedInventory, Timeouts, guarded_client,
    probe::{self, Probed},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether the API server answers.
const PROBE_EVERY: Duration = Duration::from_secs(10);
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

/// Told what a session notices.
pub trait SessionEvents: Send + Sync + 'static {
    fn state_changed(&self);
    /// Uses of these repositories changed.
    fn repositories_changed(&self, repositories: &[Arc<RepositoryName>]);
}

pub struct SessionOptions {
    pub access: Access,
    pub guard: Guard,
    pub events: Arc<dyn SessionEvents>,
    pub tasks: TaskTracker,
    pub cancel: CancellationToken,
}

/// How far the reading of a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Connecting,
    /// The first complete list is under way.
    Syncing,
    /// Everything that may be read was read and is followed; the resources that may not.
    Synced {
        since: Timestamp,
        forbidden: Vec<&'static str>,
    },
    /// It was read, and cannot be followed since then.
    Stale { since: Timestamp, reason: &'static str },
    /// It was never read, and cannot be reached since then.
    Unreachable { since: Timestamp, reason: &'static str },
}
