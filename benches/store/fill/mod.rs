//! Fills a store with the hot repository's month. One day and the last hours go through the store; the days
//! between are that day again, moved row by row, since to link ten million events takes longer than
//! anybody waits for a benchmark.

pub(crate) mod postgres;
mod progress;
mod room;
pub(crate) mod sqlite;

use std::ops::Range;

use image_usage_operator::store::{EventLog, Upkeep};

use crate::{Result, hot::History};

/// Events of one delivery; after each, linking catches up, so that what waits for it stays small.
const DELIVERY: u64 = 10_000;

/// Sends the events of these numbers, and closes the store.
async fn deliver(store: impl EventLog + Upkeep, history: History, numbers: Range<u64>) -> Result<()> {
    for first in numbers.clone().step_by(usize::try_from(DELIVERY)?) {
        store
            .append(history.delivery(first..(first + DELIVERY).min(numbers.end)))
            .await?;
        store.linked().await?;
    }
    store.close().await?;
    Ok(())
}
