//! All that a question selects, counted: sums of sealed buckets, and events where there are none.

use std::ops::Range;

use tokio_postgres::types::ToSql;

use super::{
    failure::Failure,
    ids,
    parts::{cut, rollups},
    query::{Parameter, sql},
    session::Session,
    values::{Numbered, get, id_bytes, optional_number, origin},
};
use crate::store::{
    EventClient, EventQuery, Tally,
    bucket::{Level, Part},
    scan::{Scan, scans},
    tallies::Tallies,
};

/// In a stable order.
pub(super) async fn tally(session: &Session, query: &EventQuery) -> Result<Vec<Tally>, Failure> {
    let Some(repository) = ids::repository(session, &query.registry, &query.repository).await? else {
        return Ok(Vec::new());
    };
    let mut tallies = Tallies::default();
    let mut parts_of: (Range<i64>, Vec<Part<()>>) = (0..0, Vec::new());
    for scan in scans(query) {
        let window = scan.start..scan.end;
        let Some(scope) = &scan.scope else {
            count(session, repository, &scan, &window, &mut tallies).await?;
            continue;
        };
        // The categories of a clause have their parts in common.
        if parts_of.0 != window {
            let levels = Level::ALL.into_iter().rev();
            let found = cut(session, repository, window.clone(), levels).await?;
            parts_of = (window, found);
        }
        let sealed = parts_of.1.iter().filter_map(|part| match part {
            Part::Sealed { bucket, sums: () } => Some(*bucket),
            Part::Scan(_) => None,
        });
        let sums = rollups(session, repository, sealed, scope, scan.category).await?;
        for (bucket, sums) in sums {
            tallies.add_rollup((scan.category, scan.attribution), &sums, bucket.start)?;
        }
        for part in &parts_of.1 {
            if let Part::Scan(range) = part {
                count(session, repository, &scan, range, &mut tallies).await?;
            }
        }
    }
    Ok(tallies.of(&query.clients))
}

/// Counts what a scan finds in a stretch.
async fn count(
    session: &Session,
    repository: i64,
    scan: &Scan<'_>,
    range: &Range<i64>,
    into: &mut Tallies,
) -> Result<(), Failure> {
    let key = Parameter::of(scan.key);
    let (category, nothing) = (scan.category.number(), id_bytes(""));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &repository,
        &category,
        &range.start,
        &nothing,
        &range.end,
        &nothing,
    ];
    parameters.extend(key.as_sql());
    for row in session.query(sql(scan.kind).tally, &parameters).await? {
        let (address, network_type) = origin(&row, 1)?;
        let client = EventClient {
            address,
            network_type,
            actor: get(&row, 3)?,
        };
        let counted = (get(&row, 4)?, get(&row, 5)?, get(&row, 6)?);
        let target = optional_number(&row, 0)?;
        into.add_counted((scan.category, scan.attribution), target, client, counted);
    }
    Ok(())
}
