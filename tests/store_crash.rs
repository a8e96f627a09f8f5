//! What the store acknowledged survives the process: a child appends as fast as it can and
//! says what was acknowledged, is killed (SIGKILL) at a random point, and the file is read.
//!
//! `STORE_CRASH_ROUNDS=1000` for a long run.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use image_usage_operator::{
    event::{Attribution, Category, LogicalCategory, RegistryEvent},
    image::Digest,
    store::{
        Clause, Clients, Delivery, EventLog, EventQuery, EventReader, RegistryKey, Select, SqliteStore,
        Upkeep, Window,
    },
};
use jiff::{SignedDuration, Timestamp};

const FOLDER: &str = "STORE_CRASH_FOLDER";
const ROUND: &str = "STORE_CRASH_ROUND";

/// Appends at the same time, so that commits hold several deliveries.
const CLIENTS: u32 = 8;

fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "default".to_owned(),
        name: "crash".to_owned(),
        uid: "1".to_owned(),
    }
}

fn repository(client: u32) -> String {
    format!("team/app-{}", client % 3)
}

/// A HEAD by tag and the GET that follows it, so that there is something to link.
fn pair(round: u32, client: u32, number: u32) -> [RegistryEvent; 2] {
    let start = Timestamp::from_second(1_770_000_000).unwrap();
    let seconds = i64::from(round) * 3600 + i64::from(number);
    ["HEAD", "GET"].map(|method| RegistryEvent {
        id: format!("{method}-{round}-{client}-{number}"),
        category: Category::Pull,
        target: None,
        repository: repository(client),
        tag: (method == "HEAD").then(|| "v1".to_owned()),
        digest: Some(Digest::Sha256([7; 32])),
        media_type: None,
        method: Some(method.to_owned()),
        address: None,
        network_type: None,
        forwarded_chain: None,
        actor: None,
        // Nobody else's GET takes the HEAD.
        user_agent: Some(format!("client-{client}-{number}")),
        time: Some(start + SignedDuration::from_secs(seconds)),
        request_id: None,
        instance_id: Some(format!("instance-{}", round % 2)),
    })
}

/// The child: never returns by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test below, in a process of its own"]
async fn child_appends_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else {
        return;
    };
    let round: u32 = round.parse().unwrap();
    let store = Arc::new(SqliteStore::open(&Path::new(&folder).join("events.db"), |_, _| {}).unwrap());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0.. {
                    for event in pair(round, client, number) {
                        let id = event.id.clone();
                        let received = event.time.unwrap();
                        let delivery = Delivery {
                            registry: registry(),
                            source: "notifications".to_owned(),
                            received,
                            events: vec![event],
                            ignored: 0,
                            quarantined: None,
                        };
                        let appended = store.append(delivery).await.unwrap();
                        assert_eq!(appended.stored, 1);
                        // One write: the line is there whole or not at all.
                        std::io::stdout()
                            .write_all(format!("acknowledged {id};\n").as_bytes())
                            .unwrap();
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// Ids acknowledged before the child was killed.
fn run_and_kill(folder: &Path, round: u32, after: usize) -> BTreeSet<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_appends_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    let mut note = |line: String| {
        let id = line
            .split_once("acknowledged ")
            .and_then(|(_, id)| id.strip_suffix(';'));
        if let Some(id) = id {
            acknowledged.insert(id.to_owned());
            return true;
        }
        false
    };
    let mut seen = 0;
    while seen < after {
        let line = lines.next().expect("the child ended by itself").unwrap();
        seen += usize::from(note(line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died.
    for line in lines.map_while(Result::ok) {
        note(line);
    }
    acknowledged
}

/// How many raw events each pull and check of a repository is made of, by id.
async fn pulls(store: &SqliteStore, repository: String) -> BTreeMap<String, (LogicalCategory, i64)> {
    let all = Clause {
        select: Select::All,
        window: Window {
            start: Timestamp::MIN,
            end: Timestamp::MAX,
        },
        attribution: Attribution::Named,
    };
    let query = EventQuery {
        registry: registry(),
        repository,
        categories: Vec::new(),
        clauses: vec![all],
        clients: Clients::default(),
    };
    let found = store.events(query, None, usize::MAX).await.unwrap();
    let count = found.len();
    let by_id: BTreeMap<_, _> = found
        .into_iter()
        .map(|found| (found.event.id, (found.event.category, found.event.raw_count)))
        .collect();
    assert_eq!(by_id.len(), count, "an id is there twice");
    by_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_event_is_there_once_after_a_kill() {
    let rounds: u32 = std::env::var("STORE_CRASH_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap());
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    for round in 0..rounds {
        let acknowledged = run_and_kill(folder.path(), round, random.usize(1..300));

        let store = SqliteStore::open(&path, |_, _| {}).unwrap();
        store.linked().await.unwrap();
        let mut there = BTreeMap::new();
        for client in 0..3 {
            there.extend(pulls(&store, repository(client)).await);
        }
        for id in &acknowledged {
            // A HEAD is a check of its own, or part of its GET.
            let get = id.replace("HEAD-", "GET-");
            let found = there.contains_key(id) || there.get(&get).is_some_and(|(_, parts)| *parts == 2);
            assert!(
                found,
                "round {round}, seed {seed}: {id} was acknowledged and is lost"
            );
        }
        for (id, (category, parts)) in &there {
            let (expected, most) = if id.starts_with("GET") {
                (LogicalCategory::Pull, 2)
            } else {
                (LogicalCategory::Check, 1)
            };
            assert_eq!(
                (*category, (*parts).min(most)),
                (expected, most),
                "round {round}: {id} is linked"
            );
        }
        store.close().await.unwrap();

        let file = rusqlite::Connection::open(&path).unwrap();
        let verdict: String = file
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(verdict, "ok", "round {round}, seed {seed}");
        let left: i64 = file
            .query_row("SELECT count(*) FROM unlinked", [], |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0, "round {round}: all is linked");
    }
}
