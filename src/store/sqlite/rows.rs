//! Events as rows, both ways.

use rusqlite::{Connection, Row, params, types::Type};

use super::values::{Column, Id, IdText, MediaType, MediaTypeText};
use crate::{
    event::{LogicalEvent, NetworkType, RegistryEvent, SourceAddress, StoredEvent, TimeSource},
    store::{
        EventClient,
        values::{origin_number, origin_of_number},
    },
};

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
    let (address, network_type) = origin(row, 11)?;
    Ok(StoredEvent {
        source: source.to_owned(),
        received: row.get::<_, Column<_>>(1)?.0,
        time,
        time_source,
        event: RegistryEvent {
            id: row.get::<_, IdText>(4)?.0,
            category: row.get::<_, Column<_>>(5)?.0,
            target: row.get::<_, Option<Column<_>>>(6)?.map(|Column(target)| target),
            repository: repository.to_owned(),
            tag: row.get(7)?,
            digest: row.get::<_, Option<Column<_>>>(8)?.map(|Column(digest)| digest),
            media_type: row
                .get::<_, Option<MediaTypeText>>(9)?
                .map(|MediaTypeText(text)| text),
            method: row.get(10)?,
            address,
            network_type,
            forwarded_chain: row.get(13)?,
            actor: row.get(14)?,
            user_agent: row.get(15)?,
            time: match (stated, time_source) {
                (Some(Column(stated)), _) => Some(stated),
                (None, TimeSource::Event) => Some(time),
                (None, TimeSource::Received) => None,
            },
            request_id: row.get::<_, Option<IdText>>(17)?.map(|IdText(id)| id),
            instance_id: row.get::<_, Option<IdText>>(18)?.map(|IdText(id)| id),
        },
    })
}

/// Columns of a logical event `e`, joined as `of_raw` says, in the order `logical` reads them.
macro_rules! logical_columns {
    () => {
        "e.id, e.category, e.target, e.tags, e.digest, coalesce(r.media_type, e.media_type), e.address,
         e.address_source, coalesce(r.actor, e.actor), coalesce(r.user_agent, e.user_agent), e.time, coalesce(r.time_source, 0), e.raw_count"
    };
}
pub(super) use logical_columns;

/// The raw event `r` that decides the logical event `e`.
macro_rules! of_raw {
    () => {
        "LEFT JOIN raw_events r ON r.repository = e.repository AND r.time = e.time AND r.id = e.id"
    };
}
pub(super) use of_raw;

/// A logical event of the named repository.
pub(super) fn logical(row: &Row<'_>, repository: &str) -> rusqlite::Result<LogicalEvent> {
    let (address, network_type) = origin(row, 6)?;
    Ok(LogicalEvent {
        id: row.get::<_, IdText>(0)?.0,
        category: row.get::<_, Column<_>>(1)?.0,
        target: row.get::<_, Option<Column<_>>>(2)?.map(|Column(target)| target),
        repository: repository.to_owned(),
        tags: tags(row, 3)?,
        digest: row.get::<_, Option<Column<_>>>(4)?.map(|Column(digest)| digest),
        media_type: row
            .get::<_, Option<MediaTypeText>>(5)?
            .map(|MediaTypeText(text)| text),
        address,
        network_type,
        actor: row.get(8)?,
        user_agent: row.get(9)?,
        time: row.get::<_, Column<_>>(10)?.0,
        time_source: row.get::<_, Column<_>>(11)?.0,
        raw_count: row.get(12)?,
    })
}

/// Who did it, of a row of `logical_columns`.
pub(super) fn client<'a>(row: &'a Row<'_>) -> rusqlite::Result<EventClient<'a>> {
    let (address, network_type) = origin(row, 6)?;
    Ok(EventClient {
        address,
        network_type,
        actor: row.get_ref(8)?.as_str_or_null()?,
    })
}

/// The address in this column and the network that the source states; the next column says how both are known.
pub(super) fn origin(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<(Option<SourceAddress>, Option<NetworkType>)> {
    let ip: Option<Column<_>> = row.get(column)?;
    let Some(number) = row.get::<_, Option<i16>>(column + 1)? else {
        return Ok((None, None));
    };
    let (source, network_type) = origin_of_number(number)
        .ok_or_else(|| rusqlite::Error::IntegralValueOutOfRange(column + 1, number.into()))?;
    let address = ip
        .zip(source)
        .map(|(Column(ip), source)| SourceAddress { ip, source });
    Ok((address, network_type))
}

/// The tags of a logical event, given the place of their column.
pub(super) fn tags(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    match row.get_ref(column)?.as_str_or_null()? {
        Some(tags) => serde_json::from_str(tags)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))),
        None => Ok(Vec::new()),
    }
}

/// Writes a logical event, save what it has from the raw event that decides.
pub(super) fn insert_logical(
    connection: &Connection,
    repository: i64,
    event: &LogicalEvent,
    decides: &RegistryEvent,
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
        network_type,
        actor,
        user_agent,
        time,
        time_source: _,
        raw_count,
    } = event;
    let media_type = media_type.as_deref().filter(|_| decides.media_type.is_none());
    let actor = actor.as_deref().filter(|_| decides.actor.is_none());
    let user_agent = user_agent.as_deref().filter(|_| decides.user_agent.is_none());
    let names = match tags.as_slice() {
        [] => None,
        tags => Some(
            serde_json::to_string(tags)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?,
        ),
    };
    let (id, category, time) = (Id(id), Column(*category), Column(*time));
    connection
        .prepare_cached(
            "INSERT INTO logical_events (repository, category, time, id, target, tags, tagged, digest,
                 address, address_source, raw_count, media_type, actor, user_agent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            repository,
            category,
            time,
            id,
            target.map(Column),
            names,
            !tags.is_empty(),
            digest.as_ref().map(Column),
            address.map(|address| Column(address.ip)),
            origin_number(address.map(|address| address.source), *network_type),
            raw_count,
            media_type.map(MediaType),
            actor,
            user_agent
        ])?;
    for tag in tags {
        connection
            .prepare_cached(
                "INSERT INTO logical_tags (repository, tag, category, time, id) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![repository, tag, category, time, id])?;
    }
    Ok(())
}

/// Removes a logical event, which must be there.
pub(super) fn delete_logical(
    connection: &Connection,
    repository: i64,
    event: &LogicalEvent,
) -> rusqlite::Result<()> {
    let (id, category, time) = (Id(&event.id), Column(event.category), Column(event.time));
    let removed = connection
        .prepare_cached(
            "DELETE FROM logical_events WHERE repository = ?1 AND category = ?2 AND time = ?3 AND id = ?4",
        )?
        .execute(params![repository, category, time, id])?;
    if removed != 1 {
        return Err(rusqlite::Error::StatementChangedRows(removed));
    }
    for tag in &event.tags {
        connection
            .prepare_cached(
                "DELETE FROM logical_tags
                 WHERE repository = ?1 AND tag = ?5 AND category = ?2 AND time = ?3 AND id = ?4",
            )?
            .execute(params![repository, category, time, id, tag])?;
    }
    Ok(())
}
