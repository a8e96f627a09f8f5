use std::{path::Path, time::Instant};

use rusqlite::Connection;

use super::{
    super::{
        opened::Opened,
        relink,
        schema::{self, MIGRATIONS},
        touched::Touched,
    },
    Sqlite,
};
use crate::event::fixture::{at, raw};
use crate::store::{
    EventReader as _, Select, SqliteStore, StoreError, Upkeep as _, UsageStore as _,
    conformance::{
        Backend, REPOSITORY, all, append, append_lines, clause, delivery, linking::burst, query, registry,
        source,
    },
};

fn open(backend: &Sqlite) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&backend.path(), |_, _| {})
}

#[tokio::test]
async fn a_schema_newer_than_this_version_is_refused_in_words() {
    let backend = Sqlite::fresh().await;
    open(&backend).unwrap().close().await.unwrap();
    let file = Connection::open(backend.path()).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let refused = open(&backend).unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 99, known: 11 }),
        "{refused}"
    );
    assert!(refused.to_string().contains("run a newer version"), "{refused}");
    // And left as it was.
    let file = Connection::open(backend.path()).unwrap();
    let version: i64 = file
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_left_alone() {
    let backend = Sqlite::fresh().await;
    let file = Connection::open(backend.path()).unwrap();
    file.execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        .unwrap();
    drop(file);
    assert!(matches!(open(&backend), Err(StoreError::Open(_))));
    let file = Connection::open(backend.path()).unwrap();
    let mode: String = file
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");

    let backend = Sqlite::fresh().await;
    std::fs::write(backend.path(), [b'x'; 8192]).unwrap();
    assert!(matches!(open(&backend), Err(StoreError::Open(_))));
}

#[tokio::test]
async fn a_second_store_on_one_file_is_refused_while_the_first_is_open() {
    let backend = Sqlite::fresh().await;
    let first = open(&backend).unwrap();
    let refused = open(&backend).unwrap_err();
    assert!(
        refused.to_string().contains("only one may run at a time"),
        "{refused}"
    );
    first.close().await.unwrap();
    let second = open(&backend).unwrap();
    drop(second);
    open(&backend).unwrap();
}

#[tokio::test]
async fn the_file_is_set_up_to_survive_a_power_cut() {
    let backend = Sqlite::fresh().await;
    drop(open(&backend).unwrap());
    let file = super::super::schema::open_writer(&backend.path()).unwrap();
    let number = |pragma: &str| -> i64 { file.pragma_query_value(None, pragma, |row| row.get(0)).unwrap() };
    let mode: String = file
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(
        (mode.as_str(), number("synchronous"), number("foreign_keys")),
        ("wal", 2, 1)
    );
    assert_eq!(
        (number("application_id"), number("user_version")),
        (0x4955_7365, 11)
    );
}

