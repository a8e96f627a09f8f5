//! Logical events as rows, both ways.

use futures::try_join;
use tokio_postgres::Row;

use super::{
    failure::Failure,
    session::{Parameters, Session},
    values::{
        Numbered, digest_bytes, get, id, id_bytes, ip_bytes, media_type_bytes, nanoseconds, number,
        optional_digest, optional_media_type, optional_number, origin, origin_number, place_bytes, time,
    },
};
use crate::event::{LogicalCategory, LogicalEvent};

/// Columns of a logical event `e`, in the order `read` reads them.
macro_rules! logical_columns {
    () => {
        "e.id, e.category, e.target, e.tags, e.digest, e.media_type, e.address, e.address_source,
         e.actor, e.user_agent, e.time, e.time_source, e.raw_count"
    };
}
pub(super) use logical_columns;

/// A logical event of the named repository.
pub(super) fn read(row: &Row, repository: &str) -> Result<LogicalEvent, Failure> {
    let (address, network_type) = origin(row, 6)?;
    Ok(LogicalEvent {
        id: id(row, 0)?,
        category: number(row, 1)?,
        target: optional_number(row, 2)?,
        repository: repository.to_owned(),
        tags: tags(get(row, 3)?)?,
        digest: optional_digest(row, 4)?,
        media_type: optional_media_type(row, 5)?,
        address,
        network_type,
        actor: get(row, 8)?,
        user_agent: get(row, 9)?,
        time: time(row, 10)?,
        time_source: number(row, 11)?,
        raw_count: get(row, 12)?,
    })
}

/// The tags in a column.
pub(super) fn tags(column: Option<&str>) -> Result<Vec<String>, Failure> {
    match column {
        Some(tags) => serde_json::from_str(tags).map_err(|_| Failure::Malformed("a list of tags")),
        None => Ok(Vec::new()),
    }
}

/// Logical events column by column, as one statement takes them, with the time at which the
/// raw event that decides was received.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    category: Vec<i16>,
    time: Vec<i64>,
    id: Vec<Vec<u8>>,
    received: Vec<i64>,
    time_source: Vec<i16>,
    target: Vec<Option<i16>>,
    tags: Vec<Option<String>>,
    digest: Vec<Option<&'a [u8]>>,
    media_type: Vec<Option<Vec<u8>>>,
    address: Vec<Option<Vec<u8>>>,
    address_source: Vec<Option<i16>>,
    actor: Vec<Option<&'a str>>,
    user_agent: Vec<Option<&'a str>>,
    raw_count: Vec<i64>,
    named: Tags<'a>,
}

/// The tags that they name.
#[derive(Debug, Default)]
struct Tags<'a> {
    tag: Vec<&'a str>,
    category: Vec<i16>,
    time: Vec<i64>,
    id: Vec<Vec<u8>>,
}

impl<'a> Columns<'a> {
    pub(super) fn push(&mut self, event: &'a LogicalEvent, received: i64) -> Result<(), Failure> {
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
            time_source,
            raw_count,
        } = event;
        let names = match tags.as_slice() {
            [] => None,
            tags => Some(serde_json::to_string(tags).map_err(|_| Failure::Malformed("a list of tags"))?),
        };
        self.category.push(category.number());
        self.time.push(nanoseconds(*time));
        self.id.push(id_bytes(id));
        self.received.push(received);
        self.time_source.push(time_source.number());
        self.target.push(target.map(Numbered::number));
        self.tags.push(names);
        self.digest.push(digest.as_ref().map(digest_bytes));
        self.media_type.push(media_type.as_deref().map(media_type_bytes));
        self.address.push(address.map(|address| ip_bytes(address.ip)));
        self.address_source.push(origin_number(
            address.map(|address| address.source),
            *network_type,
        ));
        self.actor.push(actor.as_deref());
        self.user_agent.push(user_agent.as_deref());
        self.raw_count.push(*raw_count);
        for tag in tags {
            self.named.tag.push(tag);
            self.named.category.push(category.number());
            self.named.time.push(nanoseconds(*time));
            self.named.id.push(id_bytes(id));
        }
        Ok(())
    }

    /// Writes them; they are not there.
    pub(super) async fn insert(&self, session: &Session, repository: i64) -> Result<(), Failure> {
        if self.id.is_empty() {
            return Ok(());
        }
        let Self {
            category,
            time,
            id,
            received,
            time_source,
            target,
            tags,
            digest,
            media_type,
            address,
            address_source,
            actor,
            user_agent,
            raw_count,
            named,
        } = self;
        let whole: Parameters<'_> = &[
            &repository,
            category,
            time,
            id,
            received,
            time_source,
            target,
            tags,
            digest,
            media_type,
            address,
            address_source,
            actor,
            user_agent,
            raw_count,
        ];
        let tags = async {
            let Tags {
                tag,
                category,
                time,
                id,
            } = named;
            if !tag.is_empty() {
                session
                    .execute(INSERT_TAGS, &[&repository, tag, category, time, id])
                    .await?;
            }
            Ok::<_, Failure>(())
        };
        try_join!(session.execute(INSERT, whole), tags)?;
        Ok(())
    }
}

