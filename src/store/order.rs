//! Whose turn it is to be linked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Of so many the last turn is remembered; that of others was longer ago.
const REMEMBERED: usize = 10_000;

/// Repositories that wait, by their ids. Every other turn goes to the one whose last turn is longest ago: whoever was
/// left alone does not wait for all that are busy. The turns between go to the one that waits longest: nobody
/// waits for ever.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By the moment since which they wait: their id, and the moment of their last turn.
    waiting: BTreeMap<u64, (i64, u64)>,
    /// The moments of the last turn, and since which they wait.
    rested: BTreeSet<(u64, u64)>,
    /// When those that are remembered had their last turn.
    turns: HashMap<i64, u64>,
    /// Turns, oldest first.
    history: VecDeque<(i64, u64)>,
    /// Their ids.
    ids: HashSet<i64>,
    /// Counts what happens.
    now: u64,
    /// The next turn goes to the one that waits longest.
    by_wait: bool,
}

impl Order {
    /// Lines up one, unless it waits already.
    pub(super) fn add(&mut self, id: i64) {
        if !self.ids.insert(id) {
            return;
        }
        self.now += 1;
        let last = self.turns.get(&id).copied().unwrap_or_default();
        self.waiting.insert(self.now, (id, last));
        self.rested.insert((last, self.now));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whose turn it is.
    pub(super) fn take(&mut self) -> Option<i64> {
        let since = if self.by_wait {
            *self.waiting.first_key_value()?.0
        } else {
            self.rested.first()?.1
        };
        self.by_wait = !self.by_wait;
        let (id, last) = self.waiting.remove(&since)?;
        self.rested.remove(&(last, since));
        self.ids.remove(&id);
        self.remember(id);
        Some(id)
    }

    fn remember(&mut self, id: i64) {
        self.now += 1;
        self.turns.insert(id, self.now);
        self.history.push_back((id, self.now));
        if self.history.len() > REMEMBERED
            && let Some((oldest, turn)) = self.history.pop_front()
            && self.turns.get(&oldest) == Some(&turn)
        {
            self.turns.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_never_had_a_turn_have_it_in_the_order_they_came() {
        let mut order = Order::default();
        for id in [3, 1, 2] {
            order.add(id);
        }
        let turns: Vec<_> = std::iter::from_fn(|| order.take()).collect();
        assert_eq!(turns, [3, 1, 2]);
        assert!(order.is_empty());
    }

    #[test]
    fn who_waits_already_has_one_turn() {
        let mut order = Order::default();
        order.add(1);
        order.add(1);
        assert_eq!((order.take(), order.take()), (Some(1), None));
        order.add(1);
        assert_eq!(order.take(), Some(1), "it may come again");
    }

    #[test]
    fn who_was_left_alone_waits_for_one_of_those_that_are_busy_and_not_for_all() {
        let mut order = Order::default();
        (0..100).for_each(|id| order.add(id));
        for _ in 0..1_001 {
            // Busy: each is back at once.
            let id = order.take().unwrap();
            order.add(id);
        }
        order.add(1_000);
        let turns = [order.take(), order.take()];
        assert!(turns.contains(&Some(1_000)), "{turns:?}");
    }

    #[test]
    fn who_is_busy_has_a_turn_however_many_come_that_never_had_one() {
        let mut order = Order::default();
        order.add(0);
        order.take();
        order.add(0);
        for new in 1..10 {
            order.add(new);
        }
        let turns = [order.take(), order.take()];
        assert!(turns.contains(&Some(0)), "{turns:?}");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut order = Order::default();
        for id in 0..3 * i64::try_from(REMEMBERED).unwrap() {
            order.add(id % 7);
            order.take();
            order.add(id + 7);
            order.take();
        }
        assert!(order.is_empty() && order.rested.is_empty());
        assert!(order.history.len() <= REMEMBERED && order.turns.len() <= REMEMBERED);
    }
}
