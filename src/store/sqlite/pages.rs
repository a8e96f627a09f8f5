//! Pages of events, newest first: the scans of a question, merged. Where only some clients are
//! asked for, sealed buckets tell where their events lie, and the rest is not read.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::{
    parts::{cut, rollup, unreadable},
    query::{self, sql},
    rows,
    values::{Column, Id},
};
use crate::store::{
    AttributedEvent, EventQuery, PageKey,
    bucket::{Level, Part},
    scan::{Page, Place, Scan, newest_first},
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
    let mut page = Page::new(before, limit);
    for scan in newest_first(query) {
        if let Some(range) = page.range(&scan) {
            let mut search = Search {
                connection,
                repository,
                query,
                scan: &scan,
                limit,
                found: Vec::new(),
            };
            search.within(range)?;
            page.add(search.found);
        }
    }
    Ok(page.into_events())
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

    fn within(&mut self, range: Range<Place>) -> rusqlite::Result<()> {
        if self.query.clients.are_all() || self.scan.scope.is_none() {
            return self.read(range);
        }
        let Range { start, end } = range;
        // Of the last instant only what comes before the end's id.
        let instant = start.clone().max(Place::at(end.time));
        let window = start.time..end.time;
        if instant < end {
            self.read(instant..end)?;
        }
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
        self.read(Place::at(range.start)..Place::at(range.end))
    }

    /// Reads the newest in a range, until the page is full.
    fn read(&mut self, range: Range<Place>) -> rusqlite::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let rows = if self.query.clients.are_all() {
            self.limit
        } else {
            usize::MAX
        };
        let mut statement = self.connection.prepare_cached(sql(self.scan.kind).page)?;
        let mut rows = statement.query(params![
            self.repository,
            Column(self.scan.category),
            self.scan.key,
            range.start.time,
            Id(&range.start.id.0),
            range.end.time,
            Id(&range.end.id.0),
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
