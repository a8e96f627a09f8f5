//! Durable appends to `PostgreSQL`, one server and spread over three, beside raw batched inserts of
//! the same rows into one server, in one run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use image_usage_operator::{
    event::RegistryEvent,
    image::Digest,
    store::{Delivery, Upkeep},
};
use local_cluster::PostgresServer;

use crate::{
    Result,
    appends::{Options, append_all, deliveries, event},
    numbers::{percentile, rate},
    server::{connect, make_database, open},
    sharded::Sharded,
};

/// The same columns in one table with its key: no duplicate check, no facts, no linking.
const TABLE: &str = "CREATE TABLE events (
     repository TEXT NOT NULL, time BIGINT NOT NULL, id TEXT NOT NULL, received BIGINT NOT NULL,
     category SMALLINT NOT NULL, tag TEXT, digest BYTEA, media_type TEXT, method TEXT, address TEXT,
     actor TEXT, user_agent TEXT, request_id TEXT, instance_id TEXT,
     PRIMARY KEY (repository, time, id))";

const INSERT: &str = "INSERT INTO events
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::smallint[], $6::text[],
         $7::bytea[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])";

pub(crate) async fn run(&Options { events }: &Options) -> Result<()> {
    let server = PostgresServer::start().await?;
    let sharded = Sharded::start().await?;
    for (number, (rows, clients, size)) in [(1, 1, 1), (100, 100, 1), (1000, 10, 100)]
        .into_iter()
        .enumerate()
    {
        let few = if rows == 1 { events / 20 } else { events };
        let url = make_database(&server, &format!("raw_{number}")).await?;
        let raw = rate(few, raw(&url, few, rows).await?);
        println!("raw unnest insert into PostgreSQL, {rows} a commit: {raw:.0} rows/s");
        for repositories in [200, 1] {
            let database = format!("store_{number}_{repositories}");
            let layouts = [
                ("one server", make_database(&server, &database).await?),
                ("three shards", sharded.database(&database).await?),
            ];
            for (layout, url) in layouts {
                let deliveries = deliveries(few, size, repositories);
                let measured = through_the_store(&url, deliveries, clients).await?;
                let (acknowledged, linked) = (rate(few, measured.acknowledged), rate(few, measured.linked));
                println!(
                    "  {layout}, {clients} clients, {size} a delivery, {repositories} repositories: \
                     {acknowledged:.0} acknowledged/s ({:.0} % of raw), {linked:.0} linked/s ({:.0} %), \
                     append p50 {:?} p99 {:?}",
                    acknowledged / raw * 100.0,
                    linked / raw * 100.0,
                    percentile(&measured.latencies, 50),
                    percentile(&measured.latencies, 99),
                );
            }
        }
    }
    Ok(())
}

/// How long it takes to insert the rows, `rows` a commit.
async fn raw(url: &str, events: usize, rows: usize) -> Result<Duration> {
    let client = connect(url).await?;
    client.batch_execute(TABLE).await?;
    let insert = client.prepare(INSERT).await?;
    let all: Vec<RegistryEvent> = (0..events).map(|number| event(number, 200)).collect();
    let begun = Instant::now();
    for batch in all.chunks(rows) {
        let text = |field: fn(&RegistryEvent) -> Option<&str>| -> Vec<Option<&str>> {
            batch.iter().map(field).collect()
        };
        let times: Vec<i64> = batch
            .iter()
            .map(|event| i64::try_from(event.time.unwrap_or_default().as_nanosecond()).unwrap_or_default())
            .collect();
        let digests: Vec<Option<&[u8]>> = batch
            .iter()
            .map(|event| match &event.digest {
                Some(Digest::Sha256(bytes)) => Some(bytes.as_slice()),
                _ => None,
            })
            .collect();
        let addresses: Vec<Option<String>> = batch
            .iter()
            .map(|event| event.address.map(|address| address.ip.to_string()))
            .collect();
        client
            .execute(
                &insert,
                &[
                    &text(|event| Some(&event.repository)),
                    &times,
                    &text(|event| Some(&event.id)),
                    &times,
                    &vec![2_i16; batch.len()],
                    &text(|event| event.tag.as_deref()),
                    &digests,
                    &text(|event| event.media_type.as_deref()),
                    &text(|event| event.method.as_deref()),
                    &addresses,
                    &text(|event| event.actor.as_deref()),
                    &text(|event| event.user_agent.as_deref()),
                    &text(|event| event.request_id.as_deref()),
                    &text(|event| event.instance_id.as_deref()),
                ],
            )
            .await?;
    }
    Ok(begun.elapsed())
}

struct Measured {
    acknowledged: Duration,
    linked: Duration,
    latencies: Vec<Duration>,
}

async fn through_the_store(url: &str, deliveries: Vec<Delivery>, clients: usize) -> Result<Measured> {
    let store = Arc::new(open(url).await?);
    let begun = Instant::now();
    let latencies = append_all(&store, deliveries, clients).await?;
    let acknowledged = begun.elapsed();
    store.linked().await?;
    let linked = begun.elapsed();
    store.close().await?;
    Ok(Measured {
        acknowledged,
        linked,
        latencies,
    })
}
