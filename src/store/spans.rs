//! Stretches of time that wait for the linker.

use std::collections::BTreeMap;

/// Nearer than this, two stretches are one: to link again what lies between them costs
/// less than to read the ground around them twice.
const JOIN: i64 = 1_000_000_000;

/// Closed stretches `[start, end]` of nanoseconds, disjoint and further apart than `JOIN`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(BTreeMap<i64, i64>);

impl Spans {
    pub(super) fn add(&mut self, start: i64, end: i64) {
        let (mut start, mut end) = (start, end.max(start));
        // Those it joins end after `start - JOIN` and begin before `end + JOIN`.
        while let Some((&from, &to)) = self.0.range(..=end.saturating_add(JOIN)).next_back() {
            if to < start.saturating_sub(JOIN) {
                break;
            }
            self.0.remove(&from);
            start = start.min(from);
            end = end.max(to);
        }
        self.0.insert(start, end);
    }

    /// Takes the earliest.
    pub(super) fn pop(&mut self) -> Option<(i64, i64)> {
        self.0.pop_first()
    }

    pub(super) fn contains(&self, time: i64) -> bool {
        let before = self.0.range(..=time).next_back();
        before.is_some_and(|(_, end)| *end >= time)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().map(|(&start, &end)| (start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(parts: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut spans = Spans::default();
        for &(start, end) in parts {
            spans.add(start, end);
        }
        spans.iter().collect()
    }

    #[test]
    fn near_stretches_join_and_far_ones_stay_apart() {
        assert_eq!(spans(&[(0, 1), (2, 3)]), [(0, 3)]);
        assert_eq!(spans(&[(0, 0), (JOIN, JOIN)]), [(0, JOIN)]);
        assert_eq!(
            spans(&[(0, 0), (JOIN + 1, JOIN + 1)]),
            [(0, 0), (JOIN + 1, JOIN + 1)]
        );
        assert_eq!(
            spans(&[(9 * JOIN, 9 * JOIN), (0, 0), (4 * JOIN, 4 * JOIN), (1, 8 * JOIN)]),
            [(0, 9 * JOIN)]
        );
        assert_eq!(spans(&[(i64::MIN, i64::MIN), (i64::MAX, i64::MAX)]).len(), 2);
    }

    #[test]
    fn a_stretch_contains_both_of_its_ends() {
        let mut spans = Spans::default();
        spans.add(2 * JOIN, 3 * JOIN);
        spans.add(8 * JOIN, 8 * JOIN);
        let contained: Vec<i64> = (0..10).filter(|time| spans.contains(time * JOIN)).collect();
        assert_eq!(contained, [2, 3, 8]);
        assert_eq!(spans.pop(), Some((2 * JOIN, 3 * JOIN)));
        assert!(!spans.contains(2 * JOIN) && spans.contains(8 * JOIN));
    }
}
