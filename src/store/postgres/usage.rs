//! What clusters were last seen to run, and since when and until when.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    failure::Failure,
    session::Session,
    values::{get, nanoseconds, optional_time, time},
};
use crate::{
    cluster::WorkloadUse,
    image::RepositoryName,
    store::{
        LastKnown, RepositoryUses, UsageSpan,
        usage::{self, SpanChange, SpanRow},
    },
};

/// In a transaction of its own.
pub(super) async fn save(
    session: &Session,
    cluster: &str,
    as_of: Timestamp,
    changed: &[RepositoryUses],
) -> Result<(), Failure> {
    session.batch_execute("BEGIN").await?;
    let row = session
        .query_opt(
            "INSERT INTO usage_clusters (uid, as_of) VALUES ($1, $2)
             ON CONFLICT (uid) DO UPDATE SET as_of = excluded.as_of RETURNING id",
            &[&cluster, &nanoseconds(as_of)],
        )
        .await?;
    let id: i64 = row.map_or(
        Err(Failure::Malformed("a cluster that was just written")),
        |row| get(&row, 0),
    )?;
    let mut gone = Vec::new();
    let (mut names, mut texts) = (Vec::new(), Vec::new());
    for (repository, uses) in changed {
        save_spans(session, id, &repository.to_string(), uses, as_of).await?;
        if uses.is_empty() {
            gone.push(repository.to_string());
        } else {
            names.push(repository.to_string());
            texts.push(usage::encode(uses).map_err(|_| Failure::Malformed("a list of uses"))?);
        }
    }
    session
        .execute(
            "DELETE FROM last_uses WHERE cluster = $1 AND repository = ANY ($2)",
            &[&id, &gone],
        )
        .await?;
    session
        .execute(
            "INSERT INTO last_uses (cluster, repository, uses)
             SELECT DISTINCT ON (repository) $1::bigint, repository, uses
             FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS saved (repository, uses, place)
             ORDER BY repository, place DESC
             ON CONFLICT (cluster, repository) DO UPDATE SET uses = excluded.uses
                 WHERE last_uses.uses <> excluded.uses",
            &[&id, &names, &texts],
        )
        .await?;
    session.batch_execute("COMMIT").await
}

/// Begins and ends the spans of one repository, and forgets the oldest.
async fn save_spans(
    session: &Session,
    cluster: i64,
    repository: &str,
    uses: &[WorkloadUse],
    as_of: Timestamp,
) -> Result<(), Failure> {
    let before = |time| nanoseconds(as_of.saturating_sub(time).unwrap_or(Timestamp::MIN));
    let rows = session
        .query(
            "SELECT what, start, finish FROM usage_spans
             WHERE cluster = $1 AND repository = $2 AND (finish IS NULL OR finish >= $3)",
            &[&cluster, &repository, &before(usage::PAUSE)],
        )
        .await?;
    let kept = rows.iter().map(span_row).collect::<Result<Vec<_>, _>>()?;
    let changes = usage::span_changes(kept, uses, as_of).map_err(|_| Failure::Malformed("a list of uses"))?;
    for change in changes {
        let (sql, SpanRow { what, start, end }) = match change {
            SpanChange::Begin(row) => (
                "INSERT INTO usage_spans (cluster, repository, what, start, finish) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (cluster, repository, what, start) DO UPDATE SET finish = excluded.finish",
                row,
            ),
            SpanChange::SetEnd(row) => (
                "UPDATE usage_spans SET finish = $5
                 WHERE cluster = $1 AND repository = $2 AND what = $3 AND start = $4",
                row,
            ),
        };
        session
            .execute(
                sql,
                &[
                    &cluster,
                    &repository,
                    &what,
                    &nanoseconds(start),
                    &end.map(nanoseconds),
                ],
            )
            .await?;
    }
    session
        .execute(
            "DELETE FROM usage_spans WHERE cluster = $1 AND repository = $2 AND finish < $3",
            &[&cluster, &repository, &before(usage::REMEMBERED)],
        )
        .await?;
    Ok(())
}

/// Of columns that begin with what, start, finish.
pub(super) fn span_row(row: &Row) -> Result<SpanRow, Failure> {
    Ok(SpanRow {
        what: get(row, 0)?,
        start: time(row, 1)?,
        end: optional_time(row, 2)?,
    })
}

pub(super) async fn spans(
    session: &Session,
    clusters: &[String],
    repositories: &[RepositoryName],
) -> Result<HashMap<String, Vec<UsageSpan>>, Failure> {
    let names: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let mut found: HashMap<String, Vec<UsageSpan>> = HashMap::new();
    let rows = session
        .query(SPANS, &[&clusters, &names, &usage::MOST_SPANS])
        .await?;
    for row in &rows {
        if let Some(span) = usage::span(span_row(row)?) {
            found.entry(get(row, 3)?).or_default().push(span);
        }
    }
    Ok(found)
}

const SPANS: &str = "SELECT s.what, s.start, s.finish, c.uid
     FROM usage_clusters c, unnest($2::text[]) AS asked (repository),
         LATERAL (SELECT what, start, finish FROM usage_spans
                  WHERE cluster = c.id AND repository = asked.repository
                  ORDER BY finish DESC NULLS FIRST LIMIT $3) s
     WHERE c.uid = ANY ($1)";

pub(super) async fn forget(session: &Session, cluster: &str) -> Result<(), Failure> {
    session
        .execute("DELETE FROM usage_clusters WHERE uid = $1", &[&cluster])
        .await?;
    Ok(())
}

pub(super) async fn last_known(
    session: &Session,
    cluster: &str,
    repositories: &[RepositoryName],
) -> Result<Option<LastKnown>, Failure> {
    let known = session
        .query_opt("SELECT id, as_of FROM usage_clusters WHERE uid = $1", &[&cluster])
        .await?;
    let Some(row) = known else { return Ok(None) };
    let id: i64 = get(&row, 0)?;
    let names: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let rows = session
        .query(
            "SELECT u.uses FROM last_uses u
             WHERE u.cluster = $1 AND u.repository = ANY ($2) ORDER BY array_position($2, u.repository)",
            &[&id, &names],
        )
        .await?;
    let mut uses = Vec::new();
    for row in &rows {
        let text: &str = get(row, 0)?;
        uses.extend(usage::decode(text).map_err(|_| Failure::Malformed("a list of uses"))?);
    }
    Ok(Some(LastKnown {
        as_of: time(&row, 1)?,
        uses,
    }))
}

pub(super) async fn used_repositories(
    session: &Session,
    cluster: &str,
) -> Result<Vec<RepositoryName>, Failure> {
    let rows = session
        .query(
            "SELECT repository FROM last_uses
             WHERE cluster = (SELECT id FROM usage_clusters WHERE uid = $1)",
            &[&cluster],
        )
        .await?;
    let mut repositories = Vec::new();
    for row in &rows {
        repositories.extend(get::<&str>(row, 0)?.parse().ok());
    }
    Ok(repositories)
}

pub(super) async fn clusters(session: &Session) -> Result<Vec<String>, Failure> {
    session
        .query("SELECT uid FROM usage_clusters", &[])
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect()
}
