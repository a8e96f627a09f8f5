//! Facts about tags, kept as long as the registry.
//!
//! `event::pointer` says what an event teaches and what the facts add up to. A tag that
//! is pulled a million times teaches the same fact a million times, so one that only
//! repeats what held just before it is left out. When a late event changes what held,
//! the next fact of that tag may repeat nothing any more: it is then taken from the raw
//! events. Until retention removes them, the facts kept add up to what all facts do.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    known::{Held, Repository},
    values::{Column, nanoseconds},
};
use crate::{
    event::{
        StoredEvent,
        pointer::{self, PointerChange, PointerFact},
    },
    image::Digest,
};

/// Most raw events read to find what a late event uncovered.
const LOOK_AHEAD: i64 = 20_000;

/// Learns what a new raw event tells about tags.
pub(super) fn learn(
    connection: &Connection,
    repository: &mut Repository,
    remembered: &mut usize,
    stored: &StoredEvent,
) -> rusqlite::Result<()> {
    let id = repository.id;
    for PointerFact { time, change } in pointer::facts(stored) {
        let time = nanoseconds(time);
        match change {
            PointerChange::Points { tag, digest } => {
                let held = repository.tags.get(&tag);
                if held.is_some_and(|held| held.since < time && held.digest == digest) {
                    continue;
                }
                repository.tags.remove(&tag);
                if !repeats(connection, id, &tag, &digest, time)? {
                    keep(connection, id, &tag, time, &digest)?;
                    uncover(connection, id, time, Some(&tag), None)?;
                }
                if let Some(held) = held_now(connection, id, &tag)? {
                    repository.tags.insert(tag, held);
                    *remembered += 1;
                }
            }
            PointerChange::TagDeleted { tag } => {
                repository.tags.remove(&tag);
                end(connection, id, time, Some(&tag), None)?;
                uncover(connection, id, time, Some(&tag), None)?;
            }
            PointerChange::ManifestDeleted { digest } => {
                repository.tags.clear();
                end(connection, id, time, None, Some(&digest))?;
                uncover(connection, id, time, None, Some(&digest))?;
            }
            PointerChange::RepositoryDeleted => {
                repository.tags.clear();
                end(connection, id, time, None, None)?;
                uncover(connection, id, time, None, None)?;
            }
        }
    }
    Ok(())
}

/// The newest fact about a tag, if nothing has ended it since.
fn held_now(connection: &Connection, repository: i64, tag: &str) -> rusqlite::Result<Option<Held>> {
    let newest: Option<(i64, Column<Digest>)> = connection
        .prepare_cached(
            "SELECT time, digest FROM tag_facts WHERE repository = ?1 AND tag = ?2
             ORDER BY time DESC, digest DESC LIMIT 1",
        )?
        .query_row(params![repository, tag], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((since, Column(digest))) = newest else {
        return Ok(None);
    };
    let ended = ended(connection, repository, tag, &digest, since, i64::MAX)?;
    Ok((!ended).then_some(Held { digest, since }))
}

/// All facts kept of a repository.
pub(super) fn facts(connection: &Connection, repository: i64) -> rusqlite::Result<Vec<PointerFact>> {
    let mut facts = Vec::new();
    let mut statement =
        connection.prepare_cached("SELECT time, tag, digest FROM tag_facts WHERE repository = ?1")?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        let (Column(time), Column(digest)) = (row.get(0)?, row.get(2)?);
        facts.push(PointerFact {
            time,
            change: PointerChange::Points {
                tag: row.get(1)?,
                digest,
            },
        });
    }
    let mut statement = connection.prepare_cached(
        "SELECT time, nullif(tag, ''), nullif(digest, x'') FROM tag_ends WHERE repository = ?1",
    )?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        let Column(time) = row.get(0)?;
        let digest: Option<Column<Digest>> = row.get(2)?;
        let change = match (row.get(1)?, digest) {
            (Some(tag), _) => PointerChange::TagDeleted { tag },
            (None, Some(Column(digest))) => PointerChange::ManifestDeleted { digest },
            (None, None) => PointerChange::RepositoryDeleted,
        };
        facts.push(PointerFact { time, change });
    }
    Ok(facts)
}

