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
//!    - its deletes that share a request id with a delete whose time lies in `changed`,
//!      whatever their own time;
//! 3. [`Relink::replacement`] of these (more raw events do no harm): delete the
//!    logical events with the ids in `remove`, insert those in `insert`.
//!
//! Then the logical events kept are always those that [`link`] makes of the raw events kept.
//! To run it twice, or over a stretch wider than needed, changes nothing.
//!
//! Facts change the outcome as well. When a digest becomes known as a manifest, the
//! stretches `[time, time]` of the raw deletes that name it are linked again; when an edge
//! of the digest graph becomes known, those of the raw events that name one of its ends.

mod deletes;
mod facts;
mod families;
mod pairing;
mod pulls;
mod pushes;
mod relink;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use jiff::SignedDuration;

pub use facts::DigestFacts;
pub use relink::{Relink, Replacement, Span};

use super::{Category, LogicalCategory, LogicalEvent, StoredEvent};

/// The longest time between two requests of one client that belong together, by event time.
pub const PAIRING: SignedDuration = SignedDuration::from_secs(10);

/// A part that was received this much later or earlier than the other is no part of it.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Makes logical events of the raw events of one repository; oldest first (time, then id).
///
/// The same id twice is one raw event: the one received first.
#[must_use]
pub fn link(raw: &[StoredEvent], facts: &impl DigestFacts) -> Vec<LogicalEvent> {
    let raw = ordered(raw);
    let of = |category| -> Vec<&StoredEvent> {
        raw.iter()
            .copied()
            .filter(|stored| stored.event.category == category)
            .collect()
    };
    let mut made = pulls::pulls(&of(Category::Pull), facts);
    made.extend(pushes::pushes(&of(Category::Push), facts));
    made.extend(deletes::deletes(&of(Category::Delete), facts));
    made.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
    made
}

/// In order of (time, id), each id once.
fn ordered(raw: &[StoredEvent]) -> Vec<&StoredEvent> {
    let mut ordered: Vec<&StoredEvent> = raw.iter().collect();
    ordered.sort_by_key(|stored| (stored.received, stored.time));
    let mut seen = HashSet::with_capacity(ordered.len());
    ordered.retain(|stored| seen.insert(stored.event.id.as_str()));
    ordered.sort_by_key(|stored| (stored.time, &stored.event.id));
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
