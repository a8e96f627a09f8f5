//! What clusters were last seen to run, and since when and until when.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params, types::Type};

use super::values::Column;
use crate::{
    cluster::WorkloadUse,
    image::RepositoryName,
    store::{
        LastKnown, RepositoryUses, UsageSpan,
        usage::{self, SpanChange, SpanRow},
    },
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
        save_spans(connection, id, &repository, uses, as_of)?;
        if uses.is_empty() {
            remove.execute(params![id, repository])?;
        } else {
            let uses = usage::encode(uses).map_err(unwritable)?;
            write.execute(params![id, repository, uses])?;
        }
    }
    Ok(())
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// Begins and ends the spans of one repository, and forgets the oldest.
fn save_spans(
    connection: &Connection,
    cluster: i64,
    repository: &str,
    uses: &[WorkloadUse],
    as_of: Timestamp,
) -> rusqlite::Result<()> {
    let paused = as_of.saturating_sub(usage::PAUSE).unwrap_or(Timestamp::MIN);
    let kept: Vec<SpanRow> = connection
        .prepare_cached(
            "SELECT what, start, end FROM usage_spans
             WHERE cluster = ?1 AND repository = ?2 AND (end IS NULL OR end >= ?3)",
        )?
        .query_map(params![cluster, repository, Column(paused)], span_row)?
        .collect::<rusqlite::Result<_>>()?;
    for change in usage::span_changes(kept, uses, as_of).map_err(unwritable)? {
        let (sql, SpanRow { what, start, end }) = match change {
            SpanChange::Begin(row) => (
                "INSERT INTO usage_spans (cluster, repository, what, start, end)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET end = excluded.end",
                row,
            ),
            SpanChange::SetEnd(row) => (
                "UPDATE usage_spans SET end = ?5
                 WHERE cluster = ?1 AND repository = ?2 AND what = ?3 AND start = ?4",
                row,
            ),
        };
        connection.prepare_cached(sql)?.execute(params![
            cluster,
            repository,
            what,
            Column(start),
            end.map(Column)
        ])?;
    }
    let forgotten = as_of.saturating_sub(usage::REMEMBERED).unwrap_or(Timestamp::MIN);
    connection
        .prepare_cached("DELETE FROM usage_spans WHERE cluster = ?1 AND repository = ?2 AND end < ?3")?
        .execute(params![cluster, repository, Column(forgotten)])?;
    Ok(())
}

/// Of columns that begin with what, start, end.
pub(super) fn span_row(row: &Row<'_>) -> rusqlite::Result<SpanRow> {
    Ok(SpanRow {
        what: row.get(0)?,
        start: row.get::<_, Column<_>>(1)?.0,
        end: row.get::<_, Option<Column<_>>>(2)?.map(|Column(end)| end),
    })
}

pub(super) fn spans(
    connection: &Connection,
    clusters: &[String],
    repositories: &[RepositoryName],
) -> rusqlite::Result<HashMap<String, Vec<UsageSpan>>> {
    let mut found: HashMap<String, Vec<UsageSpan>> = HashMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT what, start, end FROM usage_spans
         WHERE cluster = (SELECT id FROM usage_clusters WHERE uid = ?1) AND repository = ?2
         ORDER BY end IS NULL DESC, end DESC LIMIT ?3",
    )?;
    for cluster in clusters {
        for repository in repositories {
            let rows = statement.query_map(
                params![cluster, repository.to_string(), usage::MOST_SPANS],
                span_row,
            )?;
            for row in rows {
                if let Some(span) = usage::span(row?) {
                    found.entry(cluster.clone()).or_default().push(span);
                }
            }
        }
    }
    Ok(found)
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
