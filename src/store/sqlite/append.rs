//! What one delivery changes: raw events, what they teach, what its source is known to
//! have done, gaps, and the stretches of time that the linker has to look at again.

use rusqlite::{Connection, params};

use super::{
    gaps,
    known::{Known, Registry, Repository},
    pointers,
    quarantine::Quarantine,
    touched::Touched,
    values::{Column, Id, MediaType, nanoseconds},
};
use crate::{
    event::{Category, RegistryEvent, StoredEvent, TimeSource},
    store::{
        Appended, RegistryKey,
        batch::{self, Batch},
        values::origin_number,
    },
};

/// What was written, and whether what is known of the source's completeness changed.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) appended: Appended,
    pub(super) coverage_changed: bool,
}

/// Writes one delivery inside of the caller's transaction.
pub(super) fn append(
    connection: &Connection,
    known: &mut Known,
    quarantine: &mut Quarantine,
    touched: &mut Touched,
    batch: &Batch,
) -> rusqlite::Result<Outcome> {
    let Batch {
        registry: key,
        source: name,
        received,
        events,
        ignored,
        quarantined,
        replays,
        refused_since,
    } = batch;
    let registry = known.registry(connection, key)?;
    let (source, new) = registry.source(connection, name, *received)?;
    let mut coverage_changed = new;
    for instance in batch::instances(events) {
        coverage_changed |= source.seen(connection, instance, *received)?;
    }
    if let Some(body) = quarantined {
        if body.may_hold_events() {
            gaps::open(connection, source.id, gaps::QUARANTINED, *received, *received)?;
        }
        quarantine.keep(connection, source.id, *received, body)?;
        coverage_changed = true;
    }
    if let Some(body) = *replays {
        quarantine.take_out(connection, source.id, body)?;
        gaps::close(connection, source.id, *received)?;
        coverage_changed = true;
    }
    if let Some(since) = *refused_since {
        gaps::open(connection, source.id, gaps::REFUSED, since, *received)?;
        coverage_changed = true;
    }

    let source_id = source.id;
    let mut appended = Appended::default();
    let mut last_event = None;
    let mut categories = Vec::new();
    for stored in events {
        if !take(connection, key, registry, source_id, touched, stored)? {
            appended.duplicates += 1;
            continue;
        }
        appended.stored += 1;
        if !categories.contains(&stored.event.category) {
            categories.push(stored.event.category);
        }
        last_event = last_event.max(Some(nanoseconds(stored.time)));
        let path = &stored.event.repository;
        if !appended.repositories.contains(path) {
            appended.repositories.push(path.clone());
        }
    }
    let (source, _) = registry.source(connection, name, *received)?;
    for category in categories {
        coverage_changed |= source.reports(connection, category, *received)?;
    }
    source.delivered(*received, last_event, &appended, *ignored, quarantined.is_some());
    Ok(Outcome {
        appended,
        coverage_changed,
    })
}

/// Takes an event of a registry's source, and what it teaches, unless it is there; whether it is new.
pub(super) fn take(
    connection: &Connection,
    key: &RegistryKey,
    registry: &mut Registry,
    source: i64,
    touched: &mut Touched,
    stored: &StoredEvent,
) -> rusqlite::Result<bool> {
    let path = &stored.event.repository;
    let (repository, remembered) = registry.repository(connection, path)?;
    if !insert(connection, repository, source, stored)? {
        return Ok(false);
    }
    let time = nanoseconds(stored.time);
    touched.add(repository.id, key, path, time, time);
    for time in learn_manifest(connection, repository, remembered, stored)? {
        touched.add(repository.id, key, path, time, time);
    }
    pointers::learn(connection, repository, remembered, stored)?;
    Ok(true)
}