const INSERT: &str = "INSERT INTO logical_events (repository, category, time, id, received, time_source,
         target, tags, tagged, digest, media_type, address, address_source, actor, user_agent, raw_count)
     SELECT $1::bigint, category, time, id, received, time_source, target, tags, tags IS NOT NULL, digest,
         media_type, address, address_source, actor, user_agent, raw_count
     FROM unnest($2::smallint[], $3::bigint[], $4::bytea[], $5::bigint[], $6::smallint[], $7::smallint[],
         $8::text[], $9::bytea[], $10::bytea[], $11::bytea[], $12::smallint[], $13::text[], $14::text[],
         $15::bigint[])
     AS made (category, time, id, received, time_source, target, tags, digest, media_type, address,
         address_source, actor, user_agent, raw_count)";

const INSERT_TAGS: &str = "INSERT INTO logical_tags (repository, tag, category, time, id)
     SELECT $1::bigint, tag, category, time, id
     FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bytea[]) AS made (tag, category, time, id)";

/// Logical events that are to go, of one repository. Deletes apart: those of one request may
/// lie far from each other, and among few.
#[derive(Debug, Default)]
pub(super) struct Gone<'a> {
    deletes: Parted<'a>,
    others: Parted<'a>,
}

#[derive(Debug, Default)]
struct Parted<'a> {
    id: Vec<Vec<u8>>,
    /// Time and id, as [`place_bytes`] writes them.
    place: Vec<Vec<u8>>,
    tag: Vec<&'a str>,
    times: Option<(i64, i64)>,
}

impl<'a> Gone<'a> {
    pub(super) fn push(&mut self, event: &'a LogicalEvent) {
        use LogicalCategory::{Check, Delete, Pull, Push, UnresolvedDelete};
        let time = nanoseconds(event.time);
        let some = match event.category {
            Delete | UnresolvedDelete => &mut self.deletes,
            Push | Pull | Check => &mut self.others,
        };
        let id = id_bytes(&event.id);
        some.place.push(place_bytes(time, &id));
        some.id.push(id);
        some.tag.extend(event.tags.iter().map(String::as_str));
        let (first, last) = some.times.unwrap_or((time, time));
        some.times = Some((first.min(time), last.max(time)));
    }

    /// Removes them.
    pub(super) async fn delete(&self, session: &Session, repository: i64) -> Result<(), Failure> {
        self.deletes.delete(session, repository, &[3, 5]).await?;
        self.others.delete(session, repository, &[1, 2, 4]).await
    }
}

impl Parted<'_> {
    async fn delete(&self, session: &Session, repository: i64, categories: &[i16]) -> Result<(), Failure> {
        let Self {
            id,
            place,
            tag,
            times,
        } = self;
        let Some((first, last)) = times else {
            return Ok(());
        };
        session
            .query_by_values(DELETE, &[&repository, &categories, first, last, id, place])
            .await?;
        if !tag.is_empty() {
            session
                .query_by_values(
                    DELETE_TAGS,
                    &[&repository, &categories, first, last, id, place, tag],
                )
                .await?;
        }
        Ok(())
    }
}

/// Times and ids only narrow the search: another event may have one of these ids.
pub(super) const DELETE: &str = "DELETE FROM logical_events
     WHERE repository = $1 AND category = ANY ($2) AND time >= $3 AND time <= $4 AND id = ANY ($5)
         AND (int8send(time) || id) = ANY ($6)";

pub(super) const DELETE_TAGS: &str = "DELETE FROM logical_tags
     WHERE repository = $1 AND category = ANY ($2) AND time >= $3 AND time <= $4 AND id = ANY ($5)
         AND (int8send(time) || id) = ANY ($6) AND tag = ANY ($7)";
