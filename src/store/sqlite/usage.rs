//! What clusters were last seen to run.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params, types::Type};

use super::values::Column;
use crate::{
    image::RepositoryName,
    store::{LastKnown, RepositoryUses, usage},
};

/// What the writer is asked to change.
#[derive(Debug)]
pub(super) enum UsageChange {
    Save {
        cluster: String,
        as_of: Timestamp,
        changed: Vec<RepositoryUses>,
    },
    Forget {
        cluster: String,
    },
}

/// In a transaction of its own.
pub(super) fn apply(connection: &mut Connection, change: &UsageChange) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match change {
        UsageChange::Save {
            cluster,
            as_of,
            changed,
        } => save(&transaction, cluster, *as_of, changed)?,
        UsageChange::Forget { cluster } => {
            transaction.execute("DELETE FROM usage_clusters WHERE uid = ?1", [cluster])?;
        }
    }
    transaction.commit()
}

fn save(
    connection: &Connection,
    cluster: &str,
    as_of: Timestamp,
    changed: &[RepositoryUses],
) -> rusqlite::Result<()> {
    let id: i64 = connection.query_row(
        "INSERT INTO usage_clusters (uid, as_of) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET as_of = excluded.as_of RETURNING id",
        params![cluster, Column(as_of)],
        |row| row.get(0),
    )?;
    let mut remove =
        connection.prepare_cached("DELETE FROM last_uses WHERE cluster = ?1 AND repository = ?2")?;
    let mut write = connection.prepare_cached(
        "INSERT INTO last_uses (cluster, repository, uses) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET uses = excluded.uses WHERE uses <> excluded.uses",
    )?;
    for (repository, uses) in changed {
        let repository = repository.to_string();
        if uses.is_empty() {
            remove.execute(params![id, repository])?;
        } else {
            let uses = usage::encode(uses)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            write.execute(params![id, repository, uses])?;
        }
    }
    Ok(())
}

pub(super) fn last_known(
    connection: &Connection,
    cluster: &str,
    repositories: &[RepositoryName],
) -> rusqlite::Result<Option<LastKnown>> {
    let known: Option<(i64, Column<Timestamp>)> = connection
        .prepare_cached("SELECT id, as_of FROM usage_clusters WHERE uid = ?1")?
        .query_row([cluster], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, Column(as_of))) = known else {
        return Ok(None);
    };
    let mut statement =
        connection.prepare_cached("SELECT uses FROM last_uses WHERE cluster = ?1 AND repository = ?2")?;
    let mut uses = Vec::new();
    for repository in repositories {
        let text: Option<String> = statement
            .query_row(params![id, repository.to_string()], |row| row.get(0))
            .optional()?;
        if let Some(text) = text {
            uses.extend(usage::decode(&text).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
            })?);
        }
    }
    Ok(Some(LastKnown { as_of, uses }))
}

pub(super) fn used_repositories(
    connection: &Connection,
    cluster: &str,
) -> rusqlite::Result<Vec<RepositoryName>> {
    let mut statement = connection.prepare_cached(
        "SELECT repository FROM last_uses WHERE cluster = (SELECT id FROM usage_clusters WHERE uid = ?1)",
    )?;
    let names = statement.query_map([cluster], |row| row.get::<_, String>(0))?;
    let mut repositories = Vec::new();
    for name in names {
        repositories.extend(name?.parse().ok());
    }
    Ok(repositories)
}

pub(super) fn clusters(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT uid FROM usage_clusters")?
        .query_map([], |row| row.get(0))?
        .collect()
}
