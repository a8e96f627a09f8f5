//! Makes logical events of raw ones where new raw events can have changed them, by the
//! rule of `event::link`.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::Instant,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    opened::Opened,
    rows::{self, logical_columns, of_raw, raw_columns},
    touched::TouchedRepository,
    values::{Column, Id, nanoseconds},
};
use crate::{
    event::{
        Category, LogicalCategory, LogicalEvent, StoredEvent,
        link::{Merged, Relink, Replacement, Span},
    },
    image::Digest,
    store::{
        reporting::{Facts, Reporting},
        spans::Spans,
    },
};

/// Most raw events that are linked at once, save where more have one time: while they are, every
/// delivery waits.
const MOST: i64 = 2_000;

/// Links what was touched of one repository, a part at least and until then, inside of the
/// caller's transaction; what is left of it.
pub(super) fn relink(
    connection: &Connection,
    opened: &mut Opened,
    touched: &TouchedRepository,
    until: Instant,
) -> rusqlite::Result<Spans> {
    let linking = Linking {
        connection,
        touched,
        reporting: reporting(connection, touched.id)?,
    };
    let mut left = touched.spans.clone();
    while let Some((first, last)) = left.pop() {
        let end = linking.end_of_part(first, last)?;
        if end < last {
            left.add(end + 1, last);
        }
        for (first, last) in linking.spans(first, end)?.iter() {
            linking.link(opened, span(first, last)?, &left)?;
        }
        if Instant::now() >= until {
            break;
        }
    }
    touched.linked(connection, &left)?;
    Ok(left)
}

/// What the sources of this repository's registry report.
fn reporting(connection: &Connection, repository: i64) -> rusqlite::Result<Reporting> {
    let mut reporting = Reporting::default();
    let mut statement = connection.prepare_cached(REPORTING)?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        reporting.add(row.get(0)?, row.get(1)?, row.get::<_, Column<_>>(2)?.0);
    }
    Ok(reporting)
}

struct Linking<'a> {
    connection: &'a Connection,
    touched: &'a TouchedRepository,
    reporting: Reporting,
}

/// Whose pull of what: without edges from indexes to children, the linker pairs only pulls
/// of one client and one digest, so that others need not be read. Its idea of a client is
/// narrower than an address; a wider one does no harm.
type Group = (Digest, Option<IpAddr>);

