//! What only this store does: several operators on one database, partitions, versions.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use local_cluster::wait_until;

use super::{Postgres, connect, options};
use crate::{
    event::{
        RegistryEvent, StoredEvent,
        fixture::{at, raw, raws},
    },
    store::{
        Delivery, EventReader, Listening, PostgresStore, StoreError, Upkeep,
        conformance::{
            Backend, REPOSITORY, all, append, delivery,
            listening::{down, listened},
            registry, source,
        },
    },
};

const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_operator_writes_the_other_is_told_and_reads() {
    let backend = Postgres::fresh().await;
    let (one, other) = (open(&backend.url).await, backend.open().await);
    append(&one, delivery(vec![raw("h1 1 a HEAD v1 @A")])).await;
    append(&other, delivery(raws("g1 2 a GET - @A\nh1 1 a HEAD v1 @A"))).await;
    one.linked().await.unwrap();
    other.linked().await.unwrap();
    assert_eq!(all(&other).await, ["g1 Pull v1 @A x2"]);
    assert_eq!(all(&one).await, all(&other).await);
    let source = one.sources(registry()).await.unwrap().remove(0);
    assert_eq!((source.stored, source.duplicates), (2, 1));

    backend.changes();
    append(&one, delivery(vec![raw("p1 500 a PUT v2 @B")])).await;
    wait_until(WITHIN, "the change to be told", async || {
        let changes = backend.changes();
        anyhow::ensure!(
            changes.contains(&(registry(), vec![REPOSITORY.to_owned()])),
            "{changes:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(all(&other).await[0], "p1 Push v2 @B x1");
    one.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_operators_at_once_store_each_event_once() {
    let backend = Postgres::fresh().await;
    let (one, other) = (open(&backend.url).await, open(&backend.url).await);
    let lines: Vec<StoredEvent> = (0..200).map(|n| raw(&format!("g{n} {n} a GET v1 @A"))).collect();
    let from_one = async {
        let mut stored = 0;
        for event in lines.clone() {
            stored += append(&one, delivery(vec![event])).await.stored;
        }
        stored
    };
    let from_other = async {
        let mut stored = 0;
        for event in lines.iter().rev().cloned() {
            stored += append(&other, delivery(vec![event])).await.stored;
        }
        stored
    };
    let (first, second) = tokio::join!(from_one, from_other);
    assert_eq!(first + second, 200);
    one.linked().await.unwrap();
    assert_eq!(all(&one).await.len(), 200);
    let source = other.sources(registry()).await.unwrap().remove(0);
    assert_eq!((source.stored, source.duplicates), (200, 200));
    one.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_one_operator_listens_nothing_is_lost() {
    let backend = Postgres::fresh().await;
    let (one, other) = (open(&backend.url).await, open(&backend.url).await);
    append(&one, delivery(vec![raw("g1 1 a GET v1 @A")])).await;
    one.listened(listened(0.0, 60.0)).await.unwrap();
    other.listened(listened(100.0, 100.0)).await.unwrap();
    one.listened(listened(0.0, 120.0)).await.unwrap();
    other.listened(listened(100.0, 160.0)).await.unwrap();
    assert_eq!(source(&one).await.gaps, []);
    // One crashes, and is followed by another while the second still listens.
    one.close().await.unwrap();
    let third = open(&backend.url).await;
    third.listened(listened(200.0, 200.0)).await.unwrap();
    other.listened(listened(100.0, 220.0)).await.unwrap();
    // Both crash: whether one of them went on is known when it has been silent for long.
    third.close().await.unwrap();
    other.close().await.unwrap();
    let last = open(&backend.url).await;
    last.listened(listened(250.0, 250.0)).await.unwrap();
    assert_eq!(source(&last).await.gaps, []);
    for seconds in [310.0, 370.0, 430.0] {
        last.listened(listened(250.0, seconds)).await.unwrap();
    }
    assert_eq!(source(&last).await.gaps, [down(220.0, 250.0)]);
    last.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_of_many_stretches_is_linked_whole() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    // Each waits for the linker as a stretch of its own.
    let lines: Vec<StoredEvent> = (0..2500)
        .map(|n| raw(&format!("g{n} {} a GET v1 @A", n * 2)))
        .collect();
    append(&store, delivery(lines)).await;
    store.linked().await.unwrap();
    assert_eq!(all(&store).await.len(), 2500);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_a_time_of_its_own_is_stored_once() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    let timeless = RegistryEvent {
        time: None,
        ..raw("g1 1 a GET v1 @A").event
    };
    let ahead = RegistryEvent {
        time: Some(at(5000.0)),
        ..raw("g2 1 a GET v1 @A").event
    };
    // Its own time is not believed at first, and is once that time has come.
    for (seconds, stored) in [(10.0, 2), (20.0, 0), (6000.0, 0)] {
        let sent = Delivery {
            received: at(seconds),
            events: vec![timeless.clone(), ahead.clone(), timeless.clone()],
            ..delivery(Vec::new())
        };
        let appended = append(&store, sent).await;
        assert_eq!(
            (appended.stored, appended.duplicates),
            (stored, 3 - stored),
            "{seconds}"
        );
    }
    // The other way round: a clock that is set back.
    append(&store, delivery(vec![raw("g3 5000 a GET v1 @A")])).await;
    let back = Delivery {
        received: at(100.0),
        ..delivery(vec![raw("g3 5000 a GET v1 @A")])
    };
    assert_eq!(append(&store, back).await.duplicates, 1);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_nobody_keeps_is_dropped_whole() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    let now = Timestamp::now();
    let event = |id: &str| RegistryEvent {
        time: Some(now),
        ..raw(&format!("{id} 1 a GET v1 @A")).event
    };
    let sent = |registry| Delivery {
        registry,
        received: now,
        events: vec![event("g1"), event("g2")],
        ..delivery(Vec::new())
    };
    let other = crate::store::RegistryKey {
        name: "other".to_owned(),
        ..registry()
    };
    append(&store, sent(registry())).await;
    append(&store, sent(other.clone())).await;
    store.linked().await.unwrap();
    let database = connect(&backend.url).await;
    let day = now
        .to_string()
        .chars()
        .take(10)
        .filter(char::is_ascii_digit)
        .collect::<String>();
    let count = async || -> Option<i64> {
        let table = format!("raw_events_{day}");
        let there: bool = database
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
            .await
            .unwrap()
            .get(0);
        if !there {
            return None;
        }
        let rows = database
            .query_one(&format!("SELECT count(*) FROM {table}"), &[])
            .await;
        Some(rows.unwrap().get(0))
    };
    assert_eq!(count().await, Some(4));
    let later = |days: i64| now + SignedDuration::from_hours(24 * days);
    // The day has passed, but the other registry keeps it.
    let purged = store.purge(registry(), later(2)).await.unwrap();
    assert_eq!((purged.logical, count().await), (2, Some(2)));
    let purged = store.purge(other, later(2)).await.unwrap();
    assert_eq!((purged.logical, purged.raw, count().await), (2, 2, None));
    // And comes again for what is late.
    assert_eq!(append(&store, sent(registry())).await.stored, 2);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_schema_newer_than_this_version_is_refused_in_words() {
    let backend = Postgres::fresh().await;
    open(&backend.url).await.close().await.unwrap();
    let database = connect(&backend.url).await;
    database
        .batch_execute("UPDATE schema_version SET version = 99")
        .await
        .unwrap();
    let refused = PostgresStore::open(&options(&backend.url), |_, _| {})
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 99, known: 2 }),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_refused_at_the_start_says_so_without_the_password() {
    let backend = Postgres::fresh().await;
    let config: tokio_postgres::Config = backend.url.parse().unwrap();
    let port = config.get_ports()[0];
    for (url, reason) in [
        (
            format!("postgres://postgres:hunter2@127.0.0.1:{port}/nothing?sslmode=disable"),
            "no such database",
        ),
        (
            format!("postgres://nobody:hunter2@127.0.0.1:{port}/postgres?sslmode=disable"),
            "refuses the user",
        ),
        (
            format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres?sslmode=require"),
            "TLS",
        ),
        (
            "postgres://postgres:hunter2@127.0.0.1:1/postgres".to_owned(),
            "Connection refused",
        ),
    ] {
        let refused = PostgresStore::open(&options(&url), |_, _| {}).await.unwrap_err();
        let told = format!("{refused} {refused:?}");
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(&options(url), |_, _| {}).await.unwrap()
}
