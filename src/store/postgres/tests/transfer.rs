//! Moves from, to and between databases, and what only they do.

use std::{path::Path, time::Duration};

use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use super::{
    super::{Partitions, PostgresReader, PostgresWriter},
    Postgres, connect, options,
    sharded::Sharded,
};
use crate::{
    command::{StoreCommand, Streams},
    event::fixture::raw,
    store::{
        EventReader, PostgresStore, StoreError,
        conformance::{
            Backend, all, append, delivery, registry,
            transfer::{Carried, transfer},
        },
        sqlite::tests::Sqlite,
        transfer::{Record, Scope, TransferReader, TransferWriter},
    },
};

impl Carried for Postgres {
    async fn reader(&self, scope: Scope) -> Result<Box<dyn TransferReader>, StoreError> {
        Ok(Box::new(PostgresReader::open(&options(&self.url), scope).await?))
    }

    async fn writer(&self) -> Result<Box<dyn TransferWriter>, StoreError> {
        Ok(Box::new(PostgresWriter::open(&options(&self.url)).await?))
    }
}

impl Carried for Sharded {
    async fn reader(&self, scope: Scope) -> Result<Box<dyn TransferReader>, StoreError> {
        Ok(Box::new(PostgresReader::open(&options(&self.url), scope).await?))
    }

    async fn writer(&self) -> Result<Box<dyn TransferWriter>, StoreError> {
        Ok(Box::new(PostgresWriter::open(&options(&self.url)).await?))
    }
}

mod conformance_suite {
    use super::{Postgres, transfer};

    transfer!(Postgres);
}

mod from_sqlite {
    use super::{Postgres, Sqlite, transfer};

    transfer!(Sqlite => Postgres);
}

mod to_sqlite {
    use super::{Postgres, Sqlite, transfer};

    transfer!(Postgres => Sqlite);
}

mod between {
    use super::{Postgres, transfer};

    transfer!(Postgres => Postgres);
}

mod onto_shards {
    use super::{Sharded, Sqlite, transfer};

    transfer!(Sqlite => Sharded);
}

mod from_shards {
    use super::{Postgres, Sharded, transfer};

