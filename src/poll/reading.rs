//! A round through one log: which request comes next, and what is new in a page.

use jiff::{SignedDuration, Timestamp};

use super::{
    harbor,
    page::{NoPage, Page, Row, list, whole_second},
    quay,
    source::Log,
};
use crate::{event::RegistryEvent, store::Cursor};

/// So long after its time a row may become visible: each round begins this long before where the log was read.
pub(super) const LATE: SignedDuration = SignedDuration::from_mins(5);

/// A round through one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// When the round began.
    begun: Timestamp,
    /// The time of the first rows it asks for.
    begin: Timestamp,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Harbor(harbor::Place),
    Quay(quay::Place),
}

/// What a page meant for the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// With this page, all up to this time was read.
    pub(super) until: Option<Timestamp>,
    /// No page follows.
    pub(super) is_done: bool,
}

/// Where a round begins that follows one which read up to `until`.
pub(super) fn begin(until: Timestamp) -> Timestamp {
    whole_second(until.saturating_sub(LATE).unwrap_or(Timestamp::MIN))
}

/// How far a log is read after a step.
pub(super) fn moved(cursor: Cursor, step: Step) -> Cursor {
    Cursor {
        until: step.until.map_or(cursor.until, |until| until.max(cursor.until)),
        ..cursor
    }
}

impl Reading {
    /// `until`: up to where the log has been read.
    pub(super) fn new(log: &Log, until: Timestamp, now: Timestamp) -> Self {
        let begin = begin(until);
        let place = match log {
            Log::Harbor => Place::Harbor(harbor::Place::new(begin)),
            Log::QuayOrganization(_) | Log::QuayRepository(_) => Place::Quay(quay::Place::new(begin, now)),
        };
        Self {
            begun: now,
            begin,
            place,
        }
    }

    /// Path and query of the next request.
    pub(super) fn target(&self, log: &Log) -> String {
        match &self.place {
            Place::Harbor(place) => place.target(),
            Place::Quay(place) => place.target(log),
        }
    }

    pub(super) fn page<'a>(&self, body: &'a [u8]) -> Result<Page<'a>, NoPage> {
        match &self.place {
            Place::Harbor(_) => harbor::page(body),
            Place::Quay(_) => quay::page(body),
        }
    }

    /// Whether the round asked for a row: pages of days also have what was long before.
    pub(super) fn asked_for(&self, row: &Row<'_>) -> bool {
        row.time.is_none_or(|time| time >= self.begin)
    }

    /// A body with these rows alone.
    pub(super) fn body(&self, rows: &[Row<'_>]) -> String {
        match &self.place {
            Place::Harbor(_) => list(rows),
            Place::Quay(_) => format!("{{\"logs\":{}}}", list(rows)),
        }
    }

    /// The event under the id it has for ever.
    pub(super) fn named(&self, event: RegistryEvent) -> RegistryEvent {
        match &self.place {
            Place::Harbor(place) => place.named(event),
            Place::Quay(_) => event,
        }
    }

    /// Goes on behind a page that is durable.
    pub(super) fn take(&mut self, page: &Page<'_>) -> Step {
        let step = match &mut self.place {
            Place::Harbor(place) => place.take(page),
            Place::Quay(place) => place.take(page),
        };
        // What becomes visible while a long round goes on may be older than what the round has read by then. Nor does
        // a row move anything whose time has not come yet.
        Step {
            until: step.until.map(|until| until.min(self.begun)),
            ..step
        }
    }

    /// Where there is no such log: whether it may be elsewhere, which is asked next.
    pub(super) fn elsewhere(&mut self) -> bool {
        match &mut self.place {
            Place::Harbor(place) => place.elsewhere(),
            Place::Quay(_) => false,
        }
    }
}
