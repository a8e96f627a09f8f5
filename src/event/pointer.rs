use jiff::Timestamp;

use super::StoredEvent;
use crate::{image::Digest, store::TagPointer};

/// What one event tells about where tags point. Kept as long as the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PointerFact {
    pub time: Timestamp,
    pub change: PointerChange,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointerChange {
    /// The tag had this digest at that time.
    Points {
        tag: String,
        digest: Digest,
    },
    TagDeleted {
        tag: String,
    },
    /// Ends every tag that points at it.
    ManifestDeleted {
        digest: Digest,
    },
    /// Ends every tag.
    RepositoryDeleted,
}

/// What a raw event tells about tags: at most two facts (a delete that names both).
#[must_use]
pub fn facts(_event: &StoredEvent) -> Vec<PointerFact> {
    unimplemented!()
}

/// Where the tags of one repository pointed and since when, oldest first: one
/// entry for each change. The order of the facts does not matter.
#[must_use]
pub fn pointers(_facts: &[PointerFact]) -> Vec<TagPointer> {
    unimplemented!()
}
