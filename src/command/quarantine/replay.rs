use std::sync::Arc;

use crate::{
    dialect::{Format, Parsed, told},
    receive::QUARANTINED_BYTES,
    settings::StorePlace,
    store::{self, BodyAside, Delivery, PostgresStore, SqliteStore, Store},
};

use super::{
    super::{Streams, copy::on_this_thread, to_string},
    line,
};

/// What became of bodies.
#[derive(Default)]
struct Tally {
    read: u64,
    unreadable: u64,
    cut: u64,
    of_no_format: u64,
}

/// Why a body stays.
enum Stays {
    Unreadable,
    /// What is missing may have been events, too.
    Cut,
    OfNoFormat,
}

pub(super) fn run(place: &StorePlace, streams: &mut Streams<'_>) -> Result<(), String> {
    on_this_thread(async {
        let store = open(place).await?;
        let mut tally = Tally::default();
        let replayed = replay(store.as_ref(), &mut tally, streams).await;
        let linked = store.linked().await.map_err(to_string);
        let closed = store.close().await.map_err(to_string);
        let Tally {
            read,
            unreadable,
            cut,
            of_no_format,
        } = tally;
        writeln!(
            streams.told,
            "{read} bodies are read and have left; {unreadable} still cannot be read, {cut} were cut, {of_no_format} are of a format that is not known"
        )
        .map_err(to_string)?;
        replayed.and(linked).and(closed)
    })
}

async fn open(place: &StorePlace) -> Result<Arc<dyn Store>, String> {
    if let Some(database) = place.database() {
        let store = PostgresStore::open_current(&database).await;
        return Ok(Arc::new(store.map_err(to_string)?));
    }
    let file = place.file();
    // Fails where there is none, or one that the operator has not brought up to date.
    store::quarantined(&file, 1).map_err(to_string)?;
    Ok(Arc::new(SqliteStore::open(&file, |_, _| {}).map_err(to_string)?))
}

async fn replay(store: &dyn Store, tally: &mut Tally, streams: &mut Streams<'_>) -> Result<(), String> {
    let mut last = 0;
    loop {
        let bodies = store.aside(last).await.map_err(to_string)?;
        if bodies.is_empty() {
            return Ok(());
        }
        for body in bodies {
            last = body.of.id;
            match read(&body) {
                Ok(delivery) => {
                    let told = line(&body.of);
                    let appended = store
                        .replay(body.of.id, delivery)
                        .await
                        .map_err(|error| format!("body {last} stays: {error}"))?;
                    tally.read += 1;
                    writeln!(
                        streams.out,
                        "{told}: {} events, {} that were there",
                        appended.stored, appended.duplicates
                    )
                    .map_err(to_string)?;
                }
                Err(Stays::Unreadable) => tally.unreadable += 1,
                Err(Stays::Cut) => tally.cut += 1,
                Err(Stays::OfNoFormat) => tally.of_no_format += 1,
            }
        }
    }
}

/// The delivery that a body is, as it would have been taken when it came.
fn read(body: &BodyAside) -> Result<Delivery, Stays> {
    if body.body.len() >= QUARANTINED_BYTES {
        return Err(Stays::Cut);
    }
    let name = body.format.as_deref().ok_or(Stays::OfNoFormat)?;
    let mut formats = Format::ALL.into_iter();
    let format = formats
        .find(|format| format.name() == name)
        .ok_or(Stays::OfNoFormat)?;
    let Parsed { events, ignored } = format
        .read(&told(&body.headers), &body.body, body.of.received)
        .map_err(|_| Stays::Unreadable)?;
    Ok(Delivery {
        registry: body.of.registry.clone(),
        source: body.of.source.clone(),
        received: body.of.received,
        events,
        ignored,
        quarantined: None,
    })
}
