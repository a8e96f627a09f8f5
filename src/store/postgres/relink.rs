//! Makes logical events of raw ones where new raw events can have changed them, by the
//! rule of `event::link`; and learns what new raw events teach.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use futures::try_join;
use tokio_postgres::Row;

use super::{
    failure::Failure,
    logical::{self, Gone, logical_columns},
    manifests, opened, pointers,
    raw::{self, raw_columns},
    session::Session,
    values::{digest_bytes, id_bytes, ip_bytes, nanoseconds, timestamp},
};
use crate::{
    event::{
        Category, LogicalEvent, StoredEvent,
        link::{Relink, Replacement, Span},
    },
    image::Digest,
    store::spans::Spans,
};

/// The repository whose events are linked.
pub(super) struct Linking<'a> {
    pub(super) session: &'a Session,
    pub(super) repository: i64,
    pub(super) path: &'a str,
}

/// Whose pull of what: without edges from indexes to children, the linker pairs only pulls
/// of one client and one digest, so that others need not be read. Its idea of a client is
/// narrower than an address; a wider one does no harm.
type Group = (Digest, Option<IpAddr>);

impl Linking<'_> {
    /// Learns from the raw events in these stretches and links them, inside of the caller's
    /// transaction.
    pub(super) async fn link(&self, spans: &Spans) -> Result<(), Failure> {
        let mut waited = Spans::default();
        for (first, last) in spans.iter() {
            let changed = Span {
                first: timestamp(first)?,
                last: timestamp(last)?,
            };
            let raw = self.between(RAW_IN_SPAN, first, last).await?;
            let (told, ()) = try_join!(
                manifests::learn(self.session, self.repository, &raw),
                pointers::learn(self.session, self.repository, (first, last), &raw)
            )?;
            for time in told {
                waited.add(time, time);
            }
            self.replace(changed, raw).await?;
        }
        // Deletes that waited to hear that their digest is a manifest.
        for (first, last) in waited.iter() {
            let changed = Span {
                first: timestamp(first)?,
                last: timestamp(last)?,
            };
            let raw = self.between(RAW_IN_SPAN, first, last).await?;
            self.replace(changed, raw).await?;
        }
        Ok(())
    }

    /// Links a stretch, given the raw events in it.
    async fn replace(&self, changed: Span, mut raw: Vec<StoredEvent>) -> Result<(), Failure> {
        // No edge is known here: the linker asks for manifests only.
        let relink = Relink::around(changed, &|_: &Digest| false);
        self.read_around(&relink, &mut raw).await?;
        let manifests = manifests::among(self.session, self.repository, &raw).await?;
        let Replacement { remove, insert } =
            relink.replacement(&raw, &|digest: &Digest| manifests.contains(digest));

        let raw: HashMap<&str, &StoredEvent> = raw
            .iter()
            .map(|stored| (stored.event.id.as_str(), stored))
            .collect();
        let decided: Vec<&StoredEvent> = remove
            .iter()
            .filter_map(|id| raw.get(id.as_str()).copied())
            .collect();
        let before = self.made(&decided).await?;
        let after: HashMap<&str, &LogicalEvent> =
            insert.iter().map(|event| (event.id.as_str(), event)).collect();
        // Most of what is linked again comes out as it was.
        let mut gone = Gone::default();
        for event in before
            .values()
            .filter(|event| after.get(event.id.as_str()) != Some(event))
        {
            gone.push(event);
        }
        let mut made = logical::Columns::default();
        let mut changed = Vec::new();
        for stored in decided {
            let id = stored.event.id.as_str();
            if before.get(id) == after.get(id).copied() {
                continue;
            }
            // Before and after, it has the time of the raw event.
            changed.push(nanoseconds(stored.time));
            if let Some(&event) = after.get(id) {
                made.push(event, nanoseconds(stored.received))?;
            }
        }
        let replace = async {
            gone.delete(self.session, self.repository).await?;
            made.insert(self.session, self.repository).await
        };
        try_join!(opened::open(self.session, self.repository, changed), replace)?;
        Ok(())
    }

    /// Adds the raw events that the rule asks for beside those in the stretch, save pulls that
    /// cannot pair with a changed one.
    async fn read_around(&self, relink: &Relink, raw: &mut Vec<StoredEvent>) -> Result<(), Failure> {
        let Relink { changed, read } = relink;
        let groups: HashSet<Group> = raw.iter().filter_map(group).collect();
        if !groups.is_empty() {
            let (digests, addresses) = columns(&groups);
            let [first, start, end, last] =
                [read.first, changed.first, changed.last, read.last].map(nanoseconds);
            let rows = self
                .session
                .query(
                    NEIGHBOURS,
                    &[
                        &self.repository,
                        &first,
                        &start,
                        &end,
                        &last,
                        &digests,
                        &addresses,
                    ],
                )
                .await?;
            self.add(raw, &rows)?;
        }
        let requests: BTreeSet<Vec<u8>> = raw
            .iter()
            .filter(|stored| stored.event.category == Category::Delete)
            .filter_map(|stored| stored.event.request_id.as_deref().map(id_bytes))
            .collect();
        if !requests.is_empty() {
            let requests: Vec<Vec<u8>> = requests.into_iter().collect();
            let rows = self
                .session
                .query(
                    DELETES_OF_REQUESTS,
                    &[
                        &self.repository,
                        &requests,
                        &nanoseconds(changed.first),
                        &nanoseconds(changed.last),
                    ],
                )
                .await?;
            self.add(raw, &rows)?;
        }
        Ok(())
    }

    async fn between(&self, sql: &str, first: i64, last: i64) -> Result<Vec<StoredEvent>, Failure> {
        let rows = self
            .session
            .query(sql, &[&self.repository, &first, &last])
            .await?;
        let mut raw = Vec::with_capacity(rows.len());
        self.add(&mut raw, &rows)?;
        Ok(raw)
    }

    fn add(&self, raw: &mut Vec<StoredEvent>, rows: &[Row]) -> Result<(), Failure> {
        for row in rows {
            raw.push(raw::read(row, self.path)?);
        }
        Ok(())
    }

    /// The logical events that these raw ones decide: each has the id and the time of its own.
    async fn made(&self, decided: &[&StoredEvent]) -> Result<HashMap<String, LogicalEvent>, Failure> {
        let (deletes, others): (Vec<&StoredEvent>, Vec<&StoredEvent>) = decided
            .iter()
            .partition(|stored| stored.event.category == Category::Delete);
        // Deletes of one request may lie far apart, and are few.
        let (deletes, others) = try_join!(
            self.find(MADE_OF_DELETES, &deletes),
            self.find(MADE_OF_OTHERS, &others)
        )?;
        let mut made = HashMap::with_capacity(deletes.len() + others.len());
        for row in deletes.iter().chain(&others) {
            let event = logical::read(row, self.path)?;
            made.insert(event.id.clone(), event);
        }
        Ok(made)
    }

    async fn find(&self, sql: &str, decided: &[&StoredEvent]) -> Result<Vec<Row>, Failure> {
        let times = decided.iter().map(|stored| nanoseconds(stored.time));
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(Vec::new());
        };
        let ids: Vec<Vec<u8>> = decided.iter().map(|stored| id_bytes(&stored.event.id)).collect();
        self.session
            .query_by_values(sql, &[&self.repository, &first, &last, &ids])
            .await
    }
}

