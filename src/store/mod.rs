//! Where events, and what clusters were last seen to run, are kept. The traits belong to
//! those who use them: `receive` appends, `controller` reads.

mod accounts;
mod batch;
mod bucket;
#[cfg(test)]
pub(crate) mod conformance;
mod cursor;
mod gap;
mod keeping;
mod listening;
mod order;
mod postgres;
mod quarantine;
mod reporting;
mod rollup;
mod room;
mod scan;
mod scope;
mod sought;
mod spans;
mod sqlite;
mod tags;
mod tallies;
pub mod transfer;
mod usage;
mod values;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;
use thiserror::Error;

use crate::{
    event::{
        Attribution, Category, DeleteTarget, LogicalCategory, LogicalEvent, NetworkType, RegistryEvent,
        SourceAddress,
    },
    image::Digest,
};

pub use cursor::{Cursor, Cursors, LogKey};
pub use keeping::{
    KeepFree, Keeping, Kept, LOW_SPACE, QUOTA_EXCEEDED, Refusing, Room, STORE_UNAVAILABLE, Terms, in_units,
};
pub use listening::{Listened, Listening, Loses};
pub use postgres::{DatabaseUrl, PostgresOptions, PostgresReader, PostgresStore, PostgresWriter};
pub use quarantine::{BodyAside, CONFIRMATION_ASKED, Quarantine, Quarantined, QuarantinedBody};
pub use sqlite::{
    Backup, Findings, SqliteReader, SqliteStore, SqliteWriter, backup, check, quarantined, quarantined_body,
};
pub use usage::{LastKnown, RepositoryUses, UsageSpan, UsageStore};

/// How often a webhook server that listens says so.
pub const LISTENED_EVERY: Duration = Duration::from_mins(1);

/// Name of the store's file in its folder.
pub const EVENTS_FILE: &str = "events.db";

/// The `ImageRegistry` whose events these are. A new object of the same name is
/// another registry: its uid differs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RegistryKey {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// What one delivery of one source brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub registry: RegistryKey,
    pub source: String,
    pub received: Timestamp,
    /// At least one event, or the delivery was empty of image events.
    pub events: Vec<RegistryEvent>,
    /// Entries that are no image events: blobs, mounts, unknown actions.
    pub ignored: i64,
    /// A body that could not be read, kept for later, cut at the quarantine's limit.
    pub quarantined: Option<Quarantined>,
}

/// What an append did, once it is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    pub stored: i64,
    pub duplicates: i64,
    /// Repository paths whose answers may have changed, each once.
    pub repositories: Vec<String>,
}

#[derive(Debug, Clone, Error)]
pub enum StoreError {
    #[error("failed to open the event store: {0}")]
    Open(String),
    /// A file, by its path.
    #[error("the event store {0} is damaged: stop the operator, and put a backup in its place")]
    Damaged(String),
    #[error(
        "event store schema {found} is newer than {known}, the newest this version knows: run a newer version"
    )]
    NewerSchema { found: i64, known: i64 },
    #[error("failed to write to the event store: {0}")]
    Write(String),
    #[error("failed to read from the event store: {0}")]
    Read(String),
    #[error("the event store is busy: its queue is full")]
    Busy,
    #[error("the volume of the event store is nearly full: {} of it stay free", in_units(*keep_free))]
    LowSpace { keep_free: u64 },
    #[error("the registry has reached its quota of {quota} events")]
    QuotaExceeded { quota: i64 },
    #[error("the event store is closed")]
    Closed,
}

impl StoreError {
    /// The word for a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::LowSpace { .. } => LOW_SPACE,
            Self::QuotaExceeded { .. } => QUOTA_EXCEEDED,
            Self::Open(_)
            | Self::Damaged(_)
            | Self::NewerSchema { .. }
            | Self::Write(_)
            | Self::Read(_)
            | Self::Busy
            | Self::Closed => STORE_UNAVAILABLE,
        }
    }
}

/// Appends deliveries. The future resolves after the commit is durable.
///
/// An event that is delivered again says the same id and the same time of its own, or again none:
/// one with another time is another event.
pub trait EventLog: Send + Sync + 'static {
    fn append(&self, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>>;
    /// Notes that a delivery of a source was refused without the store, or before it answered. As where the store
    /// itself refuses, this opens a gap until a delivery of the source is taken, which is written as soon as the
    /// store can be written. `reason` is for the log.
    fn refused(&self, registry: &RegistryKey, source: &str, received: Timestamp, reason: &'static str);
}

/// Half-open: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A stretch of time in which a tag pointed at a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPointer {
    pub tag: String,
    /// `None` where the tag was deleted: it points at nothing from then on.
    pub digest: Option<Digest>,
    pub from: Timestamp,
}

/// A question about the logical events of one repository.
#[derive(Debug, Clone)]
pub struct EventQuery {
    pub registry: RegistryKey,
    pub repository: String,
    /// Empty means all.
    pub categories: Vec<LogicalCategory>,
    /// Disjoint: no event matches two of them.
    pub clauses: Vec<Clause>,
    pub clients: Clients,
}

/// What an event says of who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventClient<'a> {
    pub address: Option<SourceAddress>,
    /// As the source states it.
    pub network_type: Option<NetworkType>,
    pub actor: Option<&'a str>,
}

impl AttributedEvent {
    #[must_use]
    pub fn client(&self) -> EventClient<'_> {
        EventClient {
            address: self.event.address,
            network_type: self.event.network_type,
            actor: self.event.actor.as_deref(),
        }
    }
}

