//! The records of the form, in its order.

use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::WorkloadUse,
    event::{Category, LogicalCategory, StoredEvent},
    image::{Digest, RepositoryName},
    store::{RegistryKey, UsageSpan},
};

/// Name of the form, in its first line.
pub const FORM: &str = "image-usage-events";
/// Its version: readers take files of this one and older ones.
pub const VERSION: u32 = 1;

/// One line. In a file they come in the order of these variants, events by registry,
/// repository, time and id.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Header {
        version: u32,
    },
    Registry {
        registry: RegistryKey,
        retention: Option<SignedDuration>,
        quota: Option<i64>,
        released: Option<Timestamp>,
    },
    Source {
        registry: RegistryKey,
        source: String,
        since: Timestamp,
        last_delivery: Timestamp,
        last_event: Option<Timestamp>,
        stored: i64,
        duplicates: i64,
        ignored: i64,
        quarantined: i64,
    },
    /// A process of the registry that reported through a source.
    Instance {
        registry: RegistryKey,
        source: String,
        id: String,
        first: Timestamp,
        last: Timestamp,
    },
    /// When the first event of a category was received that a source brought.
    Reported {
        registry: RegistryKey,
        source: String,
        category: Category,
        first: Timestamp,
    },
    Gap {
        registry: RegistryKey,
        source: String,
        reason: String,
        start: Timestamp,
        end: Timestamp,
    },
    /// When the webhook servers of the store's operators listened.
    Listened {
        since: Timestamp,
        until: Timestamp,
    },
    /// How far a log of a polled source has been read.
    Cursor {
        registry: RegistryKey,
        source: String,
        log: String,
        since: Timestamp,
        until: Timestamp,
    },
    Fact {
        registry: RegistryKey,
        repository: String,
        fact: Fact,
    },
    /// What a cluster was last seen to run of a repository.
    Uses {
        /// Uid of the `ClusterAuthorization`.
        cluster: String,
        as_of: Timestamp,
        repository: RepositoryName,
        uses: Vec<WorkloadUse>,
    },
    /// What a cluster ran of a repository, and when.
    Ran {
        /// Uid of the `ClusterAuthorization`.
        cluster: String,
        repository: RepositoryName,
        span: UsageSpan,
    },
    Event {
        registry: RegistryKey,
        event: Box<StoredEvent>,
    },
    /// A file without it was cut off.
    End,
}

impl Record {
    /// The registry that it tells of.
    #[must_use]
    pub fn registry(&self) -> Option<&RegistryKey> {
        match self {
            Self::Registry { registry, .. }
            | Self::Source { registry, .. }
            | Self::Instance { registry, .. }
            | Self::Reported { registry, .. }
            | Self::Gap { registry, .. }
            | Self::Cursor { registry, .. }
            | Self::Fact { registry, .. }
            | Self::Event { registry, .. } => Some(registry),
            Self::Header { .. }
            | Self::Listened { .. }
            | Self::Uses { .. }
            | Self::Ran { .. }
            | Self::End => None,
        }
    }

    /// The source of that registry which has to be known before.
    #[must_use]
    pub fn of_source(&self) -> Option<&str> {
        match self {
            Self::Instance { source, .. }
            | Self::Reported { source, .. }
            | Self::Gap { source, .. }
            | Self::Cursor { source, .. } => Some(source),
            Self::Event { event, .. } => Some(&event.source),
            _ => None,
        }
    }
}

/// What outlives events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A tag was seen to point at a digest.
    Points {
        tag: String,
        time: Timestamp,
        digest: Digest,
    },
    /// Pointers ended: of a tag, of all tags of a digest, or (neither) of the repository.
    Ended {
        time: Timestamp,
        tag: Option<String>,
        digest: Option<Digest>,
    },
    /// A digest is a manifest.
    Manifest {
        digest: Digest,
        media_type: Option<String>,
        learnt: Timestamp,
    },
    /// First and last time of events that retention has removed, by tag.
    Times {
        tag: Option<String>,
        category: LogicalCategory,
        first: Timestamp,
        last: Timestamp,
    },
}
