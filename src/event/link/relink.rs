use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{DigestFacts, PAIRING, is_head, link, sources::MOVES};
use crate::event::{Category, LogicalEvent, StoredEvent};

/// A stretch of event time. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

/// What has to be read again, and linked again, because raw events of a repository are new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relink {
    /// Where the new raw events lie.
    pub changed: Span,
    /// Where raw events have to be read.
    pub read: Span,
    /// Categories that several sources report, and where all of their raw events have to be
    /// read. None where there is one source.
    pub merged: Vec<Merged>,
}

/// A category that several sources report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    pub category: Category,
    pub read: Span,
    /// Where logical events may be others now.
    touched: Span,
}

/// What becomes of logical events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacement<'a> {
    /// Raw events in their order, each once: what they decide is to be deleted, if it is there.
    pub deciding: Vec<&'a StoredEvent>,
    /// To be inserted after that. One of `deciding` decides each.
    pub insert: Vec<LogicalEvent>,
}

impl Span {
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.first <= time && time <= self.last
    }

    /// Longer at both ends, as far as time goes.
    fn widened(self, before: SignedDuration, after: SignedDuration) -> Self {
        Self {
            first: self.first.checked_sub(before).unwrap_or(Timestamp::MIN),
            last: self.last.checked_add(after).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Relink {
    /// What new raw events in `changed` can touch.
    #[must_use]
    pub fn around(changed: Span, facts: &impl DigestFacts) -> Self {
        // With edges, who takes a HEAD decides who may take a child's GET: two pairings
        // lie between the new event and the last one it can move, and one more on
        // either side is needed to make those exactly.
        let reach = if facts.has_edges() { PAIRING * 3 } else { PAIRING };
        let merged = [Category::Push, Category::Pull, Category::Delete]
            .into_iter()
            .filter_map(|category| {
                let sources = i32::try_from(facts.sources(category)).unwrap_or(i32::MAX);
                (sources > 1).then(|| Merged::around(changed, category, sources, facts.has_edges()))
            })
            .collect();
        Self {
            changed,
            read: changed.widened(reach, reach),
            merged,
        }
    }

    /// Where all raw events of a category have to be read, if several sources report it.
    #[must_use]
    pub fn merged(&self, category: Category) -> Option<Span> {
        self.of(category).map(|merged| merged.read)
    }

    fn of(&self, category: Category) -> Option<&Merged> {
        self.merged.iter().find(|merged| merged.category == category)
    }

    /// What to write, given the raw events that the module asks for.
    #[must_use]
    pub fn replacement<'a>(&self, raw: &'a [StoredEvent], facts: &impl DigestFacts) -> Replacement<'a> {
        let touched = self.touched(raw, facts.has_edges());
        let insert: Vec<_> = link(raw, facts)
            .into_iter()
            .filter(|made| touched.contains_key(&made.place()))
            .collect();
        Replacement {
            deciding: touched.into_values().collect(),
            insert,
        }
    }

    /// The raw events whose logical event may be another now, or begin or cease to be.
    fn touched<'a>(
        &self,
        raw: &'a [StoredEvent],
        edges: bool,
    ) -> BTreeMap<(Timestamp, &'a str), &'a StoredEvent> {
        let changed = self.changed;
        let (heads, others) = if edges {
            let both = changed.widened(PAIRING, PAIRING * 2);
            (both, both)
        } else {
            // Of a pair, the HEAD is the earlier.
            (
                changed.widened(PAIRING, NOTHING),
                changed.widened(NOTHING, PAIRING),
            )
        };
        let requests: HashSet<&str> = raw
            .iter()
            .filter(|stored| changed.contains(stored.time))
            .filter_map(delete_request)
            .collect();
        raw.iter()
            .filter(
                |stored| match (self.of(stored.event.category), stored.event.category) {
                    (Some(merged), _) => merged.touched.contains(stored.time),
                    (None, Category::Delete) => {
                        changed.contains(stored.time)
                            || delete_request(stored).is_some_and(|request| requests.contains(request))
                    }
                    (None, Category::Pull) if is_head(stored) => heads.contains(stored.time),
                    (None, Category::Pull | Category::Push) => others.contains(stored.time),
                },
            )
            .map(|stored| (stored.place(), stored))
            .collect()
    }
}

impl Merged {
    /// Each source after the first moves what is one by [`MOVES`] at most. A check goes furthest:
    /// its partner among the HEADs is another, that partner's GET lies a pairing later, and the
    /// act that decides of the pull a pairing from there. Among three sources that partner may
    /// be one of two, a pairing apart; and with edges, acts move by one pairing more before
    /// sources are looked at.
    ///
    /// To be made exactly, what is touched must be as far from what is not read as from
    /// what is new.
    fn around(changed: Span, category: Category, sources: i32, edges: bool) -> Self {
        let moves = MOVES.saturating_mul(sources - 1);
        let spread = if sources > 2 || edges { PAIRING } else { NOTHING };
        let before = moves.saturating_add(PAIRING + spread);
        let after = moves.saturating_add(PAIRING * 2 + spread);
        let reach = before.saturating_add(after);
        Self {
            category,
            read: changed.widened(reach, reach),
            touched: changed.widened(before, after),
        }
    }
}

const NOTHING: SignedDuration = SignedDuration::ZERO;

fn delete_request(stored: &StoredEvent) -> Option<&str> {
    let event = &stored.event;
    event
        .request_id
        .as_deref()
        .filter(|_| event.category == Category::Delete)
}
