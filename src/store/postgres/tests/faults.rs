//! A server that is gone, stands still or is full: deliveries are refused in time, and
//! everything goes on by itself afterwards.

mod proxy;
mod volume;

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use futures::future::join_all;
use local_cluster::{PostgresServer, wait_until};

use self::{proxy::Proxy, volume::SmallVolume};
use super::{Postgres, connect, options, server::Server};
use crate::{
    event::fixture::raw,
    store::{
        Delivery, EventLog, EventReader, Keeping, PostgresStore, Quarantined, Refusing, StoreError, Upkeep,
        conformance::{Backend, all, append, delivery, empty, gaps_written, registry},
    },
};

/// Within this a delivery is answered, whatever happens.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// Within this all goes on once the server is there again.
const RECOVER_WITHIN: Duration = Duration::from_mins(1);

fn line(number: usize) -> Delivery {
    delivery(vec![raw(&format!("g{number} {number} a GET v1 @A"))])
}

/// A delivery is refused, and in time.
async fn refused(store: &PostgresStore, delivery: Delivery) -> String {
    let begun = Instant::now();
    let answer = store.append(delivery).await;
    assert!(begun.elapsed() < ANSWER_WITHIN, "{:?}", begun.elapsed());
    match answer {
        Err(error @ (StoreError::Write(_) | StoreError::Busy)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Waits until deliveries are written and read again; nothing that was acknowledged is lost.
async fn recovers(store: &PostgresStore, events: usize) {
    wait_until(RECOVER_WITHIN, "a delivery to be taken", async || {
        store.append(line(events)).await.map_err(Into::into)
    })
    .await
    .unwrap();
    wait_until(RECOVER_WITHIN, "events to be linked", async || {
        store.linked().await.map_err(Into::into)
    })
    .await
    .unwrap();
    assert_eq!(all(store).await.len(), events);
    let is_closed = futures::FutureExt::now_or_never(store.closed()).is_some();
    assert!(
        !is_closed,
        "a store is closed by whoever opened it, and by nobody else"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_refuses_deliveries_and_then_takes_them() {
    let mut server = Server::start().await;
    let store = open(&server.database().await).await;
    append(&store, line(1)).await;
    server.running().end().await.unwrap();
    refused(&store, line(2)).await;
    assert!(matches!(
        store.sources(registry()).await,
        Err(StoreError::Read(_))
    ));
    assert!(store.linked().await.is_err());
    assert_eq!(store.refusing(&registry()), Some(Refusing::Unavailable));
    server.running().begin().await.unwrap();
    // Although nothing more is delivered.
    let gaps = gaps_written(&store).await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].reason == "Refused" && gaps[0].is_open, "{gaps:?}");
    recovers(&store, 2).await;
    assert!(!gaps_written(&store).await[0].is_open);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_refuses_deliveries_and_then_takes_them() {
    let mut server = Server::start().await;
    let store = open(&server.database().await).await;
    append(&store, line(1)).await;
    server.running().pause().unwrap();
    let many = join_all((0..5).map(|_| refused(&store, empty(1.0)))).await;
    assert_eq!(many.len(), 5);
    server.running().resume().unwrap();
    recovers(&store, 2).await;
    assert_eq!(gaps_written(&store).await.len(), 1);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_cut_refuses_deliveries_and_then_takes_them() {
    let url = Server::shared().await.database().await;
    let proxy = Proxy::before(&url).await;
    let store = open(&proxy.url()).await;
    append(&store, line(1)).await;
    proxy.cut();
    refused(&store, line(2)).await;
    proxy.mend();
    recovers(&store, 2).await;
    proxy.swallow();
    refused(&store, line(3)).await;
    proxy.mend();
    recovers(&store, 3).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_free_connection_refuses_deliveries_and_then_takes_them() {
    let running = PostgresServer::start_with(&std::env::temp_dir(), &["max_connections=20"])
        .await
        .unwrap();
    let server = Server::of(running);
    let url = server.database().await;
    let store = open(&url).await;
    append(&store, line(1)).await;
    let administrator = connect(&url).await;
    // Whoever is faster takes what the store's connections leave.
    let taken = Mutex::new(Vec::new());
    let reason = wait_until(RECOVER_WITHIN, "the connections to be taken", async || {
        administrator
            .batch_execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'image-usage-operator'",
            )
            .await?;
        while let Ok(connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
            taken.lock().unwrap().push(connection);
        }
        match store.append(line(2)).await {
            Err(error) if error.to_string().contains("no connection left") => Ok(error.to_string()),
            other => anyhow::bail!("{other:?}"),
        }
    })
    .await
    .unwrap();
    assert!(reason.contains("53300"), "{reason}");
    drop(taken);
    drop(administrator);
    recovers(&store, 2).await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_deliveries_and_then_takes_them() {
    let volume = SmallVolume::new();
    let url = Server::shared().await.database_in(volume.path()).await;
    let store = open(&url).await;
    append(&store, line(1)).await;
    volume.fill();
    // More than the free room in the pages there are.
    let body = Quarantined {
        reason: "Malformed",
        body: (0..1024 * 1024).map(|_| fastrand::u8(..)).collect(),
        ..Quarantined::default()
    };
    let big = Delivery {
        quarantined: Some(body),
        ..empty(2.0)
    };
    let reason = refused(&store, big).await;
    assert!(reason.contains("disk is full"), "{reason}");
    volume.free();
    recovers(&store, 2).await;
    store.close().await.unwrap();
    Server::shared().await.remove(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_delivery_that_cannot_be_written_takes_no_other_with_it() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    // Something the schema refuses, by hand: no code path makes it.
    connect(&backend.url)
        .await
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON raw_events FOR EACH ROW
                 WHEN (NEW.user_agent = 'bad') EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let appends = (0..40).map(|number| {
        let client = if number == 23 { "a:bad" } else { "a" };
        let event = raw(&format!("g{number} {number} {client} GET v1 @A"));
        store.append(delivery(vec![event]))
    });
    for (number, answer) in join_all(appends).await.into_iter().enumerate() {
        if number == 23 {
            assert!(matches!(answer, Err(StoreError::Write(_))), "{answer:?}");
        } else {
            assert_eq!(answer.unwrap().stored, 1, "{number}");
        }
    }
    store.linked().await.unwrap();
    assert_eq!(all(&store).await.len(), 39);
    assert_eq!(store.sources(registry()).await.unwrap()[0].stored, 39);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_store_refuses_everything_and_keeps_what_it_accepted() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    let appends = join_all((0..200).map(|number| store.append(line(number))));
    let (answers, closed) = tokio::join!(appends, async {
        tokio::task::yield_now().await;
        store.close().await
    });
    closed.unwrap();
    store.closed().await;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(_) | Err(StoreError::Closed))),
        "{answers:?}"
    );
    assert!(matches!(store.append(empty(1.0)).await, Err(StoreError::Closed)));
    assert!(matches!(store.sources(registry()).await, Err(StoreError::Closed)));
    store.close().await.unwrap();
    let store = backend.open().await;
    backend.settle(&store).await;
    assert!(all(&store).await.len() >= accepted);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_dies_is_told_and_nothing_is_accepted_any_more() {
    let backend = Postgres::fresh().await;
    let store = PostgresStore::open(&options(&backend.url), |_, _| panic!("a bug in on_change"))
        .await
        .unwrap();
    let _ = store.append(line(1)).await;
    tokio::time::timeout(RECOVER_WITHIN, store.closed())
        .await
        .unwrap();
    assert!(store.close().await.is_err(), "a panic is told");
    // What was acknowledged is there.
    let store = backend.open().await;
    backend.settle(&store).await;
    assert_eq!(all(&store).await.len(), 1);
    store.close().await.unwrap();
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(&options(url), |_, _| {}).await.unwrap()
}
