//! How long the first sync of a cluster takes and what it keeps in memory, beside the
//! raw protobuf streams of the same kinds, read and thrown away.
//!
//! ```text
//! export SERVER=https://127.0.0.1:6443 TOKEN=… CA_FILE=…   # an API server to fill and read
//! cargo bench --bench first_sync -- fill --pods 20000       # once
//! cargo bench --bench first_sync -- compare --rounds 9
//! ```
//! Each measurement is a process of its own, raw and sync in turn, so that neither
//! inherits the other's memory and both see the same noise.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod decode;
mod fill;
mod once;
mod process;
mod summary;

use std::{path::PathBuf, process::Command};

use clap::{Parser, Subcommand, ValueEnum};
use kube::{Client, Config, config::AuthInfo};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
    #[command(flatten)]
    connection: Connection,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(clap::Args)]
struct Connection {
    /// URL of the API server.
    #[arg(long, env = "SERVER", global = true, default_value = "https://127.0.0.1:6443")]
    server: String,
    /// A token that may create what `fill` creates.
    #[arg(
        long,
        env = "TOKEN",
        global = true,
        hide_env_values = true,
        default_value = ""
    )]
    token: String,
    /// Certificates that the server's is checked against, in PEM.
    #[arg(long, env = "CA_FILE", global = true)]
    ca_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Task {
    /// Creates pods that look real, with their workloads and nodes.
    Fill {
        #[arg(long, default_value_t = 20_000)]
        pods: usize,
    },
    /// Measures raw and sync in turn.
    Compare {
        #[arg(long, default_value_t = 9)]
        rounds: usize,
    },
    /// One measurement; prints it as JSON.
    Once { what: What },
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// The streams, walked frame by frame and thrown away.
    Raw,
    /// The streams into an inventory.
    Sync,
    /// No stream: what decoding and applying the pods costs, from memory.
    Decode,
}

impl Connection {
    fn client(&self) -> Result<Client> {
        let mut config = Config::new(self.server.parse()?);
        config.default_retry = false;
        config.auth_info = AuthInfo {
            token: Some(self.token.clone().into()),
            ..AuthInfo::default()
        };
        if let Some(file) = &self.ca_file {
            let certificates = CertificateDer::pem_file_iter(file)?;
            config.root_cert = Some(certificates.map(|der| Ok(der?.to_vec())).collect::<Result<_>>()?);
        }
        Ok(Client::try_from(config)?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let connection = &arguments.connection;
    match arguments.command {
        Task::Fill { pods } => fill::fill(&connection.client()?, pods).await,
        Task::Once { what } => {
            let client = connection.client()?;
            let measured = match what {
                What::Raw => once::raw(&client).await?,
                What::Sync => once::sync(&client).await?,
                What::Decode => return decode::decode(&client).await,
            };
            println!("{}", serde_json::to_string(&measured)?);
            Ok(())
        }
        Task::Compare { rounds } => {
            let mut results: [Vec<once::Measured>; 2] = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                for (results, what) in results.iter_mut().zip(["raw", "sync"]) {
                    results.push(in_own_process(connection, what)?);
                }
            }
            let [raw, sync] = results;
            summary::print(&raw, &sync);
            Ok(())
        }
    }
}

fn in_own_process(connection: &Connection, what: &str) -> Result<once::Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["once", what])
        .env("SERVER", &connection.server)
        .env("TOKEN", &connection.token);
    if let Some(file) = &connection.ca_file {
        command.env("CA_FILE", file);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
