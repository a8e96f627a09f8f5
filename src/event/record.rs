use std::net::IpAddr;

use jiff::Timestamp;

use super::{NetworkType, time};
use crate::image::Digest;

/// What happened to a manifest, a tag or a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    Push,
    Pull,
    Delete,
}

/// What a delete removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeleteTarget {
    Tag,
    Manifest,
    Repository,
}

/// How a source came to know a client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressSource {
    /// The peer of the connection: it cannot be forged.
    Peer,
    /// A header the client may have set itself; believed only where a proxy overwrites it.
    Header,
}

/// A client address as the source handed it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceAddress {
    pub ip: IpAddr,
    pub source: AddressSource,
}

/// One event of a registry, normalised by its dialect. Blobs, mounts and all
/// that is not about a manifest, a tag or a repository never become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEvent {
    /// The format's own id, or a key made of the content where it has none: within one
    /// repository the same id with the same time of its own, or again none, is the same event.
    pub id: String,
    pub category: Category,
    /// Set exactly when `category` is `Delete`.
    pub target: Option<DeleteTarget>,
    /// Repository path without host, tag and digest.
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<Digest>,
    pub media_type: Option<String>,
    /// HTTP method of the client's request, upper case.
    pub method: Option<String>,
    pub address: Option<SourceAddress>,
    /// The network the client came from, where the source states it: then it is believed
    /// over ranges of addresses.
    pub network_type: Option<NetworkType>,
    /// The forwarding chain as the source handed it over, unread.
    pub forwarded_chain: Option<String>,
    pub actor: Option<String>,
    pub user_agent: Option<String>,
    /// The event's own time; absent where the source gives none or gives no zone.
    pub time: Option<Timestamp>,
    pub request_id: Option<String>,
    /// The registry process that saw it (distribution's `source.instanceID`).
    pub instance_id: Option<String>,
}

/// Which clock an event's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeSource {
    /// The event's own time.
    Event,
    /// The time it was received: its own is absent, or more than 5 minutes ahead.
    Received,
}

/// A raw event as it is kept: what the source said and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Name of the source in its `ImageRegistry`.
    pub source: String,
    pub received: Timestamp,
    /// The time that counts for windows, order and tag pointers.
    pub time: Timestamp,
    pub time_source: TimeSource,
    pub event: RegistryEvent,
}

impl StoredEvent {
    /// An event as it comes in: from here on its time is settled.
    #[must_use]
    pub fn new(source: String, received: Timestamp, event: RegistryEvent) -> Self {
        let (time, time_source) = time::effective(event.time, received);
        Self {
            source,
            received,
            time,
            time_source,
            event,
        }
    }

    /// What it is known by in its repository, and its place in the order of events.
    #[must_use]
    pub fn place(&self) -> (Timestamp, &str) {
        (self.time, &self.event.id)
    }
}
