//! The parts of a window: which of its buckets are sealed, and their sums.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params, types::Type};

use super::values::{Column, scope_columns};
use crate::{
    event::LogicalCategory,
    store::{
        bucket::{Bucket, Level, Part, Parts},
        rollup::Unreadable,
        scope::Scope,
    },
};

/// The parts of a window in order of time, of buckets of these levels, the coarsest first. A
/// sealed one has the id of its sums.
pub(super) fn cut(
    connection: &Connection,
    repository: i64,
    window: Range<i64>,
    levels: impl IntoIterator<Item = Level>,
) -> rusqlite::Result<Vec<Part<i64>>> {
    let mut parts = Parts::of(window);
    let mut statement = connection.prepare_cached(SEALED)?;
    for level in levels {
        let mut found = Vec::new();
        for Range { start, end } in parts.wanted(level) {
            let mut rows = statement.query(params![repository, Column(level), start, end])?;
            while let Some(row) = rows.next()? {
                let bucket = Bucket {
                    level,
                    start: row.get(0)?,
                };
                found.push((bucket, row.get(1)?));
            }
        }
        parts.put(found);
    }
    Ok(parts.into_vec())
}

pub(super) const SEALED: &str = "SELECT start, id FROM sealed
     WHERE repository = ?1 AND level = ?2 AND start >= ?3 AND start < ?4 AND whole = 1
     ORDER BY start";

/// The roll-up of one scope and category in a sealed bucket; none where nothing happened.
pub(super) fn rollup(
    connection: &Connection,
    bucket: i64,
    scope: &Scope,
    category: LogicalCategory,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let (number, key) = scope_columns(scope);
    connection
        .prepare_cached(SUMS)?
        .query_row(params![bucket, number, key, Column(category)], |row| row.get(0))
        .optional()
}

pub(super) const SUMS: &str =
    "SELECT sums FROM rollups WHERE bucket = ?1 AND scope = ?2 AND key = ?3 AND category = ?4";

/// As an error of a row's.
pub(super) fn unreadable(error: Unreadable) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error))
}
