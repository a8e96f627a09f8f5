//! Questions about what outlives events: tags and sources.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{
    failure::Failure,
    gaps, ids, pointers,
    session::Session,
    values::{Numbered, get, number, optional_time, time},
};
use crate::{
    event::{Category, LogicalCategory, pointer},
    store::{Gap, RegistryKey, SourceState, TagFacts, TagPointer, Window, tags::with_pointers},
};

pub(super) async fn tag_pointers(
    session: &Session,
    registry: &RegistryKey,
    path: &str,
) -> Result<Vec<TagPointer>, Failure> {
    match ids::repository(session, registry, path).await? {
        Some(repository) => Ok(pointer::pointers(&pointers::facts(session, repository).await?)),
        None => Ok(Vec::new()),
    }
}

/// Every tag an event ever named, by name.
pub(super) async fn tags(
    session: &Session,
    registry: &RegistryKey,
    path: &str,
) -> Result<Vec<TagFacts>, Failure> {
    let Some(repository) = ids::repository(session, registry, path).await? else {
        return Ok(Vec::new());
    };
    let names: Vec<String> = session
        .query(TAG_NAMES, &[&repository])
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<_, _>>()?;
    let pushed = last(session, repository, &names, LogicalCategory::Push).await?;
    let pulled = last(session, repository, &names, LogicalCategory::Pull).await?;
    let tags = names
        .into_iter()
        .map(|tag| {
            let (push, pull) = (pushed.get(&tag).copied(), pulled.get(&tag).copied());
            TagFacts::named(tag, push, pull)
        })
        .collect();
    let facts = pointers::facts(session, repository).await?;
    Ok(with_pointers(tags, pointer::pointers(&facts)))
}

/// Names of a repository's tags, each found by one step in the index whatever the number
/// of its events.
pub(super) const TAG_NAMES: &str = "WITH RECURSIVE names (tag) AS (
         SELECT min(tag) FROM logical_tags WHERE repository = $1
         UNION ALL
         SELECT (SELECT min(tag) FROM logical_tags WHERE repository = $1 AND tag > names.tag)
         FROM names WHERE names.tag IS NOT NULL
     )
     SELECT tag FROM names WHERE tag IS NOT NULL
     UNION SELECT tag FROM category_facts WHERE repository = $1 AND tag <> ''";

/// The newest event of each tag, there still or removed by retention.
async fn last(
    session: &Session,
    repository: i64,
    tags: &[String],
    category: LogicalCategory,
) -> Result<HashMap<String, Timestamp>, Failure> {
    let mut last = HashMap::new();
    for row in session
        .query(LAST, &[&repository, &tags, &category.number()])
        .await?
    {
        if let Some(time) = optional_time(&row, 1)? {
            last.insert(get(&row, 0)?, time);
        }
    }
    Ok(last)
}

pub(super) const LAST: &str = "SELECT names.tag, coalesce(
         (SELECT max(time) FROM logical_tags t
          WHERE t.repository = $1 AND t.tag = names.tag AND t.category = $3),
         (SELECT f.last FROM category_facts f
          WHERE f.repository = $1 AND f.tag = names.tag AND f.category = $3))
     FROM unnest($2::text[]) AS names (tag)";

/// By name.
pub(super) async fn sources(session: &Session, registry: &RegistryKey) -> Result<Vec<SourceState>, Failure> {
    let Some(registry) = ids::registry(session, registry).await? else {
        return Ok(Vec::new());
    };
    let mut gaps = gaps(session, registry).await?;
    let mut reported = reported(session, registry).await?;
    let rows = session
        .query(
            "SELECT id, name, since, last_delivery, last_event, stored, duplicates, ignored, quarantined
             FROM sources WHERE registry = $1 ORDER BY name",
            &[&registry],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(SourceState {
                reported: reported.remove(&get(row, 0)?).unwrap_or_default(),
                gaps: gaps.remove(&get(row, 0)?).unwrap_or_default(),
                source: get(row, 1)?,
                since: time(row, 2)?,
                last_delivery: time(row, 3)?,
                last_event: optional_time(row, 4)?,
                stored: get(row, 5)?,
                duplicates: get(row, 6)?,
                ignored: get(row, 7)?,
                quarantined: get(row, 8)?,
            })
        })
        .collect()
}

/// Of each source of a registry.
async fn reported(
    session: &Session,
    registry: i64,
) -> Result<HashMap<i64, BTreeMap<Category, Timestamp>>, Failure> {
    let rows = session
        .query(
            "SELECT r.source, r.category, r.first FROM reported r JOIN sources s ON s.id = r.source
             WHERE s.registry = $1",
            &[&registry],
        )
        .await?;
    let mut reported: HashMap<i64, BTreeMap<Category, Timestamp>> = HashMap::new();
    for row in &rows {
        let first = time(row, 2)?;
        reported
            .entry(get(row, 0)?)
            .or_default()
            .insert(number(row, 1)?, first);
    }
    Ok(reported)
}

/// Of each source of a registry, oldest first.
async fn gaps(session: &Session, registry: i64) -> Result<HashMap<i64, Vec<Gap>>, Failure> {
    let rows = session
        .query(
            "SELECT g.source, g.reason, g.start, g.finish, g.reason = $2 AND g.finish > s.last_delivery + 1
             FROM gaps g JOIN sources s ON s.id = g.source
             WHERE s.registry = $1 ORDER BY g.start, g.finish",
            &[&registry, &gaps::REFUSED],
        )
        .await?;
    let mut gaps: HashMap<i64, Vec<Gap>> = HashMap::new();
    for row in &rows {
        gaps.entry(get(row, 0)?).or_default().push(Gap {
            reason: get(row, 1)?,
            window: Window {
                start: time(row, 2)?,
                end: time(row, 3)?,
            },
            is_open: get(row, 4)?,
        });
    }
    Ok(gaps)
}
