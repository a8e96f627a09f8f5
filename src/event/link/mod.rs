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

mod facts;
mod relink;

use jiff::SignedDuration;

pub use facts::DigestFacts;
pub use relink::{Relink, Replacement, Span};

use super::{LogicalEvent, StoredEvent};

/// The longest time between two requests of one client that belong together, by event time.
pub const PAIRING: SignedDuration = SignedDuration::from_secs(10);

/// A part that was received this much later or earlier than the other is no part of it.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Makes logical events of the raw events of one repository; oldest first (time, then id).
///
/// The same id twice is one raw event: the one received first.
#[must_use]
pub fn link(_raw: &[StoredEvent], _facts: &impl DigestFacts) -> Vec<LogicalEvent> {
    unimplemented!()
}
