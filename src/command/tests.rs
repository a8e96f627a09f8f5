//! The commands as people type them, on files that a store has written.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Parser, error::ErrorKind};
use tempfile::TempDir;

use super::{StoreCommand, Streams, run};
use crate::{
    event::fixture::{at, raw},
    store::{
        Delivery, EVENTS_FILE, Quarantined, SqliteStore, Upkeep,
        conformance::{all, append, delivery, empty, source},
    },
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: StoreCommand,
}

/// What a command said.
struct Said {
    outcome: Result<(), String>,
    out: String,
    told: String,
}

fn parse(folder: &Path, words: &[&str]) -> Result<Arguments, clap::Error> {
    let folder = folder.to_str().unwrap();
    Arguments::try_parse_from(["store"].iter().chain(words).chain(&["--data-dir", folder]))
}

fn fed(folder: &Path, words: &[&str], input: &str) -> Said {
    let command = parse(folder, words).unwrap().command;
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let mut streams = Streams {
        input: &mut input.as_bytes(),
        out: &mut out,
        told: &mut told,
        is_terminal: false,
    };
    let outcome = run(command, &mut streams);
    Said {
        outcome,
        out: String::from_utf8(out).unwrap(),
        told: String::from_utf8(told).unwrap(),
    }
}

fn said(folder: &Path, words: &[&str]) -> Said {
    fed(folder, words, "")
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join(EVENTS_FILE)
}

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&file(folder), |_, _| {}).unwrap()
}

/// Some events, and a body that wants to rule the terminal.
async fn fill(store: &SqliteStore) {
    let events: Vec<_> = (0..3000)
        .map(|n| raw(&format!("g{n} {n} a GET v{} @A", n % 5)))
        .collect();
    for part in events.chunks(100) {
        append(store, delivery(part.to_vec())).await;
    }
    let body = Quarantined {
        reason: "Malformed",
        body: [b"\x1b]0;owned\x07{\xff".as_slice(), &[b'x'; 5000]].concat(),
        ..Quarantined::default()
    };
    append(
        store,
        Delivery {
            quarantined: Some(body),
            ..empty(10.0)
        },
    )
    .await;
    store.linked().await.unwrap();
}

/// A command, while the runtime goes on.
async fn beside(folder: &TempDir, words: &[&str]) -> Said {
    let folder = folder.path().to_owned();
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        said(&folder, &words)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_what_a_running_store_holds() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    fill(&store).await;
    let said = beside(&folder, &["check"]).await;
    said.outcome.unwrap();
    for line in [
        "registries: 1",
        "raw events: 3000",
        "logical events: 3000",
        "bodies in quarantine: 1",
    ] {
        assert!(said.out.lines().any(|said| said == line), "{}", said.out);
    }
    assert!(said.told.contains("is whole"), "{}", said.told);
    assert_eq!(all(&store).await.len(), 3000);
}

