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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_own_time_counts_unless_it_is_absent_or_five_minutes_ahead() {
        let received: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
        for (own, expected) in [
            (None, TimeSource::Received),
            (Some("2026-03-01T08:59:59Z"), TimeSource::Event),
            (Some("2020-01-01T00:00:00Z"), TimeSource::Event),
            (Some("2026-03-01T09:05:00Z"), TimeSource::Event),
            (Some("2026-03-01T09:05:00.000000001Z"), TimeSource::Received),
        ] {
            let own: Option<Timestamp> = own.map(|time| time.parse().unwrap());
            let time = if expected == TimeSource::Event {
                own.unwrap()
            } else {
                received
            };
            assert_eq!(effective(own, received), (time, expected), "{own:?}");
        }
    }
}
