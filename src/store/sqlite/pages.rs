//! Pages of events, newest first: the scans of a question, merged. Where only some clients are
//! asked for, sealed buckets tell where their events lie, and the rest is not read.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::{
    parts::{cut, rollup, unreadable},
    query::{self, Scan},
    rows,
    values::{Column, Id, nanoseconds},
};
use crate::store::{
    AttributedEvent, EventQuery, PageKey,
    bucket::{Level, Part},
    sought::{self, Sought},
};

/// Newest first, at most `limit`, before the given key.
pub(super) fn events(
    connection: &Connection,
    query: &EventQuery,
    before: Option<&PageKey>,
    limit: usize,
) -> rusqlite::Result<Vec<AttributedEvent>> {
    let Some(repository) = query::repository(connection, &query.registry, &query.repository)? else {
        return Ok(Vec::new());
    };
    let mut scans = query::scans(query);
    // The newest windows fill the page; what cannot reach into it is not looked at.
    scans.sort_by_key(|scan| std::cmp::Reverse(scan.end));
    let before = before.map(Place::of_key);
    let mut page: Vec<AttributedEvent> = Vec::new();
    for scan in scans {
        let last = if page.len() < limit { None } else { page.last() };
        let start = Place {
            time: scan.start,
            id: Id(""),
        };
        let end = Place {
            time: scan.end,
            id: Id(""),
        };
        let first = last.map_or(start, |last| start.max(Place::of(last)));
        let end = before.map_or(end, |before| end.min(before));
        if limit == 0 || first >= end {
            continue;
        }
        let mut search = Search {
            connection,
            repository,
            query,
            scan: &scan,
            limit,
            found: Vec::new(),
        };
        search.within(first..end)?;
        let found = search.found;
        if found.is_empty() {
            continue;
        }
        page.extend(found);
        page.sort_by(|one, other| Place::of(other).cmp(&Place::of(one)));
        page.truncate(limit);
    }
    Ok(page)
}

/// Where an event stands among those of its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    time: i64,
    id: Id<'a>,
}

impl<'a> Place<'a> {
    fn of(found: &'a AttributedEvent) -> Self {
        Self {
            time: nanoseconds(found.event.time),
            id: Id(&found.event.id),
        }
    }

    fn of_key(key: &'a PageKey) -> Self {
        Self {
            time: nanoseconds(key.time),
            id: Id(&key.id),
        }
    }
}

/// Collects one scan's newest events, of the clients that are asked for.
struct Search<'a> {
    connection: &'a Connection,
    repository: i64,
    query: &'a EventQuery,
    scan: &'a Scan<'a>,
    limit: usize,
    /// Newest first.
    found: Vec<AttributedEvent>,
}

impl Search<'_> {
    fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    fn within(&mut self, range: Range<Place<'_>>) -> rusqlite::Result<()> {
        if self.query.clients.are_all() || self.scan.scope.is_none() {
            return self.read(range);
        }
        let Range { start, end } = range;
        // Of the last instant only what comes before the end's id.
        let instant = Place { id: Id(""), ..end };
        if start.max(instant) < end {
            self.read(start.max(instant)..end)?;
        }
        let window = start.time..end.time;
        let parts = cut(
            self.connection,
            self.repository,
            window.clone(),
            Level::ALL.into_iter().rev(),
        )?;
        self.seek(parts, &window)
    }

    /// Goes back through the parts that lie within a stretch, and into those sealed buckets alone
    /// where such clients were.
    fn seek(&mut self, parts: Vec<Part<i64>>, within: &Range<i64>) -> rusqlite::Result<()> {
        for part in parts.into_iter().rev() {
            if self.is_full() {
                break;
            }
            let span = part.span();
            let span = span.start.max(within.start)..span.end.min(within.end);
            if span.is_empty() {
                continue;
            }
            match part {
                Part::Scan(_) => self.read_times(span)?,
                Part::Sealed { bucket, sums } => match self.sought(sums, bucket.start)? {
                    Sought::Nowhere => {}
                    Sought::At(times) => {
                        for time in times {
                            self.read_times(time..time.saturating_add(1))?;
                        }
                    }
                    Sought::Within(range) if bucket.level == Level::Quarter => self.read_times(range)?,
                    Sought::Within(range) => {
                        let finer = bucket.level.finer();
                        let parts = cut(self.connection, self.repository, bucket.span(), finer)?;
                        self.seek(parts, &range)?;
                    }
                },
            }
        }
        Ok(())
    }

    fn sought(&self, bucket: i64, start: i64) -> rusqlite::Result<Sought> {
        let Some(scope) = &self.scan.scope else {
            return Ok(Sought::Nowhere);
        };
        match rollup(self.connection, bucket, scope, self.scan.category)? {
            Some(sums) => sought::seek(&sums, start, &self.query.clients).map_err(unreadable),
            None => Ok(Sought::Nowhere),
        }
    }

    fn read_times(&mut self, range: Range<i64>) -> rusqlite::Result<()> {
        let [start, end] = [range.start, range.end].map(|time| Place { time, id: Id("") });
        self.read(start..end)
    }

    /// Reads the newest in a range, until the page is full.
    fn read(&mut self, range: Range<Place<'_>>) -> rusqlite::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let rows = if self.query.clients.are_all() {
            self.limit
        } else {
            usize::MAX
        };
        let mut statement = self.connection.prepare_cached(self.scan.sql.page)?;
        let mut rows = statement.query(params![
            self.repository,
            Column(self.scan.category),
            self.scan.key,
            range.start.time,
            range.start.id,
            range.end.time,
            range.end.id,
            i64::try_from(rows).unwrap_or(i64::MAX)
        ])?;
        while !self.is_full()
            && let Some(row) = rows.next()?
        {
            if self.query.clients.let_through(rows::client(row)?) {
                self.found.push(AttributedEvent {
                    event: rows::logical(row, &self.query.repository)?,
                    attribution: self.scan.attribution,
                });
            }
        }
        Ok(())
    }
}
