//! Purges of a repository's oldest days while events come in: how long appends take beside them and
//! without, in turn.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use image_usage_operator::store::{EventLog, Upkeep};
use jiff::SignedDuration;

use crate::{
    Result,
    hot::{self, History},
    load::{Appends, RATE, Sender},
    numbers::{milliseconds, percentile, rate},
};

/// How long appends are measured beside a purge, and without, at least …
const AT_LEAST: Duration = Duration::from_secs(20);
/// … of which so long without before each purge, …
const TURN: Duration = Duration::from_secs(5);
/// … unless so many days are gone.
const MOST_DAYS: i64 = 10;

/// A day is purged when so much of the next is over: an hour later a partition of it can be dropped.
const MARGIN: SignedDuration = SignedDuration::from_hours(2);

pub(crate) async fn run<S: EventLog + Upkeep>(store: &Arc<S>, history: History) -> Result<()> {
    let mut sender = Sender::new(Arc::clone(store), history);
    let (mut alone, mut beside, mut counting) = (Appends::default(), Appends::default(), Appends::default());
    let (mut raw, mut logical, mut days, mut took) = (0, 0, 0, Duration::ZERO);
    while beside.sent_for < AT_LEAST && days < MOST_DAYS {
        days += 1;
        sender.during(rest(TURN), &mut alone).await?;
        let before = History::start() + SignedDuration::from_hours(24 * days) + MARGIN;
        let begun = Instant::now();
        let purge = async { Ok(store.purge(hot::registry(), before).await?) };
        let purged = sender.during(purge, &mut beside).await?;
        took += begun.elapsed();
        raw += purged.raw;
        logical += purged.logical;
    }
    sender
        .during(rest(AT_LEAST.saturating_sub(alone.sent_for)), &mut alone)
        .await?;
    let seal = async { Ok(store.seal(History::end()).await?) };
    let sealed = sender.during(seal, &mut counting).await?;
    println!(
        "\npurged {logical} logical and {raw} raw events of {days} days in {:.1} s, {:.0} logical ones a second; \
         then counted {sealed} buckets in {:.1} s",
        took.as_secs_f64(),
        rate(usize::try_from(logical)?, took),
        counting.sent_for.as_secs_f64()
    );
    println!("\n| {RATE} appends a second | of | refused | p50 | p99 | longest | sent late by, p99 |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, appends) in [
        ("alone", &alone),
        ("beside the purge", &beside),
        ("beside counting", &counting),
    ] {
        let of = |values: &[Duration], percent| milliseconds(percentile(values, percent));
        let Appends {
            latencies,
            refused,
            late,
            ..
        } = appends;
        println!(
            "| {name} | {} | {refused} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms |",
            latencies.len(),
            of(latencies, 50),
            of(latencies, 99),
            of(latencies, 100),
            of(late, 99)
        );
    }
    let ratio = |percent| {
        let [with, without] =
            [&beside, &alone].map(|appends| percentile(&appends.latencies, percent).as_secs_f64());
        with / without
    };
    println!(
        "\nappends beside the purge take {:.2} times as long by p50, {:.2} times by p99",
        ratio(50),
        ratio(99)
    );
    Ok(())
}

async fn rest(time: Duration) -> Result<()> {
    tokio::time::sleep(time).await;
    Ok(())
}
