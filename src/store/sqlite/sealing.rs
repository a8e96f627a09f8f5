//! Sealing: what readers counted of buckets that are over is kept, in small steps on the writer,
//! so that deliveries go between them.

use std::fmt;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{
    SqliteStore,
    opened::{Candidate, Opened},
    sums::{self, Kept},
    values::{Column, scope_columns},
    writer::{Command, Reply},
};
use crate::store::{
    StoreError,
    bucket::{Bucket, Level},
};

/// How many buckets are looked at in one go.
const CANDIDATES: u32 = 64;

/// Most bytes, more or less, that one step writes …
const STEP_BYTES: usize = 256 * 1024;
/// … and most rows that it writes or removes.
const STEP_ROWS: usize = 500;

/// Counts all buckets that are over as of `now`, in nanoseconds; how many are kept.
pub(super) async fn seal(store: &SqliteStore, now: i64) -> Result<u64, StoreError> {
    while step(store, |writing, _| sweep(writing)).await? {}
    let mut sealed = 0;
    // From the finest: each level is made of finer ones.
    for level in Level::ALL {
        let Some(newest) = Bucket::newest_closed(level, now) else {
            continue;
        };
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let candidates = step(store, move |writing, opened| list(writing, opened, newest, after)).await?;
            let Some(last) = candidates.last() else { break };
            after = (last.bucket.start, last.repository);
            sealed += seal_each(store, candidates).await?;
        }
    }
    Ok(sealed)
}

async fn seal_each(store: &SqliteStore, candidates: Vec<Candidate>) -> Result<u64, StoreError> {
    let (large, small) = store
        .readers
        .read(move |connection| {
            let mut sides = (Vec::new(), Vec::new());
            for candidate in candidates {
                let is_large = sums::is_enough(connection, candidate.repository, candidate.bucket)?;
                let side = if is_large { &mut sides.0 } else { &mut sides.1 };
                side.push(candidate);
            }
            Ok(sides)
        })
        .await?;
    if !small.is_empty() {
        step(store, move |writing, opened| {
            small
                .iter()
                .try_for_each(|candidate| opened.close(writing, candidate).map(drop))
        })
        .await?;
    }
    let mut sealed = 0;
    for candidate in large {
        sealed += u64::from(seal_one(store, candidate).await?);
    }
    Ok(sealed)
}

/// Whether it is sealed now: not where it changed meanwhile. Then it stays open.
async fn seal_one(store: &SqliteStore, candidate: Candidate) -> Result<bool, StoreError> {
    let mut kept = store
        .readers
        .read(move |connection| sums::count(connection, candidate.repository, candidate.bucket))
        .await?;
    let id = step(store, move |writing, _| begin(writing, &candidate)).await?;
    while !kept.is_empty() {
        let piece = piece(&mut kept);
        step(store, move |writing, _| keep(writing, id, &piece)).await?;
    }
    step(store, move |writing, opened| {
        finish(writing, opened, &candidate, id)
    })
    .await
}

/// As much as one step writes.
fn piece(kept: &mut Vec<Kept>) -> Vec<Kept> {
    let mut bytes = 0;
    let rows = kept
        .iter()
        .take(STEP_ROWS)
        .take_while(|one| {
            let fits = bytes < STEP_BYTES;
            bytes += one.sums.len();
            fits
        })
        .count();
    let rest = kept.split_off(rows);
    std::mem::replace(kept, rest)
}

/// Something that the writer does for sealing, in a transaction of its own.
pub(super) struct Step(Box<Work>);

type Work = dyn FnOnce(&mut Connection, &mut Opened) -> rusqlite::Result<()> + Send;

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").finish_non_exhaustive()
    }
}

impl Step {
    fn new<T: Send + 'static>(
        work: impl FnOnce(&Transaction<'_>, &mut Opened) -> rusqlite::Result<T> + Send + 'static,
        reply: Reply<T>,
    ) -> Self {
        Self(Box::new(move |connection, opened| {
            let done = transact(connection, opened, work);
            let (told, outcome) = match done {
                Ok(value) => (Ok(value), Ok(())),
                Err(error) => (Err(StoreError::Write(error.to_string())), Err(error)),
            };
            // Nobody waits any more: what is left undone is swept away.
            let _ = reply.send(told);
            outcome
        }))
    }

