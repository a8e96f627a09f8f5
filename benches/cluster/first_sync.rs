//! How long the first sync of a cluster takes and what it keeps in memory, beside plainer ways of reading the
//! same cluster.

use anyhow::Result;
use local_cluster::Cluster;

use crate::{
    ground::Ground,
    numbers::{mebibytes, met, quantile},
    reader::{self, Measured, Reader},
    subject,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pods of the cluster.
    #[arg(long, default_value_t = 20_000)]
    pods: usize,
    /// Rounds, each of which measures every reader once.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Rounds that measure the slow ones too.
    #[arg(long, default_value_t = 5)]
    slow_rounds: usize,
}

/// Times the raw streams that the first sync may take.
const GOAL_RATIO: f64 = 1.15;
const GOAL_BYTES: u64 = 400;
const GOAL_MEBIBYTES: f64 = 30.0;

pub(crate) async fn run(options: &Options) -> Result<()> {
    let ground = Ground::filled(options.pods, Cluster::builder()).await?;
    ground.install().await?;
    let empty = subject::empty_resident(&ground).await?;
    let mut results = Reader::ALL.map(|reader| (reader, Vec::new()));
    for round in 0..options.rounds {
        let mut walls = Vec::new();
        for (reader, results) in &mut results {
            if reader.is_slow() && round >= options.slow_rounds {
                continue;
            }
            let measured = match reader {
                Reader::Operator => subject::first_sync(&ground, empty).await?,
                reader => reader::in_own_process(*reader, &ground.cluster)?,
            };
            walls.push(format!("{:.2}", measured.wall.as_secs_f64()));
            results.push(measured);
        }
        println!(
            "round {} of {}: {} s",
            round + 1,
            options.rounds,
            walls.join(", ")
        );
    }
    ground.end().await;
    print(&results);
    println!(
        "an operator without a cluster: {:.1} MiB resident",
        mebibytes(empty)
    );
    Ok(())
}

fn lower_quartile(results: &[Measured]) -> f64 {
    quantile(results.iter().map(|one| one.wall), 0.25).as_secs_f64()
}

fn print(results: &[(Reader, Vec<Measured>)]) {
    let of = |reader| {
        let found = results.iter().find(|(other, _)| *other == reader);
        found.map_or(&[][..], |(_, results)| results)
    };
    let raw = lower_quartile(of(Reader::RawProtobuf));
    println!();
    println!(
        "| | rounds | wall, lower quartile | median | best | ÷ raw protobuf | processor time | resident, all | peak | growth, bytes a pod |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (reader, results) in results {
        let wall = |share| quantile(results.iter().map(|one| one.wall), share).as_secs_f64();
        let median = |of: fn(&Measured) -> u64| quantile(results.iter().map(of), 0.5);
        println!(
            "| {} | {} | {:.3} s | {:.3} s | {:.3} s | {:.2} | {:.2} s | {:.1} MiB | {:.1} MiB | {} |",
            reader.title(),
            results.len(),
            wall(0.25),
            wall(0.5),
            wall(0.0),
            wall(0.25) / raw,
            quantile(results.iter().map(|one| one.processor), 0.5).as_secs_f64(),
            mebibytes(median(|one| one.resident)),
            mebibytes(median(|one| one.peak)),
            median(|one| one.grown / one.pods.max(1)),
        );
    }
    println!();
    let counts: Vec<u64> = results
        .iter()
        .map(|(_, results)| quantile(results.iter().map(|one| one.pods), 0.5))
        .collect();
    println!("pods that each has read: {counts:?}");
    let inventory = of(Reader::Inventory);
    let estimate = quantile(inventory.iter().map(|one| one.estimate / one.pods.max(1)), 0.5);
    println!("the inventory's own estimate: {estimate} bytes a pod");
    let ratio = lower_quartile(inventory) / raw;
    println!(
        "first sync at most {GOAL_RATIO} × the raw protobuf streams by the lower quartiles: {ratio:.2}, {}",
        met(ratio <= GOAL_RATIO)
    );
    let operator = of(Reader::Operator);
    let bytes = quantile(operator.iter().map(|one| one.grown / one.pods.max(1)), 0.5);
    println!(
        "at most {GOAL_BYTES} bytes resident a pod: {bytes}, {}",
        met(bytes <= GOAL_BYTES)
    );
    let resident = mebibytes(quantile(operator.iter().map(|one| one.resident), 0.5));
    println!(
        "at most {GOAL_MEBIBYTES} MiB resident in all: {resident:.1}, {}",
        met(resident <= GOAL_MEBIBYTES)
    );
}
