//! Buckets of time whose events are counted once and for all, and how a window is made of
//! them. Times are nanoseconds since 1970 UTC; stretches are half-open.

use std::ops::Range;

/// A bucket's width. Quarters of an hour keep what is scanned at the ends of a window short,
/// days keep a month a matter of 30 sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Level {
    Quarter,
    Hour,
    Day,
}

const MINUTE: i64 = 60_000_000_000;

/// Bucketed time begins in 1970 and ends with the last whole day: what lies outside is scanned.
const LAST: i64 = i64::MAX - i64::MAX % (24 * 60 * MINUTE);

/// A bucket is closed this long after its end: parts of a pull arrive up to 5 minutes late. What
/// comes later opens it again.
const CLOSED_AFTER: i64 = 5 * MINUTE;

/// A bucket of fewer events is not sealed: scanning it costs as little. Small repositories have
/// no sealed bucket at all.
pub(crate) const ENOUGH: i64 = if cfg!(test) { 4 } else { 128 };

impl Level {
    /// From the finest, the order in which buckets are sealed: each is made of finer ones.
    pub(crate) const ALL: [Self; 3] = [Self::Quarter, Self::Hour, Self::Day];

    pub(crate) const fn width(self) -> i64 {
        match self {
            Self::Quarter => 15 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Day => 24 * 60 * MINUTE,
        }
    }

