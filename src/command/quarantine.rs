mod replay;

use clap::Subcommand;

use crate::{
    settings::StorePlace,
    store::{self, BodyAside, QuarantinedBody},
};

use super::{
    Streams, file,
    printable::{printable, printable_body},
    to_string,
};

#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List bodies, newest first.
    List {
        #[command(flatten)]
        place: StorePlace,
        /// Most bodies listed.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Read all bodies again: those that this version can read become events, with the time and the headers that
    /// they came with, and leave.
    ///
    /// As after an upgrade. In a file or a `PostgreSQL` database; on a file no operator may be running. Prints a line
    /// for each body that is read. A body that was cut because it was too large stays, and so do those that ask people
    /// to open an address.
    Replay(StorePlace),
    /// Show one body, with everything that a terminal would obey written out.
    Show {
        #[command(flatten)]
        place: StorePlace,
        /// Its number, as the list has it.
        id: i64,
        /// Most bytes shown.
        #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65536))]
        bytes: u32,
    },
}

pub(super) fn run(command: &Quarantine, streams: &mut Streams<'_>) -> Result<(), String> {
    match command {
        Quarantine::List { place, limit } => list(place, *limit, streams),
        Quarantine::Replay(place) => replay::run(place, streams),
        Quarantine::Show { place, id, bytes } => show(place, *id, *bytes, streams),
    }
}

fn list(place: &StorePlace, limit: u32, streams: &mut Streams<'_>) -> Result<(), String> {
    let bodies = store::quarantined(&file(place)?, limit).map_err(to_string)?;
    if bodies.is_empty() {
        return writeln!(streams.told, "nothing is in quarantine").map_err(to_string);
    }
    writeln!(streams.told, "NUMBER RECEIVED REGISTRY SOURCE REASON BYTES").map_err(to_string)?;
    for body in bodies {
        writeln!(streams.out, "{}", line(&body)).map_err(to_string)?;
    }
    Ok(())
}

fn line(body: &QuarantinedBody) -> String {
    let QuarantinedBody {
        id,
        registry,
        source,
        received,
        reason,
        bytes,
    } = body;
    let name = format!("{}/{}", registry.namespace, registry.name);
    format!(
        "{id} {received} {} {} {} {bytes}",
        printable(&name),
        printable(source),
        printable(reason)
    )
}

fn show(place: &StorePlace, id: i64, bytes: u32, streams: &mut Streams<'_>) -> Result<(), String> {
    let BodyAside { of, body, .. } = store::quarantined_body(&file(place)?, id)
        .map_err(to_string)?
        .ok_or_else(|| format!("no body {id} is in quarantine: it is a ring, the oldest leave"))?;
    let most = usize::try_from(bytes).unwrap_or(usize::MAX);
    let shown = body.get(..most).unwrap_or(&body);
    writeln!(streams.told, "{}", line(&of)).map_err(to_string)?;
    writeln!(streams.out, "{}", printable_body(shown)).map_err(to_string)?;
    if shown.len() < body.len() {
        writeln!(
            streams.told,
            "{} of {} bytes are shown: ask for more with --bytes",
            shown.len(),
            body.len()
        )
        .map_err(to_string)?;
    }
    Ok(())
}
