//! What the operator's binary does beside running: look after a store, carry it away, and
//! show what a registry's message says. Data goes to standard output, words for people to
//! standard error.

mod check;
mod copy;
mod decode;
mod place;
mod printable;
mod progress;
mod quarantine;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    io::{BufRead, Write},
    path::PathBuf,
};

use clap::Subcommand;

pub use self::decode::Decode;
use crate::settings::StorePlace;

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Tell whether the store is whole, and what it holds; exits with 1 where it is damaged.
    ///
    /// Reads the whole file. The operator may be running on it.
    Check(StorePlace),
    /// Copy the store as it is now to another file.
    ///
    /// The operator may be running on it and goes on. The copy is a store like the one it was made of: to
    /// restore it, stop the operator, put the copy in place of the file events.db in its data folder, remove
    /// events.db-wal and events.db-shm beside it, and start the operator.
    Backup(copy::Backup),
    /// Write what the store holds as lines of JSON, for another store.
    ///
    /// From a file or a `PostgreSQL` database; the operator may be running on it. The lines tell how the store is
    /// when the export begins; the last one is {"end":{}}. Bodies in quarantine are left out.
    Export(copy::Export),
    /// Take the lines of an export into the store, a file or a `PostgreSQL` database, made anew where there is none.
    ///
    /// No operator may be running on it. What is there already stays as it is: the same export again changes
    /// nothing, and an import that was interrupted goes on when it is started again, sooner with --skip.
    Import(copy::Import),
    /// Look at bodies that registries sent and that could not be read, and read them again.
    #[command(subcommand)]
    Quarantine(quarantine::Quarantine),
}

/// The store's file, for what is done with a file alone.
fn file(store: &StorePlace) -> Result<PathBuf, String> {
    match store.database() {
        None => Ok(store.file()),
        Some(_) => Err(
            "the event store is in a PostgreSQL database: look after it with PostgreSQL's own tools"
                .to_owned(),
        ),
    }
}

/// What a command speaks through.
pub struct Streams<'a> {
    pub input: &'a mut (dyn BufRead + Send),
    pub out: &'a mut (dyn Write + Send),
    /// For people.
    pub told: &'a mut (dyn Write + Send),
    /// `told` is a terminal: progress may be written over.
    pub is_terminal: bool,
}

impl fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// Carries it out. An error says in words why it could not be, or what is wrong with the store.
pub fn run(command: StoreCommand, streams: &mut Streams<'_>) -> Result<(), String> {
    match command {
        StoreCommand::Check(place) => check::run(&place, streams),
        StoreCommand::Backup(backup) => copy::backup(&backup, streams),
        StoreCommand::Export(export) => copy::export(&export, streams),
        StoreCommand::Import(import) => copy::import(&import, streams),
        StoreCommand::Quarantine(quarantine) => quarantine::run(&quarantine, streams),
    }
}

fn to_string(error: impl fmt::Display) -> String {
    error.to_string()
}
