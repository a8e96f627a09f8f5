//! What the behaviours share: one registry, deliveries from lines, questions.

use std::time::Duration;

use jiff::Timestamp;
use local_cluster::wait_until;

use super::Backend;
use crate::{
    event::{
        Attribution, StoredEvent,
        fixture::{at, raws, told},
    },
    store::{
        Appended, AttributedEvent, Clause, Clients, Delivery, EventLog, EventQuery, EventReader, Gap,
        Keeping, RegistryKey, Select, SourceState, Window,
    },
};

/// The repository of all lines.
pub(crate) const REPOSITORY: &str = "team/app";
pub(crate) const SOURCE: &str = "notifications";

pub(crate) fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "default".to_owned(),
        name: "registry".to_owned(),
        uid: "1f0c".to_owned(),
    }
}

/// One delivery of these events by the source of the first, received when its last event was.
pub(crate) fn delivery(events: Vec<StoredEvent>) -> Delivery {
    Delivery {
        registry: registry(),
        source: events
            .first()
            .map_or_else(|| SOURCE.to_owned(), |stored| stored.source.clone()),
        received: events
            .iter()
            .map(|stored| stored.received)
            .max()
            .unwrap_or_else(|| at(0.0)),
        events: events.into_iter().map(|stored| stored.event).collect(),
        ignored: 0,
        quarantined: None,
    }
}

/// A delivery of nothing, received at this second.
pub(crate) fn empty(seconds: f64) -> Delivery {
    Delivery {
        received: at(seconds),
        ..delivery(Vec::new())
    }
}

/// Appends each line as a delivery of its own, as distribution does.
pub(crate) async fn append_lines<B: Backend>(backend: &B, store: &B::Store, lines: &str) {
    for stored in raws(lines) {
        append(store, delivery(vec![stored])).await;
    }
    backend.settle(store).await;
}

pub(crate) async fn append(store: &impl EventLog, delivery: Delivery) -> Appended {
    store.append(delivery).await.unwrap()
}

pub(crate) fn window(start: f64, end: f64) -> Window {
    Window {
        start: at(start),
        end: at(end),
    }
}

/// All time.
pub(crate) fn always() -> Window {
    Window {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    }
}

pub(crate) fn clause(select: Select) -> Clause {
    Clause {
        select,
        window: always(),
        attribution: Attribution::Named,
    }
}

/// A question about the repository of the lines.
pub(crate) fn query(clauses: Vec<Clause>) -> EventQuery {
    EventQuery {
        registry: registry(),
        repository: REPOSITORY.to_owned(),
        categories: Vec::new(),
        clauses,
        clients: Clients::default(),
    }
}

pub(crate) async fn ask(store: &impl EventReader, query: EventQuery) -> Vec<AttributedEvent> {
    store.events(query, None, usize::MAX).await.unwrap()
}

/// All events, newest first, as lines `ID CATEGORY TAGS DIGEST xRAW`.
pub(crate) async fn all(store: &impl EventReader) -> Vec<String> {
    lines(&ask(store, query(vec![clause(Select::All)])).await)
}

pub(crate) fn lines(events: &[AttributedEvent]) -> Vec<String> {
    events.iter().map(|found| told(&found.event)).collect()
}

/// Ids of the events that a selection finds, newest first.
pub(crate) async fn ids(store: &impl EventReader, select: Select) -> Vec<String> {
    ask(store, query(vec![clause(select)]))
        .await
        .into_iter()
        .map(|found| found.event.id)
        .collect()
}

pub(crate) async fn source(store: &impl EventReader) -> SourceState {
    let mut sources = store.sources(registry()).await.unwrap();
    assert_eq!(sources.len(), 1, "{sources:?}");
    sources.remove(0)
}

/// The source's gaps, once all that the store knows of are written.
pub(crate) async fn gaps_written(store: &(impl EventReader + Keeping)) -> Vec<Gap> {
    wait_until(Duration::from_mins(1), "gaps to be written", async || {
        anyhow::ensure!(
            store.refusing(&registry()).is_none(),
            "the store cannot be written"
        );
        let mut sources = store.sources(registry()).await?;
        anyhow::ensure!(!sources.is_empty(), "no source");
        Ok(sources.remove(0).gaps)
    })
    .await
    .unwrap()
}
