//! A small volume of a real file system that fills up. To mount one takes root, and a
//! mount namespace that ends with the process: each test runs itself again in one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use jiff::SignedDuration;
use local_cluster::wait_until;

use super::super::SqliteStore;
use crate::{
    event::{
        StoredEvent,
        fixture::{at, raw},
    },
    image::RepositoryName,
    store::{
        Appended, EventLog, EventReader, KeepFree, Keeping, Refusing, StoreError, Terms, Upkeep, UsageStore,
        conformance::{REPOSITORY, delivery, gaps_written, registry, source},
    },
};

/// Names the volume to the test in the namespace.
const VOLUME: &str = "STORE_TEST_VOLUME";
const VOLUME_BYTES: u64 = 32 << 20;
const DEADLINE: Duration = Duration::from_mins(1);

/// The volume, where this is the run that has one. Otherwise runs the test again with one.
fn volume(test: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(VOLUME) {
        return Some(folder.into());
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root mounts a volume");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(r#"mount -t tmpfs -o size={VOLUME_BYTES} tmpfs "${VOLUME}" && exec "$@""#);
    let ran = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            &format!("{}::{test}", module_path!().split_once("::").unwrap().1),
        ])
        .env(VOLUME, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    None
}

fn open(volume: &Path, keep_free: KeepFree) -> SqliteStore {
    SqliteStore::open_keeping_free(&volume.join("events.db"), keep_free, |_, _| {}).unwrap()
}

/// A pull that takes some room.
fn pull(number: u32) -> StoredEvent {
    let mut stored = raw(&format!("g{number} {number} a GET v1 @A"));
    stored.event.user_agent = Some(format!("{number:01000}"));
    stored
}

async fn append(store: &SqliteStore, number: u32) -> Result<Appended, StoreError> {
    store.append(delivery(vec![pull(number)])).await
}

/// Appends until it is refused; how many were taken since `from`, and why no more.
async fn fill(store: &SqliteStore, from: u32) -> (u32, StoreError) {
    for number in from.. {
        if let Err(error) = append(store, number).await {
            return (number, error);
        }
    }
    unreachable!("a volume ends")
}

/// Tries until an append is taken.
async fn taken_again(store: &SqliteStore, number: u32) {
    wait_until(DEADLINE, "an append to be taken", async || {
        append(store, number).await.map_err(Into::into)
    })
    .await
    .unwrap();
}

fn free(volume: &Path) -> u64 {
    let volume = rustix::fs::statvfs(volume).unwrap();
    volume.f_bavail * volume.f_frsize
}

/// Fills the rest of the volume to the last byte.
fn stuff(volume: &Path) -> PathBuf {
    let file = volume.join("stuff");
    let mut written = fs::File::create(&file).unwrap();
    let block = [1; 4096];
    while std::io::Write::write_all(&mut written, &block).is_ok() {}
    assert_eq!(free(volume), 0);
    file
}

