//! Event line and summary of one repository that holds everything, before and after its days are
//! counted for good, and a purge of its oldest day.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use image_usage_operator::store::{EventReader, SqliteStore, Upkeep};
use jiff::SignedDuration;

use crate::{
    Result,
    fill::fill,
    hot::{self, History},
    load,
    numbers::{each, milliseconds, percentile},
    questions::{Question, questions},
};

/// Events of a page.
const PAGE: usize = 50;

/// How long appends are measured beside nothing else.
const APPENDS: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// A folder whose file is used again if it is there, and stays. Then nothing is purged.
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(scratch.path());
    let path = folder.join("events.db");
    let history = History::of(options.events);
    if !path.exists() {
        std::fs::create_dir_all(folder)?;
        make(&path, history, options.events).await?;
    }
    let store = Arc::new(SqliteStore::open(&path, |_, _| {})?);
    ask(&store, options.rounds).await?;
    if options.folder.is_none() {
        purge(&store, history).await?;
    }
    store.close().await?;
    Ok(())
}

async fn make(path: &Path, history: History, events: u64) -> Result<()> {
    let begun = Instant::now();
    fill(path, history).await?;
    println!(
        "filled with {events} events in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let store = SqliteStore::open(path, |_, _| {})?;
    let before = size(path)?;
    let (begun, resident) = (Instant::now(), peak());
    let sealed = store.seal(History::end()).await?;
    let took = begun.elapsed();
    store.close().await?;
    println!(
        "counted {sealed} buckets in {:.1} s, {:.1} µs an event; peak of resident memory before {resident} MiB, after {} MiB",
        took.as_secs_f64(),
        each(took, usize::try_from(events)?),
        peak()
    );
    println!(
        "{} bytes an event in the file, {} of them counts",
        size(path)? / events,
        (size(path)? - before) / events
    );
    Ok(())
}

/// Bytes of the file and its log.
fn size(path: &Path) -> Result<u64> {
    let log = path.with_extension("db-wal");
    let log = std::fs::metadata(log).map_or(0, |log| log.len());
    Ok(std::fs::metadata(path)?.len() + log)
}

/// The most memory that the process ever had resident, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}

async fn ask(store: &SqliteStore, rounds: usize) -> Result<()> {
    println!("\n| question | page p50 | page p99 | tally p50 | tally p99 | listed | counted |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut slowest = Duration::ZERO;
    for Question { name, query } in questions()? {
        let (mut pages, mut tallies) = (Vec::new(), Vec::new());
        let (mut listed, mut counted) = (0, 0);
        for _ in 0..rounds {
            let begun = Instant::now();
            listed = store.events(query.clone(), None, PAGE).await?.len();
            pages.push(begun.elapsed());
            let begun = Instant::now();
            let tally = store.tally(query.clone()).await?;
            tallies.push(begun.elapsed());
            counted = tally.iter().map(|tally| tally.count).sum();
        }
        let figure = |values: &[Duration], percent| milliseconds(percentile(values, percent));
        println!(
            "| {name} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms | {listed} | {counted} |",
            figure(&pages, 50),
            figure(&pages, 99),
            figure(&tallies, 50),
            figure(&tallies, 99),
        );
        slowest = slowest.max(percentile(&pages, 99)).max(percentile(&tallies, 99));
    }
    println!("\nslowest p99: {:.1} ms", milliseconds(slowest));
    Ok(())
}

/// Removes the first day while events are appended.
async fn purge(store: &Arc<SqliteStore>, history: History) -> Result<()> {
    let next = Arc::new(AtomicU64::new(history.last_hours().end));
    let ((), alone) = load::appends_during(store, (history, &next), APPENDS, async { Ok(()) }).await?;
    let begun = Instant::now();
    let (purged, beside) = load::appends_during(store, (history, &next), Duration::ZERO, async {
        let before = History::start() + SignedDuration::from_hours(24);
        Ok(store.purge(hot::registry(), before).await?)
    })
    .await?;
    let took = begun.elapsed();
    let (sealed, sealing) = load::appends_during(store, (history, &next), Duration::ZERO, async {
        Ok(store.seal(History::end()).await?)
    })
    .await?;
    println!(
        "\npurged {} events of a day in {:.1} s; then counted {sealed} buckets",
        purged.logical,
        took.as_secs_f64()
    );
    for (name, latencies) in [
        ("alone", alone),
        ("beside the purge", beside),
        ("beside counting", sealing),
    ] {
        println!(
            "appends {name}: {} of them, p50 {:.2} ms, p99 {:.2} ms",
            latencies.len(),
            milliseconds(percentile(&latencies, 50)),
            milliseconds(percentile(&latencies, 99))
        );
    }
    Ok(())
}
