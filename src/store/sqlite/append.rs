//! What one delivery changes: raw events, what they teach, what its source is known to
//! have done, gaps, and the stretches of time that the linker has to look at again.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    gaps,
    known::Known,
    pointers,
    quarantine::Quarantine,
    touched::Touched,
    values::{Column, nanoseconds},
};
use crate::{
    event::{Category, RegistryEvent, StoredEvent, time},
    store::{Appended, Delivery, Quarantined, RegistryKey},
};

/// A delivery made ready outside of the writer.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) registry: RegistryKey,
    source: String,
    received: i64,
    events: Vec<StoredEvent>,
    ignored: i64,
    quarantined: Option<Quarantined>,
}

impl From<Delivery> for Batch {
    fn from(delivery: Delivery) -> Self {
        let Delivery {
            registry,
            source,
            received,
            events,
            ignored,
            quarantined,
        } = delivery;
        let events = events
            .into_iter()
            .map(|event| {
                let (time, time_source) = time::effective(event.time, received);
                StoredEvent {
                    source: source.clone(),
                    received,
                    time,
                    time_source,
                    event,
                }
            })
            .collect();
        Self {
            registry,
            source,
            received: nanoseconds(received),
            events,
            ignored,
            quarantined,
        }
    }
}

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
        source,
        received,
        events,
        ignored,
        quarantined,
    } = batch;
    let registry = known.registry(connection, key)?;
    let source = source_row(connection, registry.id, source, *received)?;
    let mut coverage_changed = source.new;
    for instance in instances(events) {
        coverage_changed |= gaps::seen(connection, source.id, instance, *received)?;
    }

    let mut appended = Appended::default();
    let mut last_event = None;
    for stored in events {
        let path = &stored.event.repository;
        let repository = registry.repository(connection, path)?;
        if !insert(connection, repository, source.id, stored)? {
            appended.duplicates += 1;
            continue;
        }
        appended.stored += 1;
        let time = nanoseconds(stored.time);
        last_event = last_event.max(Some(time));
        touched.add(repository, key, path, time, time);
        if learn_manifest(connection, repository, stored)? {
            for time in deletes_of(connection, repository, stored)? {
                touched.add(repository, key, path, time, time);
            }
        }
        pointers::learn(connection, repository, stored)?;
        if !appended.repositories.contains(path) {
            appended.repositories.push(path.clone());
        }
    }

    if let Some(body) = quarantined {
        gaps::open(connection, source.id, gaps::QUARANTINED, *received, *received)?;
        quarantine.keep(connection, source.id, *received, body)?;
        coverage_changed = true;
    }
    connection
        .prepare_cached(
            "UPDATE sources SET last_delivery = max(last_delivery, ?2),
                 last_event = coalesce(max(last_event, ?3), ?3, last_event),
                 stored = stored + ?4, duplicates = duplicates + ?5, ignored = ignored + ?6,
                 quarantined = quarantined + ?7
             WHERE id = ?1",
        )?
        .execute(params![
            source.id,
            received,
            last_event,
            appended.stored,
            appended.duplicates,
            ignored,
            quarantined.is_some()
        ])?;
    Ok(Outcome {
        appended,
        coverage_changed,
    })
}

struct Source {
    id: i64,
    new: bool,
}

fn source_row(connection: &Connection, registry: i64, name: &str, received: i64) -> rusqlite::Result<Source> {
    let found = connection
        .prepare_cached("SELECT id FROM sources WHERE registry = ?1 AND name = ?2")?
        .query_row(params![registry, name], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(Source { id, new: false });
    }
    let id = connection
        .prepare_cached(
            "INSERT INTO sources
                 (registry, name, since, last_delivery, stored, duplicates, ignored, quarantined)
             VALUES (?1, ?2, ?3, ?3, 0, 0, 0, 0)",
        )?
        .insert(params![registry, name, received])?;
    Ok(Source { id, new: true })
}

/// The processes that speak in a delivery, each once, in the order they speak.
fn instances(events: &[StoredEvent]) -> Vec<&str> {
    let mut instances = Vec::new();
    for stored in events {
        if let Some(instance) = stored.event.instance_id.as_deref()
            && !instances.contains(&instance)
        {
            instances.push(instance);
        }
    }
    instances
}

/// Whether the event is new.
fn insert(
    connection: &Connection,
    repository: i64,
    source: i64,
    stored: &StoredEvent,
) -> rusqlite::Result<bool> {
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
            repository,
            Column(*time),
            id,
            Column(*received),
            Column(*time_source),
            stated.filter(|stated| stated != time).map(Column),
            source,
            Column(*category),
            target.map(Column),
            tag,
            digest.as_ref().map(Column),
            media_type,
            method,
            address.map(|address| Column(address.ip)),
            address.map(|address| Column(address.source)),
            forwarded_chain,
            actor,
            user_agent,
            request_id,
            instance_id
        ])
        .map(|rows| rows == 1)
}

/// A push or pull that names a digest proves it a manifest: blobs never become events.
/// Whether that is news.
fn learn_manifest(connection: &Connection, repository: i64, stored: &StoredEvent) -> rusqlite::Result<bool> {
    let (Category::Push | Category::Pull, Some(digest)) = (stored.event.category, &stored.event.digest)
    else {
        return Ok(false);
    };
    let row = params![
        repository,
        Column(digest),
        stored.event.media_type,
        Column(stored.time)
    ];
    let known = connection
        .prepare_cached(
            "UPDATE manifests SET first = min(first, ?4), last = max(last, ?4),
                 media_type = coalesce(media_type, ?3)
             WHERE repository = ?1 AND digest = ?2",
        )?
        .execute(row)?;
    if known == 1 {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO manifests (repository, digest, media_type, first, last)
             VALUES (?1, ?2, ?3, ?4, ?4)",
        )?
        .execute(row)?;
    Ok(true)
}

/// Times of the deletes that name a digest: they may have waited to hear what it is.
fn deletes_of(connection: &Connection, repository: i64, stored: &StoredEvent) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(DELETES_BY_DIGEST)?
        .query_map(
            params![repository, stored.event.digest.as_ref().map(Column)],
            |row| row.get(0),
        )?
        .collect()
}

pub(super) const DELETES_BY_DIGEST: &str =
    "SELECT time FROM raw_events WHERE repository = ?1 AND category = 3 AND digest = ?2";
