use jiff::{SignedDuration, Timestamp};

use super::{
    Place, ago, close, poller, registry_key, row,
    server::{Answer, Logs, Registry, Row},
    source, stored, tags,
};
use crate::{
    poll::{
        poller::{MOST_PAGES, Poller, Stop},
        problem::Problem,
        reading::LATE,
        source::Log,
    },
    store::{Cursor, Cursors, Keeping, LogKey, SqliteStore, Terms},
};

fn team() -> Log {
    Log::QuayOrganization("team".to_owned())
}

/// Ten minutes of rows, two a second at the end, of which many share a second.
fn rows(count: u32) -> Vec<Row> {
    let seconds = |number: u32| match number % 3 {
        0 => 300,
        _ => 600 - i64::from(number) / 2,
    };
    (0..count).map(|number| row(number, seconds(number))).collect()
}

async fn problem(poller: &mut Poller) -> (Problem, bool) {
    match poller.round().await {
        Err(Stop::Failed(failure)) => (failure.problem, failure.is_passing),
        other => panic!("{other:?}"),
    }
}

async fn cursor(store: &SqliteStore, log: &str) -> Option<Cursor> {
    let key = LogKey {
        registry: registry_key(),
        source: "log".to_owned(),
        log: log.to_owned(),
    };
    store.cursor(key).await.unwrap()
}

async fn with_rows(count: u32) -> Registry {
    let registry = Registry::start(Logs::default()).await;
    registry.add(rows(count));
    registry
}

#[tokio::test]
async fn all_pages_are_stored_once_and_what_is_known_writes_nothing() {
    for (log, name) in [(Log::Harbor, "audit"), (team(), "organization/team")] {
        let (place, registry) = (Place::new(), with_rows(450).await);
        let store = place.open();
        let mut poller = poller(&registry, &store, std::slice::from_ref(&log));
        poller.round().await.unwrap();
        assert_eq!(stored(&place.path()).await, (tags(0..450), 450), "{log:?}");
        let known = source(&store).await;
        let read = cursor(&store, name).await.unwrap();
        assert_eq!(known.since, read.since);
        let reach = Timestamp::now().duration_since(known.since);
        assert!(
            (0..60).contains(&(reach.as_secs() - 24 * 3600)),
            "since is where the log was read from: {reach}"
        );
        let newest = registry
            .logs
            .lock()
            .unwrap()
            .rows
            .iter()
            .map(|row| row.time)
            .max();
        assert_eq!(Some(read.until), newest);
        poller.round().await.unwrap();
        assert_eq!(source(&store).await, known, "nothing was appended");
        assert_eq!(cursor(&store, name).await, Some(read));
        close(store).await;
    }
}

#[tokio::test]
async fn what_becomes_visible_late_is_read_by_the_next_round() {
    for log in [Log::Harbor, team()] {
        let (place, registry) = (Place::new(), Registry::start(Logs::default()).await);
        let store = place.open();
        let mut poller = poller(&registry, &store, &[log]);
        registry.add([row(0, 0)]);
        poller.round().await.unwrap();
        registry.add([row(1, LATE.as_secs() - 10)]);
        poller.round().await.unwrap();
        assert_eq!(stored(&place.path()).await, (tags(0..2), 2));
        assert_eq!(source(&store).await.duplicates, 0);
        close(store).await;
    }
}

#[tokio::test]
async fn the_first_round_reads_a_day_and_no_more() {
    for log in [Log::Harbor, team()] {
        let (place, registry) = (Place::new(), Registry::start(Logs::default()).await);
        let store = place.open();
        registry.add([row(0, 25 * 3600), row(1, 23 * 3600), row(2, 10)]);
        poller(&registry, &store, &[log]).round().await.unwrap();
        assert_eq!(stored(&place.path()).await, (tags(1..3), 2));
        close(store).await;
    }
}

