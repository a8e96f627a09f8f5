//! What outlives events, and what clusters ran.

use tokio_postgres::Row;

use super::{
    super::super::{
        failure::Failure,
        session::Session,
        usage::span_row,
        values::{digest_of, get, number, optional_media_type, time},
    },
    Made, Outcome, Registry, each,
};
use crate::store::{
    transfer::{Fact, Parts, Record},
    usage,
};

type ReadFact = fn(&Row) -> Result<Fact, Failure>;

/// Each read in the order of its key.
const FACTS: [(&str, ReadFact); 4] = [
    (
        "SELECT tag, time, digest FROM tag_facts WHERE repository = $1 ORDER BY tag, time, digest",
        |row| {
            Ok(Fact::Points {
                tag: get(row, 0)?,
                time: time(row, 1)?,
                digest: digest_of(get(row, 2)?)?,
            })
        },
    ),
    (
        "SELECT time, nullif(tag, ''), nullif(digest, '') FROM tag_ends WHERE repository = $1
         ORDER BY tag, digest, time",
        |row| {
            Ok(Fact::Ended {
                time: time(row, 0)?,
                tag: get(row, 1)?,
                digest: get::<Option<&[u8]>>(row, 2)?.map(digest_of).transpose()?,
            })
        },
    ),
    (
        "SELECT digest, media_type, learnt FROM manifests WHERE repository = $1 ORDER BY digest",
        |row| {
            Ok(Fact::Manifest {
                digest: digest_of(get(row, 0)?)?,
                media_type: optional_media_type(row, 1)?,
                learnt: time(row, 2)?,
            })
        },
    ),
    (
        "SELECT nullif(tag, ''), category, first, last FROM category_facts WHERE repository = $1
         ORDER BY tag, category",
        |row| {
            Ok(Fact::Times {
                tag: get(row, 0)?,
                category: number(row, 1)?,
                first: time(row, 2)?,
                last: time(row, 3)?,
            })
        },
    ),
];

pub(super) async fn facts(
    session: &Session,
    registry: &Registry,
    repository: i64,
    path: &str,
    parts: &mut Parts<Failure>,
) -> Outcome {
    for (sql, fact) in FACTS {
        let record = |row: &Row| -> Made {
            Ok(Some(Record::Fact {
                registry: registry.key.clone(),
                repository: path.to_owned(),
                fact: fact(row)?,
            }))
        };
        each(session, sql, &[&repository], parts, record).await?;
    }
    Ok(())
}

pub(super) async fn uses(session: &Session, parts: &mut Parts<Failure>) -> Outcome {
    let record = |row: &Row| -> Made {
        let (repository, uses): (&str, &str) = (get(row, 2)?, get(row, 3)?);
        // A name that this version cannot read says nothing to it.
        let Ok(repository) = repository.parse() else {
            return Ok(None);
        };
        Ok(Some(Record::Uses {
            cluster: get(row, 0)?,
            as_of: time(row, 1)?,
            repository,
            uses: usage::decode(uses).map_err(|_| Failure::Malformed("a list of uses"))?,
        }))
    };
    each(
        session,
        "SELECT c.uid, c.as_of, u.repository, u.uses
         FROM usage_clusters c JOIN last_uses u ON u.cluster = c.id ORDER BY c.uid, u.repository",
        &[],
        parts,
        record,
    )
    .await
}

pub(super) async fn spans(session: &Session, parts: &mut Parts<Failure>) -> Outcome {
    let record = |row: &Row| -> Made {
        let repository: &str = get(row, 4)?;
        let (Ok(repository), Some(span)) = (repository.parse(), usage::span(span_row(row)?)) else {
            return Ok(None);
        };
        Ok(Some(Record::Ran {
            cluster: get(row, 3)?,
            repository,
            span,
        }))
    };
    each(
        session,
        "SELECT s.what, s.start, s.finish, c.uid, s.repository
         FROM usage_clusters c JOIN usage_spans s ON s.cluster = c.id
         ORDER BY c.uid, s.repository, s.what, s.start",
        &[],
        parts,
        record,
    )
    .await
}
