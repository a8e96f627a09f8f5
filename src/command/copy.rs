//! Backup, export and import.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter},
    path::PathBuf,
};

use clap::Args;
use jiff::Timestamp;

use crate::store::{
    self, SqliteReader, SqliteWriter,
    transfer::{self, EventKey, Progress, Scope, TransferError},
};

use super::{
    Place, Streams,
    place::{RegistryName, parse_after, parse_time},
    progress::Teller,
    to_string,
};

#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    place: Place,
    /// File to write, which must not be there.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// Only this `ImageRegistry`, as NAMESPACE/NAME; what clusters were last seen to run is then left out.
    #[arg(long)]
    registry: Option<RegistryName>,
    /// Only events that happened since then: 2026-01-31, or 2026-01-31T12:00:00Z. Facts that outlive events are
    /// always written.
    #[arg(long, value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Go on after this line, the last whole one of an export that was interrupted. Together with the earlier
    /// part, what is written is the whole export.
    #[arg(long, value_name = "LINE")]
    after: Option<String>,
    /// File to write, which must not be there; by default standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// The export; by default standard input.
    file: Option<PathBuf>,
}

pub(super) fn backup(command: &Backup, streams: &mut Streams<'_>) -> Result<(), String> {
    let mut teller = Teller::new(streams.told, streams.is_terminal);
    store::backup(
        &command.place.file(),
        &command.out,
        |store::Backup { pages, of }| {
            teller.tell(|| format!("{pages} of {of} pages"));
        },
    )
    .map_err(to_string)?;
    teller.end(&format!("{} is written", command.out.display()));
    Ok(())
}

pub(super) fn export(command: &Export, streams: &mut Streams<'_>) -> Result<(), String> {
    let after: Option<EventKey> = match &command.after {
        None => None,
        Some(line) => parse_after(line)?,
    };
    let scope = Scope {
        registry: command
            .registry
            .as_ref()
            .map(|RegistryName { namespace, name }| (namespace.clone(), name.clone())),
        since: command.since,
        after,
    };
    let mut reader = SqliteReader::open(&command.place.file(), scope).map_err(to_string)?;
    let mut teller = Teller::new(streams.told, streams.is_terminal);
    let mut told = |progress: Progress| teller.tell(|| exported(progress));
    let progress = match &command.out {
        None => {
            let mut out = BufWriter::new(&mut *streams.out);
            on_this_thread(transfer::export(&mut reader, &mut out, &mut told))?
        }
        Some(path) => {
            let refused = |error: std::io::Error| format!("{}: {error}", path.display());
            let file = File::create_new(path).map_err(refused)?;
            let mut out = BufWriter::new(&file);
            let progress = on_this_thread(transfer::export(&mut reader, &mut out, &mut told))?;
            file.sync_all().map_err(refused)?;
            progress
        }
    };
    teller.end(&exported(progress));
    Ok(())
}

fn exported(progress: Progress) -> String {
    let Progress {
        lines,
        events,
        duplicates: _,
    } = progress;
    format!("{lines} lines, {events} of them events")
}

pub(super) fn import(command: &Import, streams: &mut Streams<'_>) -> Result<(), String> {
    let mut opened;
    let input: &mut (dyn BufRead + Send) = match &command.file {
        None => &mut *streams.input,
        Some(path) => {
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            opened = BufReader::new(file);
            &mut opened
        }
    };
    let folder = &command.place.data_dir;
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut writer = SqliteWriter::open(&command.place.file()).map_err(to_string)?;
    let mut teller = Teller::new(streams.told, streams.is_terminal);
    let taken = on_this_thread(transfer::import(input, &mut writer, |progress| {
        teller.tell(|| imported(progress));
    }))?;
    teller.end(&imported(taken));
    Ok(())
}

fn imported(progress: Progress) -> String {
    let Progress {
        lines,
        events,
        duplicates,
    } = progress;
    format!("{lines} lines, {events} new events, {duplicates} that were there")
}

fn on_this_thread<T>(copy: impl Future<Output = Result<T, TransferError>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(to_string)?
        .block_on(copy)
        .map_err(to_string)
}
