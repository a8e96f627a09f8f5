//! When webhook servers listened, and what follows from it: a time in which none did is a gap of the sources that
//! had delivered before.

use std::{collections::HashSet, fmt, sync::Arc};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::{RegistryKey, StoreError, values::nanoseconds};

/// Says of a source whether something is lost when nobody listens for so long: its sender gives up before the end.
pub type Loses = Arc<dyn Fn(&RegistryKey, &str, SignedDuration) -> bool + Send + Sync>;

/// What an operator says of its webhook server.
#[derive(Clone)]
pub struct Listened {
    /// It has listened without a pause from here …
    pub since: Timestamp,
    /// … to here.
    pub until: Timestamp,
    pub goes_on: bool,
    pub loses: Loses,
}

impl fmt::Debug for Listened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            since,
            until,
            goes_on,
            loses: _,
        } = self;
        f.debug_struct("Listened")
            .field("since", since)
            .field("until", until)
            .field("goes_on", goes_on)
            .finish_non_exhaustive()
    }
}

impl Listened {
    pub(super) fn stretch(&self, id: i64) -> Stretch {
        Stretch {
            id,
            since: nanoseconds(self.since),
            until: nanoseconds(self.until),
            goes_on: self.goes_on,
        }
    }
}

/// Remembers when deliveries could come.
pub trait Listening: Send + Sync + 'static {
    /// Notes when the one webhook server before this store listened, which is said again every
    /// [`LISTENED_EVERY`](super::LISTENED_EVERY).
    /// A time before it in which no operator's did becomes a gap `ReceiverDown` of every source that had delivered
    /// before and loses something in it. Where another operator may still be listening, that waits until it has
    /// said so or has been silent for too long. The same again changes nothing.
    fn listened(&self, listened: Listened) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A time in which somebody listened, in nanoseconds; of one that was made of several, only what lies between has
/// been told as gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) id: i64,
    pub(super) since: i64,
    pub(super) until: i64,
    pub(super) goes_on: bool,
}

/// What follows from all stretches that are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Times `[start, end)` in which nobody listened, oldest first.
    pub(super) pauses: Vec<(i64, i64)>,
    /// Since when the own stretch now stands for itself and for those that are over.
    pub(super) since: i64,
    /// Those that are over.
    pub(super) over: HashSet<i64>,
}

/// Decides what was paused before `own`, which has just been noted. Those of the others that go on and were noted
/// after `alive_after` may have listened until now: nothing is decided that they could change.
pub(super) fn settle(own: Stretch, others: &[Stretch], alive_after: i64) -> Settled {
    let is_over = |stretch: &&Stretch| !stretch.goes_on || stretch.until < alive_after;
    let first_alive = others
        .iter()
        .filter(|stretch| !is_over(stretch))
        .map(|stretch| stretch.since)
        .min();
    let mut all: Vec<Stretch> = others.iter().copied().chain([own]).collect();
    all.sort_by_key(|stretch| stretch.since);
    let mut pauses = Vec::new();
    let mut reached = i64::MIN;
    for Stretch { since, until, .. } in all {
        if reached > i64::MIN && since > reached {
            pauses.push((reached, since));
        }
        reached = until.max(reached);
    }
    let waits = |(start, _): &(i64, i64)| first_alive.is_some_and(|since| since <= *start);
    if pauses.iter().any(waits) {
        return Settled {
            since: own.since,
            ..Settled::default()
        };
    }
    let over: Vec<&Stretch> = others.iter().filter(is_over).collect();
    Settled {
        pauses,
        since: over.iter().map(|stretch| stretch.since).fold(own.since, i64::min),
        over: over.iter().map(|stretch| stretch.id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(id: i64, since: i64, until: i64) -> Stretch {
        Stretch {
            id,
            since,
            until,
            goes_on: true,
        }
    }

    fn ended(id: i64, since: i64, until: i64) -> Stretch {
        Stretch {
            goes_on: false,
            ..stretch(id, since, until)
        }
    }

    fn settled(pauses: &[(i64, i64)], since: i64, over: &[i64]) -> Settled {
        Settled {
            pauses: pauses.to_vec(),
            since,
            over: over.iter().copied().collect(),
        }
    }

    #[test]
    fn nothing_is_known_of_the_time_before_the_first_one_listened() {
        assert_eq!(settle(stretch(1, 10, 10), &[], 0), settled(&[], 10, &[]));
    }

    #[test]
    fn what_lies_between_one_that_is_over_and_the_next_is_a_pause_that_is_told_once() {
        let own = stretch(2, 50, 60);
        assert_eq!(settle(own, &[ended(1, 0, 40)], 0), settled(&[(40, 50)], 0, &[1]));
        // As it is kept from then on.
        assert_eq!(settle(stretch(2, 0, 120), &[], 60), settled(&[], 0, &[]));
        assert_eq!(
            settle(own, &[stretch(1, 0, 40)], 41),
            settled(&[(40, 50)], 0, &[1])
        );
    }

    #[test]
    fn one_that_may_go_on_is_waited_for() {
        let own = stretch(2, 50, 60);
        assert_eq!(settle(own, &[stretch(1, 0, 40)], 40), settled(&[], 50, &[]));
        // It did.
        assert_eq!(settle(own, &[stretch(1, 0, 55)], 40), settled(&[], 50, &[]));
        // And what was before it is not its to change.
        let others = [ended(1, 0, 20), stretch(3, 30, 55)];
        assert_eq!(settle(own, &others, 40), settled(&[(20, 30)], 0, &[1]));
    }

    #[test]
    fn several_that_are_over_leave_a_pause_only_where_none_listened() {
        let others = [
            ended(3, 90, 100),
            ended(1, 0, 50),
            ended(2, 40, 80),
            ended(4, 60, 70),
        ];
        assert_eq!(
            settle(stretch(5, 130, 130), &others, 0),
            settled(&[(80, 90), (100, 130)], 0, &[1, 2, 3, 4])
        );
    }
}
