//! What deliveries did, written down with them: for the linker, and of their sources.

use std::collections::BTreeMap;

use tokio_postgres::Statement;

use super::{
    append::{Outcome, Resolved},
    failure::Failure,
    instances::Processes,
    sent::Marks,
    session::Session,
    values::nanoseconds,
};

/// What sources did, column by column, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) source: Vec<i64>,
    last_delivery: Vec<i64>,
    last_event: Vec<Option<i64>>,
    stored: Vec<i64>,
    duplicates: Vec<i64>,
    ignored: Vec<i64>,
    quarantined: Vec<i64>,
}

#[derive(Default)]
struct Count {
    last_delivery: i64,
    last_event: Option<i64>,
    stored: i64,
    duplicates: i64,
    ignored: i64,
    quarantined: i64,
}

impl Counts {
    pub(super) fn of(resolved: &[Resolved<'_>], outcomes: &[Outcome]) -> Self {
        let mut sums: BTreeMap<i64, Count> = BTreeMap::new();
        for (one, Outcome { appended, .. }) in resolved.iter().zip(outcomes) {
            let batch = one.batch;
            let sum = sums.entry(one.source).or_insert_with(|| Count {
                last_delivery: batch.received,
                ..Count::default()
            });
            sum.last_delivery = sum.last_delivery.max(batch.received);
            if appended.stored > 0 {
                let newest = batch.events.iter().map(|stored| nanoseconds(stored.time)).max();
                sum.last_event = sum.last_event.max(newest);
            }
            sum.stored += appended.stored;
            sum.duplicates += appended.duplicates;
            sum.ignored += batch.ignored;
            sum.quarantined += i64::from(batch.quarantined.is_some());
        }
        let mut counts = Self::default();
        for (source, count) in sums {
            counts.source.push(source);
            counts.last_delivery.push(count.last_delivery);
            counts.last_event.push(count.last_event);
            counts.stored.push(count.stored);
            counts.duplicates.push(count.duplicates);
            counts.ignored.push(count.ignored);
            counts.quarantined.push(count.quarantined);
        }
        counts
    }

    /// Writes them down, with the marks of new events and when processes spoke last.
    pub(super) async fn note(
        &self,
        session: &Session,
        statement: &Statement,
        (mark, marks): (i64, &Marks),
        processes: &Processes<'_>,
    ) -> Result<(), Failure> {
        let Marks {
            repository,
            start,
            finish,
            events,
        } = marks;
        let (of, names, last) = processes.columns();
        let Self {
            source,
            last_delivery,
            last_event,
            stored,
            duplicates,
            ignored,
            quarantined,
        } = self;
        session
            .run(
                statement,
                &[
                    &mark,
                    repository,
                    start,
                    finish,
                    events,
                    &of,
                    &names,
                    &last,
                    source,
                    last_delivery,
                    last_event,
                    stored,
                    duplicates,
                    ignored,
                    quarantined,
                ],
            )
            .await?;
        Ok(())
    }
}

/// Several operators may write: each adds.
pub(super) const NOTE: &str = "WITH marked AS (
         INSERT INTO unlinked (repository, start, mark, finish, events)
         SELECT repository, start, $1::bigint, finish, events
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS marks (repository, start, finish, events)
     ), seen AS (
         UPDATE instances SET last = greatest(instances.last, d.last)
         FROM unnest($6::bigint[], $7::bytea[], $8::bigint[]) AS d (source, id, last)
         WHERE instances.source = d.source AND instances.id = d.id
     )
     UPDATE sources SET
         last_delivery = greatest(sources.last_delivery, d.last_delivery),
         last_event = greatest(sources.last_event, d.last_event),
         stored = sources.stored + d.stored,
         kept = sources.kept + d.stored,
         duplicates = sources.duplicates + d.duplicates,
         ignored = sources.ignored + d.ignored,
         quarantined = sources.quarantined + d.quarantined
     FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
         $14::bigint[], $15::bigint[])
         AS d (id, last_delivery, last_event, stored, duplicates, ignored, quarantined)
     WHERE sources.id = d.id";