/// Whether the tag pointed at this digest just before already. Where several facts share
/// a time, no: one too many does no harm.
fn repeats(
    connection: &Connection,
    repository: i64,
    tag: &str,
    digest: &Digest,
    time: i64,
) -> rusqlite::Result<bool> {
    let before: Option<(i64, Column<Digest>)> = connection
        .prepare_cached(
            "SELECT time, digest FROM tag_facts WHERE repository = ?1 AND tag = ?2 AND time <= ?3
             ORDER BY time DESC, digest DESC LIMIT 1",
        )?
        .query_row(params![repository, tag, time], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((since, Column(held))) = before else {
        return Ok(false);
    };
    if held != *digest || since == time {
        return Ok(false);
    }
    Ok(!ended(connection, repository, tag, digest, since, time)?)
}

/// Whether anything ended the pointer of a tag at a digest from `first` to `last`.
fn ended(
    connection: &Connection,
    repository: i64,
    tag: &str,
    digest: &Digest,
    first: i64,
    last: i64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(ENDED)?
        .query_row(params![repository, tag, Column(digest), first, last], |row| {
            row.get(0)
        })
}

pub(super) const ENDED: &str = "SELECT
     EXISTS (SELECT 1 FROM tag_ends
             WHERE repository = ?1 AND tag = ?2 AND digest = x'' AND time BETWEEN ?4 AND ?5)
  OR EXISTS (SELECT 1 FROM tag_ends
             WHERE repository = ?1 AND tag = '' AND digest = ?3 AND time BETWEEN ?4 AND ?5)
  OR EXISTS (SELECT 1 FROM tag_ends
             WHERE repository = ?1 AND tag = '' AND digest = x'' AND time BETWEEN ?4 AND ?5)";

pub(super) fn keep(
    connection: &Connection,
    repository: i64,
    tag: &str,
    time: i64,
    digest: &Digest,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO tag_facts (repository, tag, time, digest) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![repository, tag, time, Column(digest)])
}

pub(super) fn end(
    connection: &Connection,
    repository: i64,
    time: i64,
    tag: Option<&str>,
    digest: Option<&Digest>,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO tag_ends (repository, time, tag, digest)
             VALUES (?1, ?2, coalesce(?3, ''), coalesce(?4, x''))
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![repository, time, tag, digest.map(Column)])
}

/// Keeps the next fact of each tag from `time` on, of one tag or digest only where given.
/// Of the newest event there is none.
fn uncover(
    connection: &Connection,
    repository: i64,
    time: i64,
    tag: Option<&str>,
    digest: Option<&Digest>,
) -> rusqlite::Result<()> {
    let mut seen = HashSet::new();
    let mut statement = connection.prepare_cached(LATER_POINTS)?;
    let mut rows = statement.query(params![repository, time, LOOK_AHEAD])?;
    while let Some(row) = rows.next()? {
        let Some(named) = row.get::<_, Option<String>>(1)? else {
            continue;
        };
        let Some(Column(pointed)) = row.get::<_, Option<Column<Digest>>>(2)? else {
            continue;
        };
        let wanted = tag.is_none_or(|tag| tag == named) && digest.is_none_or(|digest| *digest == pointed);
        if !wanted || seen.contains(&named) {
            continue;
        }
        let at: i64 = row.get(0)?;
        keep(connection, repository, &named, at, &pointed)?;
        // Of those at the very time, all count; of the later ones, the first of a tag.
        if at > time {
            if tag.is_some() {
                break;
            }
            seen.insert(named);
        }
    }
    Ok(())
}

/// Pushes and pulls from ?2 on, in their order.
pub(super) const LATER_POINTS: &str = "SELECT time, tag, digest FROM raw_events
     WHERE repository = ?1 AND time >= ?2 AND category <> 3
     ORDER BY time, id LIMIT ?3";
