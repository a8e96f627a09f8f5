use jiff::Timestamp;

use crate::image::Digest;

use super::{DeleteTarget, NetworkType, SourceAddress, TimeSource};

/// What one act of one client was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogicalCategory {
    Push,
    Pull,
    Delete,
    /// A HEAD that no GET followed: somebody looked, nobody pulled.
    Check,
    /// A delete by digest whose digest is not known to be a manifest: distribution
    /// reports the delete of a blob the same way.
    UnresolvedDelete,
}

/// What one client did, made of one or several raw events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalEvent {
    /// Id of the raw event that decides (of a pull, the GET's); like the time, it never changes.
    pub id: String,
    pub category: LogicalCategory,
    /// Set exactly for deletes.
    pub target: Option<DeleteTarget>,
    pub repository: String,
    /// At most one, save for a delete, which names every tag that went with it. Sorted.
    pub tags: Vec<String>,
    pub digest: Option<Digest>,
    pub media_type: Option<String>,
    pub address: Option<SourceAddress>,
    /// As the source states it.
    pub network_type: Option<NetworkType>,
    pub actor: Option<String>,
    pub user_agent: Option<String>,
    pub time: Timestamp,
    pub time_source: TimeSource,
    /// How many raw events it is made of, 1 or more.
    pub raw_count: i64,
}

impl LogicalEvent {
    /// That of the raw event that decides.
    #[must_use]
    pub fn place(&self) -> (Timestamp, &str) {
        (self.time, &self.id)
    }
}

/// How an event belongs to the image that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribution {
    /// It names the tag or digest.
    Named,
    /// It names a digest that the tag had at that time, or the whole repository.
    Linked,
    /// Linked, and other tags had that digest too.
    Shared,
}
