use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use rusqlite::Connection;

use super::Sqlite;
use crate::{
    event::fixture::raw,
    store::{
        Delivery, EventLog, EventReader, Quarantined, SqliteStore, StoreError, Upkeep,
        conformance::{Backend, all, append, delivery, empty, registry},
    },
};

/// A store whose writer stops in `on_change` until it is told to go on.
fn held(backend: &Sqlite) -> (SqliteStore, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (go_on, told) = mpsc::channel();
    let (stopped, stops) = mpsc::channel();
    let store = SqliteStore::open(&backend.path(), move |_, _| {
        stopped.send(()).ok();
        told.recv().ok();
    })
    .unwrap();
    (store, go_on, stops)
}

#[tokio::test]
async fn a_full_queue_is_busy_and_recovers() {
    let backend = Sqlite::fresh().await;
    let (store, go_on, stops) = held(&backend);
    append(&store, delivery(vec![raw("g0 1 a GET v1 @A")])).await;
    tokio::task::spawn_blocking(move || stops.recv().unwrap())
        .await
        .unwrap();

    // The writer stands still: 1 MiB bodies fill its 16 MiB of room.
    let body = Quarantined {
        reason: "Malformed",
        body: vec![0; 1024 * 1024],
        ..Quarantined::default()
    };
    let big = Delivery {
        quarantined: Some(body),
        ..empty(2.0)
    };
    let waiting: Vec<_> = (0..15).map(|_| store.append(big.clone())).collect();
    let (answers, refused) = tokio::join!(join_all(waiting), async {
        let begun = Instant::now();
        let refused = join_all((0..4).map(|_| store.append(big.clone()))).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(go_on);
        refused
    });
    assert!(
        refused
            .iter()
            .any(|answer| matches!(answer, Err(StoreError::Busy))),
        "{refused:?}"
    );
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(store.append(big).await.is_ok());
}

#[tokio::test]
async fn a_writer_that_dies_is_told_and_nothing_is_accepted_any_more() {
    let backend = Sqlite::fresh().await;
    let store = SqliteStore::open(&backend.path(), |_, _| panic!("a bug in on_change")).unwrap();
    let _ = store.append(delivery(vec![raw("g1 1 a GET v1 @A")])).await;
    tokio::time::timeout(Duration::from_secs(10), store.closed())
        .await
        .unwrap();
    let refused = store.append(delivery(vec![raw("g2 2 a GET v1 @A")])).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    assert!(store.linked().await.is_err());
    assert!(store.close().await.is_err(), "a panic is told");
    // What was acknowledged is there.
    let store = backend.open().await;
    backend.settle(&store).await;
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn a_closed_store_refuses_everything_and_keeps_what_it_accepted() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    let lines: Vec<_> = (0..200).map(|n| raw(&format!("g{n} {n} a GET v1 @A"))).collect();
    let appends = join_all(lines.into_iter().map(|event| store.append(delivery(vec![event]))));
    let (answers, closed) = tokio::join!(appends, async {
        tokio::task::yield_now().await;
        store.close().await
    });
    closed.unwrap();
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
    drop(store);

    let store = backend.open().await;
    backend.settle(&store).await;
    assert!(all(&store).await.len() >= accepted);
}

#[tokio::test]
async fn one_delivery_that_cannot_be_written_takes_no_other_with_it() {
    let backend = Sqlite::fresh().await;
    let (store, go_on, stops) = held(&backend);
    append(&store, delivery(vec![raw("g0 1 a GET v1 @A")])).await;
    tokio::task::spawn_blocking(move || stops.recv().unwrap())
        .await
        .unwrap();
    // Something the schema refuses, by hand: no code path makes it.
    let file = Connection::open(backend.path()).unwrap();
    file.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON raw_events WHEN NEW.id = 'bad'
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    .unwrap();
    drop(file);
    let ids = ["g1", "bad", "g2"];
    let appends = ids.map(|id| store.append(delivery(vec![raw(&format!("{id} 2 a GET v1 @A"))])));
    let (answers, ()) = tokio::join!(join_all(appends), async {
        tokio::task::yield_now().await;
        drop(go_on);
    });
    let told: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map(|done| done.stored))
        .collect();
    assert!(
        matches!(told[..], [Ok(1), Err(StoreError::Write(_)), Ok(1)]),
        "{told:?}"
    );
    store.linked().await.unwrap();
    assert_eq!(all(&store).await.len(), 3);
}

#[tokio::test]
async fn the_quarantine_is_a_ring() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    for second in 0..20 {
        let body = Quarantined {
            reason: "Malformed",
            body: vec![second; 1024 * 1024],
            ..Quarantined::default()
        };
        append(
            &store,
            Delivery {
                quarantined: Some(body),
                ..empty(f64::from(second))
            },
        )
        .await;
    }
    backend.close(store).await;
    let file = Connection::open(backend.path()).unwrap();
    let count = |file: &Connection| -> (i64, i64) {
        file.query_row("SELECT count(*), sum(length(body)) FROM quarantine", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap()
    };
    assert_eq!(count(&file), (16, 16 * 1024 * 1024));
    drop(file);

    // How much it holds is known after a restart as well.
    let store = backend.open().await;
    for second in 0..1100 {
        let body = Quarantined {
            reason: "Malformed",
            body: vec![0; 10],
            ..Quarantined::default()
        };
        append(
            &store,
            Delivery {
                quarantined: Some(body),
                ..empty(100.0 + f64::from(second))
            },
        )
        .await;
    }
    backend.close(store).await;
    let file = Connection::open(backend.path()).unwrap();
    assert_eq!(count(&file), (1000, 10_000));
}

#[tokio::test]
async fn a_purge_with_nothing_to_remove_writes_nothing() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g1 1000000 a GET v1 @A")])).await;
    backend.settle(&store).await;
    let log = backend.path().with_extension("db-wal");
    let before = log.metadata().unwrap().len();
    store
        .purge(registry(), crate::event::fixture::at(0.0))
        .await
        .unwrap();
    assert_eq!(log.metadata().unwrap().len(), before);
}
