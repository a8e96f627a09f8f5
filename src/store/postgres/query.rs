//! Questions about logical events: one scan of an index for each clause and category.

use tokio_postgres::types::ToSql;

use super::{logical::logical_columns, values::digest_bytes};
use crate::store::scan::{Key, Kind};

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
        // How many rows lie between is guessed from the times alone: of the pairs it would take a
        // part of all rows before and after, and read the whole table.
        concat!(
            " AND ", $time, " >= $3::bigint AND ", $time, " <= $5::bigint",
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

/// What a scan looks for in its index, if anything.
pub(super) enum Parameter<'a> {
    None,
    Tag(&'a str),
    Digest(&'a [u8]),
}

impl<'a> Parameter<'a> {
    pub(super) fn of(key: Key<'a>) -> Self {
        match key {
            Key::None => Self::None,
            Key::Tag(tag) => Self::Tag(tag),
            Key::Digest(digest) => Self::Digest(digest_bytes(digest)),
        }
    }

    pub(super) fn as_sql(&self) -> Option<&(dyn ToSql + Sync)> {
        match self {
            Self::None => None,
            Self::Tag(tag) => Some(tag),
            Self::Digest(digest) => Some(digest),
        }
    }
}
