//! Command line of the operator.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use image_usage_operator::{
    command::{self, Decode, StoreCommand, Streams},
    crd,
    settings::Settings,
};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<Settings>),
    /// Write the custom resource definitions, one file each.
    Crds {
        /// Folder to write them to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Look after the event store: check it, back it up, carry it away.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show the events that a registry's message is read as.
    ///
    /// Prints a JSON array with one object for each event; it is empty for a message that is about no image.
    /// Exits with 1 and says why for what cannot be read.
    Decode(Decode),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(settings) => {
            let outcome = image_usage_operator::run(*settings);
            return outcome.map_or_else(
                |error| {
                    tracing::error!(error, "stopped");
                    ExitCode::FAILURE
                },
                |()| ExitCode::SUCCESS,
            );
        }
        Command::Crds { out } => {
            crd::write(&out).map_err(|error| format!("failed to write the definitions: {error}"))
        }
        Command::Store(store) => with_streams(|streams| command::run(store, streams)),
        Command::Decode(decode) => with_streams(|streams| decode.run(streams)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell that standard error is closed.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn with_streams(carry_out: impl FnOnce(&mut Streams<'_>) -> Result<(), String>) -> Result<(), String> {
    carry_out(&mut Streams {
        input: &mut io::BufReader::new(io::stdin()),
        out: &mut io::stdout(),
        told: &mut io::stderr(),
        is_terminal: io::stderr().is_terminal(),
    })
}
