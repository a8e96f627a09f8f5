//! Raw events as rows, both ways.

use std::collections::HashMap;

use tokio_postgres::{Row, Statement, types::ToSql};

use super::{
    failure::Failure,
    instances::Processes,
    sent::Sent,
    session::Session,
    values::{
        Numbered, digest_bytes, get, id, id_bytes, ip_bytes, media_type_bytes, nanoseconds, number,
        optional_digest, optional_id, optional_media_type, optional_number, optional_time, origin,
        origin_number, time,
    },
};
use crate::event::{RegistryEvent, StoredEvent, TimeSource};

/// Columns of a raw event that linking looks at, in the order `read` reads them.
macro_rules! raw_columns {
    () => {
        "e.received, e.time, e.time_source, e.id, e.category, e.target, e.tag, e.digest, e.media_type,
         e.method, e.address, e.address_source, e.actor, e.user_agent, e.stated_time, e.request_id,
         e.source"
    };
}
pub(super) use raw_columns;

/// The place of the source among them.
pub(super) const SOURCE: usize = 16;

/// A raw event of the named repository and source, without what linking does not look at: the
/// chain of its addresses and the process that saw it.
pub(super) fn read(row: &Row, repository: &str, source: &str) -> Result<StoredEvent, Failure> {
    let happened = time(row, 1)?;
    let time_source = number(row, 2)?;
    let (address, network_type) = origin(row, 10)?;
    Ok(StoredEvent {
        source: source.to_owned(),
        received: time(row, 0)?,
        time: happened,
        time_source,
        event: RegistryEvent {
            id: id(row, 3)?,
            category: number(row, 4)?,
            target: optional_number(row, 5)?,
            repository: repository.to_owned(),
            tag: get(row, 6)?,
            digest: optional_digest(row, 7)?,
            media_type: optional_media_type(row, 8)?,
            method: get(row, 9)?,
            address,
            network_type,
            forwarded_chain: None,
            actor: get(row, 12)?,
            user_agent: get(row, 13)?,
            time: match (optional_time(row, 14)?, time_source) {
                (Some(stated), _) => Some(stated),
                (None, TimeSource::Event) => Some(happened),
                (None, TimeSource::Received) => None,
            },
            request_id: optional_id(row, 15)?,
            instance_id: None,
        },
    })
}

/// The other columns, which follow those.
macro_rules! rest_columns {
    () => {
        "e.forwarded_chain, e.instance_id"
    };
}
pub(super) use rest_columns;

/// A whole raw event, given the names of its registry's sources.
pub(super) fn read_whole(
    row: &Row,
    repository: &str,
    sources: &HashMap<i64, String>,
) -> Result<StoredEvent, Failure> {
    let source = sources.get(&get(row, SOURCE)?).map_or("", String::as_str);
    let stored = read(row, repository, source)?;
    Ok(StoredEvent {
        event: RegistryEvent {
            forwarded_chain: get(row, 17)?,
            instance_id: optional_id(row, 18)?,
            ..stored.event
        },
        ..stored
    })
}

/// Raw events column by column, as one statement takes them.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    repository: Vec<i64>,
    time: Vec<i64>,
    id: Vec<&'a [u8]>,
    received: Vec<i64>,
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
    pub(super) fn of(sent: &'a [Sent<'_>]) -> Self {
        let mut columns = Self::default();
        for one in sent {
            columns.push(one);
        }
        columns
    }

    fn push(&mut self, sent: &'a Sent<'_>) {
        let (repository, nanosecond, key_id) = &sent.key;
        let StoredEvent {
            source: _,
            received,
            time,
            time_source,
            event,
        } = sent.stored;
        let RegistryEvent {
            id: _,
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
        self.repository.push(*repository);
        self.time.push(*nanosecond);
        self.id.push(key_id);
        self.received.push(nanoseconds(*received));
        self.time_source.push(time_source.number());
        self.stated_time
            .push(stated.filter(|stated| stated != time).map(nanoseconds));
        self.source.push(sent.source);
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

    fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
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
        vec![
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
        ]
    }

    /// Inserts all that is new, or nothing where one of these processes is not known; how
    /// many rows were inserted.
    pub(super) async fn insert_all(
        &self,
        session: &Session,
        statement: &Statement,
        processes: &Processes<'_>,
    ) -> Result<u64, Failure> {
        if self.repository.is_empty() {
            return Ok(0);
        }
        let (sources, names, _) = processes.columns();
        let mut parameters = self.parameters();
        parameters.extend([&sources as &(dyn ToSql + Sync), &names]);
        session.change(statement, &parameters).await
    }

    /// Inserts what is new; its keys (repository, time, id).
    pub(super) async fn insert_new(
        &self,
        session: &Session,
        statement: &Statement,
    ) -> Result<Vec<Row>, Failure> {
        if self.repository.is_empty() {
            return Ok(Vec::new());
        }
        session.run(statement, &self.parameters()).await
    }
}

/// An event that is known by the time it was received is not known by its own time, and the
/// other way round. Each is looked up by itself: any other plan reads them all.
macro_rules! insert {
    () => {
        "INSERT INTO raw_events (repository, time, id, received, time_source, stated_time, source, category,
             target, tag, digest, media_type, method, address, address_source, forwarded_chain, actor,
             user_agent, request_id, instance_id)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::smallint[],
             $6::bigint[], $7::bigint[], $8::smallint[], $9::smallint[], $10::text[], $11::bytea[],
             $12::bytea[], $13::text[], $14::bytea[], $15::smallint[], $16::text[], $17::text[], $18::text[],
             $19::bytea[], $20::bytea[])
             AS sent (repository, time, id, received, time_source, stated_time, source, category, target, tag,
                 digest, media_type, method, address, address_source, forwarded_chain, actor, user_agent,
                 request_id, instance_id)
         WHERE (sent.time_source = 1 OR NOT (SELECT EXISTS (SELECT 1 FROM received_ids))
             OR (SELECT r.id FROM received_ids r
                 WHERE r.repository = sent.repository AND r.id = sent.id) IS NULL)"
    };
}

/// $21 and $22 are processes, each once.
pub(super) const INSERT_ALL: &str = concat!(
    insert!(),
    " AND (SELECT count(*) FROM unnest($21::bigint[], $22::bytea[]) AS spoke (source, id)
             JOIN instances i ON i.source = spoke.source AND i.id = spoke.id) = cardinality($21)
     ON CONFLICT DO NOTHING"
);

pub(super) const INSERT_NEW: &str = concat!(
    insert!(),
    " ON CONFLICT DO NOTHING RETURNING repository, time, id"
);

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
