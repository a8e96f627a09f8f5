//! The store in one `SQLite` file: one thread writes, a few connections read.

mod append;
mod backup;
mod check;
mod cursors;
mod facts;
mod gaps;
mod gate;
mod keeping;
mod known;
mod listening;
mod opened;
mod pages;
mod parts;
mod pointers;
mod purge;
mod quarantine;
mod query;
mod readers;
mod relink;
mod rows;
mod schema;
mod sealing;
mod source;
mod space;
mod sums;
mod tally;
#[cfg(test)]
pub(super) mod tests;
mod touched;
mod transfer;
mod usage;
mod values;
mod writer;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
    time::Instant,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::{
    gate::Gate,
    keeping::KeepingChange,
    purge::PurgeStep,
    readers::Readers,
    usage::UsageChange,
    values::nanoseconds,
    writer::{Command, Reply, Waiting, Writer},
};
use super::{
    Appended, AttributedEvent, BodyAside, Cursor, Cursors, Delivery, EventLog, EventQuery, EventReader,
    KeepFree, Keeping, Kept, LastKnown, Listened, Listening, LogKey, PageKey, Purged, Quarantine, Refusing,
    RegistryKey, RepositoryUses, Room, SourceState, StoreError, TagFacts, TagPointer, Tally, Terms, Upkeep,
    UsageSpan, UsageStore, batch::Batch, room,
};
use crate::image::RepositoryName;

pub use self::{
    backup::{Backup, backup},
    check::{Findings, check},
    quarantine::{quarantined, quarantined_body},
    transfer::{SqliteReader, SqliteWriter},
};

/// Events in one `SQLite` file (3.51.3 or newer, write-ahead log, every commit synced). One
/// process at a time; the file has to be on a local file system.
#[derive(Debug)]
pub struct SqliteStore {
    commands: Sender<Command>,
    room: Arc<Semaphore>,
    readers: Readers,
    gate: Arc<Gate>,
    /// Cancelled when the writer is gone, for whatever reason.
    gone: CancellationToken,
    writer: Mutex<Option<JoinHandle<rusqlite::Result<()>>>>,
    /// Held while buckets are sealed: another sealing would sweep away what this one began.
    sealing: tokio::sync::Mutex<()>,
}

impl SqliteStore {
    /// Opens or makes the file at `path`, brings its schema up to date, and starts the writer.
    /// Blocks for as long as that takes.
    ///
    /// `on_change` is called on the writer's thread, so it must not block: with the paths
    /// of the repositories whose events changed, once they can be read; with none when only
    /// what is known of a source's completeness changed.
    pub fn open(
        path: &Path,
        on_change: impl Fn(&RegistryKey, &[String]) + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_keeping_free(path, KeepFree::default(), on_change)
    }

    /// Like [`open`](Self::open); refuses deliveries while less than `keep_free` of the
    /// volume is free.
    pub fn open_keeping_free(
        path: &Path,
        keep_free: KeepFree,
        on_change: impl Fn(&RegistryKey, &[String]) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let lock = schema::lock(path)?;
        let connection = schema::open_writer(path)?;
        let failed = |error: &dyn std::error::Error| StoreError::Open(format!("{}: {error}", path.display()));
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => ".".into(),
        };
        let gate = Gate::load(&connection, folder, keep_free).map_err(|error| failed(&error))?;
        let gate = Arc::new(gate);
        let writer =
            Writer::new(connection, gate.clone(), Box::new(on_change)).map_err(|error| failed(&error))?;
        let (commands, queue) = mpsc::channel();
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Dropped in the opposite order: the lock goes after the file is closed.
                let _guard = guard;
                let _lock = lock;
                writer.run(&queue)
            })
            .map_err(|error| failed(&error))?;
        Ok(Self {
            commands,
            room: Arc::new(Semaphore::new(room::ROOM as usize)),
            readers: Readers::new(path.to_owned()),
            gate,
            gone,
            writer: Mutex::new(Some(thread)),
            sealing: tokio::sync::Mutex::default(),
        })
    }

    fn join(&self) -> Result<(), StoreError> {
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(StoreError::Write(error.to_string())),
            Some(Err(_panic)) => Err(StoreError::Write("the writer panicked".to_owned())),
        }
    }

    async fn change_usage(&self, change: UsageChange) -> Result<(), StoreError> {
        self.ask(|reply| Command::Usage { change, reply }).await
    }

    /// Has the writer do all of it, step by step.
    async fn change_keeping(&self, change: KeepingChange) -> Result<(), StoreError> {
        while self
            .ask(|reply| Command::Keeping {
                change: change.clone(),
                reply,
            })
            .await?
        {}
        Ok(())
    }

    /// Has the writer do something.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// `replays` is the body that the delivery was.
    async fn take(&self, delivery: Delivery, replays: Option<i64>) -> Result<Appended, StoreError> {
        let units = room::units(&delivery);
        let room = Arc::clone(&self.room);
        let room = tokio::time::timeout(room::PATIENCE, room.acquire_many_owned(units))
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        let batch = Batch {
            replays,
            ..Batch::from(delivery)
        };
        self.ask(|reply| Command::Append(Waiting { batch, reply, room }))
            .await
    }
}

