//! When the linker may turn to which repository.

use std::{collections::BTreeSet, future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    backoff::{about, random},
    store::order::Order,
};

/// About how long a repository is left alone that another operator is at.
pub(super) const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Turns {
    order: Order,
    /// Those that another operator is at, by when they may be tried again.
    held: BTreeSet<(Instant, i64)>,
    /// Nobody has a turn before.
    rest: Instant,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            order: Order::default(),
            held: BTreeSet::new(),
            rest: Instant::now(),
        }
    }

    /// Something of these waits.
    pub(super) fn add(&mut self, repositories: impl IntoIterator<Item = i64>) {
        for repository in repositories {
            self.order.add(repository);
        }
    }

    /// Another operator is at this one.
    pub(super) fn hold(&mut self, repository: i64) {
        self.held
            .insert((Instant::now() + about(RETRY, random()), repository));
    }

    /// Nobody has a turn for so long.
    pub(super) fn rest(&mut self, time: Duration) {
        self.rest = Instant::now() + time;
    }

    /// Takes the repository whose turn it is, once there is one.
    pub(super) async fn next(&mut self) -> i64 {
        loop {
            let now = Instant::now();
            while let Some(&(until, held)) = self.held.first()
                && until <= now
            {
                self.held.pop_first();
                self.order.add(held);
            }
            if self.order.is_empty() {
                match self.held.first() {
                    Some((until, _)) => sleep_until(*until).await,
                    None => pending().await,
                }
            } else if self.rest > now {
                sleep_until(self.rest).await;
            } else if let Some(repository) = self.order.take() {
                return repository;
            }
        }
    }

    /// Takes one that waits and that nobody else is at, without rest.
    pub(super) fn take(&mut self) -> Option<i64> {
        self.order.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn nobody_has_a_turn_while_it_rests() {
        let (mut turns, begun) = (Turns::new(), Instant::now());
        turns.add([1]);
        assert_eq!(turns.next().await, 1);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        turns.rest(SECOND);
        turns.add([1, 1]);
        assert_eq!(turns.next().await, 1);
        assert!(begun.elapsed() >= SECOND);
        let rested = Instant::now();
        turns.add([1]);
        assert_eq!(turns.next().await, 1, "once, and no rest is left");
        assert_eq!(rested.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_operator_is_at_is_left_alone_for_a_while() {
        let (mut turns, begun) = (Turns::new(), Instant::now());
        turns.hold(1);
        turns.add([2]);
        assert_eq!(turns.next().await, 2);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(turns.next().await, 1);
        assert!(begun.elapsed() >= RETRY / 2);
        turns.hold(1);
        turns.rest(SECOND);
        turns.add([2]);
        assert_eq!([turns.take(), turns.take()], [Some(2), None]);
    }
}
