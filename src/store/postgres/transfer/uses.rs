//! What clusters were last seen to run, and when they ran what: none of it is sharded.

use std::collections::HashSet;

use jiff::Timestamp;

use super::super::{
    failure::Failure,
    session::Session,
    values::{get, nanoseconds},
};
use crate::{
    cluster::WorkloadUse,
    image::RepositoryName,
    store::{
        UsageSpan,
        usage::{self, SpanRow},
    },
};

/// Column by column.
#[derive(Debug, Default)]
pub(super) struct Uses<'a> {
    cluster: Vec<&'a str>,
    as_of: Vec<i64>,
    repository: Vec<String>,
    told: Vec<String>,
}

impl<'a> Uses<'a> {
    pub(super) fn push(
        &mut self,
        cluster: &'a str,
        as_of: Timestamp,
        repository: &RepositoryName,
        uses: &[WorkloadUse],
    ) -> Result<(), Failure> {
        self.cluster.push(cluster);
        self.as_of.push(nanoseconds(as_of));
        self.repository.push(repository.to_string());
        self.told.push(encoded(usage::encode(uses))?);
        Ok(())
    }

    /// Of a cluster that is known to be newer here, nothing is taken.
    pub(super) async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let Self {
            cluster,
            as_of,
            repository,
            told,
        } = self;
        if cluster.is_empty() {
            return Ok(());
        }
        let rows = session
            .query(
                "INSERT INTO usage_clusters (uid, as_of)
                 SELECT uid, max(as_of) FROM unnest($1::text[], $2::bigint[]) AS told (uid, as_of) GROUP BY uid
                 ON CONFLICT (uid) DO UPDATE SET as_of = excluded.as_of
                     WHERE usage_clusters.as_of <= excluded.as_of
                 RETURNING id",
                &[cluster, as_of],
            )
            .await?;
        let taken: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        session
            .execute(
                "INSERT INTO last_uses (cluster, repository, uses)
                 SELECT DISTINCT ON (c.id, told.repository) c.id, told.repository, told.uses
                 FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
                     AS told (uid, repository, uses, place)
                     JOIN usage_clusters c ON c.uid = told.uid
                 WHERE c.id = ANY ($4)
                 ORDER BY c.id, told.repository, told.place DESC
                 ON CONFLICT (cluster, repository) DO UPDATE SET uses = excluded.uses
                     WHERE last_uses.uses <> excluded.uses",
                &[cluster, repository, told, &taken],
            )
            .await?;
        Ok(())
    }
}

/// Column by column.
#[derive(Debug, Default)]
pub(super) struct Spans<'a> {
    cluster: Vec<&'a str>,
    repository: Vec<String>,
    what: Vec<String>,
    start: Vec<i64>,
    finish: Vec<Option<i64>>,
}

impl<'a> Spans<'a> {
    pub(super) fn push(
        &mut self,
        cluster: &'a str,
        repository: &RepositoryName,
        span: &UsageSpan,
    ) -> Result<(), Failure> {
        let SpanRow { what, start, end } = encoded(usage::span_row(span))?;
        self.cluster.push(cluster);
        self.repository.push(repository.to_string());
        self.what.push(what);
        self.start.push(nanoseconds(start));
        self.finish.push(end.map(nanoseconds));
        Ok(())
    }

    /// One that is known here, with whatever end, stays as it is.
    pub(super) async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let Self {
            cluster,
            repository,
            what,
            start,
            finish,
        } = self;
        let (mut uids, mut as_of) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for ((uid, start), finish) in cluster.iter().zip(start).zip(finish) {
            if seen.insert(uid) {
                uids.push(*uid);
                as_of.push(finish.unwrap_or(*start));
            }
        }
        if uids.is_empty() {
            return Ok(());
        }
        session
            .execute(
                "INSERT INTO usage_clusters (uid, as_of) SELECT * FROM unnest($1::text[], $2::bigint[])
                 ON CONFLICT DO NOTHING",
                &[&uids, &as_of],
            )
            .await?;
        session
            .execute(
                "INSERT INTO usage_spans (cluster, repository, what, start, finish)
                 SELECT c.id, told.repository, told.what, told.start, told.finish
                 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                     AS told (uid, repository, what, start, finish)
                     JOIN usage_clusters c ON c.uid = told.uid
                 ON CONFLICT DO NOTHING",
                &[cluster, repository, what, start, finish],
            )
            .await?;
        Ok(())
    }
}

fn encoded<T>(row: serde_json::Result<T>) -> Result<T, Failure> {
    row.map_err(|_| Failure::Malformed("a list of uses"))
}