impl Tally {
    #[must_use]
    pub fn client(&self) -> EventClient<'_> {
        EventClient {
            address: self.address,
            network_type: self.network_type,
            actor: self.actor.as_deref(),
        }
    }
}

/// Whose events are asked for. What an address means is not the store's to know: the
/// one who asks decides, of each client that the events name.
#[derive(Clone, Default)]
pub struct Clients(Option<Arc<LetsThrough>>);

type LetsThrough = dyn Fn(EventClient<'_>) -> bool + Send + Sync;

impl Clients {
    /// Those that `lets_through` says yes to; always the same of one client.
    pub fn only(lets_through: impl Fn(EventClient<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lets_through)))
    }

    /// Whether all are asked for.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.0.is_none()
    }

    #[must_use]
    pub fn let_through(&self, client: EventClient<'_>) -> bool {
        self.0.as_ref().is_none_or(|lets_through| lets_through(client))
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_all() { "All" } else { "Some" })
    }
}

/// Some of a repository's events, and how they belong to what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    pub select: Select,
    pub window: Window,
    pub attribution: Attribution,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    All,
    /// Names this tag.
    Tag(String),
    /// Concerns the whole repository.
    WholeRepository,
    /// Names this digest, with or without a tag.
    Digest(Digest),
    /// Names this digest and no tag.
    UntaggedDigest(Digest),
    /// The delete of this tag that names no digest.
    TagDelete(String),
}

/// A logical event and how it belongs to what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributedEvent {
    pub event: LogicalEvent,
    pub attribution: Attribution,
}

/// How many of a query's events share a category, a client and an attribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub category: LogicalCategory,
    pub target: Option<DeleteTarget>,
    pub address: Option<SourceAddress>,
    /// As the source states it.
    pub network_type: Option<NetworkType>,
    pub actor: Option<Arc<str>>,
    pub attribution: Attribution,
    pub count: i64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Where a page of events ended: the next one begins with what is older.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKey {
    pub time: Timestamp,
    pub id: String,
}

/// What is known of one tag of a repository, beyond retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFacts {
    pub tag: String,
    /// What it points at now; `None` when it was deleted.
    pub digest: Option<Digest>,
    pub last_push: Option<Timestamp>,
    pub last_pull: Option<Timestamp>,
    pub deleted: Option<Timestamp>,
}

/// What is known of one source of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    pub source: String,
    /// First authenticated delivery.
    pub since: Timestamp,
    pub last_delivery: Timestamp,
    pub last_event: Option<Timestamp>,
    pub stored: i64,
    pub duplicates: i64,
    pub ignored: i64,
    pub quarantined: i64,
    /// When the first event of each category was received.
    pub reported: BTreeMap<Category, Timestamp>,
    pub gaps: Vec<Gap>,
}

/// A stretch of time whose events may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// For example `NewInstance`, `Quarantined`, `QuarantineFull`, `ReceiverDown` or `Refused`.
    pub reason: String,
    pub window: Window,
    /// It goes on after its end: deliveries are refused, and none was taken since.
    pub is_open: bool,
}

/// Answers questions about events.
pub trait EventReader: Send + Sync + 'static {
    /// Logical events that the query selects, newest first (time, then id, both descending;
    /// ids that are UUIDs count as greater than others), those before `before` where given,
    /// at most `limit`.
    fn events(
        &self,
        query: EventQuery,
        before: Option<PageKey>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<AttributedEvent>, StoreError>>;
    /// All that the query selects, counted.
    fn tally(&self, query: EventQuery) -> BoxFuture<'_, Result<Vec<Tally>, StoreError>>;
    /// What the repository's tags pointed at and since when, oldest first.
    fn tag_pointers(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagPointer>, StoreError>>;
    /// What is known of each tag of a repository, by name.
    fn tags(
        &self,
        registry: RegistryKey,
        repository: String,
    ) -> BoxFuture<'_, Result<Vec<TagFacts>, StoreError>>;
    /// What is known of each source of a registry, by name.
    fn sources(&self, registry: RegistryKey) -> BoxFuture<'_, Result<Vec<SourceState>, StoreError>>;
}

/// What a purge removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    pub raw: u64,
    pub logical: u64,
}

/// Keeps a store in order while it is used.
pub trait Upkeep: Send + Sync + 'static {
    /// Removes the events of a registry that happened and were received before `before`, in
    /// steps between which deliveries are written. Facts stay: tag pointers, manifests,
    /// first and last times.
    fn purge(&self, registry: RegistryKey, before: Timestamp) -> BoxFuture<'_, Result<Purged, StoreError>>;
    /// Counts, once and for all, the events of stretches of time that are over as of `now`, so
    /// that questions need not read them; how many stretches that were. In steps, as a purge.
    /// Answers are the same without it, only slower.
    fn seal(&self, now: Timestamp) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// Resolves once all that was appended before can be read.
    fn linked(&self) -> BoxFuture<'_, Result<(), StoreError>>;
    /// Resolves when nothing is stored any more: after [`close`](Self::close), or because the
    /// store cannot go on.
    fn closed(&self) -> BoxFuture<'_, ()>;
    /// Refuses what comes from now on, and finishes what came before.
    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// All that a store does, in one file or in a database that operators share.
pub trait Store:
    EventLog + EventReader + UsageStore + Upkeep + Keeping + Listening + Cursors + Quarantine
{
}

impl<T> Store for T where
    T: EventLog + EventReader + UsageStore + Upkeep + Keeping + Listening + Cursors + Quarantine
{
}
