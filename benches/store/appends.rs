//! Durable appends through the store beside raw batched inserts of the same rows into the
//! same kind of file, in one run: what the promises cost.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use image_usage_operator::{
    event::{AddressSource, Category, RegistryEvent, SourceAddress},
    image::Digest,
    store::{Delivery, EventLog, RegistryKey, SqliteStore, StoreError, Upkeep},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use crate::{
    Result,
    numbers::{each, percentile, rate},
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many events are appended in each round, a fifth of it where each has its own commit.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) events: usize,
}

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600;

/// An event as a node's pull makes it: every field filled, one of many tags and clients.
pub(crate) fn event(number: usize, repositories: usize) -> RegistryEvent {
    let spread = number.wrapping_mul(2_654_435_761);
    let time = Timestamp::from_second(START).unwrap_or_default()
        + SignedDuration::from_millis(i64::try_from(number).unwrap_or_default());
    RegistryEvent {
        id: format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{number:012x}",
            spread & 0xffff_ffff,
            number & 0xffff,
            spread & 0xfff,
            number & 0xfff
        ),
        category: Category::Pull,
        target: None,
        repository: format!(
            "team-{}/service-{}",
            spread % repositories % 20,
            spread % repositories
        ),
        tag: Some(format!("v1.{}", number / 1000 % 50)),
        digest: Some(Digest::Sha256(
            [u8::try_from(number / 1000 % 50).unwrap_or_default(); 32],
        )),
        media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
        method: Some("GET".to_owned()),
        address: Some(SourceAddress {
            ip: IpAddr::V4(Ipv4Addr::from(
                0x0a00_0000 + u32::try_from(spread % 5000).unwrap_or_default(),
            )),
            source: AddressSource::Peer,
        }),
        network_type: None,
        forwarded_chain: None,
        actor: Some("ci-robot".to_owned()),
        user_agent: Some("containerd/v2.1.4".to_owned()),
        time: Some(time),
        request_id: Some(format!("{spread:036x}")),
        instance_id: Some("0f8e0b7e-6f6a-4c4e-9a44-5d1f8f2b7c11".to_owned()),
    }
}

fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "default".to_owned(),
        name: "bench".to_owned(),
        uid: "1".to_owned(),
    }
}

fn delivery(events: Vec<RegistryEvent>) -> Delivery {
    Delivery {
        registry: registry(),
        source: "notifications".to_owned(),
        received: events.last().and_then(|event| event.time).unwrap_or_default(),
        events,
        ignored: 0,
        quarantined: None,
    }
}

/// The same columns in one table with its key, `rows` a commit: no duplicate check, no
/// facts, no linking, no thread.
fn raw(events: usize, rows: usize) -> Result<(Duration, Duration)> {
    let folder = tempfile::tempdir()?;
    let mut file = Connection::open(folder.path().join("raw.db"))?;
    file.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE events (
             repository TEXT NOT NULL, time INTEGER NOT NULL, id TEXT NOT NULL, received INTEGER NOT NULL,
             category INTEGER NOT NULL, tag TEXT, digest BLOB, media_type TEXT, method TEXT, address BLOB,
             actor TEXT, user_agent TEXT, request_id TEXT, instance_id TEXT,
             PRIMARY KEY (repository, time, id)
         ) STRICT, WITHOUT ROWID",
    )?;
    let all: Vec<RegistryEvent> = (0..events).map(|number| event(number, 200)).collect();
    let (begun, before) = (Instant::now(), on_cpu("thread-self"));
    for batch in all.chunks(rows) {
        let transaction = file.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?;
            for event in batch {
                let time = event
                    .time
                    .map(|time| i64::try_from(time.as_nanosecond()).unwrap_or_default());
                let digest = match &event.digest {
                    Some(Digest::Sha256(bytes)) => Some(bytes.as_slice()),
                    _ => None,
                };
                let address = match event.address {
                    Some(SourceAddress {
                        ip: IpAddr::V4(ip), ..
                    }) => Some(ip.octets()),
                    _ => None,
                };
                insert.execute(params![
                    event.repository,
                    time,
                    event.id,
                    time,
                    2,
                    event.tag,
                    digest,
                    event.media_type,
                    event.method,
                    address,
                    event.actor,
                    event.user_agent,
                    event.request_id,
                    event.instance_id
                ])?;
            }
        }
        transaction.commit()?;
    }
    Ok((begun.elapsed(), on_cpu("thread-self").saturating_sub(before)))
}

