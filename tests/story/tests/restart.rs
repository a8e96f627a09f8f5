//! Killed, stopped and started again: every acknowledged event is there, once.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use local_cluster::{Access, Cluster, Image, PostgresServer, Registry, wait_until};
use serde_json::json;
use story::{
    NAMESPACE, Report, TOKEN,
    operator::{Operator, accepted, ask, push_envelope, request, usage_report, wait_for_path},
    report,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const SOON: Duration = Duration::from_secs(20);
/// Distribution sends its queue again, one event after the other, and pauses in between.
const DELIVERED_WITHIN: Duration = Duration::from_secs(90);
/// Few enough that a report lists them all.
const TAGS: usize = 40;
const SENDERS: usize = 4;
/// Deliveries of one sender in one round.
const DELIVERIES: usize = 12;
const HOST: &str = "direct.example";

/// `LONG_TESTS` asks for the full count.
fn rounds() -> usize {
    if std::env::var_os("LONG_TESTS").is_some() {
        30
    } else {
        3
    }
}

/// Of an operator under load; `LONG_TESTS` asks for the full count.
fn kills() -> usize {
    2 * rounds()
}

async fn ask_for_pushes(home: &Access, name: &str, repository: &str) -> Result<()> {
    let spec = json!({"repository": repository, "events": {"categories": ["Push"], "limit": 200}});
    home.apply(&usage_report(NAMESPACE, name, &spec).to_string())
        .await?;
    Ok(())
}

/// How often each value of a field is among a report's events.
fn counted(report: &Report, field: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in report.list("events") {
        *counts
            .entry(event[field].as_str().unwrap_or_default().to_owned())
            .or_default() += 1;
    }
    counts
}

/// The event line is exactly these, each once.
fn each_once<'a>(report: &Report, field: &str, expected: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let expected: BTreeMap<String, usize> = expected.into_iter().map(|value| (value.clone(), 1)).collect();
    let found = counted(report, field);
    let missing: Vec<_> = expected
        .keys()
        .filter(|value| !found.contains_key(*value))
        .collect();
    ensure!(
        missing.is_empty(),
        "{} of {} are missing, such as {:?}",
        missing.len(),
        expected.len(),
        missing.first()
    );
    ensure!(found == expected, "more than once, or never sent: {found:?}");
    let pushes = report.number("pushes");
    ensure!(
        pushes == Some(i64::try_from(expected.len())?),
        "{pushes:?} pushes of {}",
        expected.len()
    );
    Ok(())
}

async fn a_moment() {
    // The moment of a kill is any.
    tokio::time::sleep(Duration::from_millis(fastrand::u64(20..700))).await;
}

#[tokio::test]
async fn what_a_registry_sends_again_to_a_killed_operator_is_there_once() -> Result<()> {
    let mut home = Cluster::builder()
        .registry(Registry::v3("registry"))
        .start()
        .await?;
    let mut operator = Operator::start(&home).await?;
    let host = home.registry_host().to_owned();
    let path = accepted(&home, "registry", &host).await?;
    home.set_notifications("registry", vec![operator.notifications(&path)])
        .await?;

    for round in 0..rounds() {
        let repository = format!("team/round-{round}");
        let image = Image::scratch().file("/text", repository.clone(), 0o644);
        let pushed = home.push_image_to(&host, &image, &repository, "tag-0").await?;
        let done = Arc::new(AtomicBool::new(false));
        let pusher = tokio::spawn({
            let (home, done): (Access, _) = ((*home).clone(), done.clone());
            async move {
                let mut tags = vec!["tag-0".to_owned()];
                for number in 1..TAGS {
                    let tag = format!("tag-{number}");
                    home.crane(&["tag", &pushed.reference, &tag]).await?;
                    tags.push(tag);
                }
                done.store(true, Ordering::Relaxed);
                anyhow::Ok(tags)
            }
        });
        while !done.load(Ordering::Relaxed) && !pusher.is_finished() {
            a_moment().await;
            operator.kill().await?;
            a_moment().await;
            operator.up().await?;
        }
        let tags = pusher.await??;
        let name = format!("round-{round}");
        ask_for_pushes(&home, &name, &format!("{host}/{repository}")).await?;
        wait_until(DELIVERED_WITHIN, "every push, once", async || {
            each_once(&report(&home, &name).await?, "tag", &tags)
        })
        .await?;
    }
    operator.stop().await?;
    home.end().await;
    Ok(())
}