impl Drop for SqliteStore {
    /// Waits for the writer, so that the file can be opened again.
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close);
        let _ = self.join();
    }
}

impl EventLog for SqliteStore {
    fn append(&self, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(self.take(delivery, None))
    }

    fn refused(&self, registry: &RegistryKey, source: &str, received: Timestamp, reason: &'static str) {
        if self.gate.refused(registry, source, nanoseconds(received)) {
            let RegistryKey { namespace, name, .. } = registry;
            warn!(namespace, registry = name, source, reason, "events are refused");
            // Without the writer nothing is kept.
            let _ = self.commands.send(Command::MarkRefused);
        }
    }
}

impl EventReader for SqliteStore {
    fn events(
        &self,
        query: EventQuery,
        before: Option<PageKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<AttributedEvent>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| pages::events(connection, &query, before.as_ref(), limit)),
        )
    }

    fn tally(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Tally>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| tally::tally(connection, &query)),
        )
    }

    fn tag_pointers(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagPointer>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| facts::tag_pointers(connection, &registry, &repository)),
        )
    }

    fn tags(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagFacts>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| facts::tags(connection, &registry, &repository)),
        )
    }

    fn sources(&self, registry: RegistryKey) -> BoxFuture<'_, Result<Vec<SourceState>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| facts::sources(connection, &registry)),
        )
    }
}

impl Upkeep for SqliteStore {
    fn purge(&self, registry: RegistryKey, before: Timestamp) -> BoxFuture<'_, Result<Purged, StoreError>> {
        Box::pin(async move {
            let mut step = PurgeStep::begin(registry, nanoseconds(before));
            loop {
                let begun = Instant::now();
                let (next, more) = self.ask(|reply| Command::Purge { step, reply }).await?;
                if !more {
                    self.change_keeping(KeepingChange::HandBack).await?;
                    return Ok(next.purged);
                }
                step = next;
                // At most half of the writer's time.
                tokio::time::sleep(begun.elapsed()).await;
            }
        })
    }

    fn seal(&self, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let _alone = self.sealing.lock().await;
            sealing::seal(self, nanoseconds(now)).await
        })
    }

    fn linked(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(|reply| Command::Link { reply }))
    }

    /// The file may be damaged, or the writer panicked.
    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.gone.cancelled())
    }

    /// Also empties the write-ahead log and closes the file.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async {
            self.room.close();
            self.readers.close().await;
            // Already gone: then the join below tells why.
            let _ = self.commands.send(Command::Close);
            self.gone.cancelled().await;
            self.join()
        })
    }
}

impl Quarantine for SqliteStore {
    fn aside(&self, after: i64) -> BoxFuture<'_, Result<Vec<BodyAside>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| quarantine::next(connection, after)),
        )
    }

    fn replay(&self, body: i64, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>> {
        Box::pin(self.take(delivery, Some(body)))
    }
}

impl Listening for SqliteStore {
    fn listened(&self, listened: Listened) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(|reply| Command::Listened { listened, reply }))
    }
}

impl Keeping for SqliteStore {
    fn keep(&self, registry: RegistryKey, terms: Terms) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change_keeping(KeepingChange::Keep { registry, terms }))
    }

    fn release(&self, registry: RegistryKey, at: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change_keeping(KeepingChange::Release { registry, at }))
    }

    fn remove(&self, registry: RegistryKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.change_keeping(KeepingChange::Remove { registry }).await?;
            self.change_keeping(KeepingChange::HandBack).await
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<Kept>, StoreError>> {
        Box::pin(self.readers.read(keeping::kept))
    }

    fn refusing(&self, registry: &RegistryKey) -> Option<Refusing> {
        self.gate.refusing(registry)
    }

    fn room(&self) -> Room {
        self.gate.room()
    }
}

impl Cursors for SqliteStore {
    fn cursor(&self, log: LogKey) -> BoxFuture<'_, Result<Option<Cursor>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| cursors::cursor(connection, &log)),
        )
    }

    fn set_cursor(&self, log: LogKey, cursor: Cursor) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change_keeping(KeepingChange::Cursor { log, cursor }))
    }
}

impl UsageStore for SqliteStore {
    fn save_uses(
        &self,
        cluster: String,
        as_of: Timestamp,
        changed: Vec<RepositoryUses>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change_usage(UsageChange::Save {
            cluster,
            as_of,
            changed,
        }))
    }

    fn forget_uses(&self, cluster: String) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.change_usage(UsageChange::Forget { cluster }))
    }

    fn last_known(
        &self,
        cluster: String,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<Option<LastKnown>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| usage::last_known(connection, &cluster, &repositories)),
        )
    }

    fn usage_spans(
        &self,
        clusters: Vec<String>,
        repositories: Vec<RepositoryName>,
    ) -> BoxFuture<'_, Result<HashMap<String, Vec<UsageSpan>>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| usage::spans(connection, &clusters, &repositories)),
        )
    }

    fn used_repositories(&self, cluster: String) -> BoxFuture<'_, Result<Vec<RepositoryName>, StoreError>> {
        Box::pin(
            self.readers
                .read(move |connection| usage::used_repositories(connection, &cluster)),
        )
    }

    fn usage_clusters(&self) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(self.readers.read(usage::clusters))
    }
}