impl Linking<'_> {
    /// The stretches to link again for one: itself and, where several sources report deletes,
    /// each delete of the same request.
    fn spans(&self, first: i64, last: i64) -> rusqlite::Result<Spans> {
        let mut spans = Spans::default();
        spans.add(first, last);
        if self.reporting.sources(Category::Delete) > 1 {
            let Span { first, last } = span(first, last)?;
            self.between(DELETES_OF_REQUESTS, first, last, |row| {
                let time: i64 = row.get(2)?;
                spans.add(time, time);
                Ok(())
            })?;
        }
        Ok(spans)
    }

    /// Where a part of a stretch ends that can be linked at once.
    fn end_of_part(&self, first: i64, last: i64) -> rusqlite::Result<i64> {
        let mut statement = self.connection.prepare_cached(END_OF_PART)?;
        let end = statement
            .query_row(params![self.touched.id, first, last, MOST - 1], |row| row.get(0))
            .optional()?;
        Ok(end.unwrap_or(last))
    }

    /// Links a stretch, save what lies in those that are left.
    fn link(&self, opened: &mut Opened, changed: Span, left: &Spans) -> rusqlite::Result<()> {
        let relink = Relink::around(changed, &self.facts(&HashSet::new()));
        let raw = self.read(&relink)?;
        let manifests = self.manifests(&raw)?;
        let Replacement { deciding, insert } = relink.replacement(&raw, &self.facts(&manifests));

        let mut insert: HashMap<_, &LogicalEvent> =
            insert.iter().map(|event| (event.place(), event)).collect();
        for stored in deciding {
            if left.contains(nanoseconds(stored.time)) {
                continue;
            }
            let before = self.find(stored)?;
            let after = insert.remove(&stored.place());
            // Most of what is linked again comes out as it was.
            if before.as_ref() == after {
                continue;
            }
            // Before and after, it has the time of the raw event.
            opened.change(self.connection, self.touched.id, nanoseconds(stored.time))?;
            if let Some(before) = before {
                rows::delete_logical(self.connection, self.touched.id, &before)?;
            }
            if let Some(after) = after {
                rows::insert_logical(self.connection, self.touched.id, after, &stored.event)?;
            }
        }
        Ok(())
    }

    fn facts<'a>(&'a self, manifests: &'a HashSet<Digest>) -> Facts<'a> {
        Facts {
            manifests,
            reporting: &self.reporting,
        }
    }

    /// The raw events that the rule asks for, save pulls that cannot pair with a changed one.
    fn read(&self, relink: &Relink) -> rusqlite::Result<Vec<StoredEvent>> {
        let Relink {
            changed,
            read,
            merged,
        } = relink;
        let mut raw = Vec::new();
        self.between(RAW_IN_SPAN, changed.first, changed.last, |row| {
            raw.push(self.raw(row)?);
            Ok(())
        })?;
        for merged in merged {
            if raw.iter().any(|stored| stored.event.category == merged.category) {
                self.read_merged(merged, *changed, &mut raw)?;
            }
        }
        let groups: HashSet<Group> = raw.iter().filter_map(group).collect();
        if !groups.is_empty() && relink.merged(Category::Pull).is_none() {
            let mut neighbour = |row: &Row<'_>| {
                if groups.contains(&row_group(row)?) {
                    raw.push(self.raw(row)?);
                }
                Ok(())
            };
            self.between(PULLS_FROM, read.first, changed.first, &mut neighbour)?;
            self.between(PULLS_TO, changed.last, read.last, &mut neighbour)?;
        }
        if raw
            .iter()
            .any(|stored| stored.event.request_id.is_some() && stored.event.category == Category::Delete)
        {
            let there = relink.merged(Category::Delete).unwrap_or(*changed);
            self.between(DELETES_OF_REQUESTS, there.first, there.last, |row| {
                let stored = self.raw(row)?;
                if !there.contains(stored.time) {
                    raw.push(stored);
                }
                Ok(())
            })?;
        }
        Ok(raw)
    }

    /// All of a category beside those in the stretch itself.
    fn read_merged(
        &self,
        merged: &Merged,
        changed: Span,
        raw: &mut Vec<StoredEvent>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(MERGED)?;
        let mut rows = statement.query(params![
            self.touched.id,
            Column(merged.read.first),
            Column(merged.read.last),
            Column(merged.category),
            Column(changed.first),
            Column(changed.last)
        ])?;
        while let Some(row) = rows.next()? {
            raw.push(self.raw(row)?);
        }
        Ok(())
    }

    fn between(
        &self,
        sql: &str,
        first: Timestamp,
        last: Timestamp,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.touched.id, Column(first), Column(last)])?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    fn raw(&self, row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
        rows::raw(row, &self.touched.path, self.reporting.name(row.get(0)?))
    }

    /// The digests among those that raw events name that are known to be manifests: what is
    /// pushed or pulled is, what is deleted has to be looked up.
    fn manifests(&self, raw: &[StoredEvent]) -> rusqlite::Result<HashSet<Digest>> {
        let mut manifests = HashSet::new();
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM manifests WHERE repository = ?1 AND digest = ?2")?;
        for stored in raw {
            let Some(digest) = &stored.event.digest else {
                continue;
            };
            if !manifests.contains(digest)
                && (stored.event.category != Category::Delete
                    || statement.exists(params![self.touched.id, Column(digest)])?)
            {
                manifests.insert(digest.clone());
            }
        }
        Ok(manifests)
    }

    /// The logical event that this raw one decides, if it does: it has its id and time.
    fn find(&self, stored: &StoredEvent) -> rusqlite::Result<Option<LogicalEvent>> {
        let categories: &[LogicalCategory] = match stored.event.category {
            Category::Push => &[LogicalCategory::Push],
            Category::Pull => &[LogicalCategory::Pull, LogicalCategory::Check],
            Category::Delete => &[LogicalCategory::Delete, LogicalCategory::UnresolvedDelete],
        };
        let mut statement = self.connection.prepare_cached(LOGICAL)?;
        for category in categories {
            let key = params![
                self.touched.id,
                Column(*category),
                Column(stored.time),
                Id(&stored.event.id)
            ];
            let found = statement
                .query_row(key, |row| rows::logical(row, &self.touched.path))
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The group of a pull; none where it pairs with nothing.
fn group(stored: &StoredEvent) -> Option<Group> {
    let event = &stored.event;
    let digest = event
        .digest
        .clone()
        .filter(|_| event.category == Category::Pull)?;
    Some((digest, event.address.map(|address| address.ip.to_canonical())))
}

/// The same of a row of `raw_columns`.
fn row_group(row: &Row<'_>) -> rusqlite::Result<Group> {
    let Column(digest) = row.get(8)?;
    let address: Option<Column<IpAddr>> = row.get(11)?;
    Ok((digest, address.map(|Column(ip)| ip.to_canonical())))
}

/// The time of the event behind the first ?4 from ?2 to ?3.
pub(super) const END_OF_PART: &str = "SELECT time FROM raw_events
     WHERE repository = ?1 AND time BETWEEN ?2 AND ?3 ORDER BY time LIMIT 1 OFFSET ?4";

/// All from ?2 to ?3, both included.
pub(super) const RAW_IN_SPAN: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = ?1 AND e.time BETWEEN ?2 AND ?3"
);

/// Those of a category from ?2 to ?3, save those from ?5 to ?6.
pub(super) const MERGED: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = ?1 AND e.time BETWEEN ?2 AND ?3
         AND e.category = ?4 AND (e.time < ?5 OR e.time > ?6)"
);

/// What the sources of a repository's registry report.
pub(super) const REPORTING: &str = "SELECT s.id, s.name, p.category
     FROM repositories r JOIN sources s ON s.registry = r.registry JOIN reported p ON p.source = s.id
     WHERE r.id = ?1";

/// Pulls that name a digest, from ?2 on and before ?3.
pub(super) const PULLS_FROM: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = ?1 AND e.time >= ?2 AND e.time < ?3
         AND e.category = 2 AND e.digest IS NOT NULL"
);

/// Pulls that name a digest, after ?2 and to ?3.
pub(super) const PULLS_TO: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = ?1 AND e.time > ?2 AND e.time <= ?3
         AND e.category = 2 AND e.digest IS NOT NULL"
);

/// Deletes, whenever they were, of the requests that the deletes from ?2 to ?3 belong to.
pub(super) const DELETES_OF_REQUESTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e
     WHERE e.repository = ?1 AND e.category = 3 AND e.request_id IN
         (SELECT request_id FROM raw_events
          WHERE repository = ?1 AND time BETWEEN ?2 AND ?3 AND category = 3 AND request_id IS NOT NULL)"
);

pub(super) const LOGICAL: &str = concat!(
    "SELECT ",
    logical_columns!(),
    " FROM logical_events e ",
    of_raw!(),
    " WHERE e.repository = ?1 AND e.category = ?2 AND e.time = ?3 AND e.id = ?4"
);

fn span(first: i64, last: i64) -> rusqlite::Result<Span> {
    Ok(Span {
        first: timestamp(first)?,
        last: timestamp(last)?,
    })
}

fn timestamp(nanoseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