/// What a sender knows: ids that were acknowledged, and ids whose delivery broke off, which may be there or not.
#[derive(Debug, Default)]
struct Sent {
    acknowledged: Vec<String>,
    broken: Vec<String>,
    /// Of both.
    bodies: Vec<String>,
}

fn envelope(repository: &str, id: &str) -> String {
    push_envelope(HOST, repository, id)
}

async fn send(to: SocketAddr, path: String, repository: String, prefix: String, sent: Arc<Mutex<Sent>>) {
    for number in 0..DELIVERIES {
        let id = format!("{prefix}-{number}");
        let body = envelope(&repository, &id);
        let answer = request(to, "POST", &path, Some(TOKEN), &body).await;
        let mut sent = sent.lock().expect("no sender panics");
        sent.bodies.push(body);
        match answer {
            Ok(answer) if answer.status == 202 => sent.acknowledged.push(id),
            _ => sent.broken.push(id),
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_a_stop() -> Result<()> {
    let home = Cluster::builder().start().await?;
    let mut operator = Operator::start(&home).await?;
    let path = accepted(&home, "direct", HOST).await?;
    for round in 0..=rounds() {
        let repository = format!("team/round-{round}");
        let name = format!("direct-{round}");
        let sent = Arc::new(Mutex::new(Sent::default()));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let prefix = format!("r{round}-s{sender}");
                tokio::spawn(send(
                    operator.webhook(),
                    path.clone(),
                    repository.clone(),
                    prefix,
                    sent.clone(),
                ))
            })
            .collect();
        // In the middle of them.
        let some = fastrand::usize(1..SENDERS * DELIVERIES / 2);
        wait_until(SOON, "some acknowledgements", async || {
            let acknowledged = sent.lock().expect("no sender panics").acknowledged.len();
            ensure!(acknowledged >= some, "{acknowledged}");
            Ok(())
        })
        .await?;
        if round == rounds() {
            operator.stop().await?;
        } else {
            operator.kill().await?;
        }
        for sender in senders {
            sender.await?;
        }
        operator.up().await?;
        let Sent {
            acknowledged,
            broken,
            bodies,
        } = std::mem::take(&mut *sent.lock().expect("no sender panics"));
        println!(
            "round {round}: {} acknowledged, {} broken off",
            acknowledged.len(),
            broken.len()
        );

        wait_for_path(&operator, &path).await?;
        ask_for_pushes(&home, &name, &format!("{HOST}/{repository}")).await?;
        // Whatever broke off may be there or not; what was acknowledged is.
        wait_until(SOON, "every acknowledged event", async || {
            let report = report(&home, &name).await?;
            let found = counted(&report, "id");
            let missing: Vec<_> = acknowledged
                .iter()
                .filter(|id| !found.contains_key(*id))
                .collect();
            ensure!(missing.is_empty(), "missing: {missing:?}");
            assert!(found.values().all(|count| *count == 1), "{found:?}");
            assert!(
                found
                    .keys()
                    .all(|id| acknowledged.contains(id) || broken.contains(id)),
                "{found:?}"
            );
            Ok(())
        })
        .await?;
        // All of them again, as a registry does: now each is there, and none twice.
        let duplicates = operator.metric("image_usage_events_duplicate_total", "").await?;
        let all: Vec<String> = acknowledged.iter().chain(&broken).cloned().collect();
        for body in &bodies {
            let answer = request(operator.webhook(), "POST", &path, Some(TOKEN), body).await?;
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
        let now = operator.metric("image_usage_events_duplicate_total", "").await?;
        let known = f64::from(u32::try_from(acknowledged.len())?);
        assert!(
            now - duplicates >= known,
            "{} duplicates of {known}",
            now - duplicates
        );
        wait_until(SOON, "each event once", async || {
            each_once(&report(&home, &name).await?, "id", &all)
        })
        .await?;
    }
    a_delivery_under_way_is_finished_by_a_stop(&home, &mut operator, &path).await?;
    home.end().await;
    Ok(())
}

/// Sends one event after the other, each until it is acknowledged, as a registry does; the bodies of all.
async fn send_as_a_registry(
    to: SocketAddr,
    path: String,
    sender: usize,
    ended: Arc<AtomicBool>,
) -> Result<Vec<String>> {
    let mut acknowledged = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let id = format!("s{sender}-{}", acknowledged.len());
        let body = envelope(&sent_under_load(sender), &id);
        wait_until(DELIVERED_WITHIN, "a delivery to be taken", async || {
            let answer = request(to, "POST", &path, Some(TOKEN), &body).await?;
            ensure!(answer.status == 202, "{}", answer.status);
            Ok(())
        })
        .await?;
        acknowledged.push(body);
    }
    Ok(acknowledged)
}

fn sent_under_load(sender: usize) -> String {
    format!("team/under-load-{sender}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_and_many_kills_each_acknowledged_event_is_there_once() -> Result<()> {
    killed_under_load(None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_and_many_kills_each_acknowledged_event_is_in_postgresql_once() -> Result<()> {
    killed_under_load(Some(PostgresServer::start().await?)).await
}

/// With the events in a file, or in a database of this server.
async fn killed_under_load(server: Option<PostgresServer>) -> Result<()> {
    let home = Cluster::builder().start().await?;
    let mut operator = Operator::prepare(&home).await?;
    if let Some(server) = &server {
        operator = operator.env("DATABASE_URL", &server.url("postgres"));
    }
    operator.up().await?;
    let path = accepted(&home, "direct", HOST).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            tokio::spawn(send_as_a_registry(
                operator.webhook(),
                path.clone(),
                sender,
                ended.clone(),
            ))
        })
        .collect();
    for kill in 0..kills() {
        a_moment().await;
        operator.kill().await?;
        if kill % 3 == 0 {
            // Once more while it starts.
            operator.spawn()?;
            a_moment().await;
            operator.kill().await?;
        }
        operator.up().await?;
    }
    a_moment().await;
    ended.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for sender in senders {
        sent.push(sender.await??);
    }
    operator.kill().await?;
    operator.up().await?;
    wait_for_path(&operator, &path).await?;

    // What it has lost would be new to it now.
    let bodies = sent.iter().flatten();
    for body in bodies.clone() {
        let answer = request(operator.webhook(), "POST", &path, Some(TOKEN), body).await?;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let count = bodies.count();
    println!("{count} events acknowledged through {} kills", kills());
    assert!(count > SENDERS * kills(), "so few say nothing");
    let [lost, known] = [
        operator.metric("image_usage_events_stored_total", "").await?,
        operator.metric("image_usage_events_duplicate_total", "").await?,
    ];
    assert_eq!((lost, known), (0.0, f64::from(u32::try_from(count)?)));
    for (sender, sent) in sent.iter().enumerate() {
        let spec = json!({"repository": format!("{HOST}/{}", sent_under_load(sender))});
        ask(&home, &format!("under-load-{sender}"), &spec, |report| {
            let pushes = report.number("pushes");
            ensure!(
                pushes == Some(i64::try_from(sent.len())?),
                "{pushes:?} of {}",
                sent.len()
            );
            Ok(())
        })
        .await?;
    }
    operator.stop().await?;
    home.end().await;
    Ok(())
}

async fn a_delivery_under_way_is_finished_by_a_stop(
    home: &Access,
    operator: &mut Operator,
    path: &str,
) -> Result<()> {
    let body = envelope("team/slow", "under-way");
    let mut stream = TcpStream::connect(operator.webhook()).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    // It reads the body now.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await?;
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let log = operator.log_path().to_owned();
    let stops = |log: &Path| anyhow::Ok(fs::read_to_string(log)?.matches("\"stopping\"").count());
    let before = stops(&log)?;
    let rest = tokio::spawn(async move {
        wait_until(SOON, "the stop to begin", async || {
            ensure!(stops(&log)? > before, "not yet");
            Ok(())
        })
        .await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    });
    operator.stop().await?;
    let answer = rest.await??;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    operator.up().await?;
    ask_for_pushes(home, "slow", &format!("{HOST}/team/slow")).await?;
    let id = "under-way".to_owned();
    wait_until(SOON, "the event", async || {
        each_once(&report(home, "slow").await?, "id", [&id])
    })
    .await
}
