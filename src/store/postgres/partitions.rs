//! The partitions of raw events, one a day: made before they are needed, dropped whole once
//! nobody keeps anything in them. Where somebody laid out the table in another way, nothing
//! of this happens.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::error::SqlState;
use tracing::{debug, info};

use super::{
    failure::Failure,
    purge::{self, Removed},
    schema::SCHEMA_LOCK,
    session::Session,
    values::{get, nanoseconds, timestamp},
};

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;
/// Days before today, where nobody says otherwise, and after it that get a partition: a source may invent times.
const PAST: i64 = 40;
const AHEAD: i64 = 2;

#[derive(Debug)]
pub(super) struct Partitions {
    is_by_time: bool,
    /// Days before today that get a partition.
    past: i64,
    /// Days that have a partition, or cannot get one.
    settled: Mutex<HashSet<i64>>,
}

impl Partitions {
    pub(super) fn new(is_by_time: bool) -> Self {
        Self {
            is_by_time,
            past: PAST,
            settled: Mutex::default(),
        }
    }

    /// Days as far back as events are kept get a partition too: none of their times is invented.
    pub(super) fn reach_back(&mut self, retention: SignedDuration) {
        self.past = self.past.max(retention.as_hours() / 24 + 1);
    }

    pub(super) fn are_by_time(&self) -> bool {
        self.is_by_time
    }

    /// Makes those of the coming days.
    pub(super) async fn make_ahead(&self, session: &Session) -> Result<(), Failure> {
        let now = nanoseconds(Timestamp::now());
        self.make(session, (-1..=AHEAD).map(|days| now + days * DAY))
            .await
    }

    /// Makes those of these times, outside of any transaction.
    pub(super) async fn make(
        &self,
        session: &Session,
        times: impl Iterator<Item = i64>,
    ) -> Result<(), Failure> {
        if !self.is_by_time {
            return Ok(());
        }
        let today = nanoseconds(Timestamp::now()).div_euclid(DAY);
        let missing: HashSet<i64> = {
            let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
            times
                .map(|time| time.div_euclid(DAY))
                .filter(|day| (today - self.past..=today + AHEAD).contains(day) && !settled.contains(day))
                .collect()
        };
        for day in missing {
            if let Err(error) = make_one(session, day).await {
                if error.code().is_none() {
                    return Err(error);
                }
                // Its events go to the partition of all others, and leave in batches.
                debug!(%error, "a day has no partition of its own");
                session.batch_execute("ROLLBACK").await?;
                // Somebody reads, an export perhaps: a day to come can wait for its end.
                if day > today && error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
                    continue;
                }
            }
            self.settled
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(day);
        }
        Ok(())
    }

    /// Drops those that end before `before` and hold nothing that a registry keeps; how many
    /// events went with them.
    pub(super) async fn drop_before(
        &self,
        session: &Session,
        before: i64,
        margin: i64,
        removed: &mut Removed,
    ) -> Result<u64, Failure> {
        if !self.is_by_time {
            return Ok(0);
        }
        let mut events = 0;
        for row in session.query(PARTITIONS, &[]).await? {
            let name: String = get(&row, 0)?;
            let Some(end) = end(&name).filter(|end| *end <= before) else {
                continue;
            };
            let kept = session.query_opt(&kept(&name), &[&end, &margin]).await?;
            if kept.is_some() {
                continue;
            }
            match drop_one(session, &name, end, margin).await {
                Ok(dropped) => {
                    let of_day: i64 = dropped.values().sum();
                    info!(partition = name, events = of_day, "dropped a day of old events");
                    events += u64::try_from(of_day).unwrap_or_default();
                    purge::add(removed, dropped);
                }
                Err(error) if error.code().is_some() => {
                    // Somebody reads it: the next purge tries again.
                    debug!(partition = name, %error, "failed to drop a day of old events");
                    session.batch_execute("ROLLBACK").await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(events)
    }
}

/// `raw_events_20260131`
fn name(day: i64) -> Result<String, Failure> {
    let date = timestamp(day.saturating_mul(DAY))?.to_string();
    let date: String = date.chars().take(10).filter(char::is_ascii_digit).collect();
    Ok(format!("raw_events_{date}"))
}

/// The end of the day of a partition of ours.
fn end(name: &str) -> Option<i64> {
    let date = name.strip_prefix("raw_events_")?;
    let date = jiff::civil::Date::strptime("%Y%m%d", date).ok()?;
    let begin = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    nanoseconds(begin).checked_add(DAY)
}

/// Attaching waits for who writes elsewhere, and who comes then waits behind: not for long.
async fn make_one(session: &Session, day: i64) -> Result<(), Failure> {
    let name = name(day)?;
    session
        .batch_execute("BEGIN; SET LOCAL lock_timeout = '300ms'")
        .await?;
    session
        .query("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK])
        .await?;
    let there = session
        .query_opt("SELECT 1 WHERE to_regclass($1) IS NOT NULL", &[&name])
        .await?;
    if there.is_none() {
        let (from, to) = (day * DAY, (day + 1) * DAY);
        session
            .batch_execute(&format!(
                "CREATE TABLE {name} (LIKE raw_events INCLUDING ALL);
                 ALTER TABLE raw_events ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})"
            ))
            .await?;
    }
    session.batch_execute("COMMIT").await
}

async fn drop_one(session: &Session, name: &str, end: i64, margin: i64) -> Result<Removed, Failure> {
    session
        .batch_execute(&format!(
            "BEGIN; SET LOCAL lock_timeout = '500ms'; LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"
        ))
        .await?;
    // Nothing can come any more; something may have come since.
    let kept = session.query_opt(&kept(name), &[&end, &margin]).await?;
    if kept.is_some() {
        session.batch_execute("ROLLBACK").await?;
        return Ok(Removed::new());
    }
    let mut removed = Removed::new();
    let counted = format!("SELECT source, count(*) FROM {name} GROUP BY source");
    for row in session.query(&counted, &[]).await? {
        removed.insert(get(&row, 0)?, get(&row, 1)?);
    }
    session.batch_execute(&format!("DROP TABLE {name}")).await?;
    purge::uncount(session, &removed).await?;
    session.batch_execute("COMMIT").await?;
    Ok(removed)
}

/// Whether a partition holds an event that is not past its registry's retention.
fn kept(name: &str) -> String {
    format!(
        "SELECT 1 FROM {name} e
         JOIN repositories r ON r.id = e.repository JOIN registries g ON g.id = r.registry
         WHERE $1::bigint + $2::bigint > g.purged_before OR e.received + $2::bigint >= g.purged_before
         LIMIT 1"
    )
}

const PARTITIONS: &str = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = to_regclass('raw_events') ORDER BY c.relname";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_after_its_day() {
        let day = 20_484;
        assert_eq!(name(day).unwrap(), "raw_events_20260131");
        assert_eq!(end("raw_events_20260131"), Some((day + 1) * DAY));
        assert_eq!(end("raw_events_other"), None);
        assert_eq!(name(-1).unwrap(), "raw_events_19691231");
    }
}
