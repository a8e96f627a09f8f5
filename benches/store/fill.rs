//! Fills a file with the hot repository's month. One day and the last hours go through the store; the days
//! between are that day again, moved row by row, since to link ten million events takes longer than
//! anybody waits for a benchmark.

use std::path::Path;

use image_usage_operator::store::{EventLog, SqliteStore, Upkeep};
use rusqlite::{Connection, params};

use crate::{Result, hot::History};

/// Events of one delivery; after each, linking catches up, so that what waits for it stays small.
const DELIVERY: u64 = 10_000;

const DAY: i64 = 86_400_000_000_000;

pub(crate) async fn fill(path: &Path, history: History) -> Result<()> {
    deliver(path, history, history.first_day()).await?;
    copy_days(path, 1..History::DAYS)?;
    deliver(path, history, history.last_hours()).await
}

async fn deliver(path: &Path, history: History, numbers: std::ops::Range<u64>) -> Result<()> {
    let store = SqliteStore::open(path, |_, _| {})?;
    for first in numbers.clone().step_by(usize::try_from(DELIVERY)?) {
        store
            .append(history.delivery(first..(first + DELIVERY).min(numbers.end)))
            .await?;
        store.linked().await?;
    }
    store.close().await?;
    Ok(())
}

/// The rows of the first day again, on each of these days: with ids and digests of that day's, as the store
/// would have written them. A number in the first byte of an id, and in the eighth of a digest, is the day's.
fn copy_days(path: &Path, days: std::ops::Range<u64>) -> Result<()> {
    let mut file = Connection::open(path)?;
    file.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")?;
    let copies = [
        "INSERT INTO raw_events
         SELECT repository, time + ?2, unhex(printf('%02x', ?1)) || substr(id, 2), received + ?2, time_source,
             stated_time, source, category, target, tag,
             substr(digest, 1, 7) || unhex(printf('%02x', ?1)) || substr(digest, 9),
             media_type, method, address, address_source, forwarded_chain, actor, user_agent,
             request_id, instance_id
         FROM raw_events WHERE time < ?3",
        "INSERT INTO logical_events
         SELECT repository, category, time + ?2, unhex(printf('%02x', ?1)) || substr(id, 2), target, tags, tagged,
             substr(digest, 1, 7) || unhex(printf('%02x', ?1)) || substr(digest, 9),
             address, address_source, raw_count
         FROM logical_events WHERE time < ?3",
        "INSERT INTO logical_tags
         SELECT repository, tag, category, time + ?2, unhex(printf('%02x', ?1)) || substr(id, 2)
         FROM logical_tags WHERE time < ?3",
        "INSERT INTO open_buckets
         SELECT level, start + ?2, repository FROM open_buckets WHERE start < ?3 AND ?1 > 0",
    ];
    let end = i64::try_from(History::start().as_nanosecond())? + DAY;
    for day in days {
        let transaction = file.transaction()?;
        for copy in copies {
            let number = i64::try_from(day)?;
            transaction.execute(copy, params![number, number * DAY, end])?;
        }
        transaction.commit()?;
    }
    Ok(())
}
