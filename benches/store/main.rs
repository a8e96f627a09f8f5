//! The event store, measured against the project's limits.
//!
//! ```text
//! cargo bench --bench store -- appends --events 100000
//! cargo bench --bench store -- postgres --events 100000
//! cargo bench --bench store -- reads --events 10000000
//! cargo bench --bench store -- reads --postgres --events 10000000 --all 100000000
//! ```

#![expect(clippy::print_stdout, reason = "a program for people")]

mod appends;
mod fill;
mod hot;
mod load;
#[path = "../cluster/machine.rs"]
mod machine;
mod numbers;
mod postgres;
mod purge;
mod questions;
mod reads;
mod server;
mod sharded;

use clap::{Parser, Subcommand};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Durable appends beside raw batched inserts of the same rows.
    Appends(appends::Options),
    /// The same in `PostgreSQL`, one server and spread over three.
    Postgres(appends::Options),
    /// Event line and summary of one large repository, and appends while its oldest days are purged.
    Reads(reads::Options),
}

#[tokio::main]
async fn main() -> Result<()> {
    let task = Arguments::parse().command;
    println!("{}", machine::line());
    match task {
        Task::Appends(options) => appends::run(&options).await,
        Task::Postgres(options) => postgres::run(&options).await,
        Task::Reads(options) => reads::run(&options).await,
    }
}
