//! Deliveries that were refused: each source's first opens a gap, which is written down at once,
//! or as soon as the database can be written.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    changes::OnChange,
    failure::Failure,
    keeping,
    session::{Database, within},
};
use crate::{
    backoff::{about, random},
    store::{RegistryKey, StoreError, accounts::Accounts, batch::Batch},
};

const WRITE_WITHIN: Duration = Duration::from_secs(6);
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Refusals {
    pub(super) database: Arc<Database>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) on_change: OnChange,
    pub(super) unwritten: Notify,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    /// Notes one that a database which is there does not take.
    pub(super) async fn now(&self, batch: &Batch, error: &StoreError) {
        if batch.replays.is_none()
            && self.note(&batch.registry, &batch.source, batch.received, error)
            && let Err(error) = within(WRITE_WITHIN, self.write()).await
        {
            warn!(%error, "failed to note that events are refused: trying again, a crash would lose it");
            self.put_off(&batch.registry);
        }
    }

    /// Notes one of a database that may be away.
    pub(super) fn later(&self, batch: &Batch, error: &StoreError) {
        if batch.replays.is_none() {
            self.of_source(&batch.registry, &batch.source, batch.received, error);
        }
    }

    pub(super) fn of_source(
        &self,
        registry: &RegistryKey,
        source: &str,
        received: i64,
        error: &dyn fmt::Display,
    ) {
        if self.note(registry, source, received, error) {
            self.put_off(registry);
        }
    }

    /// Whether that is news.
    fn note(&self, key: &RegistryKey, source: &str, received: i64, error: &dyn fmt::Display) -> bool {
        let is_news = self.accounts.refused(key, source, received);
        if is_news {
            warn!(namespace = key.namespace, registry = key.name, source, %error, "events are refused");
        }
        is_news
    }

    fn put_off(&self, registry: &RegistryKey) {
        self.unwritten.notify_one();
        (self.on_change)(registry, &[]);
    }

    /// Writes what was put off, until cancelled; then once more.
    pub(super) async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let writing = async {
            loop {
                self.unwritten.notified().await;
                while within(WRITE_WITHIN, self.write()).await.is_err() {
                    tokio::time::sleep(about(RETRY, random())).await;
                }
            }
        };
        let _: Option<()> = cancel.run_until_cancelled(writing).await;
        if let Err(error) = within(RETRY, self.write()).await {
            warn!(%error, "failed to note that events were refused");
        }
    }

    async fn write(&self) -> Result<(), Failure> {
        let refused = self.accounts.unwritten();
        if refused.is_empty() {
            return Ok(());
        }
        let session = self.database.session().await?;
        for (registry, source, since) in &refused {
            keeping::mark_refused(&session, registry, source, *since).await?;
            self.accounts.written(registry, source);
            (self.on_change)(registry, &[]);
        }
        session.done();
        Ok(())
    }
}
