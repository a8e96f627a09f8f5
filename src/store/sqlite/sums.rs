//! Counts the events of one bucket for every scope: from the sums of the finer buckets that are
//! sealed, and the events of those that are not.

use std::{collections::BTreeSet, ops::Range};

use rusqlite::{Connection, params};

use super::{
    parts::{cut, rollup, unreadable},
    rows::{self, of_raw},
    values::{Column, LOGICAL_CATEGORIES, scope_of},
};
use crate::{
    event::LogicalCategory,
    image::Digest,
    store::{
        EventClient,
        bucket::{Bucket, ENOUGH, Part},
        scope::{Counted, Scope, Scopes},
    },
};

/// The sums of one scope and category, as they are kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) scope: Scope,
    pub(super) category: LogicalCategory,
    pub(super) sums: Vec<u8>,
}

/// Whether a bucket has so many events that it is worth sealing.
pub(super) fn is_enough(connection: &Connection, repository: i64, bucket: Bucket) -> rusqlite::Result<bool> {
    let Range { start, end } = bucket.span();
    let mut statement = connection.prepare_cached(AT_MOST)?;
    let mut count = 0;
    for category in LOGICAL_CATEGORIES {
        let found: i64 = statement
            .query_row(params![repository, Column(category), start, end, ENOUGH], |row| {
                row.get(0)
            })?;
        count += found;
    }
    Ok(count >= ENOUGH)
}

pub(super) const AT_MOST: &str = "SELECT count(*) FROM
     (SELECT 1 FROM logical_events WHERE repository = ?1 AND category = ?2 AND time >= ?3 AND time < ?4 LIMIT ?5)";

/// The sums of a bucket. One scope after the other, so that those of all are never in memory
/// but as they are kept.
pub(super) fn count(connection: &Connection, repository: i64, bucket: Bucket) -> rusqlite::Result<Vec<Kept>> {
    let mut scanned = Scopes::default();
    let mut sealed: Vec<(Bucket, i64)> = Vec::new();
    for part in cut(connection, repository, bucket.span(), bucket.level.finer())? {
        match part {
            Part::Sealed { bucket, sums } => sealed.push((bucket, sums)),
            Part::Scan(range) => scan(connection, repository, &range, &mut scanned)?,
        }
    }
    let mut keys: BTreeSet<(Scope, LogicalCategory)> = scanned.keys().cloned().collect();
    for &(_, id) in &sealed {
        add_keys(connection, id, &mut keys)?;
    }
    let mut kept = Vec::new();
    for key in keys {
        let mut sums = scanned.take(&key);
        let (scope, category) = key;
        for &(finer, id) in &sealed {
            if let Some(bytes) = rollup(connection, id, &scope, category)? {
                sums.merge(&bytes, finer.start).map_err(unreadable)?;
            }
        }
        let sums = sums.encode(bucket.start);
        kept.push(Kept {
            scope,
            category,
            sums,
        });
    }
    Ok(kept)
}

fn add_keys(
    connection: &Connection,
    bucket: i64,
    keys: &mut BTreeSet<(Scope, LogicalCategory)>,
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT scope, key, category FROM rollups WHERE bucket = ?1")?;
    let mut rows = statement.query([bucket])?;
    while let Some(row) = rows.next()? {
        let scope = scope_of(row.get(0)?, row.get_ref(1)?)?;
        let Column(category) = row.get(2)?;
        keys.insert((scope, category));
    }
    Ok(())
}

fn scan(
    connection: &Connection,
    repository: i64,
    range: &Range<i64>,
    into: &mut Scopes,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(EVENTS)?;
    for category in LOGICAL_CATEGORIES {
        let mut found = statement.query(params![repository, Column(category), range.start, range.end])?;
        while let Some(row) = found.next()? {
            let tags = rows::tags(row, 1)?;
            let digest: Option<Column<Digest>> = row.get(2)?;
            let (address, network_type) = rows::origin(row, 3)?;
            into.count(Counted {
                category,
                target: row.get::<_, Option<Column<_>>>(0)?.map(|Column(target)| target),
                tags: &tags,
                digest: digest.as_ref().map(|Column(digest)| digest),
                client: EventClient {
                    address,
                    network_type,
                    actor: row.get_ref(5)?.as_str_or_null()?,
                },
                time: row.get(6)?,
            });
        }
    }
    Ok(())
}

pub(super) const EVENTS: &str = concat!(
    "SELECT e.target, e.tags, e.digest, e.address, e.address_source, coalesce(r.actor, e.actor), e.time
     FROM logical_events e NOT INDEXED ",
    of_raw!(),
    " WHERE e.repository = ?1 AND e.category = ?2 AND e.time >= ?3 AND e.time < ?4"
);
