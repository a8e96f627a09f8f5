//! What clusters were last seen to run.

use jiff::Timestamp;

use super::{
    failure::Failure,
    session::Session,
    values::{get, nanoseconds, time},
};
use crate::{
    image::RepositoryName,
    store::{LastKnown, RepositoryUses, usage},
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
