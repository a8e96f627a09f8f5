//! How far the logs of polled sources have been read.

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{RegistryKey, StoreError};

/// How far a log has been read: what it had from `since` to `until` is kept, save rows that became visible late.
/// Both are times of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub since: Timestamp,
    pub until: Timestamp,
}

/// A log of a polled source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    pub registry: RegistryKey,
    pub source: String,
    /// Tells the logs of one source apart.
    pub log: String,
}

/// Remembers how far logs have been read, as long as their registry.
pub trait Cursors: Send + Sync + 'static {
    /// `None` where it was never noted.
    fn cursor(&self, log: LogKey) -> BoxFuture<'_, Result<Option<Cursor>, StoreError>>;
    /// Notes how far, once all before is durable. What was noted before only grows, and the source is known since no
    /// later than the log was read.
    fn set_cursor(&self, log: LogKey, cursor: Cursor) -> BoxFuture<'_, Result<(), StoreError>>;
}
