use jiff::Timestamp;

use super::DigestFacts;
use crate::event::{LogicalEvent, RegistryEvent, StoredEvent};

/// Which raw events of a repository can meet in one logical event: those with the
/// same key. Opaque, of fixed size, to be stored and indexed beside the raw event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkKey([u8; 16]);

impl LinkKey {
    #[must_use]
    pub fn of(_event: &RegistryEvent) -> Self {
        unimplemented!()
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A stretch of event time. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What has to be read again, and linked again, because of new raw events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relink {
    /// Sorted, at least one.
    pub keys: Vec<LinkKey>,
    pub read: Span,
}

/// Ids of logical events to delete (some of them never existed), and the logical
/// events to insert after that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacement {
    pub remove: Vec<String>,
    pub insert: Vec<LogicalEvent>,
}

/// What the new raw events of one repository can touch.
#[must_use]
pub fn relink(_new: &[StoredEvent], _facts: &impl DigestFacts) -> Vec<Relink> {
    unimplemented!()
}

impl Relink {
    /// What to write, given every raw event that has one of `keys` and a time in `read`.
    #[must_use]
    pub fn replacement(&self, _raw: &[StoredEvent], _facts: &impl DigestFacts) -> Replacement {
        unimplemented!()
    }
}
