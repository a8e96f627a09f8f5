//! Stretches of time whose events may be lost, per source.

use rusqlite::{Connection, OptionalExtension, params};

pub(super) use crate::store::gap::{NEW_INSTANCE, QUARANTINE_FULL, QUARANTINED, RECEIVER_DOWN, REFUSED};
use crate::store::{
    CONFIRMATION_ASKED,
    gap::{JOIN, MOST, of_both},
};

/// Half-open, and never empty: it holds at least its start.
pub(super) fn open(
    connection: &Connection,
    source: i64,
    reason: &str,
    start: i64,
    end: i64,
) -> rusqlite::Result<()> {
    let end = end.max(start.saturating_add(1));
    let near: Option<i64> = connection
        .prepare_cached(
            "SELECT id FROM gaps
             WHERE source = ?1 AND reason = ?2 AND start <= ?4 + ?5 AND end >= ?3 - ?5
             ORDER BY start DESC LIMIT 1",
        )?
        .query_row(params![source, reason, start, end, JOIN], |row| row.get(0))
        .optional()?;
    if let Some(id) = near {
        connection
            .prepare_cached("UPDATE gaps SET start = min(start, ?2), end = max(end, ?3) WHERE id = ?1")?
            .execute(params![id, start, end])?;
        return Ok(());
    }
    connection
        .prepare_cached("INSERT INTO gaps (source, reason, start, end) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![source, reason, start, end])?;
    bound(connection, source)
}

/// Keeps the number of gaps bounded without hiding one: the oldest are told as one
/// longer stretch.
fn bound(connection: &Connection, source: i64) -> rusqlite::Result<()> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM gaps WHERE source = ?1")?
        .query_row([source], |row| row.get(0))?;
    if count <= MOST {
        return Ok(());
    }
    let oldest: Vec<(i64, i64, String)> = connection
        .prepare_cached("SELECT id, end, reason FROM gaps WHERE source = ?1 ORDER BY start LIMIT 2")?
        .query_map([source], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if let [(kept, end, reason), (joined, joined_end, newer)] = oldest.as_slice() {
        connection
            .prepare_cached("DELETE FROM gaps WHERE id = ?1")?
            .execute([joined])?;
        connection
            .prepare_cached("UPDATE gaps SET end = ?2, reason = ?3 WHERE id = ?1")?
            .execute(params![kept, end.max(joined_end), of_both(reason, newer)])?;
    }
    Ok(())
}

/// Ends the gaps that bodies opened around this time, of which none is in quarantine any more.
pub(super) fn close(connection: &Connection, source: i64, time: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM gaps WHERE source = ?1 AND reason = ?3 AND start <= ?2 AND end > ?2
             AND NOT EXISTS (SELECT 1 FROM quarantine q
                 WHERE q.source = ?1 AND q.reason <> ?4 AND q.received >= gaps.start AND q.received < gaps.end)",
        )?
        .execute(params![source, time, QUARANTINED, CONFIRMATION_ASKED])
        .map(drop)
}

/// One as it is, once.
pub(super) fn put(
    connection: &Connection,
    source: i64,
    reason: &str,
    start: i64,
    end: i64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO gaps (source, reason, start, end) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM gaps
                 WHERE source = ?1 AND reason = ?2 AND start <= ?3 AND end >= ?4)",
        )?
        .execute(params![source, reason, start, end])?;
    bound(connection, source)
}
