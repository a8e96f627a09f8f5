//! How long to wait before trying again: full jitter, one rule for everything that is tried again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// First upper bound of the wait after a failure, and the last.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// First upper bound where something has to be granted first.
const FIRST_DENIED: Duration = Duration::from_secs(15);

/// The wait before the next attempt after `failures` in a row (1 or more), anywhere
/// between nothing and a bound that doubles: "full jitter", so that many clients of a
/// server that comes back do not return at once.
pub fn backoff(failures: u32, random: u64) -> Duration {
    below(bound(FIRST, failures), random)
}

/// The same where a retry is of little use until someone acts; at least half its bound.
pub fn denied_backoff(failures: u32, random: u64) -> Duration {
    let half = bound(FIRST_DENIED, failures) / 2;
    half + below(half, random)
}

/// A wait that a server asked for, within bounds, then spread by a second.
pub fn asked_for(wait: Duration, random: u64) -> Duration {
    wait.min(LONGEST) + below(FIRST, random)
}

/// A wait up to the first bound: after a stream that ended in good order.
pub fn short(random: u64) -> Duration {
    below(FIRST, random)
}

/// A wait of about this, from half of it to half as much again: where several try again at a steady pace.
pub fn about(wait: Duration, random: u64) -> Duration {
    wait / 2 + below(wait, random)
}

fn bound(first: Duration, failures: u32) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
        .min(LONGEST)
}

fn below(bound: Duration, random: u64) -> Duration {
    // A whole range of seconds in nanoseconds fits.
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanos.max(1))
}

/// Good enough to spread waits: the standard library seeds each of these at random.
pub fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_five_minutes() {
        let bounds = [1, 2, 3, 8, 9, 10, 100].map(|failures| bound(FIRST, failures).as_secs());
        assert_eq!(bounds, [1, 2, 4, 128, 256, 300, 300]);
    }

    #[test]
    fn waits_fill_the_range_below_the_bound() {
        let waits: Vec<_> = (0..1000).map(|_| backoff(4, random())).collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(8)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_secs(2)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_secs(6)));
        let waits = (0..1000).map(|_| denied_backoff(1, random()));
        assert!(
            waits
                .into_iter()
                .all(|wait| wait >= FIRST_DENIED / 2 && wait <= FIRST_DENIED)
        );
    }

    #[test]
    fn a_steady_pace_is_kept_about() {
        let wait = Duration::from_secs(2);
        let waits: Vec<_> = (0..1000).map(|_| about(wait, random())).collect();
        assert!(waits.iter().all(|one| *one >= wait / 2 && *one < wait * 3 / 2));
        assert!(waits.iter().any(|one| *one < wait) && waits.iter().any(|one| *one > wait));
    }

    #[test]
    fn a_server_cannot_ask_for_more_than_the_longest_wait() {
        let asked = asked_for(Duration::from_secs(1_000_000), random());
        assert!(asked >= LONGEST && asked <= LONGEST + FIRST);
        assert!(asked_for(Duration::from_secs(7), random()) >= Duration::from_secs(7));
    }
}
