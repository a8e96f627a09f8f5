//! The month in a file.

use std::path::Path;

use image_usage_operator::store::SqliteStore;
use rusqlite::{Connection, params};

use super::deliver;
use crate::{
    Result,
    hot::{self, History},
};

pub(crate) async fn fill(path: &Path, history: History) -> Result<()> {
    deliver(open(path)?, history, history.first_day()).await?;
    copy_days(path)?;
    deliver(open(path)?, history, history.last_hours()).await
}

fn open(path: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::open(path, |_, _| {})?)
}

/// The rows of the first day again, on each of the days between, with ids and digests of that day's, as the store
/// would have written them: the eleventh byte of an id, which is 0 on the first day, and the eighth of a
/// digest are the day's number.
fn copy_days(path: &Path) -> Result<()> {
    let mut file = Connection::open(path)?;
    file.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")?;
    let day = "unhex(printf('%02x', ?1))";
    let id = format!("CAST(substr(id, 1, 10) || {day} || substr(id, 12) AS BLOB)");
    let digest = format!("CAST(substr(digest, 1, 7) || {day} || substr(digest, 9) AS BLOB)");
    let copies = [
        format!(
            "INSERT INTO raw_events
             SELECT repository, time + ?2, {id}, received + ?2, time_source, stated_time, source, category,
                 target, tag, {digest}, media_type, method, address, address_source, forwarded_chain, actor,
                 user_agent, request_id, instance_id
             FROM raw_events WHERE repository = 1 AND time < ?3"
        ),
        format!(
            "INSERT INTO logical_events
             SELECT repository, category, time + ?2, {id}, target, tags, tagged, {digest}, address,
                 address_source, raw_count, media_type, actor, user_agent
             FROM logical_events WHERE repository = 1 AND category BETWEEN 1 AND 3 AND time < ?3"
        ),
        format!(
            "INSERT INTO logical_tags
             SELECT repository, tag, category, time + ?2, {id} FROM logical_tags WHERE time < ?3"
        ),
        "INSERT INTO open_buckets SELECT level, start + ?2, repository FROM open_buckets WHERE start < ?3"
            .to_owned(),
    ];
    let end = History::day(1);
    for day in 1..History::DAYS {
        let transaction = file.transaction()?;
        for copy in &copies {
            transaction.execute(copy, params![day, day * hot::DAY, end])?;
        }
        transaction.commit()?;
    }
    Ok(())
}