    transfer!(Sharded => Postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_not_start_while_an_import_runs() {
    let backend = Postgres::fresh().await;
    let writer = backend.writer().await.unwrap();
    let refused = PostgresStore::open(&options(&backend.url), |_, _| {})
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("an import writes to it"),
        "{refused}"
    );
    drop(writer);
    let store = backend.open().await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_links_what_an_interrupted_one_left() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    append(&store, delivery(vec![raw("g1 1 a GET v1 @A")])).await;
    store.linked().await.unwrap();
    store.close().await.unwrap();
    let database = connect(&backend.url).await;
    database
        .batch_execute(
            "DELETE FROM logical_events; DELETE FROM logical_tags;
             INSERT INTO unlinked (repository, start, mark, finish, events)
             SELECT repository, time, 1, time, 1 FROM raw_events",
        )
        .await
        .unwrap();
    drop(backend.writer().await.unwrap());
    let rows = database
        .query_one(
            "SELECT (SELECT count(*) FROM unlinked), (SELECT count(*) FROM logical_events)",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((rows.get::<_, i64>(0), rows.get::<_, i64>(1)), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_as_old_as_events_are_kept_get_a_partition() {
    let backend = Postgres::fresh().await;
    let now = Timestamp::now();
    let days = |days: i64| now - SignedDuration::from_hours(24 * days);
    let mut records = vec![
        Record::Registry {
            registry: registry(),
            retention: Some(SignedDuration::from_hours(24 * 90)),
            quota: None,
            released: None,
        },
        Record::Source {
            registry: registry(),
            source: "notifications".to_owned(),
            since: days(99),
            last_delivery: now,
            last_event: None,
            stored: 3,
            duplicates: 0,
            ignored: 0,
            quarantined: 0,
        },
    ];
    records.extend([0, 80, 95].map(|age| {
        let mut event = raw(&format!("g{age} 1 a GET v1 @A"));
        event.time = days(age);
        event.event.time = Some(event.time);
        Record::Event {
            registry: registry(),
            event: Box::new(event),
        }
    }));
    let mut writer = backend.writer().await.unwrap();
    writer.write(records).await.unwrap();
    let day = |time: Timestamp| time.strftime("raw_events_%Y%m%d").to_string();
    let rows = connect(&backend.url)
        .await
        .query(
            "SELECT tableoid::regclass::text FROM raw_events ORDER BY time",
            &[],
        )
        .await
        .unwrap();
    let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        found,
        ["raw_events_other".to_owned(), day(days(80)), day(days(0))]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_to_come_gets_its_partition_after_a_long_export() {
    let backend = Postgres::fresh().await;
    let store = backend.open().await;
    let client = connect(&backend.url).await;
    let count = async || {
        let rows = client
            .query_one(
                "SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw_events'::regclass",
                &[],
            )
            .await
            .unwrap();
        rows.get::<_, i64>(0)
    };
    let all = 5;
    local_cluster::wait_until(Duration::from_secs(20), "partitions", async || {
        let count = count().await;
        anyhow::ensure!(count == all, "{count} partitions");
        Ok(())
    })
    .await
    .unwrap();
    let newest = Timestamp::now() + SignedDuration::from_hours(48);
    let undo = newest.strftime("DROP TABLE raw_events_%Y%m%d").to_string();
    client.batch_execute(&undo).await.unwrap();

    let exporting = connect(&backend.url).await;
    exporting
        .batch_execute("BEGIN; SELECT count(*) FROM raw_events")
        .await
        .unwrap();
    let session = store.database.session().await.unwrap();
    let later = Partitions::new(true);
    later.make_ahead(&session).await.unwrap();
    assert_eq!(count().await, all - 1, "somebody reads the events of all days");
    exporting.batch_execute("COMMIT").await.unwrap();
    later.make_ahead(&session).await.unwrap();
    assert_eq!(count().await, all);
    session.done();
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_of_this_version_is_not_exported() {
    let backend = Postgres::fresh().await;
    let refused = backend.reader(Scope::default()).await.err().unwrap();
    assert!(refused.to_string().contains("holds no event store"), "{refused}");
    backend.open().await.close().await.unwrap();
    connect(&backend.url)
        .await
        .batch_execute("UPDATE schema_version SET version = 99")
        .await
        .unwrap();
    for refused in [
        backend.reader(Scope::default()).await.err().unwrap(),
        backend.writer().await.err().unwrap(),
    ] {
        assert!(
            matches!(refused, StoreError::NewerSchema { found: 99, .. }),
            "{refused}"
        );
    }
}

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: StoreCommand,
}

/// What a command wrote, and told.
fn said(words: &[&str], mut input: &[u8]) -> Result<(String, String), String> {
    let command = Arguments::try_parse_from(["store"].iter().chain(words))
        .unwrap()
        .command;
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut streams = Streams {
        input: &mut input,
        out: &mut out,
        told: &mut told,
        is_terminal: false,
    };
    crate::command::run(command, &mut streams)?;
    Ok((String::from_utf8(out).unwrap(), String::from_utf8(told).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_move_a_file_into_the_database_that_is_named() {
    let (from, to) = (Sqlite::fresh().await, Postgres::fresh().await);
    let store = from.open().await;
    append(
        &store,
        delivery(vec![raw("g1 1 a GET v1 @A"), raw("g2 2 a GET v1 @A")]),
    )
    .await;
    let folder = from.path().parent().map(Path::to_owned).unwrap();
    let url = to.url.clone();
    let (told, again) = tokio::task::spawn_blocking(move || {
        let folder = folder.to_str().unwrap();
        let (lines, _) = said(&["export", "--data-dir", folder], &[]).unwrap();
        let (_, told) = said(&["import", "--database-url", &url], lines.as_bytes()).unwrap();
        let (again, _) = said(&["export", "--database-url", &url], &[]).unwrap();
        for words in [
            ["check"].as_slice(),
            &["quarantine", "list"],
            &["backup", "--out", "x"],
        ] {
            let refused = said(&[words, &["--database-url", url.as_str()]].concat(), &[]).unwrap_err();
            assert!(refused.contains("PostgreSQL's own tools"), "{refused}");
        }
        (told, again == lines)
    })
    .await
    .unwrap();
    assert!(told.contains("2 new events, 0 that were there"), "{told}");
    assert!(again);
    from.close(store).await;
    let store = to.open().await;
    assert_eq!(all(&store).await.len(), 2);
    assert_eq!(store.sources(registry()).await.unwrap().len(), 1);
    to.close(store).await;
}
