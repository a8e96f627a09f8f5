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
    values::{Numbered, digest_bytes, get, id_bytes, ip_bytes, nanoseconds, number, timestamp},
};
use crate::{
    event::{
        Category, LogicalEvent, StoredEvent,
        link::{Relink, Replacement, Span},
    },
    image::Digest,
    store::{
        reporting::{Facts, Reporting},
        spans::Spans,
    },
};

/// Each stretch takes half a dozen questions: to link so many events again that lie between two
/// takes less.
const FEW: i64 = 16;

/// The repository whose events are linked.
pub(super) struct Linking<'a> {
    pub(super) session: &'a Session,
    pub(super) repository: i64,
    pub(super) path: &'a str,
    pub(super) reporting: Reporting,
}

/// What the sources of a repository's registry report, of the rows of [`REPORTING`].
pub(super) fn reporting(rows: &[Row]) -> Result<Reporting, Failure> {
    let mut reporting = Reporting::default();
    for row in rows {
        reporting.add(get(row, 0)?, get(row, 1)?, number(row, 2)?);
    }
    Ok(reporting)
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
        for (first, last) in self.joined(spans).await?.iter() {
            let (changed, raw) = self.stretch(first, last).await?;
            let (told, ()) = try_join!(
                manifests::learn(self.session, self.repository, &raw),
                pointers::learn(self.session, self.repository, (first, last), &raw)
            )?;
            // Deletes that waited to hear that their digest is a manifest.
            for time in told
                .into_iter()
                .chain(self.of_same_requests(changed, &raw).await?)
            {
                waited.add(time, time);
            }
            self.replace(changed, raw).await?;
        }
        let mut again = waited.clone();
        for (first, last) in waited.iter() {
            let (changed, raw) = self.stretch(first, last).await?;
            for time in self.of_same_requests(changed, &raw).await? {
                again.add(time, time);
            }
        }
        for (first, last) in again.iter() {
            let (changed, raw) = self.stretch(first, last).await?;
            self.replace(changed, raw).await?;
        }
        Ok(())
    }

    /// Stretches with few events between them are one.
    async fn joined(&self, spans: &Spans) -> Result<Spans, Failure> {
        let starts: Vec<i64> = spans.iter().skip(1).map(|(start, _)| start).collect();
        let ends: Vec<i64> = spans.iter().take(starts.len()).map(|(_, end)| end).collect();
        if starts.is_empty() {
            return Ok(spans.clone());
        }
        let between = self
            .session
            .query(BETWEEN, &[&self.repository, &ends, &starts, &(FEW + 1)])
            .await?;
        let mut joined = spans.clone();
        for ((row, end), start) in between.iter().zip(ends).zip(starts) {
            if get::<i64>(row, 0)? <= FEW {
                joined.add(end, start);
            }
        }
        Ok(joined)
    }

    async fn stretch(&self, first: i64, last: i64) -> Result<(Span, Vec<StoredEvent>), Failure> {
        let changed = Span {
            first: timestamp(first)?,
            last: timestamp(last)?,
        };
        Ok((changed, self.between(RAW_IN_SPAN, first, last).await?))
    }

    /// Where several sources report deletes: when those outside of the stretch were that belong to
    /// requests of deletes in it.
    async fn of_same_requests(&self, stretch: Span, raw: &[StoredEvent]) -> Result<Vec<i64>, Failure> {
        if self.reporting.sources(Category::Delete) < 2 {
            return Ok(Vec::new());
        }
        let others = self.requests(raw, stretch).await?;
        Ok(others.iter().map(|stored| nanoseconds(stored.time)).collect())
    }

    /// Links a stretch, given the raw events in it.
    async fn replace(&self, changed: Span, mut raw: Vec<StoredEvent>) -> Result<(), Failure> {
        let relink = Relink::around(changed, &self.facts(&HashSet::new()));
        self.read_around(&relink, &mut raw).await?;
        let manifests = manifests::among(self.session, self.repository, &raw).await?;
        let Replacement { deciding, insert } = relink.replacement(&raw, &self.facts(&manifests));

        let before = self.made(&deciding).await?;
        let before: HashMap<_, &LogicalEvent> = before.iter().map(|event| (event.place(), event)).collect();
        let after: HashMap<_, &LogicalEvent> = insert.iter().map(|event| (event.place(), event)).collect();
        let mut gone = Gone::default();
        let mut made = logical::Columns::default();
        let mut changed = Vec::new();
        for stored in deciding {
            let place = stored.place();
            let (before, after) = (before.get(&place), after.get(&place));
            // Most of what is linked again comes out as it was.
            if before == after {
                continue;
            }
            // Before and after, it has the time of the raw event.
            changed.push(nanoseconds(stored.time));
            if let Some(&event) = before {
                gone.push(event);
            }
            if let Some(&event) = after {
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

    fn facts<'a>(&'a self, manifests: &'a HashSet<Digest>) -> Facts<'a> {
        Facts {
            manifests,
            reporting: &self.reporting,
        }
    }

    /// Adds the raw events that the rule asks for beside those in the stretch, save pulls that
    /// cannot pair with a changed one.
    async fn read_around(&self, relink: &Relink, raw: &mut Vec<StoredEvent>) -> Result<(), Failure> {
        let Relink {
            changed,
            read,
            merged,
        } = relink;
        let [first, start, end, last] = [read.first, changed.first, changed.last, read.last].map(nanoseconds);
        let groups: HashSet<Group> = raw.iter().filter_map(group).collect();
        if !groups.is_empty() && relink.merged(Category::Pull).is_none() {
            let (digests, addresses) = columns(&groups);
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
        for merged in merged {
            if !raw.iter().any(|stored| stored.event.category == merged.category) {
                continue;
            }
            let [first, last] = [merged.read.first, merged.read.last].map(nanoseconds);
            let category = merged.category.number();
            let rows = self
                .session
                .query(
                    MERGED,
                    &[&self.repository, &first, &last, &category, &start, &end],
                )
                .await?;
            self.add(raw, &rows)?;
        }
        let there = relink.merged(Category::Delete).unwrap_or(*changed);
        let others = self.requests(raw, there).await?;
        raw.extend(others);
        Ok(())
    }

    /// The deletes outside of a stretch that belong to requests of deletes among `raw`.
    async fn requests(&self, raw: &[StoredEvent], stretch: Span) -> Result<Vec<StoredEvent>, Failure> {
        let mut others = Vec::new();
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
                        &nanoseconds(stretch.first),
                        &nanoseconds(stretch.last),
                    ],
                )
                .await?;
            self.add(&mut others, &rows)?;
        }
        Ok(others)
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
            let source = self.reporting.name(get(row, raw::SOURCE)?);
            raw.push(raw::read(row, self.path, source)?);
        }
        Ok(())
    }

    /// The logical events that these raw ones decide: each has the id and the time of its own.
    /// Others that have one of their ids may be among them.
    async fn made(&self, deciding: &[&StoredEvent]) -> Result<Vec<LogicalEvent>, Failure> {
        let (deletes, others): (Vec<&StoredEvent>, Vec<&StoredEvent>) = deciding
            .iter()
            .partition(|stored| stored.event.category == Category::Delete);
        // Deletes of one request may lie far apart, and are few.
        let (deletes, others) = try_join!(
            self.find(MADE_OF_DELETES, &deletes),
            self.find(MADE_OF_OTHERS, &others)
        )?;
        deletes
            .iter()
            .chain(&others)
            .map(|row| logical::read(row, self.path))
            .collect()
    }

    async fn find(&self, sql: &str, deciding: &[&StoredEvent]) -> Result<Vec<Row>, Failure> {
        let times = deciding.iter().map(|stored| nanoseconds(stored.time));
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(Vec::new());
        };
        let ids: Vec<Vec<u8>> = deciding.iter().map(|stored| id_bytes(&stored.event.id)).collect();
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

