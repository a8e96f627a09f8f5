//! Retention: removes events, keeps facts. In small steps on the writer, so that
//! deliveries go between them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior, params, types::Value};

use super::{
    known::registry_id,
    opened::Opened,
    rows::of_raw,
    values::{Column, LOGICAL_CATEGORIES},
};
use crate::{
    event::{LogicalCategory, TimeSource},
    store::{Purged, RegistryKey},
};

/// Most rows looked at in one step, for which deliveries wait …
const STEP_ROWS: u32 = 100;
/// … and the longest time after which it looks no further.
const STEP_TIME: Duration = Duration::from_millis(5);

/// Raw events stay this much longer than the logical events made of them, so that one
/// which arrives late at the edge is linked with its neighbours.
const RAW_MARGIN: i64 = 10 * 60 * 1_000_000_000;

/// Where a purge stands.
#[derive(Debug, Clone)]
pub(super) struct PurgeStep {
    pub(super) registry: RegistryKey,
    /// Nanoseconds: what happened and came before it goes.
    before: i64,
    /// Repositories up to this one are done.
    done: i64,
    current: Option<Current>,
    pub(super) purged: Purged,
}

#[derive(Debug, Clone)]
struct Current {
    repository: i64,
    table: Table,
    /// Rows up to this one are done.
    after: (i64, Value),
}

#[derive(Debug, Clone, Copy)]
enum Table {
    Logical(usize),
    Raw,
}

impl PurgeStep {
    pub(super) fn begin(registry: RegistryKey, before: i64) -> Self {
        Self {
            registry,
            before,
            done: 0,
            current: None,
            purged: Purged::default(),
        }
    }
}

/// Does a little; returns where the next step begins, and whether there is one.
pub(super) fn step(
    connection: &mut Connection,
    opened: &mut Opened,
    step: PurgeStep,
) -> rusqlite::Result<(PurgeStep, bool)> {
    let done = try_step(connection, opened, step);
    if done.is_err() {
        opened.forget();
    }
    done
}

fn try_step(
    connection: &mut Connection,
    opened: &mut Opened,
    mut step: PurgeStep,
) -> rusqlite::Result<(PurgeStep, bool)> {
    let begun = Instant::now();
    let Some(registry) = registry_id(connection, &step.registry)? else {
        return Ok((step, false));
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut rows = 0;
    let mut more = true;
    while more && rows < STEP_ROWS && begun.elapsed() < STEP_TIME {
        let Some(mut current) = step.current.take() else {
            step.current = next_repository(&transaction, registry, step.done)?.map(Current::begin);
            if step.current.is_none() {
                purge_sources(&transaction, registry, step.before)?;
                more = false;
            }
            continue;
        };
        let looked = match current.table {
            Table::Logical(category) => purge_logical(
                (&transaction, opened),
                &mut current,
                LOGICAL_CATEGORIES[category],
                step.before,
                &mut step.purged,
            )?,
            Table::Raw => purge_raw(
                (&transaction, opened),
                &mut current,
                step.before,
                &mut step.purged,
            )?,
        };
        rows += looked;
        if looked == STEP_ROWS {
            step.current = Some(current);
            continue;
        }
        step.current = match current.table {
            Table::Logical(category) if category + 1 < LOGICAL_CATEGORIES.len() => {
                Some(current.at(Table::Logical(category + 1)))
            }
            Table::Logical(_) => Some(current.at(Table::Raw)),
            Table::Raw => {
                step.done = current.repository;
                None
            }
        };
    }
    transaction.commit()?;
    Ok((step, more))
}

impl Current {
    fn begin(repository: i64) -> Self {
        Self {
            repository,
            table: Table::Logical(0),
            after: (i64::MIN, Value::Text(String::new())),
        }
    }

    fn at(self, table: Table) -> Self {
        Self {
            table,
            ..Self::begin(self.repository)
        }
    }
}

fn next_repository(connection: &Connection, registry: i64, after: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT min(id) FROM repositories WHERE registry = ?1 AND id > ?2")?
        .query_row([registry, after], |row| row.get(0))
}

struct Expired {
    time: i64,
    id: Value,
    received: i64,
}

fn purge_logical(
    (connection, opened): (&Connection, &mut Opened),
    current: &mut Current,
    category: LogicalCategory,
    before: i64,
    purged: &mut Purged,
) -> rusqlite::Result<u32> {
    let category = Column(category);
    let mut select = connection.prepare_cached(EXPIRED_LOGICAL)?;
    let rows: Vec<(Expired, Option<String>)> = select
        .query_map(
            params![
                current.repository,
                category,
                before,
                current.after.0,
                current.after.1,
                STEP_ROWS
            ],
            |row| {
                let expired = Expired {
                    time: row.get(0)?,
                    id: row.get(1)?,
                    received: row.get(2)?,
                };
                Ok((expired, row.get(3)?))
            },
        )?
        .collect::<rusqlite::Result<_>>()?;
    let looked = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    for (Expired { time, id, received }, tags) in rows {
        if received < before {
            opened.change(connection, current.repository, time)?;
            keep_facts(connection, current.repository, &category, tags.as_deref(), time)?;
            connection
                .prepare_cached(
                    "DELETE FROM logical_tags WHERE repository = ?1 AND category = ?2 AND time = ?3
                         AND id = ?4 AND tag IN (SELECT value FROM json_each(?5))",
                )?
                .execute(params![
                    current.repository,
                    category,
                    time,
                    id,
                    tags.as_deref().unwrap_or("[]")
                ])?;
            connection
                .prepare_cached(
                    "DELETE FROM logical_events
                     WHERE repository = ?1 AND category = ?2 AND time = ?3 AND id = ?4",
                )?
                .execute(params![current.repository, category, time, id])?;
            purged.logical += 1;
        }
        current.after = (time, id);
    }
    Ok(looked)
}

pub(super) const EXPIRED_LOGICAL: &str = concat!(
    "SELECT e.time, e.id, coalesce(r.received, e.time), e.tags FROM logical_events e ",
    of_raw!(),
    " WHERE e.repository = ?1 AND e.category = ?2 AND e.time < ?3 AND (e.time, e.id) > (?4, ?5)
      ORDER BY e.time, e.id LIMIT ?6"
);

/// First and last time of what is removed, for each tag; the empty tag stands for none.
fn keep_facts(
    connection: &Connection,
    repository: i64,
    category: &Column<LogicalCategory>,
    tags: Option<&str>,
    time: i64,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            r#"INSERT INTO category_facts (repository, tag, category, first, last)
               SELECT ?1, value, ?2, ?4, ?4 FROM json_each(coalesce(?3, '[""]')) WHERE TRUE
               ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)"#,
        )?
        .execute(params![repository, category, tags, time])
}