#[tokio::test]
async fn refused_credentials_are_told_and_nothing_is_lost_by_them() {
    let (place, registry) = (Place::new(), with_rows(150).await);
    let store = place.open();
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    registry.script([Answer::Status(401, None), Answer::Status(403, None)]);
    for _ in 0..2 {
        assert_eq!(problem(&mut poller).await, (Problem::Unauthorized, false));
    }
    poller.round().await.unwrap();
    assert_eq!(stored(&place.path()).await, (tags(0..150), 150));
    let known = source(&store).await;
    assert!(known.gaps.is_empty(), "{known:?}");
    close(store).await;
}

#[tokio::test]
async fn a_round_that_was_cut_off_goes_on_where_it_was() {
    for log in [Log::Harbor, team()] {
        let (place, registry) = (Place::new(), with_rows(450).await);
        let store = place.open();
        let mut poller = poller(&registry, &store, std::slice::from_ref(&log));
        registry.script([Answer::Page, Answer::Page, Answer::Status(500, None)]);
        assert_eq!(
            problem(&mut poller).await,
            (Problem::Unreachable("ServerError"), true)
        );
        let before = registry.asked();
        poller.round().await.unwrap();
        assert_eq!(stored(&place.path()).await, (tags(0..450), 450), "{log:?}");
        assert_eq!(source(&store).await.duplicates, 0);
        assert_eq!(
            registry.asked()[before.len()],
            before[before.len() - 1],
            "the same page again"
        );
        close(store).await;
    }
}

#[tokio::test]
async fn after_a_restart_nothing_is_missed_and_nothing_found_twice() {
    for log in [Log::Harbor, team()] {
        let (place, registry) = (Place::new(), with_rows(450).await);
        let store = place.open();
        registry.script([Answer::Page, Answer::Page, Answer::Status(503, None)]);
        let mut first = poller(&registry, &store, std::slice::from_ref(&log));
        assert!(matches!(first.round().await, Err(Stop::Failed(_))));
        let (_, count) = stored(&place.path()).await;
        assert!((1..450).contains(&count), "{count}");
        drop(first);
        close(store).await;

        registry.add((450..500).map(|number| row(number, 5)));
        let store = place.open();
        poller(&registry, &store, std::slice::from_ref(&log))
            .round()
            .await
            .unwrap();
        assert_eq!(stored(&place.path()).await, (tags(0..500), 500), "{log:?}");
        assert_eq!(source(&store).await.stored, 500);
        close(store).await;

        let scratch = Place::new();
        let store = scratch.open();
        poller(&registry, &store, &[log]).round().await.unwrap();
        assert_eq!(stored(&scratch.path()).await, stored(&place.path()).await);
        close(store).await;
    }
}

#[tokio::test]
async fn a_restarted_reader_asks_from_a_little_before_where_the_log_was_read() {
    let (place, registry) = (Place::new(), with_rows(150).await);
    let store = place.open();
    poller(&registry, &store, &[Log::Harbor]).round().await.unwrap();
    let read = cursor(&store, "audit").await.unwrap().until;
    poller(&registry, &store, &[Log::Harbor]).round().await.unwrap();
    let from = (read - LATE).strftime("%Y-%m-%dT%H%%3A%M%%3A%S").to_string();
    let asked = registry.asked();
    assert!(
        asked
            .iter()
            .any(|target| target.ends_with(&format!("%5B{from}~%5D")) && target.contains("page=1&")),
        "{from}: {asked:?}"
    );
    assert_eq!(stored(&place.path()).await.1, 150);
    close(store).await;
}

