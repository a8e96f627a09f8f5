//! Questions about logical events: one indexed scan for each clause and category, the
//! results merged.

use std::{collections::HashMap, ops::Range, sync::Arc};

use rusqlite::{
    Connection, params,
    types::{Null, ToSql, ToSqlOutput},
};

use super::{
    known::{registry_id, repository_id},
    rows::{self, logical_columns, of_raw},
    values::{Column, Id, LOGICAL_CATEGORIES, digest_bytes, nanoseconds},
};
use crate::{
    event::{Attribution, DeleteTarget, LogicalCategory, SourceAddress},
    image::Digest,
    store::{AttributedEvent, EventQuery, PageKey, RegistryKey, Select, Tally},
};

/// A stretch of one index: all that one clause selects in one category.
struct Scan<'a> {
    sql: &'static Sql,
    category: LogicalCategory,
    key: Key<'a>,
    /// Nanoseconds, half-open.
    start: i64,
    end: i64,
    attribution: Attribution,
}

#[derive(Clone, Copy)]
enum Key<'a> {
    None,
    Tag(&'a str),
    Digest(&'a Digest),
}

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

/// The scans that answer a query.
fn scans(query: &EventQuery) -> Vec<Scan<'_>> {
    let asked =
        |category: LogicalCategory| query.categories.is_empty() || query.categories.contains(&category);
    let mut scans = Vec::new();
    for clause in &query.clauses {
        let (start, end) = (nanoseconds(clause.window.start), nanoseconds(clause.window.end));
        if start >= end {
            continue;
        }
        let (statements, key, only): (&[&'static Sql], Key<'_>, Option<LogicalCategory>) =
            match &clause.select {
                Select::All => (&[&ALL], Key::None, None),
                Select::Tag(tag) => (&[&TAG], Key::Tag(tag), None),
                Select::WholeRepository => (&[&WHOLE_REPOSITORY], Key::None, Some(LogicalCategory::Delete)),
                Select::Digest(digest) => (&[&TAGGED_DIGEST, &UNTAGGED_DIGEST], Key::Digest(digest), None),
                Select::UntaggedDigest(digest) => (&[&UNTAGGED_DIGEST], Key::Digest(digest), None),
                Select::TagDelete(tag) => (&[&TAG_DELETE], Key::Tag(tag), Some(LogicalCategory::Delete)),
            };
        for category in LOGICAL_CATEGORIES {
            if !asked(category) || only.is_some_and(|only| only != category) {
                continue;
            }
            scans.extend(statements.iter().map(|sql| Scan {
                sql,
                category,
                key,
                start,
                end,
                attribution: clause.attribution,
            }));
        }
    }
    scans
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
    let mut scans = scans(query);
    // The newest windows fill the page; what cannot reach into it is not looked at.
    scans.sort_by_key(|scan| std::cmp::Reverse(scan.end));
    let before = before.map(Place::of_key);
    let mut page: Vec<AttributedEvent> = Vec::new();
    for scan in scans {
        let last = if page.len() < limit { None } else { page.last() };
        let start = Place {
            time: scan.start,
            id: Id(""),
        };
        let end = Place {
            time: scan.end,
            id: Id(""),
        };
        let first = last.map_or(start, |last| start.max(Place::of(last)));
        let end = before.map_or(end, |before| end.min(before));
        if limit == 0 || first >= end {
            continue;
        }
        let found = read_page(connection, (repository, query), &scan, first..end, limit)?;
        if found.is_empty() {
            continue;
        }
        page.extend(found);
        page.sort_by(|one, other| Place::of(other).cmp(&Place::of(one)));
        page.truncate(limit);
    }
    Ok(page)
}

/// Where an event stands among those of its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    time: i64,
    id: Id<'a>,
}

impl<'a> Place<'a> {
    fn of(found: &'a AttributedEvent) -> Self {
        Self {
            time: nanoseconds(found.event.time),
            id: Id(&found.event.id),
        }
    }

    fn of_key(key: &'a PageKey) -> Self {
        Self {
            time: nanoseconds(key.time),
            id: Id(&key.id),
        }
    }
}

/// One scan's newest within the range, of the clients that are asked for.
fn read_page(
    connection: &Connection,
    (repository, query): (i64, &EventQuery),
    scan: &Scan<'_>,
    within: Range<Place<'_>>,
    limit: usize,
) -> rusqlite::Result<Vec<AttributedEvent>> {
    let rows = if query.clients.are_all() {
        limit
    } else {
        usize::MAX
    };
    let mut statement = connection.prepare_cached(scan.sql.page)?;
    let mut rows = statement.query(params![
        repository,
        Column(scan.category),
        scan.key,
        within.start.time,
        within.start.id,
        within.end.time,
        within.end.id,
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
    let mut tallies: HashMap<TallyKey, Tally> = HashMap::new();
    for scan in scans(query) {
        let mut statement = connection.prepare_cached(scan.sql.tally)?;
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
            if !query.clients.let_through(tally.client()) {
                continue;
            }
            tallies
                .entry((
                    tally.category,
                    tally.target,
                    tally.address,
                    tally.actor.clone(),
                    tally.attribution,
                ))
                .and_modify(|sum| {
                    sum.count += tally.count;
                    sum.first = sum.first.min(tally.first);
                    sum.last = sum.last.max(tally.last);
                })
                .or_insert(tally);
        }
    }
    let mut tallies: Vec<Tally> = tallies.into_values().collect();
    tallies.sort_by_cached_key(|tally| {
        (
            tally.category,
            tally.target,
            tally.address.map(|address| address.ip),
            tally.actor.clone(),
            tally.first,
            tally.last,
            tally.count,
        )
    });
    Ok(tallies)
}

type TallyKey = (
    LogicalCategory,
    Option<DeleteTarget>,
    Option<SourceAddress>,
    Option<Arc<str>>,
    Attribution,
);

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
