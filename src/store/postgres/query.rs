//! Questions about logical events: one indexed scan for each clause and category, the
//! results merged.

use std::{ops::Range, sync::Arc};

use tokio_postgres::types::ToSql;

use super::{
    failure::Failure,
    ids,
    logical::{self, logical_columns},
    session::Session,
    values::{Numbered, address, digest_bytes, get, id_bytes, optional_number, time},
};
use crate::store::{
    AttributedEvent, EventQuery, PageKey, Tally,
    scan::{Key, Kind, Page, Place, Scan, Tallies, newest_first, scans},
};

/// Rows of one statement where most may be of clients that were not asked for.
const ROWS: usize = 1_000;

/// The statements of one kind of scan. Parameters: $1 repository, $2 category, $3 $4 first
/// (time, id), $5 $6 the (time, id) that all lie before, $7 limit where there is one, and
/// the tag or digest last.
pub(super) struct Sql {
    pub(super) page: &'static str,
    pub(super) tally: &'static str,
}

macro_rules! sql {
    ($from:literal, $page:literal, $tally:literal, $time:literal, $id:literal) => {
        sql!($from, $from, $page, $tally, $time, $id)
    };
    ($page_from:literal, $from:literal, $page:literal, $tally:literal, $time:literal, $id:literal) => {
        Sql {
            page: concat!(
                "SELECT ", logical_columns!(), " FROM ", $page_from, " WHERE ", $page,
                sql!(@within $time, $id),
                " ORDER BY ", $time, " DESC, ", $id, " DESC LIMIT $7"
            ),
            tally: concat!(
                "SELECT e.target, e.address, e.address_source, e.actor, count(*), min(e.time), max(e.time) FROM ",
                $from, " WHERE ", $tally,
                sql!(@within $time, $id),
                " GROUP BY e.target, e.address, e.address_source, e.actor"
            ),
        }
    };
    (@within $time:literal, $id:literal) => {
        concat!(
            " AND (", $time, ", ", $id, ") >= ($3::bigint, $4::bytea) AND (",
            $time, ", ", $id, ") < ($5::bigint, $6::bytea)"
        )
    };
}

static ALL: Sql = sql!(
    "logical_events e",
    "e.repository = $1 AND e.category = $2",
    "e.repository = $1 AND e.category = $2",
    "e.time",
    "e.id"
);
/// 3 is `DeleteTarget::Repository`.
static WHOLE_REPOSITORY: Sql = sql!(
    "logical_events e",
    "e.repository = $1 AND e.category = $2 AND e.target = 3",
    "e.repository = $1 AND e.category = $2 AND e.target = 3",
    "e.time",
    "e.id"
);
static TAG: Sql = sql!(
    // Tags lead, in their order: a page ends before all of them are looked at.
    "logical_tags t CROSS JOIN LATERAL (
         SELECT * FROM logical_events e
         WHERE e.repository = $1 AND e.category = $2 AND e.time = t.time AND e.id = t.id OFFSET 0) e",
    "logical_tags t JOIN logical_events e
         ON e.repository = $1 AND e.category = $2 AND e.time = t.time AND e.id = t.id",
    "t.repository = $1 AND t.category = $2 AND t.tag = $8",
    "t.repository = $1 AND t.category = $2 AND t.tag = $7",
    "t.time",
    "t.id"
);
/// 1 is `DeleteTarget::Tag`.
static TAG_DELETE: Sql = sql!(
    // Tags lead, in their order: a page ends before all of them are looked at.
    "logical_tags t CROSS JOIN LATERAL (
         SELECT * FROM logical_events e
         WHERE e.repository = $1 AND e.category = $2 AND e.time = t.time AND e.id = t.id OFFSET 0) e",
    "logical_tags t JOIN logical_events e
         ON e.repository = $1 AND e.category = $2 AND e.time = t.time AND e.id = t.id",
    "t.repository = $1 AND t.category = $2 AND t.tag = $8 AND e.target = 1 AND e.digest IS NULL",
    "t.repository = $1 AND t.category = $2 AND t.tag = $7 AND e.target = 1 AND e.digest IS NULL",
    "t.time",
    "t.id"
);
static TAGGED_DIGEST: Sql = sql!(
    "logical_events e",
    "e.repository = $1 AND e.category = $2 AND e.digest = $8 AND e.tagged",
    "e.repository = $1 AND e.category = $2 AND e.digest = $7 AND e.tagged",
    "e.time",
    "e.id"
);
static UNTAGGED_DIGEST: Sql = sql!(
    "logical_events e",
    "e.repository = $1 AND e.category = $2 AND e.digest = $8 AND NOT e.tagged",
    "e.repository = $1 AND e.category = $2 AND e.digest = $7 AND NOT e.tagged",
    "e.time",
    "e.id"
);

