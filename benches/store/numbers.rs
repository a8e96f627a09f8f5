//! What many measurements say, for people.

use std::time::Duration;

/// The value below which this many of a hundred lie.
pub(crate) fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Microseconds for each event.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn each(time: Duration, events: usize) -> f64 {
    time.as_secs_f64() * 1e6 / events as f64
}

/// Events a second.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn rate(events: usize, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
