//! How far the logs of polled sources have been read.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::values::Column;
use crate::store::{Cursor, LogKey};

pub(super) fn cursor(connection: &Connection, key: &LogKey) -> rusqlite::Result<Option<Cursor>> {
    let LogKey {
        registry,
        source,
        log,
    } = key;
    connection
        .prepare_cached(
            "SELECT c.since, c.until FROM cursors c
             JOIN sources s ON s.id = c.source JOIN registries g ON g.id = s.registry
             WHERE g.namespace = ?1 AND g.name = ?2 AND g.uid = ?3 AND s.name = ?4 AND c.log = ?5",
        )?
        .query_row(
            params![registry.namespace, registry.name, registry.uid, source, log],
            |row| {
                let (Column(since), Column(until)) = (row.get(0)?, row.get(1)?);
                Ok(Cursor { since, until })
            },
        )
        .optional()
}

/// In a transaction of its own; makes the rows of registry and source where they are missing.
pub(super) fn note(connection: &mut Connection, key: &LogKey, cursor: Cursor) -> rusqlite::Result<()> {
    let LogKey {
        registry,
        source,
        log,
    } = key;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO registries (namespace, name, uid) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![registry.namespace, registry.name, registry.uid],
    )?;
    let source: i64 = transaction.query_row(
        "INSERT INTO sources (registry, name, since, last_delivery, stored, duplicates, ignored, quarantined)
         SELECT id, ?4, ?5, ?5, 0, 0, 0, 0 FROM registries WHERE namespace = ?1 AND name = ?2 AND uid = ?3
         ON CONFLICT DO UPDATE SET since = min(since, excluded.since) RETURNING id",
        params![
            registry.namespace,
            registry.name,
            registry.uid,
            source,
            Column(cursor.since)
        ],
        |row| row.get(0),
    )?;
    put(&transaction, source, log, cursor)?;
    transaction.commit()
}

/// What is there grows by it.
pub(super) fn put(connection: &Connection, source: i64, log: &str, cursor: Cursor) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cursors (source, log, since, until) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET since = min(since, excluded.since), until = max(until, excluded.until)",
        )?
        .execute(params![source, log, Column(cursor.since), Column(cursor.until)])
        .map(drop)
}
