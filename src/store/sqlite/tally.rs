//! All that a question selects, counted: sums of sealed buckets, and events where there are none.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::{
    parts::{cut, rollup, unreadable},
    query, rows,
    values::{Column, Id},
};
use crate::store::{
    EventClient, EventQuery, Tally,
    bucket::{Level, Part},
    scan::{Scan, scans},
    tallies::Tallies,
};

/// In a stable order.
pub(super) fn tally(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<Tally>> {
    let Some(repository) = query::repository(connection, &query.registry, &query.repository)? else {
        return Ok(Vec::new());
    };
    let mut tallies = Tallies::default();
    let mut parts_of: (Range<i64>, Vec<Part<i64>>) = (0..0, Vec::new());
    for scan in scans(query) {
        let window = scan.start..scan.end;
        let Some(scope) = &scan.scope else {
            count(connection, repository, &scan, &window, &mut tallies)?;
            continue;
        };
        // The categories of a clause have their parts in common.
        if parts_of.0 != window {
            let levels = Level::ALL.into_iter().rev();
            let found = cut(connection, repository, window.clone(), levels)?;
            parts_of = (window, found);
        }
        for part in &parts_of.1 {
            match part {
                Part::Scan(range) => count(connection, repository, &scan, range, &mut tallies)?,
                Part::Sealed { bucket, sums } => {
                    if let Some(sums) = rollup(connection, *sums, scope, scan.category)? {
                        tallies
                            .add_rollup((scan.category, scan.attribution), &sums, bucket.start)
                            .map_err(unreadable)?;
                    }
                }
            }
        }
    }
    Ok(tallies.of(&query.clients))
}

/// Counts what a scan finds in a stretch, event by event.
fn count(
    connection: &Connection,
    repository: i64,
    scan: &Scan<'_>,
    range: &Range<i64>,
    into: &mut Tallies,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(query::sql(scan.kind).count)?;
    let mut found = statement.query(params![
        repository,
        Column(scan.category),
        scan.key,
        range.start,
        Id(""),
        range.end,
        Id("")
    ])?;
    while let Some(row) = found.next()? {
        let (address, network_type) = rows::origin(row, 1)?;
        let client = EventClient {
            address,
            network_type,
            actor: row.get_ref(3)?.as_str_or_null()?,
        };
        let target = row.get::<_, Option<Column<_>>>(0)?.map(|Column(target)| target);
        into.add((scan.category, scan.attribution), target, client, row.get(4)?);
    }
    Ok(())
}
