//! Raw events as rows, both ways.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::{
    failure::Failure,
    session::Session,
    values::{
        Numbered, digest_bytes, get, id, id_bytes, ip_bytes, media_type_bytes, nanoseconds, number,
        optional_digest, optional_id, optional_media_type, optional_number, optional_time, origin,
        origin_number, time,
    },
};
use crate::event::{RegistryEvent, StoredEvent, TimeSource};

/// Columns of a raw event, in the order `read` reads them.
macro_rules! raw_columns {
    () => {
        "e.source, e.received, e.time, e.time_source, e.id, e.category, e.target, e.tag, e.digest,
         e.media_type, e.method, e.address, e.address_source, e.forwarded_chain, e.actor, e.user_agent,
         e.stated_time, e.request_id, e.instance_id"
    };
}
pub(super) use raw_columns;

/// A raw event of the named repository.
pub(super) fn read(
    row: &Row,
    repository: &str,
    sources: &HashMap<i64, String>,
) -> Result<StoredEvent, Failure> {
    let happened = time(row, 2)?;
    let time_source = number(row, 3)?;
    let (address, network_type) = origin(row, 11)?;
    Ok(StoredEvent {
        source: sources.get(&get(row, 0)?).cloned().unwrap_or_default(),
        received: time(row, 1)?,
        time: happened,
        time_source,
        event: RegistryEvent {
            id: id(row, 4)?,
            category: number(row, 5)?,
            target: optional_number(row, 6)?,
            repository: repository.to_owned(),
            tag: get(row, 7)?,
            digest: optional_digest(row, 8)?,
            media_type: optional_media_type(row, 9)?,
            method: get(row, 10)?,
            address,
            network_type,
            forwarded_chain: get(row, 13)?,
            actor: get(row, 14)?,
            user_agent: get(row, 15)?,
            time: match (optional_time(row, 16)?, time_source) {
                (Some(stated), _) => Some(stated),
                (None, TimeSource::Event) => Some(happened),
                (None, TimeSource::Received) => None,
            },
            request_id: optional_id(row, 17)?,
            instance_id: optional_id(row, 18)?,
        },
    })
}

/// Raw events column by column, as one statement takes them.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) repository: Vec<i64>,
    pub(super) time: Vec<i64>,
    pub(super) id: Vec<Vec<u8>>,
    pub(super) received: Vec<i64>,
    time_source: Vec<i16>,
    stated_time: Vec<Option<i64>>,
    source: Vec<i64>,
    category: Vec<i16>,
    target: Vec<Option<i16>>,
    tag: Vec<Option<&'a str>>,
    digest: Vec<Option<&'a [u8]>>,
    media_type: Vec<Option<Vec<u8>>>,
    method: Vec<Option<&'a str>>,
    address: Vec<Option<Vec<u8>>>,
    address_source: Vec<Option<i16>>,
    forwarded_chain: Vec<Option<&'a str>>,
    actor: Vec<Option<&'a str>>,
    user_agent: Vec<Option<&'a str>>,
    request_id: Vec<Option<Vec<u8>>>,
    instance_id: Vec<Option<Vec<u8>>>,
}

impl<'a> Columns<'a> {
    pub(super) fn push(&mut self, repository: i64, source: i64, stored: &'a StoredEvent) {
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
        self.repository.push(repository);
        self.time.push(nanoseconds(*time));
        self.id.push(id_bytes(id));
        self.received.push(nanoseconds(*received));
        self.time_source.push(time_source.number());
        self.stated_time
            .push(stated.filter(|stated| stated != time).map(nanoseconds));
        self.source.push(source);
        self.category.push(category.number());
        self.target.push(target.map(Numbered::number));
        self.tag.push(tag.as_deref());
        self.digest.push(digest.as_ref().map(digest_bytes));
        self.media_type.push(media_type.as_deref().map(media_type_bytes));
        self.method.push(method.as_deref());
        self.address.push(address.map(|address| ip_bytes(address.ip)));
        self.address_source.push(origin_number(
            address.map(|address| address.source),
            *network_type,
        ));
        self.forwarded_chain.push(forwarded_chain.as_deref());
        self.actor.push(actor.as_deref());
        self.user_agent.push(user_agent.as_deref());
        self.request_id.push(request_id.as_deref().map(id_bytes));
        self.instance_id.push(instance_id.as_deref().map(id_bytes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.repository.is_empty()
    }

    /// Inserts what is new and marks it for the linker; the keys (repository, time, id) of
    /// what is new. Prepared before, so that it can go behind the beginning of a transaction.
    pub(super) async fn insert(
        &self,
        session: &Session,
        statement: &tokio_postgres::Statement,
        mark: i64,
    ) -> Result<Vec<Row>, Failure> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let Self {
            repository,
            time,
            id,
            received,
            time_source,
            stated_time,
            source,
            category,
            target,
            tag,
            digest,
            media_type,
            method,
            address,
            address_source,
            forwarded_chain,
            actor,
            user_agent,
            request_id,
            instance_id,
        } = self;
        session
            .run(
                statement,
                &[
                    repository,
                    time,
                    id,
                    received,
                    time_source,
                    stated_time,
                    source,
                    category,
                    target,
                    tag,
                    digest,
                    media_type,
                    method,
                    address,
                    address_source,
                    forwarded_chain,
                    actor,
                    user_agent,
                    request_id,
                    instance_id,
                    &mark,
                ],
            )
            .await
    }
}

/// An event that is known by the time it was received is not known by its own time, and
/// the other way round. Stretches that wait for the linker are of a second or less.
pub(super) const INSERT: &str = "WITH sent AS (
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::smallint[],
             $6::bigint[], $7::bigint[], $8::smallint[], $9::smallint[], $10::text[], $11::bytea[],
             $12::bytea[], $13::text[], $14::bytea[], $15::smallint[], $16::text[], $17::text[],
             $18::text[], $19::bytea[], $20::bytea[])
         AS sent (repository, time, id, received, time_source, stated_time, source, category, target,
             tag, digest, media_type, method, address, address_source, forwarded_chain, actor,
             user_agent, request_id, instance_id)
     ), new AS (
         INSERT INTO raw_events (repository, time, id, received, time_source, stated_time, source,
             category, target, tag, digest, media_type, method, address, address_source,
             forwarded_chain, actor, user_agent, request_id, instance_id)
         SELECT * FROM sent
         WHERE sent.time_source = 1 OR NOT EXISTS (
             SELECT 1 FROM received_ids r WHERE r.repository = sent.repository AND r.id = sent.id)
         ON CONFLICT DO NOTHING
         RETURNING repository, time, id
     ), marks AS (
         INSERT INTO unlinked (repository, start, mark, finish, events)
         SELECT repository, min(time), $21, max(time), count(*) FROM new
         GROUP BY repository, time / 1000000000
         ON CONFLICT DO NOTHING
     )
     SELECT repository, time, id FROM new";

/// Which of these events, known by the time they were received, are new.
pub(super) const INSERT_RECEIVED: &str = "INSERT INTO received_ids (repository, id, received)
     SELECT sent.repository, sent.id, sent.received
     FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[])
         AS sent (repository, id, received, stated_time)
     WHERE NOT EXISTS (
         SELECT 1 FROM raw_events e
         WHERE e.repository = sent.repository AND e.time = sent.stated_time AND e.id = sent.id)
     ON CONFLICT DO NOTHING
     RETURNING repository, id";