/// The statements of a scan.
pub(super) fn sql(kind: Kind) -> &'static Sql {
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
pub(super) async fn events(
    session: &Session,
    query: &EventQuery,
    before: Option<&PageKey>,
    limit: usize,
) -> Result<Vec<AttributedEvent>, Failure> {
    let Some(repository) = ids::repository(session, &query.registry, &query.repository).await? else {
        return Ok(Vec::new());
    };
    let mut page = Page::new(before, limit);
    for scan in newest_first(query) {
        if let Some(within) = page.range(&scan) {
            let found = read_page(session, (repository, query), &scan, within, limit).await?;
            page.add(found);
        }
    }
    Ok(page.into_events())
}

/// One scan's newest within the range, of the clients that are asked for.
async fn read_page(
    session: &Session,
    (repository, query): (i64, &EventQuery),
    scan: &Scan<'_>,
    within: Range<Place>,
    limit: usize,
) -> Result<Vec<AttributedEvent>, Failure> {
    let rows = if query.clients.are_all() {
        limit
    } else {
        limit.max(ROWS)
    };
    let rows = i64::try_from(rows.min(ROWS)).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    let mut end = within.end;
    loop {
        let answer = {
            let key = Parameter::of(scan.key);
            let (start, before) = (id_bytes(&within.start.id.0), id_bytes(&end.id.0));
            let category = scan.category.number();
            let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
                &repository,
                &category,
                &within.start.time,
                &start,
                &end.time,
                &before,
                &rows,
            ];
            parameters.extend(key.as_sql());
            session.query(sql(scan.kind).page, &parameters).await?
        };
        let mut last = None;
        for row in &answer {
            let event = AttributedEvent {
                event: logical::read(row, &query.repository)?,
                attribution: scan.attribution,
            };
            last = Some(Place::of(&event));
            if query.clients.let_through(event.client()) {
                found.push(event);
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        match last {
            Some(last) if i64::try_from(answer.len()).unwrap_or(i64::MAX) >= rows => end = last,
            _ => return Ok(found),
        }
    }
}

/// All that the query selects, counted, in a stable order.
pub(super) async fn tally(session: &Session, query: &EventQuery) -> Result<Vec<Tally>, Failure> {
    let Some(repository) = ids::repository(session, &query.registry, &query.repository).await? else {
        return Ok(Vec::new());
    };
    let mut tallies = Tallies::default();
    let nothing = id_bytes("");
    for scan in scans(query) {
        let key = Parameter::of(scan.key);
        let category = scan.category.number();
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&repository, &category, &scan.start, &nothing, &scan.end, &nothing];
        parameters.extend(key.as_sql());
        for row in session.query(sql(scan.kind).tally, &parameters).await? {
            let tally = Tally {
                category: scan.category,
                target: optional_number(&row, 0)?,
                address: address(&row, 1, 2)?,
                actor: get::<Option<&str>>(&row, 3)?.map(Arc::from),
                attribution: scan.attribution,
                count: get(&row, 4)?,
                first: time(&row, 5)?,
                last: time(&row, 6)?,
            };
            if query.clients.let_through(tally.client()) {
                tallies.add(tally);
            }
        }
    }
    Ok(tallies.into_sorted())
}

/// What a scan looks for in its index, if anything.
enum Parameter<'a> {
    None,
    Tag(&'a str),
    Digest(&'a [u8]),
}

impl<'a> Parameter<'a> {
    fn of(key: Key<'a>) -> Self {
        match key {
            Key::None => Self::None,
            Key::Tag(tag) => Self::Tag(tag),
            Key::Digest(digest) => Self::Digest(digest_bytes(digest)),
        }
    }

    fn as_sql(&self) -> Option<&(dyn ToSql + Sync)> {
        match self {
            Self::None => None,
            Self::Tag(tag) => Some(tag),
            Self::Digest(digest) => Some(digest),
        }
    }
}
