//! What a query asks of an index: one scan for each clause and category, the results merged.

use std::{cmp::Reverse, collections::HashMap, ops::Range, sync::Arc};

use super::{
    AttributedEvent, EventQuery, PageKey, Select, Tally,
    values::{Id, LOGICAL_CATEGORIES, nanoseconds},
};
use crate::{
    event::{Attribution, DeleteTarget, LogicalCategory, SourceAddress},
    image::Digest,
};

/// A stretch of one index: all that one clause selects in one category.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub(super) kind: Kind,
    pub(super) category: LogicalCategory,
    pub(super) key: Key<'a>,
    /// Nanoseconds, half-open.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) attribution: Attribution,
}

/// Which index, and what of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    WholeRepository,
    Tag,
    TagDelete,
    TaggedDigest,
    UntaggedDigest,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'a> {
    None,
    Tag(&'a str),
    Digest(&'a Digest),
}

/// The scans that answer a query.
pub(super) fn scans(query: &EventQuery) -> Vec<Scan<'_>> {
    let asked =
        |category: LogicalCategory| query.categories.is_empty() || query.categories.contains(&category);
    let mut scans = Vec::new();
    for clause in &query.clauses {
        let (start, end) = (nanoseconds(clause.window.start), nanoseconds(clause.window.end));
        if start >= end {
            continue;
        }
        let (kinds, key, only) = kinds(&clause.select);
        for category in LOGICAL_CATEGORIES {
            if !asked(category) || only.is_some_and(|only| only != category) {
                continue;
            }
            scans.extend(kinds.iter().map(|&kind| Scan {
                kind,
                category,
                key,
                start,
                end,
                attribution: clause.attribution,
            }));
        }
    }
    scans
}

fn kinds(select: &Select) -> (&'static [Kind], Key<'_>, Option<LogicalCategory>) {
    match select {
        Select::All => (&[Kind::All], Key::None, None),
        Select::Tag(tag) => (&[Kind::Tag], Key::Tag(tag), None),
        Select::WholeRepository => (&[Kind::WholeRepository], Key::None, Some(LogicalCategory::Delete)),
        Select::Digest(digest) => (
            &[Kind::TaggedDigest, Kind::UntaggedDigest],
            Key::Digest(digest),
            None,
        ),
        Select::UntaggedDigest(digest) => (&[Kind::UntaggedDigest], Key::Digest(digest), None),
        Select::TagDelete(tag) => (&[Kind::TagDelete], Key::Tag(tag), Some(LogicalCategory::Delete)),
    }
}

/// The scans in the order that fills a page soonest: what cannot reach into it is then not looked at.
pub(super) fn newest_first(query: &EventQuery) -> Vec<Scan<'_>> {
    let mut scans = scans(query);
    scans.sort_by_key(|scan| Reverse(scan.end));
    scans
}

/// Where an event stands among those of its repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time: i64,
    pub(super) id: OwnedId,
}

/// An id that sorts as [`Id`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnedId(pub(super) String);

impl PartialOrd for OwnedId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OwnedId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        Id(&self.0).cmp(&Id(&other.0))
    }
}

impl Place {
    /// Before all that happened at this time.
    fn at(time: i64) -> Self {
        Self {
            time,
            id: OwnedId(String::new()),
        }
    }

    pub(super) fn of(found: &AttributedEvent) -> Self {
        Self {
            time: nanoseconds(found.event.time),
            id: OwnedId(found.event.id.clone()),
        }
    }
}

/// The newest events before a key, as scans bring them.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    before: Option<Place>,
    events: Vec<AttributedEvent>,
}

impl Page {
    pub(super) fn new(before: Option<&PageKey>, limit: usize) -> Self {
        Self {
            limit,
            before: before.map(|key| Place {
                time: nanoseconds(key.time),
                id: OwnedId(key.id.clone()),
            }),
            events: Vec::new(),
        }
    }

    /// What of a scan can still reach into the page.
    pub(super) fn range(&self, scan: &Scan<'_>) -> Option<Range<Place>> {
        let (start, end) = (Place::at(scan.start), Place::at(scan.end));
        let full = self.events.len() >= self.limit;
        let start = match self.events.last().filter(|_| full) {
            Some(last) => start.max(Place::of(last)),
            None => start,
        };
        let end = match &self.before {
            Some(before) => end.min(before.clone()),
            None => end,
        };
        (self.limit > 0 && start < end).then_some(start..end)
    }

    pub(super) fn add(&mut self, found: Vec<AttributedEvent>) {
        if found.is_empty() {
            return;
        }
        self.events.extend(found);
        self.events.sort_by_cached_key(|event| Reverse(Place::of(event)));
        self.events.truncate(self.limit);
    }

    pub(super) fn into_events(self) -> Vec<AttributedEvent> {
        self.events
    }
}

type TallyKey = (
    LogicalCategory,
    Option<DeleteTarget>,
    Option<SourceAddress>,
    Option<Arc<str>>,
    Attribution,
);

/// Counts of several scans, one for each group.
#[derive(Debug, Default)]
pub(super) struct Tallies(HashMap<TallyKey, Tally>);

impl Tallies {
    pub(super) fn add(&mut self, tally: Tally) {
        let key = (
            tally.category,
            tally.target,
            tally.address,
            tally.actor.clone(),
            tally.attribution,
        );
        self.0
            .entry(key)
            .and_modify(|sum| {
                sum.count += tally.count;
                sum.first = sum.first.min(tally.first);
                sum.last = sum.last.max(tally.last);
            })
            .or_insert(tally);
    }

    /// In a stable order.
    pub(super) fn into_sorted(self) -> Vec<Tally> {
        let mut tallies: Vec<Tally> = self.0.into_values().collect();
        tallies.sort_by_cached_key(|tally| {
            (
                tally.category,
                tally.target,
                tally.address.map(|address| address.ip),
                tally.actor.clone(),
                tally.first,
                tally.last,
                tally.count,
            )
        });
        tallies
    }
}