/// How many events lie between the ends $2 and the starts $3 of stretches that follow each other,
/// $4 at most.
pub(super) const BETWEEN: &str = "SELECT (SELECT count(*) FROM (
         SELECT 1 FROM raw_events e
         WHERE e.repository = $1 AND e.time > stretch.finish AND e.time < stretch.next LIMIT $4) AS few)
     FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS stretch (finish, next, place)
     ORDER BY stretch.place";

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

/// Those of a category from $2 to $3, save those from $5 to $6.
pub(super) const MERGED: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.time >= $2 AND e.time <= $3
         AND e.category = $4 AND (e.time < $5 OR e.time > $6)"
);

/// What the sources of a repository's registry report.
pub(super) const REPORTING: &str = "SELECT s.id, s.name, p.category
     FROM sources s JOIN reported p ON p.source = s.id
     WHERE s.registry = (SELECT registry FROM repositories WHERE id = $1)";

/// Deletes, whenever they were, of these requests, save those in the stretch itself.
pub(super) const DELETES_OF_REQUESTS: &str = concat!(
    "SELECT ",
    raw_columns!(),
    " FROM raw_events e WHERE e.repository = $1 AND e.category = 3 AND e.request_id = ANY ($2)
         AND (e.time < $3 OR e.time > $4)"
);

/// Between two times, those with one of these ids.
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
