//! The watch against a server that follows a script, under a clock that jumps.

mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use self::server::{APP, Answer, LIST, Server, bookmark, changes, failure, list_end, page, pod};
use super::*;
use crate::cluster::stream::StreamError;

#[derive(Debug, Default)]
struct Touches(Mutex<Vec<String>>);

impl TouchSink for Touches {
    fn repositories(&self, names: &[Arc<RepositoryName>]) {
        self.0
            .lock()
            .unwrap()
            .extend(names.iter().map(ToString::to_string));
    }

    fn listed(&self) {
        self.0.lock().unwrap().push("listed".into());
    }

    fn everything(&self) {
        self.0.lock().unwrap().push("everything".into());
    }
}

/// A watch that runs against a script.
struct Running {
    server: Server,
    begun: Instant,
    inventory: SharedInventory,
    touches: Arc<Touches>,
    states: watch::Receiver<ClusterState>,
    clients: watch::Sender<Client>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), WatchEnded>>,
}

impl Running {
    fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_with(answers, Limits::default())
    }

    fn start_with(answers: impl IntoIterator<Item = Answer>, limits: Limits) -> Self {
        let (server, begun) = (Server::new(answers), Instant::now());
        let (inventory, touches) = (SharedInventory::default(), Arc::new(Touches::default()));
        let (states, receiver) = watch::channel(ClusterState::new(Timestamp::UNIX_EPOCH));
        let (clients, newest) = watch::channel(server.client(begun));
        let cancel = CancellationToken::new();
        let target = Target {
            inventory: inventory.clone(),
            sink: touches.clone(),
            states,
        };
        Self {
            task: tokio::spawn(run(newest, limits, target, cancel.clone())),
            server,
            begun,
            inventory,
            touches,
            states: receiver,
            clients,
            cancel,
        }
    }

    /// Lets the clock jump on.
    async fn after(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    fn pods(&self) -> i64 {
        self.inventory.read().usage().pods
    }

    fn state(&self) -> KindState {
        *self.states.borrow().kind(Kind::Pod).unwrap()
    }

    fn touches(&self) -> Vec<String> {
        std::mem::take(&mut self.touches.0.lock().unwrap())
    }

    async fn end(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn first_list() -> Vec<String> {
    vec![pod("ADDED", "a", 3), pod("ADDED", "b", 9), list_end(7)]
}

#[tokio::test(start_paused = true)]
async fn a_list_is_silent_until_its_end_and_changes_name_what_they_touch() {
    let mut lines = first_list();
    lines.push(pod("ADDED", "c", 10));
    let watch = Running::start([Answer::Open(lines)]);
    watch.after(1).await;
    assert_eq!(watch.pods(), 3);
    assert_eq!(watch.touches(), ["listed", APP]);
    assert_eq!(watch.state().phase, Phase::Synced);
    assert!(watch.state().complete.is_some());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_resumes_at_the_last_version() {
    let mut lines = first_list();
    lines.push(pod("DELETED", "a", 11));
    lines.push(bookmark(20));
    let watch = Running::start([Answer::Break(lines), Answer::Open(vec![pod("ADDED", "c", 21)])]);
    watch.after(2).await;
    assert_eq!(watch.server.asked(), [LIST.to_owned(), changes(20)]);
    assert_eq!(watch.pods(), 2);
    assert_eq!(watch.state().phase, Phase::Synced);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_lists_again_and_drops_what_has_gone() {
    let watch = Running::start([
        Answer::End(first_list()),
        Answer::Open(vec![failure(410)]),
        Answer::Open(vec![pod("ADDED", "b", 9), list_end(30)]),
    ]);
    watch.after(10).await;
    assert_eq!(
        watch.server.asked(),
        [LIST.to_owned(), changes(7), LIST.to_owned()]
    );
    assert_eq!(watch.pods(), 1);
    assert_eq!(watch.touches(), ["listed", "listed"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_drops_nothing_and_ends_no_kind() {
    let watch = Running::start([
        Answer::Open({
            let mut lines = first_list();
            lines.push(failure(410));
            lines
        }),
        Answer::Break(vec![pod("ADDED", "a", 3)]),
        Answer::Silence,
    ]);
    watch.after(5).await;
    assert_eq!(watch.pods(), 2);
    // A list that was begun makes nothing current.
    let expected = Phase::Disconnected {
        reason: "ConnectionBroken",
    };
    assert_eq!(watch.state().phase, expected);
    assert_eq!(watch.touches(), ["listed"]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_to_stream_a_list_is_read_in_pages() {
    for refusal in [
        Answer::Status(422, None),
        Answer::Open(vec![pod("ADDED", "a", 1)]),
    ] {
        let watch = Running::start([
            refusal,
            page(&["a", "b"], "next=", 7),
            page(&["c"], "", 7),
            Answer::Open(vec![pod("DELETED", "c", 8)]),
        ]);
        watch.after(60).await;
        let pages = ["limit=500", "limit=500&continue=next%3D"].map(str::to_owned);
        let expected = [&[LIST.to_owned()], &pages[..], &[changes(7)]].concat();
        assert_eq!(watch.server.asked(), expected);
        assert_eq!(watch.pods(), 2);
        assert_eq!(watch.touches(), ["listed", APP]);
        assert_eq!(watch.state().phase, Phase::Synced);
        watch.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let limits = Limits {
        page_bytes: 500,
        ..Limits::default()
    };
    let answers = [
        Answer::Status(400, None),
        page(&["a", "b", "c", "d"], "", 7),
        page(&["a"], "", 7),
        Answer::Silence,
    ];
    let watch = Running::start_with(answers, limits);
    watch.after(1).await;
    assert_eq!(
        &watch.server.asked()[1..],
        ["limit=500", "limit=125", &changes(7)]
    );
    assert_eq!(watch.pods(), 1);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_rights_is_a_gap_that_is_looked_at_now_and_then() {
    let denied = |code| Answer::Status(code, None);
    let watch = Running::start([denied(403), denied(401), Answer::Open(first_list())]);
    watch.after(1).await;
    assert_eq!(watch.state().phase, Phase::Forbidden { reason: "Forbidden" });
    assert_eq!(watch.state().complete, None);
    watch.after(16).await;
    assert_eq!(
        watch.state().phase,
        Phase::Forbidden {
            reason: "Unauthorized"
        }
    );
    watch.after(60).await;
    assert_eq!(watch.state().phase, Phase::Synced);
    // The other kinds are gaps of their own.
    assert!(!watch.states.borrow().is_synced());
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_kept() {
    let watch = Running::start([Answer::Status(429, Some(40)), Answer::Open(first_list())]);
    watch.after(60).await;
    let times = watch.server.times();
    assert!((40..=41).contains(&times[1]), "{times:?}");
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_taken_for_dead_and_listed_again() {
    let watch = Running::start([Answer::Open(first_list()), Answer::Open(first_list())]);
    watch.after(100).await;
    assert_eq!(watch.server.asked(), [LIST, LIST]);
    let times = watch.server.times();
    assert!((90..=92).contains(&times[1]), "{times:?}");
    assert_eq!(watch.state().phase, Phase::Synced);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_went_back_to_an_older_state_is_listed_again() {
    let watch = Running::start([
        Answer::Break(first_list()),
        Answer::Open(Vec::new()),
        page(&["a"], "", 5),
        Answer::Open(vec![pod("ADDED", "b", 4), list_end(5)]),
    ]);
    watch.after(10).await;
    let expected = [LIST.to_owned(), changes(7), "limit=1".to_owned(), LIST.to_owned()];
    assert_eq!(watch.server.asked(), expected);
    assert_eq!(watch.pods(), 1);
    assert_eq!(watch.state().phase, Phase::Synced);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_of_a_server_that_has_got_as_far_is_in_order() {
    let watch = Running::start([
        Answer::Break(first_list()),
        Answer::Open(Vec::new()),
        page(&["a"], "", 7),
        Answer::Silence,
    ]);
    watch.after(60).await;
    let expected = [LIST.to_owned(), changes(7), "limit=1".to_owned()];
    assert_eq!(watch.server.asked(), expected);
    assert_eq!(watch.pods(), 2);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_back_is_told_and_its_objects_stay() {
    let watch = Running::start([
        Answer::Break(first_list()),
        Answer::Status(503, None),
        Answer::Status(503, None),
        Answer::Silence,
    ]);
    watch.after(10).await;
    let expected = Phase::Disconnected {
        reason: "ServerError",
    };
    assert_eq!(watch.state().phase, expected);
    assert_eq!(watch.pods(), 2);
    watch.after(60).await;
    assert_eq!(watch.state().phase, Phase::Disconnected { reason: "TimedOut" });
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_used_at_once_and_nothing_is_listed_again() {
    let watch = Running::start([Answer::Open(first_list()), Answer::Open(vec![bookmark(8)])]);
    watch.after(10).await;
    watch.clients.send(watch.server.client(watch.begun)).unwrap();
    watch.after(1).await;
    assert_eq!(watch.server.asked(), [LIST.to_owned(), changes(7)]);
    assert_eq!(watch.state().phase, Phase::Synced);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_above_the_limit_is_a_gap_and_holds_no_memory() {
    let limits = Limits {
        frame_bytes: 1000,
        ..Limits::default()
    };
    let mut lines = first_list();
    lines.push("x".repeat(1001));
    let watch = Running::start_with([Answer::Open(lines), Answer::Silence], limits);
    watch.after(1).await;
    let expected = Phase::Disconnected {
        reason: StreamError::FrameTooLarge.reason(),
    };
    assert_eq!(watch.state().phase, expected);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_list_comes_to_an_end() {
    let limits = Limits {
        list_bytes: 5000,
        ..Limits::default()
    };
    let lines = (0..100)
        .map(|number| pod("ADDED", &format!("p{number}"), 1))
        .collect();
    let watch = Running::start_with([Answer::Open(lines)], limits);
    watch.after(1).await;
    assert_eq!(
        watch.state().phase,
        Phase::Disconnected {
            reason: "ListTooLarge"
        }
    );
    assert!(watch.pods() < 50);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_keeps_within_its_memory_budget() {
    let limits = Limits {
        memory: 20_000,
        ..Limits::default()
    };
    let lines = (0..10_000)
        .map(|number| pod("ADDED", &format!("p{number}"), 1))
        .collect();
    let watch = Running::start_with([Answer::Open(lines)], limits);
    watch.after(1).await;
    assert_eq!(
        watch.state().phase,
        Phase::Disconnected {
            reason: "MemoryBudgetExceeded"
        }
    );
    assert!(watch.pods() < 200);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_used_up_the_budget_is_forgotten_and_the_last_list_kept() {
    let limits = Limits {
        memory: 20_000,
        ..Limits::default()
    };
    let lies = || (0..10_000).map(|number| pod("ADDED", &format!("p{number}"), 11));
    let changes_without_end = first_list().into_iter().chain(lies()).collect();
    let watch = Running::start_with(
        [
            Answer::Open(changes_without_end),
            Answer::Open(lies().collect()),
            Answer::Open(vec![pod("ADDED", "b", 9), pod("ADDED", "c", 12), list_end(30)]),
        ],
        limits,
    );
    for _ in 0..2 {
        watch.after(8).await;
        let expected = Phase::Disconnected {
            reason: "MemoryBudgetExceeded",
        };
        assert_eq!(watch.state().phase, expected);
        assert_eq!(watch.pods(), 2);
        assert!(watch.inventory.read().memory() < 10_000);
    }
    watch.after(60).await;
    assert_eq!(watch.server.asked(), [LIST; 3]);
    assert_eq!(watch.state().phase, Phase::Synced);
    assert_eq!(watch.pods(), 2);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_list_that_takes_long_leaves_the_old_one_out_of_date() {
    let watch = Running::start([
        Answer::Open({
            let mut lines = first_list();
            lines.push(failure(410));
            lines
        }),
        Answer::Slow(
            (0..40)
                .map(|number| pod("ADDED", &format!("p{number}"), 9))
                .collect(),
        ),
    ]);
    watch.after(10).await;
    assert_eq!(watch.state().phase, Phase::Syncing);
    watch.after(25).await;
    let expected = Phase::Disconnected {
        reason: "ListTooSlow",
    };
    assert_eq!(watch.state().phase, expected);
    // Another client does not start it over.
    watch.clients.send(watch.server.client(watch.begun)).unwrap();
    watch.after(1).await;
    assert_eq!(watch.server.asked(), [LIST, LIST]);
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn garbage_is_backed_off_from_and_never_ends_the_watch() {
    let garbage = || Answer::Open(vec!["\u{0}garbage".into()]);
    let watch = Running::start((0..50).map(|_| garbage()));
    watch.after(600).await;
    let asked = watch.server.asked().len();
    assert!((5..50).contains(&asked), "{asked}");
    assert_eq!(watch.state().phase, Phase::Disconnected { reason: "Malformed" });
    watch.end().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_only_when_it_is_told_to_and_then_at_once() {
    let watch = Running::start([Answer::Silence]);
    watch.after(10_000).await;
    assert!(!watch.task.is_finished());
    let begun = Instant::now();
    watch.end().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
