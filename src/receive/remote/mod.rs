//! What the receiver fetches in order to know who sends: keys that tokens are signed with, certificates of topics. Only
//! from hosts that the operator's configuration names, by https, and never where a redirect leads.

mod certificates;
mod fetcher;
mod keys;

use std::sync::Arc;

use http::Uri;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use certificates::{CertificateUnavailable, Certificates};
pub use fetcher::{FetchError, FetchHost, Fetcher, InvalidFetchHost};
pub use keys::{FetchedKeys, KeysState, Pace, RemoteKeys};

/// All of it, for the whole operator.
#[derive(Debug)]
pub struct Remote {
    pub fetcher: Fetcher,
    pub keys: RemoteKeys,
    pub certificates: Arc<Certificates>,
}

impl Remote {
    /// Tasks are tracked by `tasks` and end with `cancel`. `on_change` is told the address of keys when there are some,
    /// or none any more.
    #[must_use]
    pub fn new(
        fetcher: Fetcher,
        tasks: TaskTracker,
        cancel: CancellationToken,
        on_change: impl Fn(&Uri) + Send + Sync + 'static,
    ) -> Self {
        Self {
            keys: RemoteKeys::new(fetcher.clone(), Pace::default(), tasks, cancel, on_change),
            certificates: Arc::new(Certificates::new(fetcher.clone())),
            fetcher,
        }
    }
}
