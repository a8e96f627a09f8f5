//! The linker: what one client did, made of the raw events that tell of it.
//!
//! [`link`] is the definition: a pure function of all raw events of one repository
//! of one registry, whatever order they came in. A store does not link everything
//! at each event; [`Relink`] names the little that new events can touch:
//!
//! 1. append new raw events of a repository and remember the stretch of time they
//!    lie in (several stretches where they lie far apart): `changed`;
//! 2. `Relink::around(changed, facts)`, then read back, exactly as they are stored,
//!    the new ones among them,
//!    - the repository's raw events whose time lies in `read`, both ends included;
//!    - of each category in `merged`, those whose time lies in the stretch named there;
//!    - its deletes that share a request id with a delete whose time lies in `changed`
//!      or, where deletes are `merged`, in their stretch, whatever their own time;
//! 3. [`Relink::replacement`] of these (more raw events do no harm): delete the
//!    logical events that those in `deciding` decide, insert those in `insert`.
//!
//! Then the logical events kept are always those that [`link`] makes of the raw events kept.
//! To run it twice, or over a stretch wider than needed, changes nothing.
//!
//! Facts change the outcome as well. When a digest becomes known as a manifest, the
//! stretches `[time, time]` of the raw deletes that name it are linked again; when an edge
//! of the digest graph becomes known, those of the raw events that name one of its ends.
//! Where several sources report deletes, what is to be linked again grows once more, by the
//! stretches `[time, time]` of all deletes that share a request id with one in it: they are
//! looked for around each of them.
//!
//! A registry may have several sources, and two of them tell of the same act: how each source
//! is linked for itself, and when what two sources tell is one, is said in `sources`.

mod deletes;
mod facts;
mod families;
mod pairing;
mod pulls;
mod pushes;
mod relink;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use jiff::SignedDuration;

pub use facts::DigestFacts;
pub use relink::{Merged, Relink, Replacement, Span};

use super::{Category, LogicalCategory, LogicalEvent, StoredEvent};

/// The longest time between two requests of one client that belong together, by event time.
pub const PAIRING: SignedDuration = SignedDuration::from_secs(10);

/// A part that was received this much later or earlier than the other is no part of it, where
/// one source tells both.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Makes logical events of the raw events of one repository; oldest first (time, then id).
///
/// The same id twice, with the same time of its own or none, is one raw event: the one received
/// first.
#[must_use]
pub fn link(raw: &[StoredEvent], facts: &impl DigestFacts) -> Vec<LogicalEvent> {
    let raw = ordered(raw);
    let mut made = sources::pulls(each(&raw, Category::Pull, |raw| pulls::pulls(raw, facts)));
    made.extend(sources::acts(each(&raw, Category::Push, |raw| {
        pushes::pushes(raw, facts)
    })));
    made.extend(sources::acts(each(&raw, Category::Delete, |raw| {
        deletes::deletes(raw, facts)
    })));
    made.sort_by(|one, other| one.place().cmp(&other.place()));
    made
}

/// What one source tells of one act.
#[derive(Debug)]
struct Act<'a> {
    /// The raw event whose id and time the act has.
    decides: &'a StoredEvent,
    made: LogicalEvent,
    /// The HEAD that is part of this pull.
    head: Option<&'a StoredEvent>,
}

impl<'a> Act<'a> {
    /// An act of one raw event.
    fn of(stored: &'a StoredEvent, category: LogicalCategory) -> Self {
        Self {
            decides: stored,
            made: logical(stored, category),
            head: None,
        }
    }
}

/// The acts of one category that each source tells, in the order of the sources' names.
fn each<'a>(
    raw: &[&'a StoredEvent],
    category: Category,
    acts: impl Fn(&[&'a StoredEvent]) -> Vec<Act<'a>>,
) -> Vec<Vec<Act<'a>>> {
    let mut sources: BTreeMap<&str, Vec<&StoredEvent>> = BTreeMap::new();
    for &stored in raw.iter().filter(|stored| stored.event.category == category) {
        sources.entry(&stored.source).or_default().push(stored);
    }
    sources.values().map(|raw| acts(raw)).collect()
}

/// In order of (time, id), each once.
fn ordered(raw: &[StoredEvent]) -> Vec<&StoredEvent> {
    let mut ordered: Vec<&StoredEvent> = raw.iter().collect();
    ordered.sort_by_key(|stored| (stored.received, stored.time));
    let mut seen = HashSet::with_capacity(ordered.len());
    ordered.retain(|stored| seen.insert((&stored.event.id, stored.event.time)));
    ordered.sort_by_key(|stored| stored.place());
    ordered
}

/// A logical event of one raw event.
fn logical(stored: &StoredEvent, category: LogicalCategory) -> LogicalEvent {
    let StoredEvent {
        source: _,
        received: _,
        time,
        time_source,
        event,
    } = stored;
    LogicalEvent {
        id: event.id.clone(),
        category,
        target: event.target,
        repository: event.repository.clone(),
        tags: event.tag.iter().cloned().collect(),
        digest: event.digest.clone(),
        media_type: event.media_type.clone(),
        address: event.address,
        network_type: event.network_type,
        actor: event.actor.clone(),
        user_agent: event.user_agent.clone(),
        time: *time,
        time_source: *time_source,
        raw_count: 1,
    }
}

/// Whether somebody only looked. A source that names no method reports no HEADs.
fn is_head(stored: &StoredEvent) -> bool {
    stored.event.method.as_deref() == Some("HEAD")
}
