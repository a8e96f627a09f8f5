//! Backup, export and import.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter},
    path::PathBuf,
};

use clap::Args;
use jiff::Timestamp;

use crate::{
    settings::StorePlace,
    store::{
        self, PostgresReader, PostgresWriter, SqliteReader, SqliteWriter,
        transfer::{self, EventKey, Progress, Scope, TransferReader, TransferWriter},
    },
};

use super::{
    Streams,
    place::{RegistryName, parse_after, parse_time},
    progress::{Teller, mebibytes},
    to_string,
};

#[derive(Debug, Args)]
pub struct Backup {
    #[command(flatten)]
    place: StorePlace,
    /// File to write, which must not be there.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    place: StorePlace,
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
    place: StorePlace,
    /// Pass over the events among so many first lines, which an earlier import of this file has taken: the number
    /// that it told last. The last of them is looked up in the store.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    skip: u64,
    /// The export; by default standard input.
    file: Option<PathBuf>,
}

pub(super) fn backup(command: &Backup, streams: &mut Streams<'_>) -> Result<(), String> {
    let mut teller = Teller::new(streams.told, streams.is_terminal);
    store::backup(
        &super::file(&command.place)?,
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
    on_this_thread(async {
        let mut reader = reader(&command.place, scope).await?;
        let mut teller = Teller::new(streams.told, streams.is_terminal);
        let mut told = |progress: Progress| teller.tell(|| exported(progress));
        let copied = match &command.out {
            None => {
                let mut out = BufWriter::new(&mut *streams.out);
                transfer::export(reader.as_mut(), &mut out, &mut told).await
            }
            Some(path) => {
                let refused = |error: std::io::Error| format!("{}: {error}", path.display());
                let file = File::create_new(path).map_err(refused)?;
                let mut out = BufWriter::new(&file);
                let copied = transfer::export(reader.as_mut(), &mut out, &mut told).await;
                file.sync_all().map_err(refused)?;
                copied
            }
        };
        teller.end(&exported(copied.map_err(to_string)?));
        Ok(())
    })
}

async fn reader(place: &StorePlace, scope: Scope) -> Result<Box<dyn TransferReader>, String> {
    Ok(match place.database() {
        Some(database) => Box::new(PostgresReader::open(&database, scope).await.map_err(to_string)?),
        None => Box::new(SqliteReader::open(&place.file(), scope).map_err(to_string)?),
    })
}

fn exported(progress: Progress) -> String {
    let Progress {
        lines,
        bytes,
        events,
        duplicates: _,
    } = progress;
    format!("{lines} lines, {events} of them events, {}", mebibytes(bytes))
}

pub(super) fn import(command: &Import, streams: &mut Streams<'_>) -> Result<(), String> {
    let mut opened;
    let mut size = None;
    let input: &mut (dyn BufRead + Send) = match &command.file {
        None => &mut *streams.input,
        Some(path) => {
            let refused = |error: std::io::Error| format!("{}: {error}", path.display());
            let file = File::open(path).map_err(refused)?;
            let about = file.metadata().map_err(refused)?;
            size = about.is_file().then_some(about.len());
            opened = BufReader::new(file);
            &mut opened
        }
    };
    on_this_thread(async {
        let mut writer = writer(&command.place).await?;
        let mut teller = Teller::new(streams.told, streams.is_terminal);
        let mut last = Progress::default();
        let told = |progress: Progress| {
            last = progress;
            teller.tell(|| imported(progress, size));
        };
        match transfer::import(input, writer.as_mut(), command.skip, told).await {
            Ok(progress) => {
                teller.end(&imported(progress, size));
                Ok(())
            }
            Err(error) => {
                teller.end(&imported(last, size));
                Err(to_string(error))
            }
        }
    })
}

async fn writer(place: &StorePlace) -> Result<Box<dyn TransferWriter>, String> {
    if let Some(database) = place.database() {
        return Ok(Box::new(
            PostgresWriter::open(&database).await.map_err(to_string)?,
        ));
    }
    let folder = &place.data_dir;
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(Box::new(SqliteWriter::open(&place.file()).map_err(to_string)?))
}

/// How far it is, of a file of `size` bytes where that is known.
fn imported(progress: Progress, size: Option<u64>) -> String {
    let Progress {
        lines,
        bytes,
        events,
        duplicates,
    } = progress;
    let of = size.map_or_else(String::new, |size| format!(" of {}", mebibytes(size)));
    format!(
        "{lines} lines, {events} new events, {duplicates} that were there, {}{of}",
        mebibytes(bytes)
    )
}

pub(super) fn on_this_thread<T>(copy: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(to_string)?
        .block_on(copy)
}
