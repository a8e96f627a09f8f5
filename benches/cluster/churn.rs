//! The operator while pods change all the time: how soon a change shows, and whether memory stays.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use kube::{Client, api::ListParams};
use local_cluster::{Cluster, wait_until};
use story::operator::Operator;
use tokio_util::sync::CancellationToken;

use image_usage_operator::cluster::Kind;

use crate::{
    fill::{self, IMAGES},
    ground::Ground,
    load::Load,
    numbers::{latencies, mebibytes, met, quantile},
    objects,
    probe::{self, Probe, QUIET},
    process::Process,
    reports::{self, Reports},
    subject,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pods of the cluster.
    #[arg(long, default_value_t = 20_000)]
    pods: usize,
    /// Changes in all; an hour's worth at 200 a second is 720000.
    #[arg(long, default_value_t = 120_000)]
    changes: usize,
    /// Changes a second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Quiet reports that the latency is measured with.
    #[arg(long, default_value_t = 100)]
    reports: usize,
    /// Reports about images that change all the time.
    #[arg(long, default_value_t = 20)]
    busy_reports: usize,
    /// Milliseconds between two measurements of the latency.
    #[arg(long, default_value_t = 1000)]
    every: u64,
}

const PROBES: &str = "probes";
const GOAL_P99: Duration = Duration::from_secs(1);
const GOAL_MEBIBYTES: f64 = 30.0;
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// Numbers alone are written once a minute.
const COUNTED_WITHIN: Duration = Duration::from_mins(3);

pub(crate) async fn run(options: &Options) -> Result<()> {
    ensure!(
        options.pods >= 100 && options.rate > 0,
        "churn needs 100 pods and a rate at least"
    );
    let Ground {
        cluster,
        client,
        workloads,
    } = {
        let ground = Ground::filled(options.pods, Cluster::builder()).await?;
        ground.install().await?;
        ground
    };
    let (probes, reports) = ask(&client, options).await?;
    let mut operator = Operator::new(&cluster)?;
    operator.up().await?;
    subject::authorize_own_cluster(&client).await?;
    reports.all_show(1).await?;
    reports.quiet(QUIET).await?;
    let process = subject::process_of(&operator)?;
    let before = process.resident()?;

    let load = Load::new(
        client.clone(),
        workloads,
        options.pods,
        options.changes,
        options.rate,
    );
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let every = Duration::from_millis(options.every);
    let changing = async {
        let changed = tokio::spawn(load.clone().run()).await?;
        stop.cancel();
        changed?;
        anyhow::Ok(begun.elapsed())
    };
    let (elapsed, latencies, ()) = tokio::try_join!(
        changing,
        probe::measure(&probes, &reports, every, usize::MAX, &stop),
        progress(&load, &process, &stop)
    )?;
    let (after, peak) = (process.resident()?, process.resident_peak()?);
    let processor = process.processor_time()?;
    let pods = agreed_pods(&client).await?;
    operator.stop().await?;
    cluster.end().await;
    print(&load, elapsed, &latencies, [before, after, peak]);
    println!(
        "operator's processor time: {:.1} s; it and the API server agree on {pods} pods",
        processor.as_secs_f64()
    );
    Ok(())
}

/// Asks about images that only probes use, and about some that change all the time.
async fn ask(client: &Client, options: &Options) -> Result<(Vec<Probe>, Reports)> {
    objects::namespace(client, PROBES).await?;
    let probes: Vec<Probe> = (0..options.reports)
        .map(|number| Probe::new(number, client, PROBES))
        .collect();
    for probe in &probes {
        probe.prepare().await?;
        reports::ask(client, &probe.report, &probe.image()).await?;
    }
    for number in 0..options.busy_reports {
        let image = fill::image(number, number % IMAGES);
        reports::ask(client, &format!("busy-{number:03}"), &image).await?;
    }
    let reports = Reports::follow(client, probes.iter().map(|probe| probe.report.clone()));
    Ok((probes, reports))
}

/// Says now and then how it goes.
async fn progress(load: &Arc<Load>, process: &Process, stop: &CancellationToken) -> Result<()> {
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        println!(
            "{} changes, {:.1} MiB resident",
            load.done(),
            mebibytes(process.resident()?)
        );
    }
    Ok(())
}

/// The number of pods, once the operator counts as many as the API server does.
async fn agreed_pods(client: &Client) -> Result<u64> {
    let pods = objects::api(client, Kind::Pod, None);
    wait_until(COUNTED_WITHIN, "the operator to count all pods", async || {
        let page = pods.list(&ListParams::default().limit(1)).await?;
        let rest = page.metadata.remaining_item_count.unwrap_or_default();
        let there = u64::try_from(rest)? + page.items.len() as u64;
        let read = subject::pods_read(client).await.context("no count yet")?;
        ensure!(
            read == there,
            "the operator counts {read} pods, the API server {there}"
        );
        Ok(there)
    })
    .await
}

fn print(load: &Load, elapsed: Duration, measured: &[Duration], [before, after, peak]: [u64; 3]) {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = load.done() as f64 / elapsed.as_secs_f64();
    println!();
    println!(
        "{} changes in {:.0} s: {rate:.0} a second",
        load.done(),
        elapsed.as_secs_f64()
    );
    println!(
        "from the acknowledged change to the status of a quiet report: {}",
        latencies(measured)
    );
    println!(
        "p99 at most 1 s: {}",
        met(quantile(measured.iter().copied(), 0.99) <= GOAL_P99)
    );
    println!(
        "operator's resident memory: {:.1} MiB before, {:.1} MiB after, {:.1} MiB at most; at most {GOAL_MEBIBYTES} MiB: {}",
        mebibytes(before),
        mebibytes(after),
        mebibytes(peak),
        met(mebibytes(peak) <= GOAL_MEBIBYTES)
    );
}