/// The group of a pull; none where it pairs with nothing.
fn group(stored: &StoredEvent) -> Option<Group> {
    let event = &stored.event;
    let digest = event
        .digest
        .clone()
        .filter(|_| event.category == Category::Pull)?;
    Some((digest, event.address.map(|address| address.ip.to_canonical())))
}

/// Groups as digests and addresses, an empty one for none. An IPv4 address may have been
/// written as an IPv6 one.
fn columns(groups: &HashSet<Group>) -> (Vec<&[u8]>, Vec<Vec<u8>>) {
    let mut columns = (Vec::new(), Vec::new());
    let mut push = |digest, address| {
        columns.0.push(digest);
        columns.1.push(address);
    };
    for (digest, ip) in groups {
        let digest = digest_bytes(digest);
        push(digest, ip.map_or_else(Vec::new, ip_bytes));
        if let Some(IpAddr::V4(ip)) = ip {
            push(digest, ip.to_ipv6_mapped().octets().to_vec());
        }
    }
    columns
}

/// All from $2 to $3, both included.
pub(super) const RAW_IN_SPAN: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.time >= $2 AND e.time <= $3"
);

/// Pulls of these groups from $2 on and before $3, and after $4 and to $5. Groups are looked up
/// in a table of hashes, never joined.
pub(super) const NEIGHBOURS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.time >= $2 AND e.time < $3
         AND e.category = 2 AND ((e.digest, coalesce(e.address, ''::bytea)) IN
             (SELECT * FROM unnest($6::bytea[], $7::bytea[]))) IS TRUE
     UNION ALL SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.time > $4 AND e.time <= $5
         AND e.category = 2 AND ((e.digest, coalesce(e.address, ''::bytea)) IN
             (SELECT * FROM unnest($6::bytea[], $7::bytea[]))) IS TRUE"
);

/// Deletes, whenever they were, of these requests, save those in the stretch itself.
pub(super) const DELETES_OF_REQUESTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.category = 3 AND e.request_id = ANY ($2)
         AND (e.time < $3 OR e.time > $4)"
);

/// An id is that of one event: the times only narrow the search.
pub(super) const MADE_OF_OTHERS: &str = concat!(
    "SELECT ",
    logical_columns!(),
    " FROM logical_events e WHERE e.repository = $1 AND e.category = ANY ('{1,2,4}')
         AND e.time >= $2 AND e.time <= $3 AND e.id = ANY ($4)"
);

pub(super) const MADE_OF_DELETES: &str = concat!(
    "SELECT ",
    logical_columns!(),
    " FROM logical_events e WHERE e.repository = $1 AND e.category = ANY ('{3,5}')
         AND e.time >= $2 AND e.time <= $3 AND e.id = ANY ($4)"
);