/// Time that a thread of this process (a folder of `/proc`) has had a processor: unlike time by
/// the clock, it says the same on a busy machine.
fn on_cpu(thread: &str) -> Duration {
    let times = std::fs::read_to_string(format!("/proc/{thread}/schedstat")).unwrap_or_default();
    let nanoseconds = times.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn writer_on_cpu() -> Duration {
    std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .filter_map(|thread| Some(thread.ok()?.path()))
        .filter(|thread| {
            std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "store-writer")
        })
        .map(|thread| {
            on_cpu(
                &thread
                    .strip_prefix("/proc")
                    .unwrap_or(&thread)
                    .display()
                    .to_string(),
            )
        })
        .sum()
}

struct Measured {
    cpu: Duration,
    acknowledged: Duration,
    linked: Duration,
    latencies: Vec<Duration>,
    bytes: u64,
}

/// Deliveries of `size` events each.
pub(crate) fn deliveries(events: usize, size: usize, repositories: usize) -> Vec<Delivery> {
    (0..events)
        .step_by(size)
        .map(|first| {
            let numbers = first..(first + size).min(events);
            delivery(numbers.map(|number| event(number, repositories)).collect())
        })
        .collect()
}

/// `clients` at a time append deliveries until all are in; how long each waited.
pub(crate) async fn append_all<S: EventLog>(
    store: &Arc<S>,
    deliveries: Vec<Delivery>,
    clients: usize,
) -> Result<Vec<Duration>> {
    let deliveries = Arc::new(deliveries);
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let (store, deliveries, next) = (Arc::clone(store), Arc::clone(&deliveries), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while let Some(delivery) = deliveries.get(next.fetch_add(1, Ordering::Relaxed)) {
                let delivery = delivery.clone();
                let sent = Instant::now();
                store.append(delivery).await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, StoreError>(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok(latencies)
}

/// `clients` at a time append deliveries of `size` events to a new file.
async fn through_the_store(
    events: usize,
    clients: usize,
    size: usize,
    repositories: usize,
) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.db");
    let store = Arc::new(SqliteStore::open(&path, |_, _| {})?);
    let begun = Instant::now();
    let latencies = append_all(&store, deliveries(events, size, repositories), clients).await?;
    let acknowledged = begun.elapsed();
    store.linked().await?;
    let linked = begun.elapsed();
    let cpu = writer_on_cpu();
    store.close().await?;
    let bytes = std::fs::metadata(&path)?.len();
    Ok(Measured {
        cpu,
        acknowledged,
        linked,
        latencies,
        bytes,
    })
}

pub(crate) async fn run(Options { events }: &Options) -> Result<()> {
    for (rows, clients, size) in [(1, 1, 1), (100, 100, 1), (1000, 10, 100)] {
        let few = if rows == 1 { events / 5 } else { *events };
        let (took, raw_cpu) = raw(few, rows)?;
        let raw = rate(few, took);
        println!(
            "raw insert, {rows} a commit: {raw:.0} rows/s, {:.1} µs of processor a row",
            each(raw_cpu, few)
        );
        for repositories in [200, 1] {
            let measured = through_the_store(few, clients, size, repositories).await?;
            let (acknowledged, linked) = (rate(few, measured.acknowledged), rate(few, measured.linked));
            println!(
                "  store, {clients} clients, {size} a delivery, {repositories} repositories: {acknowledged:.0} acknowledged/s \
                 ({:.0} % of raw), {linked:.0} linked/s ({:.0} %), {:.1} µs of processor an event ({:.0} %), \
                 append p50 {:?} p99 {:?}, {} bytes an event",
                acknowledged / raw * 100.0,
                linked / raw * 100.0,
                each(measured.cpu, few),
                each(raw_cpu, few) / each(measured.cpu, few) * 100.0,
                percentile(&measured.latencies, 50),
                percentile(&measured.latencies, 99),
                measured.bytes / few as u64,
            );
        }
    }
    Ok(())
}
