//! When the webhook server listened, and the gaps that pauses are.

use std::collections::HashSet;

use jiff::SignedDuration;
use rusqlite::{Connection, TransactionBehavior};

use super::gaps;
use crate::store::{
    Listened, RegistryKey,
    listening::{Settled, Stretch, settle},
};

/// Writes it down, with the gaps that follow; the registries that have one.
pub(super) fn note(
    connection: &mut Connection,
    listened: &Listened,
) -> rusqlite::Result<HashSet<RegistryKey>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let own = listened.stretch(0);
    // A file has one operator: all others are over.
    let Settled {
        pauses,
        since,
        over: _,
    } = settle(own, &noted(&transaction)?, i64::MAX);
    let mut changed = HashSet::new();
    for pause in pauses {
        changed.extend(open_gaps(&transaction, pause, listened)?);
    }
    transaction.execute("DELETE FROM listening", [])?;
    put(&transaction, since, own.until)?;
    transaction.commit()?;
    Ok(changed)
}

fn noted(connection: &Connection) -> rusqlite::Result<Vec<Stretch>> {
    connection
        .prepare_cached("SELECT since, until FROM listening")?
        .query_map([], |row| {
            Ok(Stretch {
                id: 0,
                since: row.get(0)?,
                until: row.get(1)?,
                goes_on: false,
            })
        })?
        .collect()
}

/// One as it is, unless it lies in one that is there.
pub(super) fn put(connection: &Connection, since: i64, until: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO listening (since, until) SELECT ?1, ?2
             WHERE NOT EXISTS (SELECT 1 FROM listening WHERE since <= ?1 AND until >= ?2)",
        )?
        .execute([since, until])
        .map(drop)
}

/// Of the sources that had delivered before the pause and lose something in it.
fn open_gaps(
    connection: &Connection,
    (start, end): (i64, i64),
    listened: &Listened,
) -> rusqlite::Result<HashSet<RegistryKey>> {
    let sources: Vec<(i64, String, RegistryKey)> = connection
        .prepare_cached(
            "SELECT s.id, s.name, g.namespace, g.name, g.uid
             FROM sources s JOIN registries g ON g.id = s.registry WHERE s.since <= ?1",
        )?
        .query_map([start], |row| {
            let registry = RegistryKey {
                namespace: row.get(2)?,
                name: row.get(3)?,
                uid: row.get(4)?,
            };
            Ok((row.get(0)?, row.get(1)?, registry))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let pause = SignedDuration::from_nanos(end.saturating_sub(start));
    let mut changed = HashSet::new();
    for (source, name, registry) in sources {
        if (listened.loses)(&registry, &name, pause) {
            gaps::open(connection, source, gaps::RECEIVER_DOWN, start, end)?;
            changed.insert(registry);
        }
    }
    Ok(changed)
}
