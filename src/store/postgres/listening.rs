//! When the webhook servers of all operators listened, and the gaps that pauses are.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use jiff::SignedDuration;

use super::{changes, failure::Failure, gaps, session::Session, values::get};
use crate::store::{
    LISTENED_EVERY, Listened, RegistryKey,
    listening::{Settled, Stretch, settle},
};

/// An operator that has not said for so long that it listens does not: it has had two chances to.
const ALIVE: Duration = Duration::from_secs(LISTENED_EVERY.as_secs() * 5 / 2);

/// Writes it down, with the gaps that follow; the registries that have one.
pub(super) async fn note(
    session: &Session,
    operator: i64,
    listened: &Listened,
) -> Result<HashSet<RegistryKey>, Failure> {
    let own = listened.stretch(operator);
    session.batch_execute("BEGIN").await?;
    // One after another: what follows depends on all of them.
    session
        .batch_execute("LOCK TABLE listening IN SHARE ROW EXCLUSIVE MODE")
        .await?;
    let (own, others) = noted(session, own).await?;
    let alive = i64::try_from(ALIVE.as_nanos()).unwrap_or(i64::MAX);
    let Settled { pauses, since, over } = settle(own, &others, own.until.saturating_sub(alive));
    let mut changed = BTreeMap::new();
    for pause in pauses {
        changed.extend(open_gaps(session, pause, listened).await?);
    }
    for &registry in changed.keys() {
        changes::tell(session, operator, registry, 0).await?;
    }
    let over: Vec<i64> = over.into_iter().collect();
    session
        .execute("DELETE FROM listening WHERE operator = ANY ($1)", &[&over])
        .await?;
    session
        .execute(
            "INSERT INTO listening (operator, since, until, goes_on) VALUES ($1, $2, $3, $4)
             ON CONFLICT (operator) DO UPDATE SET
                 since = excluded.since, until = excluded.until, goes_on = excluded.goes_on",
            &[&operator, &since, &own.until, &own.goes_on],
        )
        .await?;
    session.batch_execute("COMMIT").await?;
    Ok(changed.into_values().collect())
}

/// The own stretch with what is known of it, and all others.
async fn noted(session: &Session, mut own: Stretch) -> Result<(Stretch, Vec<Stretch>), Failure> {
    let rows = session
        .query("SELECT operator, since, until, goes_on FROM listening", &[])
        .await?;
    let mut others = Vec::with_capacity(rows.len());
    for row in &rows {
        let stretch = Stretch {
            id: get(row, 0)?,
            since: get(row, 1)?,
            until: get(row, 2)?,
            goes_on: get(row, 3)?,
        };
        if stretch.id == own.id {
            own.since = stretch.since.min(own.since);
            own.until = stretch.until.max(own.until);
        } else {
            others.push(stretch);
        }
    }
    Ok((own, others))
}

/// One of an import, unless it lies in one that is there. `id` is that of no operator.
pub(super) async fn put(session: &Session, id: i64, since: i64, until: i64) -> Result<(), Failure> {
    session
        .execute(
            "INSERT INTO listening (operator, since, until, goes_on)
             SELECT $1::bigint, $2::bigint, $3::bigint, false
             WHERE NOT EXISTS (SELECT 1 FROM listening WHERE since <= $2 AND until >= $3)",
            &[&id, &since, &until],
        )
        .await?;
    Ok(())
}

/// Of the sources that had delivered before the pause and lose something in it; by the numbers of their registries.
async fn open_gaps(
    session: &Session,
    (start, end): (i64, i64),
    listened: &Listened,
) -> Result<BTreeMap<i64, RegistryKey>, Failure> {
    let rows = session
        .query(
            "SELECT s.id, s.name, s.registry, g.namespace, g.name, g.uid
             FROM sources s JOIN registries g ON g.id = s.registry WHERE s.since <= $1
             ORDER BY s.id FOR UPDATE OF s",
            &[&start],
        )
        .await?;
    let pause = SignedDuration::from_nanos(end.saturating_sub(start));
    let mut changed = BTreeMap::new();
    for row in &rows {
        let registry = RegistryKey {
            namespace: get(row, 3)?,
            name: get(row, 4)?,
            uid: get(row, 5)?,
        };
        let name: String = get(row, 1)?;
        if (listened.loses)(&registry, &name, pause) {
            gaps::open(session, get(row, 0)?, gaps::RECEIVER_DOWN, start, end).await?;
            changed.insert(get(row, 2)?, registry);
        }
    }
    Ok(changed)
}
