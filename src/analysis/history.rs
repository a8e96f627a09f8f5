use std::collections::BTreeMap;

use crate::{image::Digest, store::TagPointer};

/// What a repository's tags point at now, and ever pointed at, as far as events have told.
#[derive(Debug, Default)]
pub struct TagHistory {
    current: BTreeMap<String, Option<Digest>>,
    ever: std::collections::HashSet<Digest>,
}

impl TagHistory {
    /// `pointers` oldest first.
    #[must_use]
    pub fn new(pointers: &[TagPointer]) -> Self {
        let mut history = Self::default();
        for pointer in pointers {
            history
                .current
                .insert(pointer.tag.clone(), pointer.digest.clone());
            history.ever.extend(pointer.digest.clone());
        }
        history
    }

    /// What the tag points at now; nothing where it was deleted or is not known.
    #[must_use]
    pub fn current(&self, tag: &str) -> Option<&Digest> {
        self.current.get(tag)?.as_ref()
    }

    /// Whether any event has told what the tag points at, be it nothing.
    #[must_use]
    pub fn knows(&self, tag: &str) -> bool {
        self.current.contains_key(tag)
    }

    /// Whether a tag ever pointed at the digest, so that its place is known.
    #[must_use]
    pub fn has_seen(&self, digest: &Digest) -> bool {
        self.ever.contains(digest)
    }
}
