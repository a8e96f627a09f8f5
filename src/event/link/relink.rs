use jiff::{SignedDuration, Timestamp};

use super::{DigestFacts, PAIRING};
use crate::event::{LogicalEvent, StoredEvent};

/// A stretch of event time. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What has to be read again, and linked again, because raw events of a repository are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relink {
    /// Where the new raw events lie.
    pub changed: Span,
    /// Where raw events have to be read.
    pub read: Span,
}

/// Ids of logical events to delete (some of them may not exist), and the logical
/// events to insert after that: only ones whose id is in `remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacement {
    pub remove: Vec<String>,
    pub insert: Vec<LogicalEvent>,
}

impl Span {
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.first <= time && time <= self.last
    }

    /// Longer at both ends, as far as time goes.
    fn widened(self, before: SignedDuration, after: SignedDuration) -> Self {
        Self {
            first: self.first.checked_sub(before).unwrap_or(Timestamp::MIN),
            last: self.last.checked_add(after).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Relink {
    /// What new raw events in `changed` can touch.
    #[must_use]
    pub fn around(changed: Span, _facts: &impl DigestFacts) -> Self {
        Self { changed, read: changed.widened(PAIRING, PAIRING) }
    }

    /// What to write, given the raw events that the module asks for.
    #[must_use]
    pub fn replacement(&self, _raw: &[StoredEvent], _facts: &impl DigestFacts) -> Replacement {
        unimplemented!()
    }
}
