//! Sealing: what was counted of buckets that are over is kept. One bucket after the other, each
//! in a transaction of its own under its repository's lock, so that nothing of it changes
//! meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    failure::Failure,
    logical::tags,
    parts::{cut, scope_columns, scope_of},
    schema::repository_lock,
    session::{Database, Session},
    values::{Numbered, get, number, optional_digest, optional_number, origin},
};
use crate::{
    event::LogicalCategory,
    store::{
        EventClient,
        bucket::{Bucket, ENOUGH, Level, Part},
        rollup::Rollup,
        scope::{Counted, Scope, Scopes},
    },
};

/// How many buckets are looked at in one go.
const CANDIDATES: i64 = 64;

/// Counts all buckets that are over as of `now`, in nanoseconds; how many are kept.
pub(super) async fn seal(database: &Database, now: i64) -> Result<u64, Failure> {
    let mut sealed = 0;
    // From the finest: each level is made of finer ones.
    for level in Level::ALL {
        let Some(newest) = Bucket::newest_closed(level, now) else {
            continue;
        };
        let mut after = (i64::MIN, i64::MIN);
        loop {
            let session = database.session().await?;
            let rows = session
                .query(
                    OPEN,
                    &[&level.number(), &newest.start, &after.0, &after.1, &CANDIDATES],
                )
                .await?;
            let Some(last) = rows.last() else {
                session.done();
                break;
            };
            after = (get(last, 0)?, get(last, 1)?);
            for row in &rows {
                let bucket = Bucket {
                    level,
                    start: get(row, 0)?,
                };
                sealed += u64::from(seal_one(&session, get(row, 1)?, bucket).await?);
            }
            session.done();
        }
    }
    Ok(sealed)
}

pub(super) const OPEN: &str = "SELECT start, repository FROM open_buckets
     WHERE level = $1 AND start <= $2 AND (start, repository) > ($3::bigint, $4::bigint)
     ORDER BY start, repository LIMIT $5";

/// Whether it is sealed now: not where it holds so little that reading it costs no more.
async fn seal_one(session: &Session, repository: i64, bucket: Bucket) -> Result<bool, Failure> {
    // Lost in a crash, it is done again: the bucket is open until it is sealed.
    session
        .batch_execute("BEGIN; SET LOCAL synchronous_commit = off")
        .await?;
    session
        .query(
            "SELECT pg_advisory_xact_lock($1)",
            &[&repository_lock(repository)],
        )
        .await?;
    let (level, start) = (bucket.level.number(), bucket.start);
    let is_open = session
        .execute(
            "DELETE FROM open_buckets WHERE repository = $1 AND level = $2 AND start = $3",
            &[&repository, &level, &start],
        )
        .await?;
    let seals = is_open > 0 && is_enough(session, repository, bucket).await?;
    if seals {
        keep(
            session,
            repository,
            bucket,
            &count(session, repository, bucket).await?,
        )
        .await?;
        session
            .execute(
                "INSERT INTO sealed (repository, level, start) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                &[&repository, &level, &start],
            )
            .await?;
    }
    session.batch_execute("COMMIT").await?;
    Ok(seals)
}

async fn is_enough(session: &Session, repository: i64, bucket: Bucket) -> Result<bool, Failure> {
    let Range { start, end } = bucket.span();
    let row = session
        .query_opt(AT_MOST, &[&repository, &start, &end, &ENOUGH])
        .await?;
    let count: i64 = row.map_or(Ok(0), |row| get(&row, 0))?;
    Ok(count >= ENOUGH)
}

pub(super) const AT_MOST: &str = "SELECT count(*) FROM (
         SELECT 1 FROM logical_events
         WHERE repository = $1 AND category = ANY ('{1,2,3,4,5}') AND time >= $2 AND time < $3 LIMIT $4
     ) few";

type Sums = BTreeMap<(Scope, LogicalCategory), Vec<u8>>;

/// The sums of a bucket: from those of the finer buckets that are sealed, and the events of
/// those that are not.
async fn count(session: &Session, repository: i64, bucket: Bucket) -> Result<Sums, Failure> {
    let mut scanned = Scopes::default();
    let mut finer: Vec<Bucket> = Vec::new();
    for part in cut(session, repository, bucket.span(), bucket.level.finer()).await? {
        match part {
            Part::Sealed { bucket, sums: () } => finer.push(bucket),
            Part::Scan(range) => scan(session, repository, &range, &mut scanned).await?,
        }
    }
    let mut keys: BTreeSet<(Scope, LogicalCategory)> = scanned.keys().cloned().collect();
    let mut rollups: BTreeMap<(Scope, LogicalCategory), Rollup> = BTreeMap::new();
    for bucket in finer {
        let rows = session
            .query(
                "SELECT scope, key, category, sums FROM rollups
                 WHERE repository = $1 AND level = $2 AND start = $3",
                &[&repository, &bucket.level.number(), &bucket.start],
            )
            .await?;
        for row in &rows {
            let key = (scope_of(get(row, 0)?, get(row, 1)?)?, number(row, 2)?);
            let sums: &[u8] = get(row, 3)?;
            rollups.entry(key).or_default().merge(sums, bucket.start)?;
        }
    }
    keys.extend(rollups.keys().cloned());
    let mut sums = Sums::new();
    for key in keys {
        let mut sum = rollups.remove(&key).unwrap_or_default();
        let read = scanned.take(&key).encode(bucket.start);
        sum.merge(&read, bucket.start)?;
        sums.insert(key, sum.encode(bucket.start));
    }
    Ok(sums)
}

async fn scan(
    session: &Session,
    repository: i64,
    range: &Range<i64>,
    into: &mut Scopes,
) -> Result<(), Failure> {
    let rows = session
        .query(EVENTS, &[&repository, &range.start, &range.end])
        .await?;
    for row in &rows {
        let tags = tags(get(row, 2)?)?;
        let digest = optional_digest(row, 3)?;
        let (address, network_type) = origin(row, 4)?;
        into.count(Counted {
            category: number(row, 0)?,
            target: optional_number(row, 1)?,
            tags: &tags,
            digest: digest.as_ref(),
            client: EventClient {
                address,
                network_type,
                actor: get(row, 6)?,
            },
            time: get(row, 7)?,
        });
    }
    Ok(())
}

pub(super) const EVENTS: &str =
    "SELECT category, target, tags, digest, address, address_source, actor, time FROM logical_events
     WHERE repository = $1 AND category = ANY ('{1,2,3,4,5}') AND time >= $2 AND time < $3";

async fn keep(session: &Session, repository: i64, bucket: Bucket, sums: &Sums) -> Result<(), Failure> {
    let (mut scopes, mut keys) = (Vec::new(), Vec::new());
    for (scope, _) in sums.keys() {
        let (number, key) = scope_columns(scope);
        scopes.push(number);
        keys.push(key);
    }
    let categories: Vec<i16> = sums.keys().map(|(_, category)| category.number()).collect();
    let bytes: Vec<&[u8]> = sums.values().map(Vec::as_slice).collect();
    session
        .execute(
            "INSERT INTO rollups (repository, level, start, scope, key, category, sums)
             SELECT $1::bigint, $2::smallint, $3::bigint, *
             FROM unnest($4::smallint[], $5::bytea[], $6::smallint[], $7::bytea[])",
            &[
                &repository,
                &bucket.level.number(),
                &bucket.start,
                &scopes,
                &keys,
                &categories,
                &bytes,
            ],
        )
        .await?;
    Ok(())
}
