use rusqlite::Connection;

use super::Sqlite;
use crate::{
    event::fixture::{at, raw},
    store::{
        Clients, EventQuery, EventReader, Select, SqliteStore, Upkeep,
        conformance::{Backend, append_lines, clause, query, registry},
    },
};

/// 40 pulls of one client, a minute apart, and one of another.
async fn history(backend: &Sqlite) -> SqliteStore {
    let store = backend.open().await;
    let pulls: Vec<String> = (0..40).map(|n| format!("g{n} {} a GET v1 @A", n * 60)).collect();
    append_lines(backend, &store, &pulls.join("\n")).await;
    append_lines(backend, &store, "rare 130 b GET v1 @A").await;
    store
}

async fn seal(store: &SqliteStore) -> u64 {
    store.seal(at(2.0 * 86_400.0)).await.unwrap()
}

fn number(file: &Connection, sql: &str) -> i64 {
    file.query_row(sql, [], |row| row.get(0)).unwrap()
}

async fn counts(store: &SqliteStore) -> Vec<i64> {
    let tallies = store.tally(query(vec![clause(Select::All)])).await.unwrap();
    tallies.iter().map(|tally| tally.count).collect()
}

#[tokio::test]
async fn sealed_buckets_are_counted_without_their_events() {
    let backend = Sqlite::fresh().await;
    let store = history(&backend).await;
    assert!(seal(&store).await > 0);
    let file = Connection::open(backend.path()).unwrap();
    // Behind the store's back: it cannot know.
    file.execute_batch("DELETE FROM logical_events; DELETE FROM logical_tags")
        .unwrap();
    assert_eq!(counts(&store).await, [40, 1]);
}

#[tokio::test]
async fn a_page_of_some_clients_reads_no_more_than_their_events() {
    let backend = Sqlite::fresh().await;
    let store = history(&backend).await;
    assert!(seal(&store).await > 0);
    let theirs = raw("x 1 b GET v1 @A").event.address;
    let asked = EventQuery {
        clients: Clients::only(move |client| client.address == theirs),
        ..query(vec![clause(Select::All)])
    };
    let file = Connection::open(backend.path()).unwrap();
    // Others' events cannot even be read any more.
    file.execute_batch(
        "UPDATE logical_events SET tags = 'no list' WHERE id <> 'rare' AND time <> (SELECT time FROM logical_events WHERE id = 'rare')",
    )
    .unwrap();
    let found = store.events(asked, None, 50).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].event.id, "rare");
}

#[tokio::test]
async fn sums_that_do_not_count_are_swept_away() {
    let backend = Sqlite::fresh().await;
    let store = history(&backend).await;
    let sealed = seal(&store).await;
    let file = Connection::open(backend.path()).unwrap();
    let sums = number(&file, "SELECT count(*) FROM rollups");
    assert_eq!(
        number(&file, "SELECT count(*) FROM sealed"),
        i64::try_from(sealed).unwrap()
    );
    // As a crash leaves them in the middle.
    file.execute_batch(
        "INSERT INTO sealed (id, repository, level, start, whole) VALUES (1000, 1, 1, 0, 0);
         INSERT INTO rollups VALUES (1000, 0, '', 2, x'00')",
    )
    .unwrap();
    assert_eq!(seal(&store).await, 0);
    assert_eq!(number(&file, "SELECT count(*) FROM rollups"), sums);
    assert_eq!(number(&file, "SELECT count(*) FROM sealed WHERE whole = 0"), 0);

    // What was counted goes with its events.
    store.purge(registry(), at(40.0 * 86_400.0)).await.unwrap();
    seal(&store).await;
    for table in ["rollups", "sealed", "open_buckets"] {
        assert_eq!(
            number(&file, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_small_repository_has_no_sums() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 1 a GET v1 @A\ng2 2 a GET v1 @A").await;
    assert_eq!(seal(&store).await, 0);
    let file = Connection::open(backend.path()).unwrap();
    for table in ["rollups", "sealed", "open_buckets"] {
        assert_eq!(
            number(&file, &format!("SELECT count(*) FROM {table}")),
            0,
            "{table}"
        );
    }
}

#[tokio::test]
async fn nothing_is_written_where_there_is_nothing_to_seal() {
    let backend = Sqlite::fresh().await;
    let store = history(&backend).await;
    seal(&store).await;
    let log = backend.path().with_extension("db-wal");
    let before = (
        log.metadata().unwrap().len(),
        log.metadata().unwrap().modified().unwrap(),
    );
    assert_eq!(seal(&store).await, 0);
    assert_eq!(
        (
            log.metadata().unwrap().len(),
            log.metadata().unwrap().modified().unwrap()
        ),
        before
    );
}

#[tokio::test]
async fn a_damaged_roll_up_is_an_error_and_no_number() {
    let backend = Sqlite::fresh().await;
    let store = history(&backend).await;
    seal(&store).await;
    let file = Connection::open(backend.path()).unwrap();
    file.execute_batch("UPDATE rollups SET sums = substr(sums, 1, length(sums) - 1)")
        .unwrap();
    let refused = store.tally(query(vec![clause(Select::All)])).await.unwrap_err();
    assert!(refused.to_string().contains("roll-up"), "{refused}");
}