async fn counted(store: &SqliteStore) -> usize {
    let tags = store.tags(registry(), REPOSITORY.to_owned()).await.unwrap();
    assert_eq!(tags.len(), 1);
    usize::try_from(source(store).await.stored).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_volume_is_full_events_are_refused_and_all_else_goes_on() {
    let Some(volume) = volume("before_the_volume_is_full_events_are_refused_and_all_else_goes_on") else {
        return;
    };
    let store = open(&volume, KeepFree::Bytes(8 << 20));
    let terms = Terms {
        retention: SignedDuration::from_hours(1),
        quota: None,
    };
    store.keep(registry(), terms).await.unwrap();
    // What others put there counts as well.
    let stuffed = volume.join("stuff");
    append(&store, 0).await.unwrap();
    fs::write(&stuffed, vec![1; 16 << 20]).unwrap();
    let (taken, error) = fill(&store, 1).await;
    assert!(
        matches!(error, StoreError::LowSpace { keep_free } if keep_free == 8 << 20),
        "{error}"
    );
    assert!(free(&volume) > 2 << 20, "refused before it is full");
    assert_eq!(
        store.refusing(&registry()),
        Some(Refusing::LowSpace { keep_free: 8 << 20 })
    );
    assert!(store.room().low_space);

    // What was taken is linked and read, and what clusters run is kept.
    store.linked().await.unwrap();
    assert_eq!(counted(&store).await, taken as usize);
    let name: RepositoryName = "registry.example.com/team/app".parse().unwrap();
    store
        .save_uses("cluster".to_owned(), at(0.0), vec![(name.clone(), Vec::new())])
        .await
        .unwrap();
    assert!(
        store
            .last_known("cluster".to_owned(), vec![name])
            .await
            .unwrap()
            .is_some()
    );

    fs::remove_file(stuffed).unwrap();
    taken_again(&store, taken).await;
    assert_eq!(store.refusing(&registry()), None);
    let gaps = source(&store).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, "Refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_gives_room_back_to_a_volume_that_is_nearly_full() {
    let Some(volume) = volume("a_purge_gives_room_back_to_a_volume_that_is_nearly_full") else {
        return;
    };
    let store = open(&volume, KeepFree::Bytes(10 << 20));
    let (taken, error) = fill(&store, 0).await;
    assert!(matches!(error, StoreError::LowSpace { .. }), "{error}");
    let file = volume.join("events.db");
    let full = file.metadata().unwrap().len();
    store.linked().await.unwrap();

    let purged = store.purge(registry(), at(1e7)).await.unwrap();
    assert_eq!(purged.raw, u64::from(taken));
    let left = file.metadata().unwrap().len();
    assert!(left < full / 4, "{left} of {full} bytes are left");
    taken_again(&store, taken).await;
    store.close().await.unwrap();
    assert_sound(&file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_is_full_loses_nothing_and_recovers_without_a_restart() {
    let Some(volume) = volume("a_volume_that_is_full_loses_nothing_and_recovers_without_a_restart") else {
        return;
    };
    // Nothing is kept free: the volume itself refuses.
    let store = open(&volume, KeepFree::Bytes(0));
    for number in 0..100 {
        append(&store, number).await.unwrap();
    }
    let mut next = 100;
    for _ in 0..3 {
        let stuffed = stuff(&volume);
        let (taken, error) = fill(&store, next).await;
        assert!(matches!(error, StoreError::LowSpace { .. }), "{error}");
        assert_eq!(counted(&store).await, taken as usize, "reads go on");
        fs::remove_file(stuffed).unwrap();
        // Although nothing more is delivered.
        let gaps = gaps_written(&store).await;
        assert!(gaps.len() == 1 && gaps[0].is_open, "{gaps:?}");
        taken_again(&store, taken).await;
        next = taken + 1;
    }
    store.linked().await.unwrap();
    assert_eq!(counted(&store).await, next as usize);
    assert_eq!(source(&store).await.gaps.len(), 1);
    store.close().await.unwrap();
    assert_sound(&volume.join("events.db"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_needs_only_a_little_room_on_a_volume_that_was_full() {
    let Some(volume) = volume("a_purge_needs_only_a_little_room_on_a_volume_that_was_full") else {
        return;
    };
    let store = open(&volume, KeepFree::Bytes(0));
    for number in 0..2000 {
        append(&store, number).await.unwrap();
    }
    store.linked().await.unwrap();
    let stuffed = stuff(&volume);
    let (taken, _) = fill(&store, 2000).await;
    // To the last byte: it fails, and can be tried again.
    let _ = store.purge(registry(), at(1e7)).await;
    let stuffed = fs::File::options().write(true).open(stuffed).unwrap();
    stuffed
        .set_len(stuffed.metadata().unwrap().len() - (6 << 20))
        .unwrap();
    store.purge(registry(), at(1e7)).await.unwrap();
    assert!(free(&volume) > 8 << 20, "{}", free(&volume));
    taken_again(&store, taken).await;
    store.linked().await.unwrap();
    assert_eq!(counted(&store).await, taken as usize + 1);
    store.close().await.unwrap();
    assert_sound(&volume.join("events.db"));
}

fn assert_sound(file: &Path) {
    let verdict: String = rusqlite::Connection::open(file)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}
