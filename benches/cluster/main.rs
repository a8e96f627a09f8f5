//! Reading clusters, measured on real API servers against the project's limits.
//!
//! ```text
//! cargo bench --bench cluster -- first-sync --pods 20000 --rounds 9
//! cargo bench --bench cluster -- churn --changes 120000
//! cargo bench --bench cluster -- idle --minutes 10
//! cargo bench --bench cluster -- many --clusters 100
//! ```
//! Each starts and fills the clusters that it needs and ends them. `OPERATOR_BINARY` names the operator's static
//! binary; `make bench` builds it.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod churn;
mod client;
mod fill;
mod first_sync;
mod ground;
mod idle;
mod load;
mod machine;
mod many;
mod numbers;
mod objects;
mod pod;
mod probe;
mod process;
mod reader;
mod reports;
mod subject;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use local_cluster::Cluster;

use self::{ground::Ground, reader::Reader};

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
    /// The operator's first sync beside plainer ways of reading the same cluster.
    FirstSync(first_sync::Options),
    /// Latency and memory while pods change all the time.
    Churn(churn::Options),
    /// What is written while nothing changes.
    Idle(idle::Options),
    /// Many authorised clusters, one of which hangs.
    Many(many::Options),
    /// Holds a cluster full of pods until it is interrupted, for `once`, `decode` and other tools.
    Hold {
        #[arg(long, default_value_t = 20_000)]
        pods: usize,
    },
    /// One measurement of one reader in this process; prints it as JSON.
    Once {
        reader: Reader,
        #[command(flatten)]
        server: Server,
    },
    /// What reading costs besides the stream: the pods' frames, decoded from memory.
    Decode {
        #[command(flatten)]
        server: Server,
    },
}

#[derive(clap::Args)]
struct Server {
    /// Kubeconfig of the cluster that is read.
    #[arg(long, env = ground::KUBECONFIG)]
    kubeconfig: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let task = Arguments::parse().command;
    if !matches!(task, Task::Once { .. }) {
        println!("{}", machine::line());
    }
    match task {
        Task::FirstSync(options) => first_sync::run(&options).await,
        Task::Churn(options) => churn::run(&options).await,
        Task::Idle(options) => idle::run(&options).await,
        Task::Many(options) => many::run(&options).await,
        Task::Hold { pods } => hold(pods).await,
        Task::Once { reader, server } => {
            let measured = reader::here(reader, &reader::operators_client(&server.kubeconfig)?).await?;
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Task::Decode { server } => reader::decode(&reader::operators_client(&server.kubeconfig)?).await,
    }
}

async fn hold(pods: usize) -> Result<()> {
    let ground = Ground::filled(pods, Cluster::builder()).await?;
    println!(
        "export {}={}",
        ground::KUBECONFIG,
        ground.cluster.kubeconfig_path().display()
    );
    tokio::signal::ctrl_c().await?;
    ground.end().await;
    Ok(())
}
