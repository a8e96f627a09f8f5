//! How quickly a registry may deliver.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many deliveries of a registry are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; at least 1.
    pub per_second: u32,
    /// At once, after a quiet time; at least 1.
    pub burst: u32,
}

impl Rate {
    /// How long a delivery takes of what is granted.
    fn cost(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// A registry that was above its rate so short a time ago is still taken to be: its status does not come and go.
const RECENTLY: Duration = Duration::from_mins(1);

/// What a registry has used of its rate, by the generic cell rate algorithm (ITU-T I.371): one time tells all of it.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Used>);

#[derive(Debug)]
struct Used {
    rate: Rate,
    /// When all that was taken is worked off.
    until: Instant,
    refused: Option<Instant>,
}

impl Meter {
    pub(super) fn new(rate: Rate) -> Self {
        Self(Mutex::new(Used {
            rate,
            until: Instant::now(),
            refused: None,
        }))
    }

    /// What was used stays used.
    pub(super) fn set(&self, rate: Rate) {
        self.used().rate = rate;
    }

    pub(super) fn rate(&self) -> Rate {
        self.used().rate
    }

    /// Whether one more is taken now.
    pub(super) fn take(&self) -> bool {
        let now = Instant::now();
        let mut used = self.used();
        let cost = used.rate.cost();
        let until = used.until.max(now);
        if until - now > cost * used.rate.burst.saturating_sub(1) {
            used.refused = Some(now);
            return false;
        }
        used.until = until + cost;
        true
    }

    /// The rate that it is above.
    pub(super) fn exceeded(&self) -> Option<Rate> {
        let used = self.used();
        used.refused
            .is_some_and(|refused| refused.elapsed() < RECENTLY)
            .then_some(used.rate)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10,
        burst: 5,
    };

    /// How many are taken now of so many.
    fn taken(meter: &Meter, of: usize) -> usize {
        (0..of).filter(|_| meter.take()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_taken_at_once_and_then_as_many_as_the_rate_says() {
        let meter = Meter::new(RATE);
        assert_eq!(taken(&meter, 100), 5);
        advance(Duration::from_millis(99)).await;
        assert_eq!(taken(&meter, 100), 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(taken(&meter, 100), 1);
        advance(Duration::from_millis(250)).await;
        assert_eq!(taken(&meter, 100), 2);
        advance(Duration::from_mins(10)).await;
        assert_eq!(taken(&meter, 100), 5, "a quiet time grants no more than a burst");
        let mut all = 0;
        for _ in 0..1000 {
            advance(Duration::from_millis(10)).await;
            all += taken(&meter, 3);
        }
        assert_eq!(all, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_to_the_rate_is_never_refused() {
        let meter = Meter::new(Rate {
            per_second: 3,
            burst: 1,
        });
        for _ in 0..100 {
            assert!(meter.take());
            advance(Duration::from_nanos(333_333_334)).await;
        }
        assert_eq!(meter.exceeded(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_rate_grants_nothing_of_what_was_used() {
        let meter = Meter::new(RATE);
        assert_eq!(taken(&meter, 100), 5);
        meter.set(Rate {
            per_second: 1000,
            ..RATE
        });
        assert_eq!(taken(&meter, 1), 0);
        meter.set(Rate { burst: 10, ..RATE });
        assert_eq!(taken(&meter, 100), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_is_above_its_rate_for_a_minute_after_the_last_refusal() {
        let meter = Meter::new(RATE);
        assert_eq!(meter.exceeded(), None);
        taken(&meter, 6);
        advance(Duration::from_secs(59)).await;
        assert_eq!(meter.exceeded(), Some(RATE));
        taken(&meter, 6);
        advance(Duration::from_secs(59)).await;
        assert_eq!(meter.exceeded(), Some(RATE));
        advance(Duration::from_secs(1)).await;
        assert_eq!(meter.exceeded(), None);
    }
}
