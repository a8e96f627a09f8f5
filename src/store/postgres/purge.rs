//! Retention: removes events, keeps facts. In small transactions, or whole partitions.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    append::LOCK_SOURCES,
    failure::Failure,
    ids,
    logical::tags,
    opened,
    partitions::Partitions,
    schema::repository_lock,
    session::{Database, Session, within},
    values::{LOGICAL_CATEGORIES, Numbered, get, place_bytes},
};
use crate::{
    event::LogicalCategory,
    store::{Purged, RegistryKey},
};

/// Most rows of one transaction, save where one instant has more.
const STEP_ROWS: i64 = 1_000;

/// Raw events stay this much longer than the logical events made of them, so that one
/// which arrives late at the edge is linked with its neighbours.
const RAW_MARGIN: i64 = 10 * 60 * 1_000_000_000;
/// Where whole days can be dropped, single raw events wait for that this much longer.
const DROP_MARGIN: i64 = 60 * 60 * 1_000_000_000;

/// How long a purge may take; the next one goes on where it was.
const PURGE_WITHIN: Duration = Duration::from_mins(15);

/// Raw events that were removed, by the source they came through.
pub(super) type Removed = HashMap<i64, i64>;

/// What was removed is told also where it does not get to its end.
pub(super) async fn purge(
    database: &Database,
    partitions: &Partitions,
    registry: &RegistryKey,
    before: i64,
    removed: &mut Removed,
) -> Result<Purged, Failure> {
    within(
        PURGE_WITHIN,
        remove(database, partitions, registry, before, removed),
    )
    .await
}

async fn remove(
    database: &Database,
    partitions: &Partitions,
    registry: &RegistryKey,
    before: i64,
    removed: &mut Removed,
) -> Result<Purged, Failure> {
    let session = database.session().await?;
    let mut purged = Purged::default();
    let Some(registry) = ids::registry(&session, registry).await? else {
        session.done();
        return Ok(purged);
    };
    let raw_before = before.saturating_sub(RAW_MARGIN);
    for repository in expired(&session, EXPIRED_LOGICAL, registry, before).await? {
        for category in LOGICAL_CATEGORIES {
            purged.logical += purge_logical(&session, repository, category, before).await?;
        }
    }
    passed(&session, registry, before).await?;
    purged.raw += partitions
        .drop_before(&session, raw_before, RAW_MARGIN, removed)
        .await?;
    let single_before = if partitions.are_by_time() {
        raw_before.saturating_sub(DROP_MARGIN)
    } else {
        raw_before
    };
    for repository in expired(&session, EXPIRED_RAW, registry, single_before).await? {
        purged.raw += purge_raw(&session, repository, single_before, removed).await?;
    }
    session
        .execute(RECEIVED_IDS, &[&registry, &single_before])
        .await?;
    for statement in SOURCES {
        session.execute(statement, &[&registry, &before]).await?;
    }
    session.done();
    Ok(purged)
}

/// Repositories of a registry with something that may have to go.
async fn expired(session: &Session, sql: &str, registry: i64, before: i64) -> Result<Vec<i64>, Failure> {
    session
        .query(sql, &[&registry, &before])
        .await?
        .iter()
        .map(|row| get(row, 0))
        .collect()
}

const EXPIRED_LOGICAL: &str = "SELECT r.id FROM repositories r WHERE r.registry = $1 AND EXISTS (
     SELECT 1 FROM logical_events e
     WHERE e.repository = r.id AND e.category = ANY ('{1,2,3,4,5}') AND e.time < $2 AND e.received < $2)";

const EXPIRED_RAW: &str = "SELECT r.id FROM repositories r WHERE r.registry = $1 AND EXISTS (
     SELECT 1 FROM raw_events e WHERE e.repository = r.id AND e.time < $2 AND e.received < $2)";

