//! The processes of registries that reported through sources.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio_postgres::{Row, Statement};

use super::{
    failure::Failure,
    gaps,
    session::Session,
    values::{get, id, id_bytes},
};
use crate::store::batch::{self, Batch};

/// Most processes remembered for one source.
const MOST: usize = 1_000;

/// A source and one of its processes.
type Process<'a> = (i64, &'a str);

/// Which processes speak in which deliveries.
#[derive(Debug, Default)]
pub(super) struct Processes<'a> {
    /// Delivery, source, process, time; in the order they speak.
    spoke: Vec<(usize, Process<'a>, i64)>,
    /// When each spoke last.
    last: BTreeMap<Process<'a>, i64>,
}

impl<'a> Processes<'a> {
    pub(super) fn of(deliveries: impl Iterator<Item = (i64, &'a Batch)>) -> Self {
        let mut processes = Self::default();
        for (delivery, (source, batch)) in deliveries.enumerate() {
            for name in batch::instances(&batch.events) {
                let process = (source, name);
                processes.spoke.push((delivery, process, batch.received));
                let last = processes.last.entry(process).or_insert(batch.received);
                *last = batch.received.max(*last);
            }
        }
        processes
    }

    /// Sources, processes and when they spoke last, each process once.
    pub(super) fn columns(&self) -> (Vec<i64>, Vec<Vec<u8>>, Vec<i64>) {
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (&(source, name), &last) in &self.last {
            columns.0.push(source);
            columns.1.push(id_bytes(name));
            columns.2.push(last);
        }
        columns
    }

    /// The rows of those that are known.
    pub(super) async fn known(&self, session: &Session, statement: &Statement) -> Result<Vec<Row>, Failure> {
        if self.last.is_empty() {
            return Ok(Vec::new());
        }
        let (sources, names, _) = self.columns();
        session.run(statement, &[&sources, &names]).await
    }

    /// Sources of those that are not among the known.
    pub(super) fn news(&self, known: &[Row]) -> Result<BTreeSet<i64>, Failure> {
        let mut names: BTreeSet<(i64, String)> = BTreeSet::new();
        for row in known {
            names.insert((get(row, 0)?, id(row, 1)?));
        }
        Ok(self
            .last
            .keys()
            .filter(|&&(source, name)| !names.contains(&(source, name.to_owned())))
            .map(|(source, _)| *source)
            .collect())
    }
}

/// Notes processes that were not seen before, of these sources, whose rows are locked; in
/// which deliveries one opened a gap. It does where others came before: what they had
/// queued in memory may be gone.
///
/// The gap begins with the last delivery that named a process. One that names none (of
/// blobs only) may already be the new one's.
pub(super) async fn arrive(
    session: &Session,
    processes: &Processes<'_>,
    sources: &BTreeSet<i64>,
) -> Result<Vec<usize>, Failure> {
    let mut opened = Vec::new();
    for &source in sources {
        let mut known = load(session, source).await?;
        for &(delivery, (of, name), received) in &processes.spoke {
            if of != source {
                continue;
            }
            if let Some(last) = known.get_mut(name) {
                *last = received.max(*last);
                continue;
            }
            let before = known.values().max().copied();
            if known.len() >= MOST
                && let Some((oldest, _)) = known.iter().min_by_key(|(_, last)| **last)
            {
                let oldest = oldest.clone();
                session
                    .execute(
                        "DELETE FROM instances WHERE source = $1 AND id = $2",
                        &[&source, &id_bytes(&oldest)],
                    )
                    .await?;
                known.remove(&oldest);
            }
            session
                .execute(
                    "INSERT INTO instances (source, id, first, last) VALUES ($1, $2, $3, $3)",
                    &[&source, &id_bytes(name), &received],
                )
                .await?;
            known.insert(name.to_owned(), received);
            if let Some(before) = before {
                gaps::open(
                    session,
                    source,
                    gaps::NEW_INSTANCE,
                    before.min(received),
                    received,
                )
                .await?;
                opened.push(delivery);
            }
        }
    }
    Ok(opened)
}

async fn load(session: &Session, source: i64) -> Result<HashMap<String, i64>, Failure> {
    session
        .query("SELECT id, last FROM instances WHERE source = $1", &[&source])
        .await?
        .iter()
        .map(|row| Ok((id(row, 0)?, get(row, 1)?)))
        .collect()
}

/// Those of these that are known.
pub(super) const NAMED: &str = "SELECT source, id FROM instances
     WHERE (source, id) IN (SELECT * FROM unnest($1::bigint[], $2::bytea[]))";
