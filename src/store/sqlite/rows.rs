//! Events as rows, both ways.

use rusqlite::{Connection, Row, params, types::Type};

use super::values::Column;
use crate::event::{LogicalEvent, RegistryEvent, SourceAddress, StoredEvent, TimeSource};

/// Columns of a raw event, in the order `raw` reads them.
macro_rules! raw_columns {
    () => {
        "e.source, e.received, e.time, e.time_source, e.id, e.category, e.target, e.tag, e.digest,
         e.media_type, e.method, e.address, e.address_source, e.forwarded_chain, e.actor, e.user_agent,
         e.stated_time, e.request_id, e.instance_id"
    };
}
pub(super) use raw_columns;

/// A raw event of the named repository, which came through the named source.
pub(super) fn raw(row: &Row<'_>, repository: &str, source: &str) -> rusqlite::Result<StoredEvent> {
    let Column(time) = row.get(2)?;
    let Column(time_source) = row.get(3)?;
    let stated: Option<Column<_>> = row.get(16)?;
    let address: Option<Column<_>> = row.get(11)?;
    let address_source: Option<Column<_>> = row.get(12)?;
    Ok(StoredEvent {
        source: source.to_owned(),
        received: row.get::<_, Column<_>>(1)?.0,
        time,
        time_source,
        event: RegistryEvent {
            id: row.get(4)?,
            category: row.get::<_, Column<_>>(5)?.0,
            target: row.get::<_, Option<Column<_>>>(6)?.map(|Column(target)| target),
            repository: repository.to_owned(),
            tag: row.get(7)?,
            digest: row.get::<_, Option<Column<_>>>(8)?.map(|Column(digest)| digest),
            media_type: row.get(9)?,
            method: row.get(10)?,
            address: address
                .zip(address_source)
                .map(|(Column(ip), Column(source))| SourceAddress { ip, source }),
            forwarded_chain: row.get(13)?,
            actor: row.get(14)?,
            user_agent: row.get(15)?,
            time: match (stated, time_source) {
                (Some(Column(stated)), _) => Some(stated),
                (None, TimeSource::Event) => Some(time),
                (None, TimeSource::Received) => None,
            },
            request_id: row.get(17)?,
            instance_id: row.get(18)?,
        },
    })
}

/// Columns of a logical event, in the order `logical` reads them.
macro_rules! logical_columns {
    () => {
        "e.id, e.category, e.target, e.tags, e.digest, e.media_type, e.address, e.address_source,
         e.actor, e.user_agent, e.time, e.time_source, e.raw_count"
    };
}
pub(super) use logical_columns;

/// A logical event of the named repository.
pub(super) fn logical(row: &Row<'_>, repository: &str) -> rusqlite::Result<LogicalEvent> {
    let address: Option<Column<_>> = row.get(6)?;
    let address_source: Option<Column<_>> = row.get(7)?;
    Ok(LogicalEvent {
        id: row.get(0)?,
        category: row.get::<_, Column<_>>(1)?.0,
        target: row.get::<_, Option<Column<_>>>(2)?.map(|Column(target)| target),
        repository: repository.to_owned(),
        tags: match row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            Some(tags) => serde_json::from_str(tags)
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(error)))?,
            None => Vec::new(),
        },
        digest: row.get::<_, Option<Column<_>>>(4)?.map(|Column(digest)| digest),
        media_type: row.get(5)?,
        address: address
            .zip(address_source)
            .map(|(Column(ip), Column(source))| SourceAddress { ip, source }),
        actor: row.get(8)?,
        user_agent: row.get(9)?,
        time: row.get::<_, Column<_>>(10)?.0,
        time_source: row.get::<_, Column<_>>(11)?.0,
        raw_count: row.get(12)?,
    })
}

/// Writes a logical event, of whose deciding raw event `received` is the time of receipt.
pub(super) fn insert_logical(
    connection: &Connection,
    repository: i64,
    event: &LogicalEvent,
    received: i64,
) -> rusqlite::Result<()> {
    let LogicalEvent {
        id,
        category,
        target,
        repository: _,
        tags,
        digest,
        media_type,
        address,
        actor,
        user_agent,
        time,
        time_source,
        raw_count,
    } = event;
    let names = match tags.as_slice() {
        [] => None,
        tags => Some(
            serde_json::to_string(tags)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?,
        ),
    };
    connection
        .prepare_cached(
            "INSERT INTO logical_events (repository, category, time, id, received, time_source, target,
                 tags, tagged, digest, media_type, address, address_source, actor, user_agent, raw_count)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            repository,
            Column(*category),
            Column(*time),
            id,
            received,
            Column(*time_source),
            target.map(Column),
            names,
            !tags.is_empty(),
            digest.as_ref().map(Column),
            media_type,
            address.map(|address| Column(address.ip)),
            address.map(|address| Column(address.source)),
            actor,
            user_agent,
            raw_count
        ])?;
    for tag in tags {
        connection
            .prepare_cached(
                "INSERT INTO logical_tags (repository, tag, category, time, id) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![repository, tag, Column(*category), Column(*time), id])?;
    }
    Ok(())
}

/// Removes a logical event.
pub(super) fn delete_logical(
    connection: &Connection,
    repository: i64,
    event: &LogicalEvent,
) -> rusqlite::Result<()> {
    let key = params![repository, Column(event.category), Column(event.time), event.id];
    connection
        .prepare_cached(
            "DELETE FROM logical_events WHERE repository = ?1 AND category = ?2 AND time = ?3 AND id = ?4",
        )?
        .execute(key)?;
    for tag in &event.tags {
        connection
            .prepare_cached(
                "DELETE FROM logical_tags
                 WHERE repository = ?1 AND tag = ?5 AND category = ?2 AND time = ?3 AND id = ?4",
            )?
            .execute(params![
                repository,
                Column(event.category),
                Column(event.time),
                event.id,
                tag
            ])?;
    }
    Ok(())
}
