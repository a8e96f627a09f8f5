//! What tags pointed at and since when, learnt from events.
//!
//! A store keeps facts, as long as the registry, and derives the pointers from them. A
//! fact that only repeats what held just before it adds nothing, as long as no late one
//! comes between: the pointers alone could not tell whether the tag was seen where it
//! was after that.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Category, DeleteTarget, StoredEvent};
use crate::{image::Digest, store::TagPointer};

/// What one event tells about where tags of its repository point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PointerFact {
    pub time: Timestamp,
    pub change: PointerChange,
}

/// Of two at the same instant the greater counts: a delete over what it deletes.
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

/// What a raw event tells about tags: at most two facts (a delete may name both).
#[must_use]
pub fn facts(stored: &StoredEvent) -> Vec<PointerFact> {
    let event = &stored.event;
    let (tag, digest) = (event.tag.clone(), event.digest.clone());
    let changes = match (event.category, event.target) {
        (Category::Push | Category::Pull, _) => {
            vec![
                tag.zip(digest)
                    .map(|(tag, digest)| PointerChange::Points { tag, digest }),
            ]
        }
        (Category::Delete, Some(DeleteTarget::Repository)) => vec![Some(PointerChange::RepositoryDeleted)],
        (Category::Delete, Some(DeleteTarget::Manifest)) => vec![
            tag.map(|tag| PointerChange::TagDeleted { tag }),
            digest.map(|digest| PointerChange::ManifestDeleted { digest }),
        ],
        // A source may name the digest that a deleted tag had: the manifest stays.
        (Category::Delete, Some(DeleteTarget::Tag) | None) => {
            vec![tag.map(|tag| PointerChange::TagDeleted { tag })]
        }
    };
    changes
        .into_iter()
        .flatten()
        .map(|change| PointerFact {
            time: stored.time,
            change,
        })
        .collect()
}

/// Where the tags of one repository pointed and since when, one entry for each change,
/// oldest first (time, then tag). The order of the facts does not matter: the latest
/// time wins, so that a late event never moves a tag back.
#[must_use]
pub fn pointers(facts: &[PointerFact]) -> Vec<TagPointer> {
    let mut ordered: Vec<&PointerFact> = facts.iter().collect();
    ordered.sort_unstable();
    let mut histories: BTreeMap<&str, Vec<(Timestamp, Option<&Digest>)>> = BTreeMap::new();
    for PointerFact { time, change } in ordered {
        match change {
            PointerChange::Points { tag, digest } => {
                set(histories.entry(tag).or_default(), *time, Some(digest));
            }
            PointerChange::TagDeleted { tag } => set(histories.entry(tag).or_default(), *time, None),
            PointerChange::ManifestDeleted { digest } => {
                for history in histories
                    .values_mut()
                    .filter(|history| now(history) == Some(digest))
                {
                    set(history, *time, None);
                }
            }
            PointerChange::RepositoryDeleted => {
                for history in histories.values_mut() {
                    set(history, *time, None);
                }
            }
        }
    }
    let mut pointers: Vec<TagPointer> = histories
        .into_iter()
        .flat_map(|(tag, history)| {
            history.into_iter().map(move |(from, digest)| TagPointer {
                tag: tag.to_owned(),
                digest: digest.cloned(),
                from,
            })
        })
        .collect();
    pointers.sort_by(|one, other| (one.from, &one.tag).cmp(&(other.from, &other.tag)));
    pointers
}

fn now<'a>(history: &[(Timestamp, Option<&'a Digest>)]) -> Option<&'a Digest> {
    history.last().and_then(|(_, digest)| *digest)
}

/// Notes a change at `time`, which is not before the last one; one entry an instant.
fn set<'a>(history: &mut Vec<(Timestamp, Option<&'a Digest>)>, time: Timestamp, digest: Option<&'a Digest>) {
    if history.last().is_some_and(|(last, _)| *last == time) {
        history.pop();
    }
    if history.last().is_none_or(|(_, last)| *last != digest) {
        history.push((time, digest));
    }
}

/// The entry that says what the tag pointed at at that time. `None`: not known.
/// `pointers` is in order, as [`pointers()`] makes it.
#[must_use]
pub fn pointer_at<'a>(pointers: &'a [TagPointer], tag: &str, time: Timestamp) -> Option<&'a TagPointer> {
    let before = pointers.partition_point(|pointer| pointer.from <= time);
    pointers[..before].iter().rev().find(|pointer| pointer.tag == tag)
}

/// The digest that the tag had at that time. `None`: not known, or the tag was deleted.
#[must_use]
pub fn digest_at<'a>(pointers: &'a [TagPointer], tag: &str, time: Timestamp) -> Option<&'a Digest> {
    pointer_at(pointers, tag, time).and_then(|pointer| pointer.digest.as_ref())
}