/// Writes over a part of these pages, behind the head of the file.
fn spoil(folder: &TempDir, pages: impl Iterator<Item = u64>) {
    let mut spoilt = fs::File::options().write(true).open(file(folder)).unwrap();
    for page in pages {
        spoilt.seek(SeekFrom::Start(page * 4096 + 100)).unwrap();
        spoilt.write_all(&[0xff; 2000]).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_fails_on_a_damaged_file_and_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    fill(&store).await;
    store.close().await.unwrap();
    let length = file(&folder).metadata().unwrap().len();
    let what_to_do = "is damaged: stop the operator, and put a backup in its place";
    // The schema is in the first pages.
    spoil(&folder, (length / 8192..length / 4096).step_by(7));
    let said = beside(&folder, &["check"]).await;
    let error = said.outcome.unwrap_err();
    assert!(error.contains(what_to_do), "{error}");
    assert!(said.out.contains("damaged: "), "{}", said.out);

    spoil(&folder, 0..1);
    let said = beside(&folder, &["check"]).await;
    let error = said.outcome.unwrap_err();
    assert!(error.contains(what_to_do), "{error}");
    let error = SqliteStore::open(&file(&folder), |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(error.contains(what_to_do), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_fails_on_a_count_that_is_off_and_where_there_is_no_store() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    fill(&store).await;
    store.close().await.unwrap();
    rusqlite::Connection::open(file(&folder))
        .unwrap()
        .execute_batch("UPDATE sources SET kept = kept + 1")
        .unwrap();
    let said = beside(&folder, &["check"]).await;
    assert!(said.outcome.is_err());
    assert!(
        said.out.contains("counts 3001 events and has 3000"),
        "{}",
        said.out
    );

    let none = TempDir::new().unwrap();
    for words in [
        ["check"].as_slice(),
        &["export"],
        &["quarantine", "list"],
        &["quarantine", "replay"],
    ] {
        assert!(beside(&none, words).await.outcome.is_err(), "{words:?}");
        assert!(!file(&none).exists(), "{words:?} makes none");
    }
    fs::write(file(&none), [b'x'; 8192]).unwrap();
    assert!(beside(&none, &["check"]).await.outcome.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_that_is_written_to_is_a_store_and_overwrites_nothing() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder));
    fill(&store).await;
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 3000..4000 {
                append(&*store, delivery(vec![raw(&format!("g{n} {n} a GET v1 @A"))])).await;
            }
        }
    });
    let restored = TempDir::new().unwrap();
    let out = file(&restored);
    let words = ["backup", "--out", out.to_str().unwrap()];
    let said = beside(&folder, &words).await;
    said.outcome.unwrap();
    assert!(said.out.is_empty(), "{}", said.out);
    writing.await.unwrap();

    let refused = beside(&folder, &words).await.outcome.unwrap_err();
    assert!(refused.contains("exists"), "{refused}");
    beside(&restored, &["check"]).await.outcome.unwrap();
    let copy = open(&restored);
    copy.linked().await.unwrap();
    let there = all(&copy).await.len();
    assert!((3000..=4000).contains(&there), "{there}");
    store.linked().await.unwrap();
    assert_eq!(all(&*store).await.len(), 4000, "the store went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_moves_a_store_also_in_parts() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    fill(&store).await;
    let whole = beside(&folder, &["export"]).await;
    whole.outcome.unwrap();
    assert!(whole.told.contains("3000 of them events"), "{}", whole.told);

    // Interrupted in the middle of a line.
    let cut: String = whole.out.chars().take(whole.out.len() / 2).collect();
    let (first, _) = cut.rsplit_once('\n').unwrap();
    let line = first.lines().last().unwrap();
    let second = beside(&folder, &["export", "--after", line]).await.out;
    assert!(second.len() < whole.out.len() * 2 / 3);

    let moved = TempDir::new().unwrap();
    let input = format!("{first}\n{second}");
    let path = moved.path().to_owned();
    let taken = tokio::task::spawn_blocking(move || {
        let first = fed(&path, &["import"], &input);
        let again = fed(&path, &["import"], &input);
        (first, again)
    })
    .await
    .unwrap();
    taken.0.outcome.unwrap();
    assert!(taken.0.told.contains("3000 new events"), "{}", taken.0.told);
    assert!(
        taken.1.told.contains("0 new events, 3000 that were there"),
        "{}",
        taken.1.told
    );
    assert!(beside(&moved, &["export"]).await.out == whole.out);

    // To and from a file.
    let out = moved.path().join("export.jsonl");
    let words = ["export", "--out", out.to_str().unwrap()];
    beside(&moved, &words).await.outcome.unwrap();
    assert!(
        beside(&moved, &words).await.outcome.is_err(),
        "it overwrites nothing"
    );
    let mut written = String::new();
    fs::File::open(&out)
        .unwrap()
        .read_to_string(&mut written)
        .unwrap();
    assert!(written == whole.out);
    let third = TempDir::new().unwrap();
    beside(&third, &["import", out.to_str().unwrap()])
        .await
        .outcome
        .unwrap();

    // Not into a store that is in use.
    let refused = beside(&folder, &["import", out.to_str().unwrap()]).await;
    assert!(refused.outcome.unwrap_err().contains("only one may run"));
    for line in ["{\"end\":{}}", "{\"event\":{", ""] {
        assert!(
            beside(&folder, &["export", "--after", line])
                .await
                .outcome
                .is_err()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_quarantine_is_shown_without_what_a_terminal_would_obey() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    fill(&store).await;
    let list = beside(&folder, &["quarantine", "list"]).await;
    list.outcome.unwrap();
    assert_eq!(list.out.lines().count(), 1);
    assert!(
        list.out.contains("default/registry notifications Malformed 5012"),
        "{}",
        list.out
    );
    let show = beside(&folder, &["quarantine", "show", "1"]).await;
    show.outcome.unwrap();
    assert!(
        show.out.starts_with("\\u{1b}]0;owned\\u{7}{\\xffxxx"),
        "{}",
        &show.out[..60]
    );
    assert!(show.out.len() < 4200);
    assert!(show.told.contains("4096 of 5012 bytes"), "{}", show.told);
    let all = beside(&folder, &["quarantine", "show", "1", "--bytes", "65536"]).await;
    assert!(all.out.len() > 5000);
    assert!(
        beside(&folder, &["quarantine", "show", "2"])
            .await
            .outcome
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_this_version_reads_become_events_as_they_would_have_been() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let headers: [(&str, &str); 3] = [
        ("ce-type", "zotregistry.image.updated"),
        ("ce-id", "5e0f3c1a-0000-4000-8000-00000000001f"),
        ("ce-time", "2026-02-02T02:40:00Z"),
    ];
    let push = |seconds, format, body: &[u8]| Delivery {
        quarantined: Some(Quarantined {
            reason: "UnexpectedShape",
            format,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: body.to_vec(),
        }),
        ..empty(seconds)
    };
    let readable = br#"{"name": "team/app", "reference": "v1"}"#;
    append(&store, push(10.0, "Zot", readable)).await;
    append(&store, push(1000.0, "Zot", b"{")).await;
    append(&store, push(2000.0, "Unheard", readable)).await;
    let cut = [readable.as_slice(), " ".repeat(64 * 1024).as_bytes()].concat();
    append(&store, push(3000.0, "Zot", &cut[..64 * 1024])).await;
    let refused = beside(&folder, &["quarantine", "replay"])
        .await
        .outcome
        .unwrap_err();
    assert!(refused.contains("only one may run"), "{refused}");
    store.close().await.unwrap();

    let said = beside(&folder, &["quarantine", "replay"]).await;
    said.outcome.unwrap();
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    assert!(
        said.out
            .contains("default/registry notifications UnexpectedShape 39: 1 events, 0 that"),
        "{}",
        said.out
    );
    assert!(
        said.told.contains(
            "1 bodies are read and have left; 1 still cannot be read, 1 were cut, 1 are of a format"
        ),
        "{}",
        said.told
    );
    let again = beside(&folder, &["quarantine", "replay"]).await;
    assert_eq!(again.out, "");
    let store = open(&folder);
    let events = all(&store).await;
    assert_eq!(events, ["5e0f3c1a-0000-4000-8000-00000000001f Push v1 - x1"]);
    let gaps: Vec<_> = source(&store)
        .await
        .gaps
        .into_iter()
        .map(|gap| gap.window.start)
        .collect();
    assert_eq!(gaps, [at(1000.0), at(2000.0), at(3000.0)]);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_opened() {
    let folder = TempDir::new().unwrap();
    for words in [
        ["export", "--since", "yesterday"].as_slice(),
        &["export", "--registry", "registry"],
        &["quarantine", "list", "--limit", "0"],
        &["quarantine", "show", "1", "--bytes", "65537"],
    ] {
        let error = parse(folder.path(), words).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation, "{words:?}");
    }
    assert_eq!(
        parse(folder.path(), &["backup"]).unwrap_err().kind(),
        ErrorKind::MissingRequiredArgument
    );
}