fn purge_raw(
    (connection, opened): (&Connection, &mut Opened),
    current: &mut Current,
    before: i64,
    purged: &mut Purged,
) -> rusqlite::Result<u32> {
    let before = before.saturating_sub(RAW_MARGIN);
    let mut select = connection.prepare_cached(EXPIRED_RAW)?;
    let rows: Vec<(Expired, i64, TimeSource)> = select
        .query_map(
            params![
                current.repository,
                before,
                current.after.0,
                current.after.1,
                STEP_ROWS
            ],
            |row| {
                let expired = Expired {
                    time: row.get(0)?,
                    id: row.get(1)?,
                    received: row.get(2)?,
                };
                Ok((expired, row.get(3)?, row.get::<_, Column<_>>(4)?.0))
            },
        )?
        .collect::<rusqlite::Result<_>>()?;
    let looked = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let mut removed: HashMap<i64, i64> = HashMap::new();
    for (Expired { time, id, received }, source, time_source) in rows {
        if received < before {
            // A logical event that is still there has its actor from it.
            opened.change(connection, current.repository, time)?;
            connection
                .prepare_cached("DELETE FROM raw_events WHERE repository = ?1 AND time = ?2 AND id = ?3")?
                .execute(params![current.repository, time, id])?;
            if time_source == TimeSource::Received {
                connection
                    .prepare_cached("DELETE FROM received_ids WHERE repository = ?1 AND id = ?2")?
                    .execute(params![current.repository, id])?;
            }
            purged.raw += 1;
            *removed.entry(source).or_default() += 1;
        }
        current.after = (time, id);
    }
    for (source, events) in removed {
        connection
            .prepare_cached("UPDATE sources SET kept = kept - ?2 WHERE id = ?1")?
            .execute([source, events])?;
    }
    Ok(looked)
}

pub(super) const EXPIRED_RAW: &str = "SELECT time, id, received, source, time_source FROM raw_events
     WHERE repository = ?1 AND time < ?2 AND (time, id) > (?3, ?4)
     ORDER BY time, id LIMIT ?5";

/// Gaps, instances and bodies as old. The newest instance stays: it tells the next one
/// that others came before.
fn purge_sources(connection: &Connection, registry: i64, before: i64) -> rusqlite::Result<()> {
    for statement in [
        "DELETE FROM gaps WHERE end <= ?2 AND source IN (SELECT id FROM sources WHERE registry = ?1)",
        "DELETE FROM quarantine
         WHERE received < ?2 AND source IN (SELECT id FROM sources WHERE registry = ?1)",
        "DELETE FROM instances
         WHERE last < ?2 AND source IN (SELECT id FROM sources WHERE registry = ?1)
             AND last < (SELECT max(last) FROM instances newest WHERE newest.source = instances.source)",
    ] {
        connection
            .prepare_cached(statement)?
            .execute([registry, before])?;
    }
    Ok(())
}