/// Tells other registries' purges what this one keeps no longer; to the hour, so that nothing
/// is written when nothing changes.
async fn passed(session: &Session, registry: i64, before: i64) -> Result<(), Failure> {
    const HOUR: i64 = 60 * 60 * 1_000_000_000;
    let hour = before.div_euclid(HOUR).saturating_mul(HOUR);
    session
        .execute(
            "UPDATE registries SET purged_before = $2 WHERE id = $1 AND purged_before < $2",
            &[&registry, &hour],
        )
        .await?;
    Ok(())
}

pub(super) async fn purge_logical(
    session: &Session,
    repository: i64,
    category: LogicalCategory,
    before: i64,
) -> Result<u64, Failure> {
    let number = category.number();
    let mut removed = 0;
    let mut from = i64::MIN;
    loop {
        begin(session, repository).await?;
        let bound = session
            .query_opt(BOUND_LOGICAL, &[&repository, &number, &from, &before, &STEP_ROWS])
            .await?;
        let to = step_end(bound.map(|row| get(&row, 0)).transpose()?, from, before);
        let gone = session
            .query(DELETE_LOGICAL, &[&repository, &number, &from, &to, &before])
            .await?;
        let mut facts: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let (mut with_tags, mut places): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let mut changed = Vec::with_capacity(gone.len());
        for row in &gone {
            let time: i64 = get(row, 0)?;
            changed.push(time);
            let mut names = tags(get(row, 2)?)?;
            if names.is_empty() {
                names.push(String::new());
            } else {
                let id: Vec<u8> = get(row, 1)?;
                places.push(place_bytes(time, &id));
                with_tags.push(id);
            }
            for tag in names {
                let (first, last) = facts.entry(tag).or_insert((time, time));
                *first = time.min(*first);
                *last = time.max(*last);
            }
        }
        let names: Vec<&str> = facts.keys().map(String::as_str).collect();
        session
            .execute(
                DELETE_TAGS,
                &[&repository, &number, &from, &to, &with_tags, &places, &names],
            )
            .await?;
        keep_facts(session, repository, number, &facts).await?;
        opened::open(session, repository, changed).await?;
        session.batch_execute("COMMIT").await?;
        removed += gone.len() as u64;
        if to >= before {
            return Ok(removed);
        }
        from = to;
    }
}

/// First and last time of what is removed, for each tag; the empty tag stands for none.
pub(super) async fn keep_facts(
    session: &Session,
    repository: i64,
    category: i16,
    facts: &BTreeMap<String, (i64, i64)>,
) -> Result<(), Failure> {
    if facts.is_empty() {
        return Ok(());
    }
    let tags: Vec<&str> = facts.keys().map(String::as_str).collect();
    let first: Vec<i64> = facts.values().map(|(first, _)| *first).collect();
    let last: Vec<i64> = facts.values().map(|(_, last)| *last).collect();
    for statement in [
        "UPDATE category_facts f SET first = least(f.first, gone.first), last = greatest(f.last, gone.last)
         FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS gone (tag, first, last)
         WHERE f.repository = $1 AND f.category = $2 AND f.tag = gone.tag",
        "INSERT INTO category_facts (repository, category, tag, first, last)
         SELECT $1::bigint, $2::smallint, * FROM unnest($3::text[], $4::bigint[], $5::bigint[])
         ON CONFLICT DO NOTHING",
    ] {
        session
            .execute(statement, &[&repository, &category, &tags, &first, &last])
            .await?;
    }
    Ok(())
}

