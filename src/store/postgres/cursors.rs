//! How far the logs of polled sources have been read.

use super::{
    failure::Failure,
    ids,
    session::Session,
    values::{nanoseconds, time},
};
use crate::store::{Cursor, LogKey};

pub(super) async fn cursor(session: &Session, key: &LogKey) -> Result<Option<Cursor>, Failure> {
    let LogKey {
        registry,
        source,
        log,
    } = key;
    session
        .query_opt(
            "SELECT c.since, c.until FROM cursors c
             JOIN sources s ON s.id = c.source JOIN registries g ON g.id = s.registry
             WHERE g.namespace = $1 AND g.name = $2 AND g.uid = $3 AND s.name = $4 AND c.log = $5",
            &[&registry.namespace, &registry.name, &registry.uid, source, log],
        )
        .await?
        .map(|row| {
            Ok(Cursor {
                since: time(&row, 0)?,
                until: time(&row, 1)?,
            })
        })
        .transpose()
}

/// In a transaction of its own; makes the rows of registry and source where they are missing.
pub(super) async fn note(session: &Session, key: &LogKey, cursor: Cursor) -> Result<(), Failure> {
    let LogKey {
        registry,
        source,
        log,
    } = key;
    session.batch_execute("BEGIN").await?;
    let registry = ids::make_registry(session, registry).await?;
    let since = nanoseconds(cursor.since);
    let (source, _) = ids::make_source(session, registry, source, since).await?;
    session
        .execute(
            "UPDATE sources SET since = $2 WHERE id = $1 AND since > $2",
            &[&source, &since],
        )
        .await?;
    put(session, source, log, cursor).await?;
    session.batch_execute("COMMIT").await
}

/// What is there grows by it.
pub(super) async fn put(session: &Session, source: i64, log: &str, cursor: Cursor) -> Result<(), Failure> {
    session
        .execute(
            "INSERT INTO cursors (source, log, since, until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (source, log) DO UPDATE SET since = least(cursors.since, excluded.since),
                 until = greatest(cursors.until, excluded.until)",
            &[
                &source,
                &log,
                &nanoseconds(cursor.since),
                &nanoseconds(cursor.until),
            ],
        )
        .await?;
    Ok(())
}
