//! What is kept of registries: their terms, and their end.

use jiff::{SignedDuration, Timestamp};

use super::{
    failure::Failure,
    gaps, ids,
    purge::{self, Removed},
    session::{Database, Session},
    values::{LOGICAL_CATEGORIES, get, nanoseconds, optional_time},
};
use crate::store::{
    Kept, RegistryKey, Terms,
    accounts::{Accounts, Entry, SourceEntry},
};

/// What is there when an operator starts.
pub(super) async fn accounts(session: &Session) -> Result<Accounts, Failure> {
    let rows = session
        .query(
            "SELECT g.namespace, g.name, g.uid, g.quota, s.name, coalesce(s.kept, 0),
                 (SELECT min(start) FROM gaps
                  WHERE source = s.id AND reason = $1 AND finish > s.last_delivery + 1)
             FROM registries g LEFT JOIN sources s ON s.registry = g.id",
            &[&gaps::REFUSED],
        )
        .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let (kept, refused_since) = (get(row, 5)?, get(row, 6)?);
        entries.push(Entry {
            registry: key(row, 0)?,
            quota: get(row, 3)?,
            source: get::<Option<String>>(row, 4)?.map(|name| SourceEntry {
                name,
                kept,
                refused_since,
            }),
        });
    }
    Ok(Accounts::of(entries))
}

fn key(row: &tokio_postgres::Row, first: usize) -> Result<RegistryKey, Failure> {
    Ok(RegistryKey {
        namespace: get(row, first)?,
        name: get(row, first + 1)?,
        uid: get(row, first + 2)?,
    })
}

/// Takes removed events off the registries' accounts.
pub(super) async fn settle(session: &Session, accounts: &Accounts, removed: &Removed) -> Result<(), Failure> {
    let sources: Vec<i64> = removed.keys().copied().collect();
    let rows = session
        .query(
            "SELECT s.id, g.namespace, g.name, g.uid
             FROM sources s JOIN registries g ON g.id = s.registry WHERE s.id = ANY ($1)",
            &[&sources],
        )
        .await?;
    for row in &rows {
        let events = removed.get(&get(row, 0)?).copied().unwrap_or_default();
        accounts.purged(&key(row, 1)?, events);
    }
    Ok(())
}

/// Notes that a source is refused, so that it outlives a crash. One that never delivered has no coverage that could
/// have a gap.
pub(super) async fn mark_refused(
    session: &Session,
    registry: &RegistryKey,
    source: &str,
    since: i64,
) -> Result<(), Failure> {
    session.batch_execute("BEGIN").await?;
    let row = session
        .query_opt(
            "SELECT s.id FROM sources s JOIN registries g ON g.id = s.registry
             WHERE g.namespace = $1 AND g.name = $2 AND g.uid = $3 AND s.name = $4 FOR UPDATE OF s",
            &[&registry.namespace, &registry.name, &registry.uid, &source],
        )
        .await?;
    if let Some(row) = row {
        gaps::open(session, get(&row, 0)?, gaps::REFUSED, since, since).await?;
    }
    session.batch_execute("COMMIT").await
}

/// Writes nothing where nothing is new.
pub(super) async fn keep(session: &Session, registry: &RegistryKey, terms: Terms) -> Result<(), Failure> {
    let Terms { retention, quota } = terms;
    session
        .execute(
            "INSERT INTO registries (namespace, name, uid, retention, quota) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (namespace, name, uid) DO UPDATE
                 SET retention = excluded.retention, quota = excluded.quota, released = NULL
                 WHERE registries.retention IS DISTINCT FROM excluded.retention
                     OR registries.quota IS DISTINCT FROM excluded.quota OR registries.released IS NOT NULL",
            &[
                &registry.namespace,
                &registry.name,
                &registry.uid,
                &retention.as_secs(),
                &quota,
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn release(session: &Session, registry: &RegistryKey, at: Timestamp) -> Result<(), Failure> {
    session
        .execute(
            "UPDATE registries SET released = $4
             WHERE namespace = $1 AND name = $2 AND uid = $3 AND released IS NULL",
            &[
                &registry.namespace,
                &registry.name,
                &registry.uid,
                &nanoseconds(at),
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn kept(session: &Session) -> Result<Vec<Kept>, Failure> {
    session
        .query(
            "SELECT namespace, name, uid, retention, released FROM registries ORDER BY id",
            &[],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(Kept {
                registry: key(row, 0)?,
                retention: get::<Option<i64>>(row, 3)?.map(SignedDuration::from_secs),
                released: optional_time(row, 4)?,
            })
        })
        .collect()
}

/// What belongs to a repository beside its events: as much as it has tags and digests.
const OF_REPOSITORY: [&str; 9] = [
    "unlinked",
    "received_ids",
    "tag_facts",
    "tag_ends",
    "manifests",
    "category_facts",
    "sealed",
    "rollups",
    "open_buckets",
];

/// Whether it was there and released.
pub(super) async fn remove(database: &Database, registry: &RegistryKey) -> Result<bool, Failure> {
    let session = database.session().await?;
    let released = session
        .query_opt(
            "SELECT 1 FROM registries
             WHERE namespace = $1 AND name = $2 AND uid = $3 AND released IS NOT NULL",
            &[&registry.namespace, &registry.name, &registry.uid],
        )
        .await?;
    let id = ids::registry(&session, registry).await?;
    let (Some(_), Some(id)) = (released, id) else {
        session.done();
        return Ok(false);
    };
    let repositories = session
        .query(
            "SELECT id FROM repositories WHERE registry = $1 ORDER BY id",
            &[&id],
        )
        .await?;
    for row in &repositories {
        let repository: i64 = get(row, 0)?;
        for category in LOGICAL_CATEGORIES {
            purge::purge_logical(&session, repository, category, i64::MAX).await?;
        }
        purge::purge_raw(&session, repository, i64::MAX, &mut Removed::new()).await?;
        purge::begin(&session, repository).await?;
        for table in OF_REPOSITORY {
            session
                .execute(
                    &format!("DELETE FROM {table} WHERE repository = $1"),
                    &[&repository],
                )
                .await?;
        }
        session
            .execute("DELETE FROM repositories WHERE id = $1", &[&repository])
            .await?;
        session.batch_execute("COMMIT").await?;
    }
    // Gaps, instances, cursors and bodies that were put aside go with their source.
    session.batch_execute("BEGIN").await?;
    for statement in [
        "DELETE FROM changes WHERE registry = $1",
        "DELETE FROM sources WHERE registry = $1",
        "DELETE FROM registries WHERE id = $1",
    ] {
        session.execute(statement, &[&id]).await?;
    }
    session.batch_execute("COMMIT").await?;
    session.done();
    Ok(true)
}