    /// The levels finer than this one, coarsest first.
    pub(crate) fn finer(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().rev().filter(move |level| *level < self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Bucket {
    pub(crate) level: Level,
    /// A multiple of the level's width, 0 or more.
    pub(crate) start: i64,
}

impl Bucket {
    /// The bucket that holds this time; none outside of bucketed time.
    pub(crate) fn of(level: Level, time: i64) -> Option<Self> {
        (0..LAST).contains(&time).then(|| Self {
            level,
            start: time - time % level.width(),
        })
    }

    pub(crate) fn span(self) -> Range<i64> {
        self.start..self.start.saturating_add(self.level.width())
    }

    /// The newest bucket that is closed; none before the first is.
    pub(crate) fn newest_closed(level: Level, now: i64) -> Option<Self> {
        let last = now.checked_sub(CLOSED_AFTER)?.checked_sub(level.width())?;
        Self::of(level, last)
    }
}

/// A piece of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<S> {
    /// A whole bucket whose sums are kept; `sums` finds them.
    Sealed { bucket: Bucket, sums: S },
    /// Events that have to be read.
    Scan(Range<i64>),
}

impl<S> Part<S> {
    pub(crate) fn span(&self) -> Range<i64> {
        match self {
            Self::Sealed { bucket, .. } => bucket.span(),
            Self::Scan(range) => range.clone(),
        }
    }
}

/// A window on its way to [`Part`]s: from the coarsest level to the finest, what is sealed
/// of [`wanted`](Self::wanted) is [`put`](Self::put) in the place of scans.
#[derive(Debug)]
pub(crate) struct Parts<S>(Vec<Part<S>>);

impl<S> Parts<S> {
    pub(crate) fn of(window: Range<i64>) -> Self {
        Self(if window.is_empty() {
            Vec::new()
        } else {
            vec![Part::Scan(window)]
        })
    }

    /// The stretches, made of whole buckets of this level, that are scanned as yet.
    pub(crate) fn wanted(&self, level: Level) -> Vec<Range<i64>> {
        self.0
            .iter()
            .filter_map(|part| match part {
                Part::Scan(range) => whole(range, level),
                Part::Sealed { .. } => None,
            })
            .collect()
    }

    /// Takes sealed buckets of one level, in order of time, each within a wanted stretch.
    pub(crate) fn put(&mut self, sealed: impl IntoIterator<Item = (Bucket, S)>) {
        let mut sealed = sealed.into_iter().peekable();
        let mut parts = Vec::new();
        for part in self.0.drain(..) {
            let Part::Scan(range) = part else {
                parts.push(part);
                continue;
            };
            let mut from = range.start;
            while let Some((bucket, sums)) = sealed.next_if(|(bucket, _)| bucket.start < range.end) {
                if from < bucket.start {
                    parts.push(Part::Scan(from..bucket.start));
                }
                from = bucket.span().end;
                parts.push(Part::Sealed { bucket, sums });
            }
            if from < range.end {
                parts.push(Part::Scan(from..range.end));
            }
        }
        self.0 = parts;
    }

    /// In order of time.
    pub(crate) fn into_vec(self) -> Vec<Part<S>> {
        self.0
    }
}

/// The whole buckets of a level within a stretch.
fn whole(range: &Range<i64>, level: Level) -> Option<Range<i64>> {
    let width = level.width();
    let (start, end) = (range.start.max(0), range.end.min(LAST));
    if start >= end {
        return None;
    }
    let first = start.div_euclid(width) + i64::from(start % width != 0);
    let whole = first.checked_mul(width)?..end - end % width;
    (!whole.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The parts of a window, given every sealed bucket.
    fn parts(window: Range<i64>, sealed: &BTreeSet<Bucket>) -> Vec<Part<Bucket>> {
        let mut parts = Parts::of(window);
        for level in Level::ALL.into_iter().rev() {
            let wanted = parts.wanted(level);
            let found = sealed
                .iter()
                .filter(|bucket| bucket.level == level)
                .filter(|bucket| wanted.iter().any(|range| range.contains(&bucket.start)));
            parts.put(found.map(|bucket| (*bucket, *bucket)));
        }
        parts.into_vec()
    }

    fn instant() -> impl Strategy<Value = i64> {
        let near = -2 * Level::Day.width()..5 * Level::Day.width();
        let aligned = (-200..500_i64).prop_map(|quarter| quarter * Level::Quarter.width());
        prop_oneof![4 => near, 3 => aligned, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
    }

    fn buckets() -> impl Strategy<Value = BTreeSet<Bucket>> {
        let bucket = (
            prop::sample::select(Level::ALL.to_vec()),
            0..5 * Level::Day.width(),
        )
            .prop_map(|(level, time)| Bucket::of(level, time).unwrap());
        prop::collection::btree_set(bucket, 0..80)
    }

    proptest! {
        #[test]
        fn parts_cover_the_window_exactly_and_in_order(
            start in instant(), end in instant(), sealed in buckets()
        ) {
            let parts = parts(start..end, &sealed);
            let mut from = start;
            for part in &parts {
                let span = part.span();
                prop_assert_eq!(span.start, from);
                prop_assert!(!span.is_empty());
                from = span.end;
            }
            prop_assert_eq!(from, if start < end { end } else { start });
            prop_assert!(
                !parts.windows(2).any(|pair| matches!(pair, [Part::Scan(_), Part::Scan(_)])),
                "two scans side by side are one"
            );
        }

        #[test]
        fn every_sealed_bucket_that_fits_spares_a_scan(
            start in instant(), end in instant(), sealed in buckets()
        ) {
            let parts = parts(start..end, &sealed);
            for bucket in sealed {
                let Range { start: first, end: last } = bucket.span();
                if start <= first && last <= end {
                    let scanned = parts.iter().any(|part| match part {
                        Part::Scan(range) => range.start < last && first < range.end,
                        Part::Sealed { .. } => false,
                    });
                    prop_assert!(!scanned, "{:?}", bucket);
                }
            }
        }

        #[test]
        fn a_bucket_holds_its_time(time in instant()) {
            for level in Level::ALL {
                match Bucket::of(level, time) {
                    Some(bucket) => {
                        prop_assert!(bucket.span().contains(&time));
                        prop_assert_eq!(bucket.start % level.width(), 0);
                    }
                    None => prop_assert!(!(0..LAST).contains(&time)),
                }
            }
        }
    }

    #[test]
    fn a_bucket_is_closed_five_minutes_after_its_end() {
        let quarter = Level::Quarter.width();
        let closed = |now| Bucket::newest_closed(Level::Quarter, now).map(|bucket| bucket.start);
        assert_eq!(closed(quarter + CLOSED_AFTER - 1), None);
        assert_eq!(closed(quarter + CLOSED_AFTER), Some(0));
        assert_eq!(closed(2 * quarter + CLOSED_AFTER - 1), Some(0));
        assert_eq!(closed(2 * quarter + CLOSED_AFTER), Some(quarter));
        assert_eq!(closed(i64::MIN), None);
    }
}
