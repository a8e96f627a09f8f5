//! Makes logical events of raw ones where new raw events can have changed them, by the
//! rule of `event::link`.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    rows::{self, logical_columns, raw_columns},
    touched::TouchedRepository,
    values::{Column, nanoseconds},
};
use crate::{
    event::{
        Category, LogicalEvent, StoredEvent,
        link::{Relink, Replacement, Span},
    },
    image::Digest,
};

/// Links what was touched of one repository, inside of the caller's transaction.
pub(super) fn relink(connection: &Connection, touched: &TouchedRepository) -> rusqlite::Result<()> {
    for (first, last) in touched.spans.iter() {
        let changed = Span {
            first: timestamp(first)?,
            last: timestamp(last)?,
        };
        link_span(connection, touched, changed)?;
    }
    touched.clear(connection)
}

fn link_span(connection: &Connection, touched: &TouchedRepository, changed: Span) -> rusqlite::Result<()> {
    // No edge from an index to a child is known here: the linker asks for manifests only.
    let relink = Relink::around(changed, &|_: &Digest| false);
    let raw = read_raw(connection, touched, &relink)?;
    let manifests = manifests(connection, touched, &raw)?;
    let Replacement { remove, insert } =
        relink.replacement(&raw, &|digest: &Digest| manifests.contains(digest));

    let raw: HashMap<&str, &StoredEvent> = raw
        .iter()
        .map(|stored| (stored.event.id.as_str(), stored))
        .collect();
    let mut before = read_logical(connection, touched, &remove, &raw)?;
    for event in &insert {
        // Most of what is linked again comes out as it was.
        if before.get(&event.id) == Some(event) {
            before.remove(&event.id);
            continue;
        }
        if let Some(event) = before.remove(&event.id) {
            rows::delete_logical(connection, touched.id, &event)?;
        }
        let received = raw
            .get(event.id.as_str())
            .map_or(event.time, |stored| stored.received);
        rows::insert_logical(connection, touched.id, event, nanoseconds(received))?;
    }
    for event in before.values() {
        rows::delete_logical(connection, touched.id, event)?;
    }
    Ok(())
}

/// The raw events that the rule asks for.
fn read_raw(
    connection: &Connection,
    touched: &TouchedRepository,
    relink: &Relink,
) -> rusqlite::Result<Vec<StoredEvent>> {
    let mut raw = Vec::new();
    let mut statement = connection.prepare_cached(RAW_IN_SPAN)?;
    let mut rows = statement.query(params![
        touched.id,
        Column(relink.read.first),
        Column(relink.read.last)
    ])?;
    while let Some(row) = rows.next()? {
        raw.push(rows::raw(row, &touched.path)?);
    }
    let mut read: HashSet<String> = HashSet::new();
    let mut statement = connection.prepare_cached(DELETES_OF_REQUESTS)?;
    let mut rows = statement.query(params![
        touched.id,
        Column(relink.changed.first),
        Column(relink.changed.last)
    ])?;
    while let Some(row) = rows.next()? {
        let stored = rows::raw(row, &touched.path)?;
        if !relink.read.contains(stored.time) && read.insert(stored.event.id.clone()) {
            raw.push(stored);
        }
    }
    Ok(raw)
}

pub(super) const RAW_IN_SPAN: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e LEFT JOIN sources s ON s.id = e.source
     WHERE e.repository = ?1 AND e.time BETWEEN ?2 AND ?3"
);

/// Deletes, whenever they were, of the requests that the deletes from ?2 to ?3 belong to.
pub(super) const DELETES_OF_REQUESTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e LEFT JOIN sources s ON s.id = e.source
     WHERE e.repository = ?1 AND e.category = 3 AND e.request_id IN
         (SELECT request_id FROM raw_events
          WHERE repository = ?1 AND time BETWEEN ?2 AND ?3 AND category = 3 AND request_id IS NOT NULL)"
);

/// The logical events with these ids, as they are now. An id is that of the raw event that
/// decides, and the time too.
fn read_logical(
    connection: &Connection,
    touched: &TouchedRepository,
    ids: &[String],
    raw: &HashMap<&str, &StoredEvent>,
) -> rusqlite::Result<HashMap<String, LogicalEvent>> {
    let wanted: HashSet<&str> = ids.iter().map(String::as_str).collect();
    let mut times: Vec<i64> = ids
        .iter()
        .filter_map(|id| raw.get(id.as_str()))
        .map(|stored| nanoseconds(stored.time))
        .collect();
    times.sort_unstable();
    let mut found = HashMap::new();
    let mut statement = connection.prepare_cached(LOGICAL_IN_SPAN)?;
    // Far apart only where deletes of one request are.
    for stretch in times.chunk_by(|a, b| b - a <= super::spans::JOIN) {
        let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else {
            continue;
        };
        for category in super::values::LOGICAL_CATEGORIES {
            let mut rows = statement.query(params![touched.id, Column(category), first, last])?;
            while let Some(row) = rows.next()? {
                if row.get_ref(0)?.as_str().is_ok_and(|id| wanted.contains(id)) {
                    let event = rows::logical(row, &touched.path)?;
                    found.insert(event.id.clone(), event);
                }
            }
        }
    }
    Ok(found)
}

pub(super) const LOGICAL_IN_SPAN: &str = concat!(
    "SELECT ",
    logical_columns!(),
    " FROM logical_events e WHERE e.repository = ?1 AND e.category = ?2 AND e.time BETWEEN ?3 AND ?4"
);

fn timestamp(nanoseconds: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The digests among those that raw events name that are known to be manifests: what is
/// pushed or pulled is, what is deleted has to be looked up.
fn manifests(
    connection: &Connection,
    touched: &TouchedRepository,
    raw: &[StoredEvent],
) -> rusqlite::Result<HashSet<Digest>> {
    let mut manifests = HashSet::new();
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM manifests WHERE repository = ?1 AND digest = ?2")?;
    for stored in raw {
        let Some(digest) = &stored.event.digest else {
            continue;
        };
        if !manifests.contains(digest)
            && (stored.event.category != Category::Delete
                || statement.exists(params![touched.id, Column(digest)])?)
        {
            manifests.insert(digest.clone());
        }
    }
    Ok(manifests)
}
