//! The schema and its migrations.

use super::{failure::Failure, session::Session, values::get};
use crate::store::StoreError;

/// Each brings a database from the version of its place to the next; released ones never change.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// `IUse`, and in what follows the number of a repository: keys of advisory locks.
const LOCKS: i64 = 0x4955_7365 << 32;
/// Who changes the schema.
pub(super) const SCHEMA_LOCK: i64 = LOCKS - 1;
/// Who writes: operators share it, an import has it alone.
pub(super) const WRITERS_LOCK: i64 = LOCKS - 2;

/// Who changes what was made of a repository's raw events.
pub(super) fn repository_lock(repository: i64) -> i64 {
    LOCKS.wrapping_add(repository)
}

/// Brings the schema up to date; one operator at a time.
pub(super) async fn prepare(session: &Session) -> Result<(), StoreError> {
    session.batch_execute("BEGIN").await.map_err(Failure::open)?;
    lock(session).await.map_err(Failure::open)?;
    let found = version(session).await.map_err(Failure::open)?;
    let known = known();
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (step, migration) in MIGRATIONS
        .iter()
        .enumerate()
        .skip(usize::try_from(found).unwrap_or(0))
    {
        migrate(session, step, migration).await.map_err(Failure::open)?;
    }
    session.batch_execute("COMMIT").await.map_err(Failure::open)
}

/// Fails where there is no schema, or another than this version knows.
pub(super) async fn check_current(session: &Session) -> Result<(), StoreError> {
    let found = version(session).await.map_err(Failure::open)?;
    let known = known();
    match found {
        0 => Err(StoreError::Open("the database holds no event store".to_owned())),
        _ if found > known => Err(StoreError::NewerSchema { found, known }),
        _ if found < known => Err(StoreError::Open(format!(
            "its schema {found} is older than {known}: start this version of the operator with it once"
        ))),
        _ => Ok(()),
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

async fn lock(session: &Session) -> Result<(), Failure> {
    session
        .query("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK])
        .await?;
    Ok(())
}

/// 0 where there is no schema of ours.
async fn version(session: &Session) -> Result<i64, Failure> {
    let there: bool = match session
        .query_opt("SELECT to_regclass('schema_version') IS NOT NULL", &[])
        .await?
    {
        Some(row) => get(&row, 0)?,
        None => false,
    };
    if !there {
        return Ok(0);
    }
    match session
        .query_opt("SELECT max(version) FROM schema_version", &[])
        .await?
    {
        Some(row) => Ok(get::<Option<i64>>(&row, 0)?.unwrap_or(0)),
        None => Ok(0),
    }
}

async fn migrate(session: &Session, step: usize, migration: &str) -> Result<(), Failure> {
    session.batch_execute(migration).await?;
    let version = i64::try_from(step + 1).unwrap_or(i64::MAX);
    session.batch_execute("DELETE FROM schema_version").await?;
    session
        .execute("INSERT INTO schema_version (version) VALUES ($1)", &[&version])
        .await?;
    Ok(())
}

/// Whether raw events lie in partitions of time, which the operator makes and drops.
pub(super) async fn is_partitioned_by_time(session: &Session) -> Result<bool, Failure> {
    let row = session
        .query_opt(
            "SELECT EXISTS (SELECT 1 FROM pg_partitioned_table
                 WHERE partrelid = to_regclass('raw_events') AND partstrat = 'r')",
            &[],
        )
        .await?;
    row.map_or(Ok(false), |row| get(&row, 0))
}
