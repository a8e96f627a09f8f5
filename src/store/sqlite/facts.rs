//! Questions about what outlives events: tags and sources.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{gaps, known::registry_id, pointers, query, values::Column};
use crate::{
    event::{Category, LogicalCategory, pointer},
    store::{Gap, RegistryKey, SourceState, TagFacts, TagPointer, Window, tags::with_pointers},
};

pub(super) fn tag_pointers(
    connection: &Connection,
    registry: &RegistryKey,
    path: &str,
) -> rusqlite::Result<Vec<TagPointer>> {
    match query::repository(connection, registry, path)? {
        Some(repository) => Ok(pointer::pointers(&pointers::facts(connection, repository)?)),
        None => Ok(Vec::new()),
    }
}

/// Every tag an event ever named, by name.
pub(super) fn tags(
    connection: &Connection,
    registry: &RegistryKey,
    path: &str,
) -> rusqlite::Result<Vec<TagFacts>> {
    let Some(repository) = query::repository(connection, registry, path)? else {
        return Ok(Vec::new());
    };
    let mut tags = Vec::new();
    let mut names = connection.prepare_cached(TAG_NAMES)?;
    let mut rows = names.query([repository])?;
    while let Some(row) = rows.next()? {
        let tag: String = row.get(0)?;
        let push = last(connection, repository, &tag, LogicalCategory::Push)?;
        let pull = last(connection, repository, &tag, LogicalCategory::Pull)?;
        tags.push(TagFacts::named(tag, push, pull));
    }
    let facts = pointers::facts(connection, repository)?;
    Ok(with_pointers(tags, pointer::pointers(&facts)))
}

/// Names of a repository's tags, each found by one step in the index whatever the number
/// of its events.
pub(super) const TAG_NAMES: &str = "WITH RECURSIVE names (tag) AS (
         SELECT min(tag) FROM logical_tags WHERE repository = ?1
         UNION ALL
         SELECT (SELECT min(tag) FROM logical_tags WHERE repository = ?1 AND tag > names.tag)
         FROM names WHERE names.tag IS NOT NULL
     )
     SELECT tag FROM names WHERE tag IS NOT NULL
     UNION SELECT tag FROM category_facts WHERE repository = ?1 AND tag <> ''";

/// The newest event of a tag, there still or removed by retention.
fn last(
    connection: &Connection,
    repository: i64,
    tag: &str,
    category: LogicalCategory,
) -> rusqlite::Result<Option<Timestamp>> {
    let key = params![repository, tag, Column(category)];
    let there: Option<Column<Timestamp>> = connection
        .prepare_cached(LAST_OF_TAG)?
        .query_row(key, |row| row.get(0))?;
    if let Some(Column(time)) = there {
        return Ok(Some(time));
    }
    let removed: Option<Column<Timestamp>> = connection
        .prepare_cached(
            "SELECT last FROM category_facts WHERE repository = ?1 AND tag = ?2 AND category = ?3",
        )?
        .query_row(key, |row| row.get(0))
        .optional()?;
    Ok(removed.map(|Column(time)| time))
}

pub(super) const LAST_OF_TAG: &str =
    "SELECT max(time) FROM logical_tags WHERE repository = ?1 AND tag = ?2 AND category = ?3";

/// By name.
pub(super) fn sources(connection: &Connection, registry: &RegistryKey) -> rusqlite::Result<Vec<SourceState>> {
    let Some(registry) = registry_id(connection, registry)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT id, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined
         FROM sources WHERE registry = ?1 ORDER BY name",
    )?;
    let mut rows = statement.query([registry])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        sources.push(SourceState {
            reported: reported(connection, row.get(0)?)?,
            gaps: gaps(connection, row.get(0)?, row.get(3)?)?,
            source: row.get(1)?,
            since: row.get::<_, Column<_>>(2)?.0,
            last_delivery: row.get::<_, Column<_>>(3)?.0,
            last_event: row.get::<_, Option<Column<_>>>(4)?.map(|Column(time)| time),
            stored: row.get(5)?,
            duplicates: row.get(6)?,
            ignored: row.get(7)?,
            quarantined: row.get(8)?,
        });
    }
    Ok(sources)
}

fn reported(connection: &Connection, source: i64) -> rusqlite::Result<BTreeMap<Category, Timestamp>> {
    connection
        .prepare_cached("SELECT category, first FROM reported WHERE source = ?1")?
        .query_map([source], |row| {
            let (Column(category), Column(first)) = (row.get(0)?, row.get(1)?);
            Ok((category, first))
        })?
        .collect()
}

/// Oldest first.
fn gaps(connection: &Connection, source: i64, last_delivery: i64) -> rusqlite::Result<Vec<Gap>> {
    connection
        .prepare_cached(
            "SELECT reason, start, end, reason = ?2 AND end > ?3 + 1 FROM gaps WHERE source = ?1 ORDER BY start, end",
        )?
        .query_map(params![source, gaps::REFUSED, last_delivery], |row| {
            let (Column(start), Column(end)) = (row.get(1)?, row.get(2)?);
            Ok(Gap {
                reason: row.get(0)?,
                window: Window { start, end },
                is_open: row.get(3)?,
            })
        })?
        .collect()
}
