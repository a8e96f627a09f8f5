//! Registries that deliver to the whole operator: how soon they are answered, whether anything is lost, and how soon
//! a report shows what they told.
//!
//! ```text
//! cargo bench --bench webhook -- --rate 1000 --seconds 60
//! cargo bench --bench webhook -- --rate 1000 --seconds 15 --formats
//! ```
//! It starts an API server and the operator and ends them. `OPERATOR_BINARY` names the operator's static binary,
//! `make bench-webhook` builds it; `DATABASE_URL`, where it is set, is handed to it.

#![expect(clippy::print_stdout, reason = "a program for people")]

#[path = "../cluster/client.rs"]
mod client;
mod event;
mod formats;
mod ground;
mod kept;
mod load;
#[path = "../cluster/machine.rs"]
mod machine;
#[path = "../cluster/numbers.rs"]
mod numbers;
mod post;
mod probe;
#[path = "../cluster/process.rs"]
mod process;
mod reports;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use tokio_util::sync::CancellationToken;

use self::{
    event::Event,
    ground::Ground,
    load::{Load, Pace},
    numbers::{latencies, mebibytes, met, milliseconds, quantile},
    process::Process,
};

#[derive(Parser)]
struct Arguments {
    /// Events a second, each a delivery of its own.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// How long they come.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Registries that send them.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    registries: u32,
    /// Instead: one registry of each format after the other, that long each.
    #[arg(long)]
    formats: bool,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

const GOAL_ACKNOWLEDGED: Duration = Duration::from_millis(50);
const GOAL_SHOWN: Duration = Duration::from_secs(2);
/// Events that are sent while nothing else comes.
const IDLE_PROBES: u32 = 60;
const IDLE_EVERY: Duration = Duration::from_millis(250);
const LOADED_EVERY: Duration = Duration::from_millis(500);

/// What a process was at one moment.
struct Usage {
    processor: Duration,
    resident: u64,
}

impl Usage {
    fn of(process: &Process) -> Result<Self> {
        Ok(Self {
            processor: process.processor_time()?,
            resident: process.resident()?,
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("{}", machine::line());
    let pace = Pace {
        rate: arguments.rate,
        seconds: arguments.seconds,
    };
    if arguments.formats {
        return formats::run(pace).await;
    }
    let mut ground = Ground::prepare(arguments.registries).await?;

    let stop = CancellationToken::new();
    let idle = ground.probes.measure(IDLE_EVERY, IDLE_PROBES, &stop).await?;
    println!(
        "from the webhook to the status of a quiet report, otherwise idle: {}",
        latencies(&idle)
    );
    print_goal("p99 at most 2 s", &idle, GOAL_SHOWN);

    let (operator, this) = (Process::of(ground.pid()?), Process::this());
    let before = [Usage::of(&operator)?, Usage::of(&this)?];
    let (paths, to) = (ground.paths.clone(), ground.operator.webhook());
    let message = move |number, time| {
        let event = Event { number, time };
        let path = &paths[event.registry(arguments.registries) as usize];
        event::message(path, &[event.value(arguments.registries)])
    };
    let sending = async {
        let load = Load::run(pace, to, message).await;
        stop.cancel();
        load
    };
    let probing = ground.probes.measure(LOADED_EVERY, u32::MAX, &stop);
    let (load, shown) = tokio::try_join!(sending, probing)?;
    let after = [Usage::of(&operator)?, Usage::of(&this)?];
    print_load(&load, &before, &after, operator.resident_peak()?);
    println!(
        "from the webhook to the status of a quiet report, meanwhile: {}",
        latencies(&shown)
    );
    print_goal("p99 at most 2 s", &shown, GOAL_SHOWN);

    kept::check(&mut ground, &load).await?;
    ground.end().await
}

fn print_load(load: &Load, before: &[Usage; 2], after: &[Usage; 2], peak: u64) {
    let Load {
        took,
        sent,
        answered,
        late,
        failed,
        ..
    } = load;
    let seconds = took.as_secs_f64();
    println!(
        "{sent} events in {seconds:.1} s, {:.0} a second: {} acknowledged",
        f64::from(*sent) / seconds,
        answered.len()
    );
    let times: Vec<Duration> = answered.iter().map(|(_, time)| *time).collect();
    println!(
        "from the moment a delivery was due to its acknowledgement: {}",
        latencies(&times)
    );
    print_goal("p99 at most 50 ms", &times, GOAL_ACKNOWLEDGED);
    if failed.is_empty() {
        println!("errors: none");
    }
    for (error, times) in failed {
        println!("errors: {times} × {error}");
    }
    let spent = |which: usize| {
        let time = after[which].processor.saturating_sub(before[which].processor);
        format!(
            "{:.1} s, {:.0} % of one processor",
            time.as_secs_f64(),
            time.as_secs_f64() / seconds * 100.0
        )
    };
    println!(
        "operator: processor time {}; resident memory {:.1} MiB before, {:.1} MiB after, {:.1} MiB at most",
        spent(0),
        mebibytes(before[0].resident),
        mebibytes(after[0].resident),
        mebibytes(peak)
    );
    println!(
        "sender: processor time {}; it was late by p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        spent(1),
        milliseconds(quantile(late.iter().copied(), 0.5)),
        milliseconds(quantile(late.iter().copied(), 0.99)),
        milliseconds(quantile(late.iter().copied(), 1.0))
    );
}

fn print_goal(goal: &str, times: &[Duration], limit: Duration) {
    let is_met = !times.is_empty() && quantile(times.iter().copied(), 0.99) <= limit;
    println!("{goal}: {}", met(is_met));
}