pub(super) async fn purge_raw(
    session: &Session,
    repository: i64,
    before: i64,
    removed: &mut Removed,
) -> Result<u64, Failure> {
    let mut events = 0;
    let mut from = i64::MIN;
    loop {
        begin(session, repository).await?;
        let bound = session
            .query_opt(BOUND_RAW, &[&repository, &from, &before, &STEP_ROWS])
            .await?;
        let to = step_end(bound.map(|row| get(&row, 0)).transpose()?, from, before);
        let gone = session
            .query(DELETE_RAW, &[&repository, &from, &to, &before])
            .await?;
        let mut of_step = Removed::new();
        for row in &gone {
            *of_step.entry(get(row, 0)?).or_default() += 1;
        }
        uncount(session, &of_step).await?;
        session.batch_execute("COMMIT").await?;
        events += gone.len() as u64;
        add(removed, of_step);
        if to >= before {
            return Ok(events);
        }
        from = to;
    }
}

/// Takes removed events off their sources' counts, in the caller's transaction.
pub(super) async fn uncount(session: &Session, removed: &Removed) -> Result<(), Failure> {
    if removed.is_empty() {
        return Ok(());
    }
    let (sources, events): (Vec<i64>, Vec<i64>) = removed.iter().unzip();
    session.query(LOCK_SOURCES, &[&sources]).await?;
    session
        .execute(
            "UPDATE sources SET kept = sources.kept - gone.events
             FROM unnest($1::bigint[], $2::bigint[]) AS gone (id, events) WHERE sources.id = gone.id",
            &[&sources, &events],
        )
        .await?;
    Ok(())
}

pub(super) fn add(removed: &mut Removed, more: Removed) {
    for (source, events) in more {
        *removed.entry(source).or_default() += events;
    }
}

pub(super) async fn begin(session: &Session, repository: i64) -> Result<(), Failure> {
    session.batch_execute("BEGIN").await?;
    session
        .query(
            "SELECT pg_advisory_xact_lock($1)",
            &[&repository_lock(repository)],
        )
        .await?;
    Ok(())
}

/// Where a step ends: at the row after its last, or at the end; it holds an instant at least.
fn step_end(bound: Option<i64>, from: i64, before: i64) -> i64 {
    bound.unwrap_or(before).max(from.saturating_add(1)).min(before)
}

pub(super) const BOUND_LOGICAL: &str = "SELECT time FROM logical_events
     WHERE repository = $1 AND category = $2 AND time >= $3 AND time < $4
     ORDER BY time, id OFFSET $5 LIMIT 1";

pub(super) const DELETE_LOGICAL: &str = "DELETE FROM logical_events
     WHERE repository = $1 AND category = $2 AND time >= $3 AND time < $4 AND received < $5
     RETURNING time, id, tags";

/// Times and ids only narrow the search: another event may have one of these ids.
pub(super) const DELETE_TAGS: &str = "DELETE FROM logical_tags
     WHERE repository = $1 AND category = $2 AND time >= $3 AND time < $4 AND id = ANY ($5)
         AND (int8send(time) || id) = ANY ($6) AND tag = ANY ($7)";

pub(super) const BOUND_RAW: &str = "SELECT time FROM raw_events
     WHERE repository = $1 AND time >= $2 AND time < $3
     ORDER BY time, id OFFSET $4 LIMIT 1";

pub(super) const DELETE_RAW: &str = "DELETE FROM raw_events
     WHERE repository = $1 AND time >= $2 AND time < $3 AND received < $4 RETURNING source";

const RECEIVED_IDS: &str = "DELETE FROM received_ids
     WHERE repository = ANY (SELECT id FROM repositories WHERE registry = $1) AND received < $2";

/// Gaps, instances and bodies as old. The newest instance stays: it tells the next one
/// that others came before.
const SOURCES: [&str; 3] = [
    "DELETE FROM gaps WHERE finish <= $2 AND source IN (SELECT id FROM sources WHERE registry = $1)",
    "DELETE FROM quarantine
     WHERE received < $2 AND source IN (SELECT id FROM sources WHERE registry = $1)",
    "DELETE FROM instances
     WHERE last < $2 AND source IN (SELECT id FROM sources WHERE registry = $1)
         AND last < (SELECT max(last) FROM instances newest WHERE newest.source = instances.source)",
];
