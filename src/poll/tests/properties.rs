//! Whatever comes late, whatever is cut off or lost between two steps: every row is read.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::server::{Logs, Row};
use crate::{
    poll::{
        reading::{LATE, Reading, begin, moved},
        seen::Seen,
        source::Log,
    },
    store::Cursor,
};

#[derive(Debug, Clone)]
enum Deed {
    /// So many rows become visible, each so many seconds late.
    Rows(u32, u16),
    /// Seconds pass.
    Pass(u16),
    /// So many pages are read.
    Read(u8),
    /// All is forgotten that is not stored.
    Crash,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let late = u16::try_from(LATE.as_secs() - 1).unwrap();
    let deed = prop_oneof![
        4 => (1..70_u32, prop_oneof![Just(0), 0..=late]).prop_map(|(rows, late)| Deed::Rows(rows, late)),
        3 => (0..400_u16).prop_map(Deed::Pass),
        4 => (1..5_u8).prop_map(Deed::Read),
        1 => Just(Deed::Crash),
    ];
    proptest::collection::vec(deed, 1..40)
}

/// A log and its reader, as the poller reads.
struct World {
    log: Log,
    now: Timestamp,
    logs: Logs,
    cursor: Cursor,
    reading: Option<Reading>,
    seen: Seen,
    /// Rows that were stored, by their text.
    stored: BTreeSet<String>,
    /// Rows that were stored again without a crash in between.
    again: usize,
    crashed: bool,
}

impl World {
    fn new(log: Log) -> Self {
        let now: Timestamp = "2026-03-01T23:50:00Z".parse().unwrap();
        Self {
            log,
            now,
            logs: Logs::default(),
            cursor: Cursor {
                since: now,
                until: now,
            },
            reading: None,
            seen: Seen::default(),
            stored: BTreeSet::new(),
            again: 0,
            crashed: false,
        }
    }

    /// Whether a round ended.
    fn read(&mut self) -> bool {
        let (log, now, until) = (&self.log, self.now, self.cursor.until);
        let reading = self.reading.get_or_insert_with(|| Reading::new(log, until, now));
        let body = self.logs.page(&reading.target(&self.log)).unwrap();
        let page = reading.page(body.as_bytes()).unwrap();
        let rows = page.rows.iter().copied();
        let new: Vec<_> = rows
            .filter(|row| reading.asked_for(row) && !self.seen.has(row))
            .collect();
        for row in &new {
            let is_new = self.stored.insert(row.text.get().to_owned());
            self.again += usize::from(!is_new && !self.crashed);
        }
        self.seen.add(&new);
        let step = reading.take(&page);
        self.cursor = moved(self.cursor, step);
        if step.is_done {
            self.reading = None;
            self.seen.forget_before(begin(self.cursor.until));
        }
        step.is_done
    }

    fn does(&mut self, deed: &Deed) {
        match *deed {
            Deed::Rows(rows, late) => {
                let time = self.now - SignedDuration::from_secs(i64::from(late));
                let first = u32::try_from(self.logs.rows.len()).unwrap();
                // Before the source was first asked for, nothing has to be read.
                let time = time.max(self.cursor.since);
                self.logs
                    .rows
                    .extend((first..first + rows).map(|number| Row { time, number }));
            }
            Deed::Pass(seconds) => self.now += SignedDuration::from_secs(i64::from(seconds)),
            Deed::Read(pages) => {
                for _ in 0..pages {
                    if self.read() {
                        break;
                    }
                }
            }
            Deed::Crash => {
                self.reading = None;
                self.seen = Seen::default();
                self.crashed = true;
            }
        }
    }

    /// Reads until nothing is left, then whether all was read.
    fn ends_with_all(mut self) -> Result<(), TestCaseError> {
        // The round that goes on, and one that begins now.
        for _ in 0..2 {
            let rounds = (0..10_000).any(|_| self.read());
            prop_assert!(rounds, "a round has no end");
        }
        prop_assert_eq!(self.stored.len(), self.logs.rows.len());
        prop_assert_eq!(self.again, 0);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_row_of_a_harbor_is_read_whatever_comes_late_or_is_cut_off(deeds in deeds()) {
        let mut world = World::new(Log::Harbor);
        for deed in &deeds {
            world.does(deed);
        }
        world.ends_with_all()?;
    }

    #[test]
    fn every_row_of_a_quay_is_read_whatever_comes_late_or_is_cut_off(deeds in deeds()) {
        let mut world = World::new(Log::QuayOrganization("team".to_owned()));
        for deed in &deeds {
            world.does(deed);
        }
        world.ends_with_all()?;
    }
}
