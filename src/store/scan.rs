//! What a query asks of an index: one scan for each clause and category, the results merged.

use std::{cmp::Reverse, ops::Range};

use super::{
    AttributedEvent, EventQuery, PageKey, Select,
    scope::Scope,
    values::{Id, LOGICAL_CATEGORIES, nanoseconds},
};
use crate::{
    event::{Attribution, LogicalCategory},
    image::Digest,
};

/// A stretch of one index: all that one clause selects in one category.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub(super) kind: Kind,
    pub(super) category: LogicalCategory,
    pub(super) key: Key<'a>,
    /// What sealed buckets have sums of; none where all is read.
    pub(super) scope: Option<Scope>,
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
        let (kinds, only) = kinds(&clause.select);
        for category in LOGICAL_CATEGORIES {
            if !asked(category) || only.is_some_and(|only| only != category) {
                continue;
            }
            scans.extend(kinds.iter().map(|(kind, key, scope)| Scan {
                kind: *kind,
                category,
                key: *key,
                scope: scope.clone(),
                start,
                end,
                attribution: clause.attribution,
            }));
        }
    }
    scans
}

type Kinds<'a> = Vec<(Kind, Key<'a>, Option<Scope>)>;

/// The kinds of scans that find what is selected, and the category if it is one alone.
fn kinds(select: &Select) -> (Kinds<'_>, Option<LogicalCategory>) {
    let delete = Some(LogicalCategory::Delete);
    let tagged = |digest| {
        let scope = Scope::TaggedDigest(Digest::clone(digest));
        (Kind::TaggedDigest, Key::Digest(digest), Some(scope))
    };
    let untagged = |digest| {
        let scope = Scope::UntaggedDigest(Digest::clone(digest));
        (Kind::UntaggedDigest, Key::Digest(digest), Some(scope))
    };
    match select {
        Select::All => (vec![(Kind::All, Key::None, Some(Scope::All))], None),
        Select::Tag(tag) => (
            vec![(Kind::Tag, Key::Tag(tag), Some(Scope::Tag(tag.clone())))],
            None,
        ),
        Select::WholeRepository => (vec![(Kind::WholeRepository, Key::None, None)], delete),
        Select::Digest(digest) => (vec![tagged(digest), untagged(digest)], None),
        Select::UntaggedDigest(digest) => (vec![untagged(digest)], None),
        Select::TagDelete(tag) => (vec![(Kind::TagDelete, Key::Tag(tag), None)], delete),
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
    pub(super) fn at(time: i64) -> Self {
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