#[tokio::test]
async fn a_round_asks_for_so_many_pages_and_the_next_one_goes_on() {
    let (place, registry) = (Place::new(), Registry::start(Logs::default()).await);
    let store = place.open();
    registry.logs.lock().unwrap().endless = Some(ago(60));
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    poller.round().await.unwrap();
    let pages = usize::try_from(MOST_PAGES).unwrap();
    assert_eq!(registry.asked().len(), pages);
    poller.round().await.unwrap();
    let asked = registry.asked();
    assert_eq!(asked.len(), 2 * pages);
    // The first page of that second is asked for once more when it is begun.
    assert!(
        asked[pages].contains(&format!("?page={pages}&")),
        "{}",
        asked[pages]
    );
    let (_, count) = stored(&place.path()).await;
    assert_eq!(count, 100 * (2 * pages - 1));
    close(store).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_page_is_told_and_moves_nothing() {
    let (place, registry) = (Place::new(), with_rows(50).await);
    let store = place.open();
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    registry.script([
        Answer::Body(format!("[{}]", " ".repeat(9 << 20))),
        Answer::Body("<html>sign in</html>".to_owned()),
        // A page whose rows the format does not know.
        Answer::Body("[{\"op_time\":\"2099-01-01T00:00:00Z\"}]".to_owned()),
    ]);
    for _ in 0..3 {
        assert_eq!(problem(&mut poller).await, (Problem::Unreadable, false));
        assert_eq!(cursor(&store, "audit").await, None);
    }
    poller.round().await.unwrap();
    assert_eq!(stored(&place.path()).await, (tags(0..50), 50));
    close(store).await;
}

#[tokio::test]
async fn what_the_registry_asks_to_wait_is_heard_and_a_redirect_is_not_followed() {
    let (place, registry) = (Place::new(), with_rows(1).await);
    let elsewhere = with_rows(1).await;
    let store = place.open();
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    registry.script([
        Answer::Status(429, Some(7)),
        Answer::Redirect(format!("{}/api/v2.0/auditlog-exts", elsewhere.url)),
    ]);
    match poller.round().await {
        Err(Stop::Failed(failure)) => {
            assert_eq!(failure.problem, Problem::Unreachable("TooManyRequests"));
            assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(7)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        problem(&mut poller).await,
        (Problem::Unreachable("ServerError"), true)
    );
    assert!(elsewhere.asked().is_empty());
    close(store).await;
}

#[tokio::test]
async fn an_older_harbor_is_asked_for_its_older_log_whose_numbers_are_others() {
    let (place, registry) = (Place::new(), with_rows(150).await);
    registry.logs.lock().unwrap().is_older = true;
    let store = place.open();
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    poller.round().await.unwrap();
    assert_eq!(stored(&place.path()).await, (tags(0..150), 150));
    // The newer log begins to count anew.
    *registry.logs.lock().unwrap() = Logs {
        rows: (0..50).map(|number| row(number, 1)).collect(),
        ..Logs::default()
    };
    poller.round().await.unwrap();
    let (_, count) = stored(&place.path()).await;
    assert_eq!(count, 200);
    close(store).await;
}

#[tokio::test]
async fn of_several_logs_one_that_cannot_be_read_keeps_no_other_from_it() {
    let (place, registry) = (Place::new(), with_rows(30).await);
    registry.logs.lock().unwrap().forbidden = Some("organization");
    let store = place.open();
    let logs = [team(), Log::QuayRepository("team/app".to_owned())];
    let mut poller = poller(&registry, &store, &logs);
    assert_eq!(problem(&mut poller).await, (Problem::Unauthorized, false));
    assert_eq!(stored(&place.path()).await, (tags(0..30), 30));
    registry.logs.lock().unwrap().forbidden = None;
    poller.round().await.unwrap();
    // What both logs tell has the same key.
    assert_eq!(stored(&place.path()).await, (tags(0..30), 30));
    let missing = Log::QuayRepository("team/other".to_owned());
    let mut poller = super::poller(&registry, &store, &[missing]);
    assert_eq!(problem(&mut poller).await, (Problem::NotFound, false));
    close(store).await;
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_not_read_for() {
    let (place, registry) = (Place::new(), with_rows(20).await);
    let store = place.open();
    let terms = |quota| Terms {
        retention: SignedDuration::from_hours(24),
        quota: Some(quota),
    };
    store.keep(registry_key(), terms(10)).await.unwrap();
    let mut poller = poller(&registry, &store, &[Log::Harbor]);
    assert!(matches!(poller.round().await, Err(Stop::Store(_))));
    assert!(matches!(poller.round().await, Err(Stop::Refusing)));
    assert_eq!(registry.asked().len(), 1);
    assert_eq!(cursor(&store, "audit").await, None);
    store.keep(registry_key(), terms(1000)).await.unwrap();
    poller.round().await.unwrap();
    assert_eq!(stored(&place.path()).await, (tags(0..20), 20));
    close(store).await;
}
