//! Questions about logical events: one indexed scan for each clause and category, the
//! results merged.

use std::{ops::Range, sync::Arc};

use rusqlite::{
    Connection, params,
    types::{Null, ToSql, ToSqlOutput},
};

use super::{
    known::{registry_id, repository_id},
    rows::{self, logical_columns, of_raw},
    values::{Column, Id, digest_bytes},
};
use crate::{
    event::SourceAddress,
    store::{
        AttributedEvent, EventQuery, PageKey, RegistryKey, Tally,
        scan::{Key, Kind, Page, Place, Scan, Tallies, newest_first, scans},
    },
};

/// The statements of one kind of scan. Parameters: ?1 repository, ?2 category, ?3 tag or
/// digest, ?4 ?5 first (time, id), ?6 ?7 the (time, id) that all lie before, ?8 limit.
pub(super) struct Sql {
    pub(super) page: &'static str,
    pub(super) tally: &'static str,
}

macro_rules! sql {
    ($from:literal, $where:literal, $time:literal, $id:literal) => {
        Sql {
            page: concat!(
                "SELECT ", logical_columns!(), " FROM ", $from, " ", of_raw!(), " WHERE ", $where,
                sql!(@within $time, $id),
                " ORDER BY ", $time, " DESC, ", $id, " DESC LIMIT ?8"
            ),
            tally: concat!(
                "SELECT e.target, e.address, e.address_source, r.actor, count(*), min(e.time), max(e.time) FROM ",
                $from, " ", of_raw!(), " WHERE ", $where,
                sql!(@within $time, $id),
                " GROUP BY e.target, e.address, e.address_source, r.actor"
            ),
        }
    };
    (@within $time:literal, $id:literal) => {
        concat!(
            " AND (", $time, ", ", $id, ") >= (?4, ?5) AND (", $time, ", ", $id, ") < (?6, ?7)"
        )
    };
}

pub(super) static ALL: Sql = sql!(
    "logical_events e NOT INDEXED",
    "e.repository = ?1 AND e.category = ?2 AND ?3 IS NULL",
    "e.time",
    "e.id"
);
/// 3 is `DeleteTarget::Repository`.
pub(super) static WHOLE_REPOSITORY: Sql = sql!(
    "logical_events e INDEXED BY logical_events_of_repository",
    "e.repository = ?1 AND e.category = ?2 AND e.target = 3 AND ?3 IS NULL",
    "e.time",
    "e.id"
);
pub(super) static TAG: Sql = sql!(
    "logical_tags t CROSS JOIN logical_events e
         ON e.repository = t.repository AND e.category = t.category AND e.time = t.time AND e.id = t.id",
    "t.repository = ?1 AND t.category = ?2 AND t.tag = ?3",
    "t.time",
    "t.id"
);
/// 1 is `DeleteTarget::Tag`.
pub(super) static TAG_DELETE: Sql = sql!(
    "logical_tags t CROSS JOIN logical_events e
         ON e.repository = t.repository AND e.category = t.category AND e.time = t.time AND e.id = t.id",
    "t.repository = ?1 AND t.category = ?2 AND t.tag = ?3 AND e.target = 1 AND e.digest IS NULL",
    "t.time",
    "t.id"
);
pub(super) static TAGGED_DIGEST: Sql = sql!(
    "logical_events e INDEXED BY logical_events_by_digest",
    "e.repository = ?1 AND e.category = ?2 AND e.digest = ?3 AND e.tagged = 1",
    "e.time",
    "e.id"
);
pub(super) static UNTAGGED_DIGEST: Sql = sql!(
    "logical_events e INDEXED BY logical_events_by_digest",
    "e.repository = ?1 AND e.category = ?2 AND e.digest = ?3 AND e.tagged = 0",
    "e.time",
    "e.id"
);

/// The statements of a scan.
fn sql(kind: Kind) -> &'static Sql {
    match kind {
        Kind::All => &ALL,
        Kind::WholeRepository => &WHOLE_REPOSITORY,
        Kind::Tag => &TAG,
        Kind::TagDelete => &TAG_DELETE,
        Kind::TaggedDigest => &TAGGED_DIGEST,
        Kind::UntaggedDigest => &UNTAGGED_DIGEST,
    }
}

/// Newest first, at most `limit`, before the given key.
pub(super) fn events(
    connection: &Connection,
    query: &EventQuery,
    before: Option<&PageKey>,
    limit: usize,
) -> rusqlite::Result<Vec<AttributedEvent>> {
    let Some(repository) = repository(connection, &query.registry, &query.repository)? else {
        return Ok(Vec::new());
    };
    let mut page = Page::new(before, limit);
    for scan in newest_first(query) {
        if let Some(within) = page.range(&scan) {
            let found = read_page(connection, (repository, query), &scan, within, limit)?;
            page.add(found);
        }
    }
    Ok(page.into_events())
}

/// One scan's newest within the range, of the clients that are asked for.
fn read_page(
    connection: &Connection,
    (repository, query): (i64, &EventQuery),
    scan: &Scan<'_>,
    within: Range<Place>,
    limit: usize,
) -> rusqlite::Result<Vec<AttributedEvent>> {
    let rows = if query.clients.are_all() {
        limit
    } else {
        usize::MAX
    };
    let mut statement = connection.prepare_cached(sql(scan.kind).page)?;
    let mut rows = statement.query(params![
        repository,
        Column(scan.category),
        scan.key,
        within.start.time,
        Id(&within.start.id.0),
        within.end.time,
        Id(&within.end.id.0),
        i64::try_from(rows).unwrap_or(i64::MAX)
    ])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let event = AttributedEvent {
            event: rows::logical(row, &query.repository)?,
            attribution: scan.attribution,
        };
        if query.clients.let_through(event.client()) {
            found.push(event);
        }
    }
    Ok(found)
}

/// All that the query selects, counted, in a stable order.
pub(super) fn tally(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<Tally>> {
    let Some(repository) = repository(connection, &query.registry, &query.repository)? else {
        return Ok(Vec::new());
    };
    let mut tallies = Tallies::default();
    for scan in scans(query) {
        let mut statement = connection.prepare_cached(sql(scan.kind).tally)?;
        let mut rows = statement.query(params![
            repository,
            Column(scan.category),
            scan.key,
            scan.start,
            Id(""),
            scan.end,
            Id("")
        ])?;
        while let Some(row) = rows.next()? {
            let ip: Option<Column<_>> = row.get(1)?;
            let source: Option<Column<_>> = row.get(2)?;
            let tally = Tally {
                category: scan.category,
                target: row.get::<_, Option<Column<_>>>(0)?.map(|Column(target)| target),
                address: ip
                    .zip(source)
                    .map(|(Column(ip), Column(source))| SourceAddress { ip, source }),
                attribution: scan.attribution,
                actor: row.get::<_, Option<Arc<str>>>(3)?,
                count: row.get(4)?,
                first: row.get::<_, Column<_>>(5)?.0,
                last: row.get::<_, Column<_>>(6)?.0,
            };
            if query.clients.let_through(tally.client()) {
                tallies.add(tally);
            }
        }
    }
    Ok(tallies.into_sorted())
}

pub(super) fn repository(
    connection: &Connection,
    registry: &RegistryKey,
    path: &str,
) -> rusqlite::Result<Option<i64>> {
    match registry_id(connection, registry)? {
        Some(registry) => repository_id(connection, registry, path),
        None => Ok(None),
    }
}

impl ToSql for Key<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::None => Ok(Null.into()),
            Self::Tag(tag) => tag.to_sql(),
            Self::Digest(digest) => Ok(digest_bytes(digest)),
        }
    }
}
