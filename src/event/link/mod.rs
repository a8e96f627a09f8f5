//! The linker: what one client did, made of the raw events that tell of it.
//!
//! [`link`] is the definition: a pure function of all raw events of one repository
//! of one registry, whatever order they came in. A store does not link everything
//! at each event; [`relink`] names the little that a new event can touch:
//!
//! 1. append the new raw events, each beside its [`LinkKey`];
//! 2. for each [`Relink`] of [`relink`]: read back the raw events of its repository
//!    whose key is among `keys` and whose time lies in `read` (both ends included),
//!    the new ones among them and exactly as they are stored;
//! 3. [`Relink::replacement`]: delete the logical events with the ids in `remove`,
//!    insert those in `insert`. One transaction with 2.
//!
//! Then the logical events kept are always those that [`link`] makes of the raw events kept.
//! The new events of one call belong to one repository, and none of them was stored before.
//!
//! Facts change the outcome as well. When a digest becomes known as a manifest, the
//! raw deletes that name it are passed to [`relink`] as if they were new; when an edge
//! of the digest graph becomes known, the raw events that name its two ends are.

mod facts;
mod relink;

use jiff::SignedDuration;

pub use facts::DigestFacts;
pub use relink::{LinkKey, Relink, Replacement, Span, relink};

use super::{LogicalEvent, StoredEvent};

/// The longest time between two requests of one client that belong together, by event time.
pub const PAIRING: SignedDuration = SignedDuration::from_secs(10);

/// A part that was received this much later or earlier than the other is no part of it.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Makes logical events of the raw events of one repository; oldest first (time, then id).
///
/// The same id twice is one raw event.
#[must_use]
pub fn link(_raw: &[StoredEvent], _facts: &impl DigestFacts) -> Vec<LogicalEvent> {
    unimplemented!()
}
