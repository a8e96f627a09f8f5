//! Raw events taken into the database, and the stretches that the linker has to look at.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    append,
    failure::Failure,
    raw,
    sent::{Marks, NumberedEvent},
    session::Session,
    writer::random_bytes,
};
use crate::store::transfer::Written;

/// Inserts those that are new, in the caller's transaction; and the repositories of which
/// something waits for the linker.
pub(super) async fn insert(
    session: &Session,
    events: &[NumberedEvent<'_>],
) -> Result<(Written, Vec<i64>), Failure> {
    if events.is_empty() {
        return Ok((Written::default(), Vec::new()));
    }
    let statement = session.statement(raw::INSERT_NEW).await?;
    let new = append::insert_new(session, &statement, events).await?;
    let marks = Marks::of(&new);
    mark(session, &marks).await?;
    let mut kept: BTreeMap<i64, i64> = BTreeMap::new();
    for sent in &new {
        *kept.entry(sent.source).or_default() += 1;
    }
    keep_count(session, &kept).await?;
    let written = Written {
        events: new.len() as u64,
        duplicates: (events.len() - new.len()) as u64,
    };
    let repositories: BTreeSet<i64> = marks.repository.into_iter().collect();
    Ok((written, repositories.into_iter().collect()))
}

/// For the linker.
async fn mark(session: &Session, marks: &Marks) -> Result<(), Failure> {
    let Marks {
        repository,
        start,
        finish,
        events,
    } = marks;
    session
        .execute(
            "INSERT INTO unlinked (repository, start, mark, finish, events)
             SELECT repository, start, $1::bigint, finish, events
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                 AS marks (repository, start, finish, events)",
            &[
                &i64::from_ne_bytes(random_bytes()),
                repository,
                start,
                finish,
                events,
            ],
        )
        .await?;
    Ok(())
}

async fn keep_count(session: &Session, kept: &BTreeMap<i64, i64>) -> Result<(), Failure> {
    if kept.is_empty() {
        return Ok(());
    }
    let (sources, events): (Vec<i64>, Vec<i64>) = kept.iter().unzip();
    session
        .execute(
            "UPDATE sources SET kept = sources.kept + new.events
             FROM unnest($1::bigint[], $2::bigint[]) AS new (id, events) WHERE sources.id = new.id",
            &[&sources, &events],
        )
        .await?;
    Ok(())
}