/// Whether the event is new.
fn insert(
    connection: &Connection,
    repository: &mut Repository,
    source: i64,
    stored: &StoredEvent,
) -> rusqlite::Result<bool> {
    if is_there_at_another_time(connection, repository, stored)? {
        return Ok(false);
    }
    let StoredEvent {
        source: _,
        received,
        time,
        time_source,
        event,
    } = stored;
    let RegistryEvent {
        id,
        category,
        target,
        repository: _,
        tag,
        digest,
        media_type,
        method,
        address,
        network_type,
        forwarded_chain,
        actor,
        user_agent,
        time: stated,
        request_id,
        instance_id,
    } = event;
    connection
        .prepare_cached(
            "INSERT INTO raw_events (repository, time, id, received, time_source, stated_time, source,
                 category, target, tag, digest, media_type, method, address, address_source,
                 forwarded_chain, actor, user_agent, request_id, instance_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            repository.id,
            Column(*time),
            Id(id),
            Column(*received),
            Column(*time_source),
            stated.filter(|stated| stated != time).map(Column),
            source,
            Column(*category),
            target.map(Column),
            tag,
            digest.as_ref().map(Column),
            media_type.as_deref().map(MediaType),
            method,
            address.map(|address| Column(address.ip)),
            origin_number(address.map(|address| address.source), *network_type),
            forwarded_chain,
            actor,
            user_agent,
            request_id.as_deref().map(Id),
            instance_id.as_deref().map(Id)
        ])
        .map(|rows| rows == 1)
}

/// Whether it came before and has another time there. What has the time it was received, having
/// none of its own or one that was not believed, is known by its id alone, which this notes.
fn is_there_at_another_time(
    connection: &Connection,
    repository: &mut Repository,
    stored: &StoredEvent,
) -> rusqlite::Result<bool> {
    let id = Id(&stored.event.id);
    match stored.time_source {
        TimeSource::Event if !repository.received => Ok(false),
        TimeSource::Event => connection
            .prepare_cached(RECEIVED)?
            .exists(params![repository.id, id]),
        TimeSource::Received => {
            repository.received = true;
            connection
                .prepare_cached(INSERT_RECEIVED)?
                .execute(params![repository.id, id, stored.event.time.map(Column)])
                .map(|rows| rows == 0)
        }
    }
}

/// A push or pull that names a digest proves it a manifest: blobs never become events.
/// Where that is news, the times of the deletes that waited to hear it.
fn learn_manifest(
    connection: &Connection,
    repository: &mut Repository,
    remembered: &mut usize,
    stored: &StoredEvent,
) -> rusqlite::Result<Vec<i64>> {
    let (Category::Push | Category::Pull, Some(digest)) = (stored.event.category, &stored.event.digest)
    else {
        return Ok(Vec::new());
    };
    if repository.manifests.contains(digest) {
        return Ok(Vec::new());
    }
    let media_type = stored.event.media_type.as_deref().map(MediaType);
    if media_type.is_some() {
        repository.manifests.insert(digest.clone());
        *remembered += 1;
    }
    let known: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM manifests WHERE repository = ?1 AND digest = ?2)")?
        .query_row(params![repository.id, Column(digest)], |row| row.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO manifests (repository, digest, media_type, learnt) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET media_type = excluded.media_type
                 WHERE media_type IS NULL AND excluded.media_type IS NOT NULL",
        )?
        .execute(params![
            repository.id,
            Column(digest),
            media_type,
            Column(stored.time)
        ])?;
    if known {
        return Ok(Vec::new());
    }
    connection
        .prepare_cached(DELETES_BY_DIGEST)?
        .query_map(params![repository.id, Column(digest)], |row| row.get(0))?
        .collect()
}

pub(super) const RECEIVED: &str = "SELECT 1 FROM received_ids WHERE repository = ?1 AND id = ?2";

/// What is known by its own time is not known by the time it was received, and the other way round.
pub(super) const INSERT_RECEIVED: &str = "INSERT INTO received_ids (repository, id)
     SELECT ?1, ?2 WHERE NOT EXISTS
         (SELECT 1 FROM raw_events WHERE repository = ?1 AND time = ?3 AND id = ?2)
     ON CONFLICT DO NOTHING";

pub(super) const DELETES_BY_DIGEST: &str =
    "SELECT time FROM raw_events WHERE repository = ?1 AND category = 3 AND digest = ?2";
