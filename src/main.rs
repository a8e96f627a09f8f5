//! Command line of the operator.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use image_usage_operator::{crd, settings::Settings};

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
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(settings) => image_usage_operator::run(*settings),
        Command::Crds { out } => {
            crd::write(&out).map_err(|error| format!("failed to write the definitions: {error}"))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "stopped");
            ExitCode::FAILURE
        }
    }
}
