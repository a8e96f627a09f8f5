//! Which buckets have changed since they were counted: whatever changes a logical event says
//! so here, in its transaction and under its repository's lock, and what was counted of its
//! buckets counts no more.

use std::collections::BTreeSet;

use futures::try_join;

use super::{
    failure::Failure,
    session::{Parameters, Session},
    values::Numbered,
};
use crate::store::bucket::{Bucket, Level};

/// Opens the buckets of these times.
pub(super) async fn open(
    session: &Session,
    repository: i64,
    times: impl IntoIterator<Item = i64>,
) -> Result<(), Failure> {
    let mut buckets: BTreeSet<Bucket> = BTreeSet::new();
    for time in times {
        buckets.extend(Level::ALL.into_iter().filter_map(|level| Bucket::of(level, time)));
    }
    if buckets.is_empty() {
        return Ok(());
    }
    let starts = |level| -> Vec<i64> {
        let of_level = buckets.iter().filter(|bucket| bucket.level == level);
        of_level.map(|bucket| bucket.start).collect()
    };
    let [quarters, hours, days] = Level::ALL.map(starts);
    let levels: Vec<i16> = buckets.iter().map(|bucket| bucket.level.number()).collect();
    let starts: Vec<i64> = buckets.iter().map(|bucket| bucket.start).collect();
    let unseal: Parameters<'_> = &[&repository, &quarters, &hours, &days];
    let open: Parameters<'_> = &[&repository, &levels, &starts];
    let (unsealed, _) = try_join!(session.execute(UNSEAL, unseal), session.execute(OPEN, open))?;
    if unsealed > 0 {
        session.execute(FORGET, unseal).await?;
    }
    Ok(())
}

pub(super) const UNSEAL: &str = "DELETE FROM sealed WHERE repository = $1
     AND (level = 1 AND start = ANY ($2) OR level = 2 AND start = ANY ($3) OR level = 3 AND start = ANY ($4))";

const FORGET: &str = "DELETE FROM rollups WHERE repository = $1
     AND (level = 1 AND start = ANY ($2) OR level = 2 AND start = ANY ($3) OR level = 3 AND start = ANY ($4))";

const OPEN: &str = "INSERT INTO open_buckets (repository, level, start)
     SELECT $1::bigint, * FROM unnest($2::smallint[], $3::bigint[]) ON CONFLICT DO NOTHING";
