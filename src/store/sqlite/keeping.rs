//! What is kept of registries: their terms, their end, and the pages they leave behind.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    cursors,
    known::registry_id,
    values::{Column, nanoseconds},
};
use crate::store::{Cursor, Kept, LogKey, RegistryKey, Terms};

/// What the writer is asked to change.
#[derive(Debug, Clone)]
pub(super) enum KeepingChange {
    Keep { registry: RegistryKey, terms: Terms },
    Release { registry: RegistryKey, at: Timestamp },
    Remove { registry: RegistryKey },
    Cursor { log: LogKey, cursor: Cursor },
    HandBack,
}

/// Most rows of one table removed in one step.
const STEP_ROWS: usize = 500;

/// Most pages handed back in one step: about a mebibyte.
const STEP_PAGES: i64 = 250;

/// So many pages stay for the events to come: to hand them back and ask for them again
/// costs more than they are worth.
const SPARE_PAGES: i64 = 250;

/// Does a little; whether there is more to do.
pub(super) fn apply(connection: &mut Connection, change: &KeepingChange) -> rusqlite::Result<bool> {
    match change {
        KeepingChange::Keep { registry, terms } => keep(connection, registry, *terms).map(|()| false),
        KeepingChange::Release { registry, at } => connection
            .execute(
                "UPDATE registries SET released = ?4
                 WHERE namespace = ?1 AND name = ?2 AND uid = ?3 AND released IS NULL",
                params![registry.namespace, registry.name, registry.uid, nanoseconds(*at)],
            )
            .map(|_| false),
        KeepingChange::Remove { registry } => remove(connection, registry),
        KeepingChange::Cursor { log, cursor } => cursors::note(connection, log, *cursor).map(|()| false),
        KeepingChange::HandBack => hand_back(connection),
    }
}

/// Writes nothing where nothing is new.
fn keep(connection: &Connection, registry: &RegistryKey, terms: Terms) -> rusqlite::Result<()> {
    let Terms { retention, quota } = terms;
    connection
        .execute(
            "INSERT INTO registries (namespace, name, uid, retention, quota) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET retention = excluded.retention, quota = excluded.quota, released = NULL
                 WHERE retention IS NOT excluded.retention OR quota IS NOT excluded.quota
                     OR released IS NOT NULL",
            params![
                registry.namespace,
                registry.name,
                registry.uid,
                retention.as_secs(),
                quota
            ],
        )
        .map(drop)
}

pub(super) fn kept(connection: &Connection) -> rusqlite::Result<Vec<Kept>> {
    connection
        .prepare_cached("SELECT namespace, name, uid, retention, released FROM registries ORDER BY id")?
        .query_map([], |row| {
            Ok(Kept {
                registry: RegistryKey {
                    namespace: row.get(0)?,
                    name: row.get(1)?,
                    uid: row.get(2)?,
                },
                retention: row.get::<_, Option<i64>>(3)?.map(SignedDuration::from_secs),
                released: row.get::<_, Option<Column<_>>>(4)?.map(|Column(time)| time),
            })
        })?
        .collect()
}

/// All that belongs to a repository, a part of each table at a time.
pub(super) const OF_REPOSITORY: [&str; 11] = [
    // Their sums are swept away when the next buckets are sealed.
    "UPDATE sealed SET whole = 0 WHERE id IN
         (SELECT id FROM sealed WHERE repository = ?1 AND whole = 1 LIMIT ?2)",
    "DELETE FROM open_buckets WHERE repository = ?1 AND (level, start) IN
         (SELECT level, start FROM open_buckets WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM raw_events WHERE repository = ?1 AND (time, id) IN
         (SELECT time, id FROM raw_events WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM received_ids WHERE repository = ?1 AND id IN
         (SELECT id FROM received_ids WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM logical_tags WHERE repository = ?1 AND (tag, category, time, id) IN
         (SELECT tag, category, time, id FROM logical_tags WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM logical_events WHERE repository = ?1 AND (category, time, id) IN
         (SELECT category, time, id FROM logical_events WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM unlinked WHERE repository = ?1 AND (start, end) IN
         (SELECT start, end FROM unlinked WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM tag_facts WHERE repository = ?1 AND (tag, time, digest) IN
         (SELECT tag, time, digest FROM tag_facts WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM tag_ends WHERE repository = ?1 AND (tag, digest, time) IN
         (SELECT tag, digest, time FROM tag_ends WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM manifests WHERE repository = ?1 AND digest IN
         (SELECT digest FROM manifests WHERE repository = ?1 LIMIT ?2)",
    "DELETE FROM category_facts WHERE repository = ?1 AND (tag, category) IN
         (SELECT tag, category FROM category_facts WHERE repository = ?1 LIMIT ?2)",
];

fn remove(connection: &mut Connection, registry: &RegistryKey) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(id) = registry_id(&transaction, registry)? else {
        return Ok(false);
    };
    let released: bool = transaction.query_row(
        "SELECT released IS NOT NULL FROM registries WHERE id = ?1",
        [id],
        |row| row.get(0),
    )?;
    if !released {
        return Ok(false);
    }
    let repository: Option<i64> = transaction
        .prepare_cached("SELECT min(id) FROM repositories WHERE registry = ?1")?
        .query_row([id], |row| row.get(0))?;
    if let Some(repository) = repository {
        let limit = i64::try_from(STEP_ROWS).unwrap_or(i64::MAX);
        let mut removed = 0;
        for statement in OF_REPOSITORY {
            if removed == 0 {
                removed = transaction
                    .prepare_cached(statement)?
                    .execute([repository, limit])?;
            }
        }
        if removed == 0 {
            transaction.execute("DELETE FROM repositories WHERE id = ?1", [repository])?;
        }
        transaction.commit()?;
        return Ok(true);
    }
    // Gaps, instances, cursors and bodies that were put aside go with their source.
    transaction.execute("DELETE FROM sources WHERE registry = ?1", [id])?;
    transaction.execute("DELETE FROM registries WHERE id = ?1", [id])?;
    transaction.commit()?;
    Ok(false)
}

/// Gives free pages at the end of the file back to the volume, moving others in their
/// place. A checkpoint then makes the file smaller.
fn hand_back(connection: &Connection) -> rusqlite::Result<bool> {
    let free = free_pages(connection)?;
    let pages = (free - SPARE_PAGES).min(STEP_PAGES);
    if pages <= 0 {
        return Ok(false);
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // Each step hands one page back.
    while rows.next()?.is_some() {}
    let left = free_pages(connection)?;
    let more = left < free && left > SPARE_PAGES;
    if !more {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(more)
}

fn free_pages(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "freelist_count", |row| row.get(0))
}
