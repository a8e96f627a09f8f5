//! Event line and summary of one repository that holds everything, or a tenth of everything, once its days are
//! counted for good.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use image_usage_operator::store::{EventReader, SqliteStore, Upkeep};

use crate::{
    Result,
    fill::{self, postgres::PARTS},
    hot::{self, History},
    numbers::{each, milliseconds, percentile},
    purge,
    questions::{self, Question, questions},
    server::{Server, print_sizes},
};

/// Events of a page.
const PAGE: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Events of the repository that is asked.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// A folder whose file stays, and is used again if it is there. Then nothing is purged.
    #[arg(long, conflicts_with = "postgres")]
    folder: Option<PathBuf>,
    /// In a `PostgreSQL` server in the folder for temporary files (TMPDIR), instead of a file.
    #[arg(long)]
    postgres: bool,
    /// Events in that server: those beyond `events` lie in other repositories, which have a hundredth of `events`
    /// each.
    #[arg(long, requires = "postgres")]
    all: Option<u64>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    if options.postgres {
        in_postgres(options).await
    } else {
        in_a_file(options).await
    }
}

async fn in_a_file(options: &Options) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = options.folder.as_deref().unwrap_or(scratch.path());
    let path = folder.join("events.db");
    let history = History::of(options.events);
    if !path.exists() {
        std::fs::create_dir_all(folder)?;
        let begun = Instant::now();
        fill::sqlite::fill(&path, history).await?;
        println!(
            "filled with {} events in {:.0} s",
            history.events(),
            begun.elapsed().as_secs_f64()
        );
    }
    count(&path, history.events()).await?;
    let store = Arc::new(SqliteStore::open(&path, |_, _| {})?);
    ask(&*store, options.rounds, &[hot::REPOSITORY.to_owned()]).await?;
    if options.folder.is_none() {
        purge::run(&store, history).await?;
    }
    store.close().await?;
    Ok(())
}

async fn in_postgres(options: &Options) -> Result<()> {
    let history = History::of(options.events);
    let part = (options.events / PARTS).max(1);
    let others = options
        .all
        .map_or(0, |all| all.saturating_sub(options.events) / part);
    let mut server = Server::start().await?;
    let begun = Instant::now();
    fill::postgres::fill(&mut server, history, others).await?;
    println!("filled in {:.0} s", begun.elapsed().as_secs_f64());

    let store = server.store().await?;
    let begun = Instant::now();
    let sealed = store.seal(History::end()).await?;
    println!(
        "counted {sealed} buckets in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    store.close().await?;
    let client = server.connect().await?;
    let begun = Instant::now();
    client.batch_execute("VACUUM (ANALYZE, PARALLEL 0)").await?;
    println!("vacuumed in {:.0} s", begun.elapsed().as_secs_f64());
    let row = client
        .query_one("SELECT count(*) FROM logical_events", &[])
        .await?;
    let events = u64::try_from(row.get::<_, i64>(0))?;
    print_sizes(&client, events).await?;
    drop(client);
    server.restart(&[]).await?;

    let store = Arc::new(server.store().await?);
    let hot = [hot::REPOSITORY.to_owned()];
    println!(
        "\n{events} events in {} repositories; one of {}:",
        others + 1,
        history.events()
    );
    ask(&*store, options.rounds, &hot).await?;
    check(&server, &*store, &hot).await?;
    if others > 0 {
        let others: Vec<String> = (1..=others).map(hot::other).collect();
        println!("\nof about {part} events, another repository in each round:");
        ask(&*store, options.rounds, &others).await?;
        check(
            &server,
            &*store,
            &[others[0].clone(), others[others.len() - 1].clone()],
        )
        .await?;
    }
    purge::run(&store, history).await?;
    store.close().await?;
    Ok(())
}

/// What is counted of a month must be what is there.
async fn check(server: &Server, store: &impl EventReader, repositories: &[String]) -> Result<()> {
    let client = server.connect().await?;
    for repository in repositories {
        let query = questions::month(repository);
        let start = i64::try_from(query.clauses[0].window.start.as_nanosecond())?;
        let row = client
            .query_one(
                "SELECT count(*) FROM logical_events e JOIN repositories r ON r.id = e.repository
                 WHERE r.path = $1 AND e.time >= $2",
                &[repository, &start],
            )
            .await?;
        let there: i64 = row.get(0);
        let counted: i64 = store.tally(query).await?.iter().map(|tally| tally.count).sum();
        if counted != there {
            return Err(format!("{counted} events of {repository} are counted, {there} are there").into());
        }
    }
    Ok(())
}

/// Has the store count what is over.
async fn count(path: &Path, events: u64) -> Result<()> {
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

/// Asks every question of these repositories, one after the other.
async fn ask(store: &impl EventReader, rounds: usize, repositories: &[String]) -> Result<()> {
    println!("\n| question | page p50 | page p99 | tally p50 | tally p99 | listed | counted |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let mut slowest = Duration::ZERO;
    for Question { name, mut query } in questions()? {
        let (mut pages, mut tallies) = (Vec::new(), Vec::new());
        let (mut listed, mut counted) = (0, 0);
        for repository in repositories.iter().cycle().take(rounds) {
            query.repository.clone_from(repository);
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
