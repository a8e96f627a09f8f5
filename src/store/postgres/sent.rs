//! The events of some deliveries as one transaction writes them, and what became of them.

use std::collections::HashSet;

use super::{
    append::{Outcome, Resolved},
    values::{id_bytes, nanoseconds},
};
use crate::{
    event::{StoredEvent, TimeSource},
    store::Appended,
};

/// The key of a raw event: repository, time, id.
pub(super) type Key = (i64, i64, Vec<u8>);

/// Events of a repository in one stretch this long are marked together.
const STRETCH: i64 = 1_000_000_000;

/// An event, with the delivery that first brings it.
pub(super) struct Sent<'a> {
    pub(super) key: Key,
    pub(super) source: i64,
    pub(super) delivery: usize,
    pub(super) stored: &'a StoredEvent,
}

/// An event with the numbers of its delivery, its repository and its source.
#[derive(Clone, Copy)]
pub(super) struct NumberedEvent<'a> {
    pub(super) delivery: usize,
    pub(super) repository: i64,
    pub(super) source: i64,
    pub(super) stored: &'a StoredEvent,
}

/// Each event once, in the order of their keys: two transactions that write the same ones
/// then wait for each other in one direction only. Of those known by the time they were
/// received, only those (repository, id) that are new.
pub(super) fn distinct<'a>(
    events: &[NumberedEvent<'a>],
    received: &HashSet<(i64, Vec<u8>)>,
) -> Vec<Sent<'a>> {
    let mut sent = Vec::with_capacity(events.len());
    let mut taken = HashSet::new();
    for &NumberedEvent {
        delivery,
        repository,
        source,
        stored,
    } in events
    {
        let id = id_bytes(&stored.event.id);
        if stored.time_source == TimeSource::Received {
            let id = (repository, id.clone());
            if !received.contains(&id) || !taken.insert(id) {
                continue;
            }
        }
        sent.push(Sent {
            key: (repository, nanoseconds(stored.time), id),
            source,
            delivery,
            stored,
        });
    }
    // Stable: the first delivery of an event stays the first.
    sent.sort_by(|one, other| one.key.cmp(&other.key));
    sent.dedup_by(|later, first| later.key == first.key);
    sent
}

/// What became of each delivery, given the new events.
pub(super) fn outcomes(resolved: &[Resolved<'_>], new: &[Sent<'_>]) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = resolved
        .iter()
        .map(|one| Outcome {
            appended: Appended {
                duplicates: i64::try_from(one.batch.events.len()).unwrap_or(i64::MAX),
                ..Appended::default()
            },
            coverage_changed: false,
        })
        .collect();
    for sent in new {
        let appended = &mut outcomes[sent.delivery].appended;
        appended.stored += 1;
        appended.duplicates -= 1;
        let path = &sent.stored.event.repository;
        // Those of one repository follow each other.
        if appended.repositories.last() != Some(path) {
            appended.repositories.push(path.clone());
        }
    }
    outcomes
}

/// Stretches of time of new events, for the linker, column by column.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) repository: Vec<i64>,
    pub(super) start: Vec<i64>,
    pub(super) finish: Vec<i64>,
    pub(super) events: Vec<i64>,
}

impl Marks {
    /// Each of a second or less.
    pub(super) fn of(new: &[Sent<'_>]) -> Self {
        let mut marks = Self::default();
        let stretch = |sent: &Sent<'_>| (sent.key.0, sent.key.1.div_euclid(STRETCH));
        for together in new.chunk_by(|one, next| stretch(one) == stretch(next)) {
            if let (Some(first), Some(last)) = (together.first(), together.last()) {
                marks.repository.push(first.key.0);
                marks.start.push(first.key.1);
                marks.finish.push(last.key.1);
                marks
                    .events
                    .push(i64::try_from(together.len()).unwrap_or(i64::MAX));
            }
        }
        marks
    }
}