/// Makes a file as the version before wrote it, of a schema as old as that, with the events of
/// another file.
fn older(path: &Path, schemas: &[&str], from: &Path) {
    let file = Connection::open(path).unwrap();
    file.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    for schema in schemas {
        file.execute_batch(schema).unwrap();
    }
    file.pragma_update(None, "application_id", 0x4955_7365).unwrap();
    file.pragma_update(None, "user_version", i64::try_from(schemas.len()).unwrap())
        .unwrap();
    file.execute("ATTACH ?1 AS newer", [from.to_str().unwrap()])
        .unwrap();
    let tables: Vec<String> = file
        .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        // Later schemas have added columns.
        let columns: Vec<String> = file
            .prepare("SELECT name FROM pragma_table_info(?1, 'main')")
            .unwrap()
            .query_map([&table], |row| Ok(format!("\"{}\"", row.get::<_, String>(0)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let columns = columns.join(", ");
        file.execute_batch(&format!(
            "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
        ))
        .unwrap();
    }
}

#[tokio::test]
async fn a_file_of_an_older_schema_is_brought_forward_with_all_it_holds() {
    let asked = || query(vec![clause(Select::All)]);
    for version in 1..MIGRATIONS.len() {
        let (newest, backend) = (Sqlite::fresh().await, Sqlite::fresh().await);
        let store = newest.open().await;
        let pulls: Vec<String> = (0..40).map(|n| format!("g{n} {} a GET v1 @A", n * 60)).collect();
        append_lines(&newest, &store, &pulls.join("\n")).await;
        append_lines(
            &newest,
            &store,
            "p1 0.5 a PUT v1 @A\nd1 90 a DELETE v1 -\nd2 91 a DELETE - @X",
        )
        .await;
        append_lines(&newest, &store, "u1 92 a GET v1 @A untimed").await;
        let (events, tallies) = (all(&store).await, store.tally(asked()).await.unwrap());
        let tags = store.tags(registry(), REPOSITORY.to_owned()).await.unwrap();
        let known = source(&store).await;
        assert_eq!(events.len(), 44);
        newest.close(store).await;
        older(&backend.path(), &MIGRATIONS[..version], &newest.path());

        let store = backend.open().await;
        assert_eq!(all(&store).await, events, "schema {version}");
        assert_eq!(store.tags(registry(), REPOSITORY.to_owned()).await.unwrap(), tags);
        assert_eq!(source(&store).await, known);
        assert!(
            store.seal(at(86_400.0)).await.unwrap() > 0,
            "its events are counted"
        );
        assert_eq!(store.tally(asked()).await.unwrap(), tallies);
        append_lines(&backend, &store, "g99 99 b GET v1 @A").await;
        assert_eq!(all(&store).await.len(), 45);
        let again = delivery(vec![
            raw("g1 60 a GET v1 @A"),
            raw("u1 92 a GET v1 @A untimed received=300"),
        ]);
        let again = append(&store, again).await;
        assert_eq!((again.stored, again.duplicates), (0, 2), "schema {version}");
        store.usage_clusters().await.unwrap();
    }
}

#[tokio::test]
async fn a_close_leaves_one_file_without_a_log() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    append_lines(&backend, &store, "g1 1 a GET v1 @A").await;
    assert_eq!(all(&store).await.len(), 1);
    backend.close(store).await;
    let log = backend.path().with_extension("db-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0);
}

#[tokio::test]
async fn what_a_crash_left_unlinked_is_linked_at_the_next_start() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    append(
        &store,
        delivery(vec![raw("h1 1 a HEAD v1 @A"), raw("g1 2 a GET - @A")]),
    )
    .await;
    backend.close(store).await;
    // As after a crash between the two transactions.
    let file = Connection::open(backend.path()).unwrap();
    file.execute_batch(
        "DELETE FROM logical_events; DELETE FROM logical_tags;
         INSERT INTO unlinked SELECT repository, min(time), max(time) FROM raw_events GROUP BY repository",
    )
    .unwrap();
    drop(file);
    backend.changes();

    let store = backend.open().await;
    backend.settle(&store).await;
    assert_eq!(all(&store).await, ["g1 Pull v1 @A x2"]);
    assert_eq!(backend.changes().len(), 1);
    backend.close(store).await;
    let file = Connection::open(backend.path()).unwrap();
    let left: i64 = file
        .query_row("SELECT count(*) FROM unlinked", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_burst_is_linked_in_parts_and_what_is_left_outlives_a_crash() {
    let backend = Sqlite::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(burst())).await;
    backend.close(store).await;
    let mut file = schema::open_writer(&backend.path()).unwrap();
    file.execute_batch(
        "DELETE FROM logical_events; DELETE FROM logical_tags;
         INSERT INTO unlinked SELECT repository, min(time), max(time) FROM raw_events GROUP BY repository",
    )
    .unwrap();

    let mut pulls = Vec::new();
    loop {
        // As after a crash: all that is known is in the file.
        let mut touched = Touched::load(&file).unwrap();
        let Some(repository) = touched.pop() else {
            break;
        };
        let transaction = file.transaction().unwrap();
        relink::relink(&transaction, &mut Opened::default(), &repository, Instant::now()).unwrap();
        transaction.commit().unwrap();
        let count = "SELECT count(*) FROM logical_events WHERE category = 2";
        pulls.push(file.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap());
    }
    assert_eq!(pulls, [1_000, 2_000, 3_000, 3_250]);
    let count = "SELECT count(*) FROM logical_events";
    let all: i64 = file.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(all, 3_250, "no check is left");
}
