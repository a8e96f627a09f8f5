use jiff::{SignedDuration, Timestamp};

use super::TimeSource;

/// An event's own time further ahead of its receipt than this is not believed.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The time that counts for windows, order and tag pointers: the event's own, or
/// the time it was received where its own is absent or not believable.
#[must_use]
pub fn effective(own: Option<Timestamp>, received: Timestamp) -> (Timestamp, TimeSource) {
    match own {
        Some(own) if own.duration_since(received) <= AHEAD => (own, TimeSource::Event),
        _ => (received, TimeSource::Received),
    }
}
