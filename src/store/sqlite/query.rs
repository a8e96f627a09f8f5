//! Questions about logical events: one scan of an index for each clause and category.

use rusqlite::{
    Connection,
    types::{Null, ToSql, ToSqlOutput},
};

use super::{
    known::{registry_id, repository_id},
    rows::{logical_columns, of_raw},
    values::digest_bytes,
};
use crate::store::{
    RegistryKey,
    scan::{Key, Kind},
};

/// The statements of one kind of scan. Parameters: ?1 repository, ?2 category, ?3 tag or
/// digest, ?4 ?5 first (time, id), ?6 ?7 the (time, id) that all lie before, ?8 limit of a page.
pub(super) struct Sql {
    pub(super) page: &'static str,
    /// What counts of each event, in no order.
    pub(super) count: &'static str,
}

macro_rules! sql {
    ($from:literal, $where:literal, $time:literal, $id:literal) => {
        Sql {
            page: concat!(
                "SELECT ", logical_columns!(), " FROM ", $from, " ", of_raw!(), " WHERE ", $where,
                sql!(@within $time, $id),
                " ORDER BY ", $time, " DESC, ", $id, " DESC LIMIT ?8"
            ),
            count: concat!(
                "SELECT e.target, e.address, e.address_source, coalesce(r.actor, e.actor), e.time FROM ",
                $from, " ", of_raw!(), " WHERE ", $where,
                sql!(@within $time, $id)
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