    pub(super) fn run(self, connection: &mut Connection, opened: &mut Opened) -> rusqlite::Result<()> {
        let Self(work) = self;
        work(connection, opened)
    }
}

fn transact<T>(
    connection: &mut Connection,
    opened: &mut Opened,
    work: impl FnOnce(&Transaction<'_>, &mut Opened) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // Lost in a power cut, it is done again: buckets stay open until they are sealed.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let done = connection
        .transaction_with_behavior(TransactionBehavior::Deferred)
        .and_then(|transaction| {
            let value = work(&transaction, opened)?;
            transaction.commit()?;
            Ok(value)
        });
    if done.is_err() {
        opened.forget();
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    done
}

async fn step<T: Send + 'static>(
    store: &SqliteStore,
    work: impl FnOnce(&Transaction<'_>, &mut Opened) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    store
        .ask(|reply: oneshot::Sender<_>| Command::Seal(Step::new(work, reply)))
        .await
}

/// Open buckets of the newest one's level, none newer than it, in the order of start and
/// repository.
fn list(
    connection: &Connection,
    opened: &Opened,
    newest: Bucket,
    after: (i64, i64),
) -> rusqlite::Result<Vec<Candidate>> {
    let Bucket { level, start } = newest;
    connection
        .prepare_cached(OPEN)?
        .query_map(
            params![Column(level), start, after.0, after.1, CANDIDATES],
            |row| {
                let bucket = Bucket {
                    level,
                    start: row.get(0)?,
                };
                Ok(opened.candidate(row.get(1)?, bucket))
            },
        )?
        .collect()
}

pub(super) const OPEN: &str = "SELECT start, repository FROM open_buckets
     WHERE level = ?1 AND (start, repository) > (?3, ?4) AND start <= ?2
     ORDER BY start, repository LIMIT ?5";

/// Makes room for the sums of a bucket; its id. They do not count yet.
fn begin(connection: &Connection, candidate: &Candidate) -> rusqlite::Result<i64> {
    let Bucket { level, start } = candidate.bucket;
    connection
        .prepare_cached("INSERT INTO sealed (repository, level, start, whole) VALUES (?1, ?2, ?3, 0)")?
        .insert(params![candidate.repository, Column(level), start])
}

fn keep(connection: &Connection, bucket: i64, kept: &[Kept]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO rollups (bucket, scope, key, category, sums) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Kept {
        scope,
        category,
        sums,
    } in kept
    {
        let (number, key) = scope_columns(scope);
        insert.execute(params![bucket, number, key, Column(*category), sums])?;
    }
    Ok(())
}

/// Lets the sums count, unless the bucket has changed since it was counted.
fn finish(
    connection: &Connection,
    opened: &mut Opened,
    candidate: &Candidate,
    bucket: i64,
) -> rusqlite::Result<bool> {
    let closed = opened.close(connection, candidate)?;
    if closed {
        connection
            .prepare_cached("UPDATE sealed SET whole = 1 WHERE id = ?1")?
            .execute([bucket])?;
    }
    Ok(closed)
}

/// Removes some sums that do not count; whether there are more.
fn sweep(connection: &Connection) -> rusqlite::Result<bool> {
    let stale: Option<i64> = connection
        .prepare_cached(IN_PART)?
        .query_row([], |row| row.get(0))?;
    let Some(bucket) = stale else { return Ok(false) };
    let keys: Vec<(i64, rusqlite::types::Value, i64)> = connection
        .prepare_cached("SELECT scope, key, category FROM rollups WHERE bucket = ?1 LIMIT ?2")?
        .query_map(
            params![bucket, i64::try_from(STEP_ROWS).unwrap_or(i64::MAX)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<rusqlite::Result<_>>()?;
    let mut remove = connection.prepare_cached(
        "DELETE FROM rollups WHERE bucket = ?1 AND scope = ?2 AND key = ?3 AND category = ?4",
    )?;
    for (scope, key, category) in &keys {
        remove.execute(params![bucket, scope, key, category])?;
    }
    if keys.len() < STEP_ROWS {
        connection
            .prepare_cached("DELETE FROM sealed WHERE id = ?1")?
            .execute([bucket])?;
    }
    Ok(true)
}

pub(super) const IN_PART: &str = "SELECT min(id) FROM sealed INDEXED BY sealed_in_part WHERE whole = 0";
