//! What is known of a repository's tags, put together.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{TagFacts, TagPointer};

impl TagFacts {
    /// Of a tag that points nowhere, as far as that is known.
    pub(super) fn named(tag: String, last_push: Option<Timestamp>, last_pull: Option<Timestamp>) -> Self {
        Self {
            tag,
            digest: None,
            last_push,
            last_pull,
            deleted: None,
        }
    }
}

/// Adds to the tags that events named where they and others point, oldest first; by name.
pub(super) fn with_pointers(named: Vec<TagFacts>, pointers: Vec<TagPointer>) -> Vec<TagFacts> {
    let mut tags: BTreeMap<String, TagFacts> = named
        .into_iter()
        .map(|facts| (facts.tag.clone(), facts))
        .collect();
    // The last one of a tag tells what holds now.
    for TagPointer { tag, digest, from } in pointers {
        let facts = tags
            .entry(tag.clone())
            .or_insert_with(|| TagFacts::named(tag, None, None));
        facts.deleted = digest.is_none().then_some(from);
        facts.digest = digest;
    }
    tags.into_values().collect()
}
