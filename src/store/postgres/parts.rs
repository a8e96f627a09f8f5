//! The parts of a window: which of its buckets are sealed, and their sums.

use std::{collections::HashMap, ops::Range};

use super::{
    failure::Failure,
    session::Session,
    values::{Numbered, digest_bytes, digest_of, get},
};
use crate::{
    event::LogicalCategory,
    store::{
        bucket::{Bucket, Level, Part, Parts},
        rollup::Unreadable,
        scope::Scope,
    },
};

/// The parts of a window in order of time, of buckets of these levels, the coarsest first.
pub(super) async fn cut(
    session: &Session,
    repository: i64,
    window: Range<i64>,
    levels: impl IntoIterator<Item = Level>,
) -> Result<Vec<Part<()>>, Failure> {
    let mut parts = Parts::of(window);
    for level in levels {
        let mut found = Vec::new();
        for Range { start, end } in parts.wanted(level) {
            let rows = session
                .query(SEALED, &[&repository, &level.number(), &start, &end])
                .await?;
            for row in &rows {
                let start = get(row, 0)?;
                found.push((Bucket { level, start }, ()));
            }
        }
        parts.put(found);
    }
    Ok(parts.into_vec())
}

pub(super) const SEALED: &str = "SELECT start FROM sealed
     WHERE repository = $1 AND level = $2 AND start >= $3 AND start < $4 ORDER BY start";

/// The roll-ups of one scope and category in sealed buckets; none where nothing happened.
pub(super) async fn rollups(
    session: &Session,
    repository: i64,
    buckets: impl Iterator<Item = Bucket> + Clone,
    scope: &Scope,
    category: LogicalCategory,
) -> Result<HashMap<Bucket, Vec<u8>>, Failure> {
    let mut found = HashMap::new();
    let (number, key) = scope_columns(scope);
    for level in Level::ALL {
        let of_level = buckets.clone().filter(|bucket| bucket.level == level);
        let starts: Vec<i64> = of_level.map(|bucket| bucket.start).collect();
        if starts.is_empty() {
            continue;
        }
        let rows = session
            .query(
                SUMS,
                &[
                    &repository,
                    &level.number(),
                    &starts,
                    &number,
                    &key,
                    &category.number(),
                ],
            )
            .await?;
        for row in &rows {
            let start = get(row, 0)?;
            found.insert(Bucket { level, start }, get(row, 1)?);
        }
    }
    Ok(found)
}

pub(super) const SUMS: &str = "SELECT start, sums FROM rollups
     WHERE repository = $1 AND level = $2 AND start = ANY ($3) AND scope = $4 AND key = $5 AND category = $6";

/// The number of a scope's kind, and its key.
pub(super) fn scope_columns(scope: &Scope) -> (i16, &[u8]) {
    match scope {
        Scope::All => (0, b""),
        Scope::Tag(tag) => (1, tag.as_bytes()),
        Scope::TaggedDigest(digest) => (2, digest_bytes(digest)),
        Scope::UntaggedDigest(digest) => (3, digest_bytes(digest)),
    }
}

pub(super) fn scope_of(number: i16, key: &[u8]) -> Result<Scope, Failure> {
    match number {
        0 => Ok(Scope::All),
        1 => String::from_utf8(key.to_vec())
            .map(Scope::Tag)
            .map_err(|_| Failure::Malformed("a tag")),
        2 => digest_of(key).map(Scope::TaggedDigest),
        3 => digest_of(key).map(Scope::UntaggedDigest),
        _ => Err(Failure::Malformed("a scope")),
    }
}

impl From<Unreadable> for Failure {
    fn from(_: Unreadable) -> Self {
        Self::Malformed("a roll-up")
    }
}
