//! The whole operator with its events in `PostgreSQL`: the main job, and a server that is away.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local_cluster::{Access, Cluster, Image, PostgresServer, Registry, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, TOKEN,
    operator::{
        Answer, Operator, accepted, ask, condition, create_namespace, deployment, in_cluster, push_envelope,
        request, usage_report, wait_for_path,
    },
    report,
};

const SOON: Duration = Duration::from_secs(20);
/// Distribution pauses before it sends again, and a report that was written lately waits for its turn.
const SHOWN_WITHIN: Duration = Duration::from_secs(90);
/// A question to a server that stands still is given up after half a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(150);
const HOST: &str = "direct.example";
const REPOSITORY: &str = "team/app";
const NAME: &str = "direct";

async fn with_database(home: &Access, server: &PostgresServer) -> Result<Operator> {
    Ok(Operator::prepare(home)
        .await?
        .env("DATABASE_URL", &server.url("postgres")))
}

#[tokio::test]
async fn a_report_answers_from_postgresql_and_a_restart_forgets_nothing() -> Result<()> {
    let server = PostgresServer::start().await?;
    let mut home = Cluster::builder()
        .registry(Registry::v3("registry"))
        .start()
        .await?;
    let mut operator = with_database(&home, &server).await?;
    operator.up().await?;
    home.apply(&in_cluster(NAMESPACE, "this-cluster").to_string())
        .await?;
    let host = home.registry_host().to_owned();
    let path = accepted(&home, "registry", &host).await?;
    home.set_notifications("registry", vec![operator.notifications(&path)])
        .await?;

    let image = format!("{host}/{REPOSITORY}:v1");
    create_namespace(&home, "live").await?;
    home.apply(&deployment("live", "web", &image, 2).to_string())
        .await?;
    let content = Image::scratch().file("/text", "one", 0o644);
    let pushed = home.push_image_to(&host, &content, REPOSITORY, "v1").await?;
    let spec = json!({"image": image});
    home.apply(&usage_report(NAMESPACE, "app", &spec).to_string())
        .await?;
    let answered = async |checks: i64| {
        wait_until(SHOWN_WITHIN, "deployments and events", async || {
            let report = report(&home, "app").await?;
            ensure!(report.condition("Ready").0 == "True", "{:#}", report.0);
            ensure!(report.verdict() == "InUse", "{:#}", report.0);
            ensure!(report.number("pods") == Some(2), "{:#}", report.0);
            ensure!(report.number("pushes") == Some(1), "{:#}", report.0);
            ensure!(report.number("checks") >= Some(checks), "{:#}", report.0);
            ensure!(
                report.events("Push")[0]["digest"] == pushed.digest,
                "{:#}",
                report.0
            );
            Ok(report.events("Push")[0]["id"].clone())
        })
        .await
    };
    let push = answered(0).await?;

    operator.stop().await?;
    operator.up().await?;
    home.crane(&["digest", &image]).await?;
    ensure!(answered(1).await? == push, "the same event");
    operator.kill().await?;
    operator.up().await?;
    home.crane(&["digest", &image]).await?;
    ensure!(answered(2).await? == push, "the same event");
    operator.stop().await?;
    home.end().await;
    Ok(())
}

async fn send(operator: &Operator, path: &str, body: &str) -> Result<Answer> {
    request(operator.webhook(), "POST", path, Some(TOKEN), body).await
}

async fn deliver(operator: &Operator, path: &str, id: &str) -> Result<Answer> {
    send(operator, path, &push_envelope(HOST, REPOSITORY, id)).await
}

async fn taken(operator: &Operator, path: &str, id: &str) -> Result<()> {
    let answer = deliver(operator, path, id).await?;
    ensure!(answer.status == 202, "{} {}", answer.status, answer.body);
    Ok(())
}

async fn registry(home: &Access) -> Result<Value> {
    home.get_json(&["imageregistry", NAME, "--namespace", NAMESPACE])
        .await
}

/// Reason and end of the gaps that the registry's status tells, newest first.
fn gaps(registry: &Value) -> Vec<(String, Timestamp)> {
    let gaps = &registry["status"]["sources"][0]["coverage"][0]["gaps"];
    let gaps = gaps.as_array().into_iter().flatten();
    gaps.filter_map(|gap| {
        Some((
            gap["reason"].as_str()?.to_owned(),
            gap["end"].as_str()?.parse().ok()?,
        ))
    })
    .collect()
}

/// Waits until the registry's status has this `Receiving`, and counts at least so many events; the object then.
async fn told(home: &Access, receiving: (&str, &str), stored: usize) -> Result<Value> {
    let what = format!("the registry to be {receiving:?} with {stored} events");
    wait_until(TOLD_WITHIN, &what, async || {
        let object = registry(home).await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        let (status, reason) = condition(&object, "Receiving");
        ensure!((status.as_str(), reason.as_str()) == receiving, "{object:#}");
        let counted = object["status"]["sources"][0]["events"]["stored"].as_u64();
        ensure!(counted >= Some(stored.try_into()?), "{object:#}");
        Ok(object)
    })
    .await
}

/// Waits until the report lists exactly these pushes, each once, and says this of their completeness.
async fn answers(home: &Access, name: &str, ids: &[String], complete: &str) -> Result<()> {
    wait_until(SHOWN_WITHIN, &format!("the answer of {name}"), async || {
        let report = report(home, name).await?;
        ensure!(report.condition("Ready").0 == "True", "{:#}", report.0);
        ensure!(report.condition("EventsComplete").1 == complete, "{:#}", report.0);
        let events = report.list("events");
        let mut found: Vec<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
        found.sort_unstable();
        ensure!(found == ids, "{found:?} is not {ids:?}");
        ensure!(
            report.number("pushes") == Some(i64::try_from(ids.len())?),
            "{:#}",
            report.0
        );
        Ok(())
    })
    .await
}

/// Waits until the report says that the store does not answer, and still has its last answer.
async fn waits(home: &Access, name: &str, pushes: Option<usize>) -> Result<()> {
    wait_until(TOLD_WITHIN, &format!("{name} to wait"), async || {
        let report = report(home, name).await?;
        ensure!(
            report.condition("Ready") == ("False", "StoreUnavailable"),
            "{:#}",
            report.0
        );
        ensure!(report.condition("Reconciling").0 == "True", "{:#}", report.0);
        let expected = pushes.map(i64::try_from).transpose()?;
        ensure!(report.number("pushes") == expected, "{:#}", report.0);
        Ok(())
    })
    .await
}

#[derive(Debug, Clone, Copy)]
enum Away {
    Stopped,
    Paused,
}

impl Away {
    async fn begin(self, server: &mut PostgresServer) -> Result<()> {
        match self {
            Self::Stopped => server.end().await,
            Self::Paused => server.pause(),
        }
    }

    async fn end(self, server: &mut PostgresServer) -> Result<()> {
        match self {
            Self::Stopped => server.begin().await,
            Self::Paused => server.resume(),
        }
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_leaves_a_gap_and_is_used_again_without_a_restart() -> Result<()> {
    let mut server = PostgresServer::start().await?;
    let home = Cluster::builder().start().await?;
    let mut operator = with_database(&home, &server).await?;
    operator.up().await?;
    let process = operator.pid();
    let path = accepted(&home, NAME, HOST).await?;
    wait_for_path(&operator, &path).await?;
    let spec = json!({"repository": format!("{HOST}/{REPOSITORY}"), "events": {"limit": 200}});
    let mut acknowledged: Vec<String> = (10..20).map(|number| format!("a-{number}")).collect();
    let first = push_envelope(HOST, REPOSITORY, &acknowledged[0]);
    ensure!(send(&operator, &path, &first).await?.status == 202);
    for id in &acknowledged[1..] {
        taken(&operator, &path, id).await?;
    }
    ask(&home, "usage", &spec, |_| Ok(())).await?;
    answers(&home, "usage", &acknowledged, "WindowBeforeCoverage").await?;
    told(&home, ("True", "EventsReceived"), 1).await?;

    let unavailable = async |operator: &Operator| {
        operator
            .metric("image_usage_webhook_deliveries_total", "StoreUnavailable")
            .await
    };
    for (round, away) in [Away::Stopped, Away::Paused].into_iter().enumerate() {
        println!("{away:?}");
        let stored = acknowledged.len();
        away.begin(&mut server).await?;
        let before = unavailable(&operator).await?;
        let refused = format!("b-{round}");
        let answer = deliver(&operator, &path, &refused).await?;
        ensure!(answer.status == 503, "{} {}", answer.status, answer.body);
        ensure!(answer.head.contains("\r\nretry-after: 5"), "{}", answer.head);
        // Whoever has no token is sent away as ever, and opens no gap.
        let stranger = request(
            operator.webhook(),
            "POST",
            &path,
            Some("a-token-of-somebody-else"),
            "{}",
        )
        .await?;
        ensure!(stranger.status == 401, "{}", stranger.status);
        ensure!(unavailable(&operator).await? == before + 1.0);

        // What is known stays, and everybody is told that it may not be all.
        told(&home, ("False", "StoreUnavailable"), 1).await?;
        waits(&home, "usage", Some(stored)).await?;
        let meanwhile = format!("meanwhile-{round}");
        home.apply(&usage_report(NAMESPACE, &meanwhile, &spec).to_string())
            .await?;
        waits(&home, &meanwhile, None).await?;
        operator.wait_ready().await?;

        // Although nothing is delivered: a registry may have given up.
        let back = Timestamp::now();
        away.end(&mut server).await?;
        let object = told(&home, ("True", "EventsReceived"), 1).await?;
        ensure!(gaps(&object)[0].0 == "Refused", "{object:#}");
        answers(&home, "usage", &acknowledged, "PossibleGap").await?;
        answers(&home, &meanwhile, &acknowledged, "PossibleGap").await?;

        // Or comes again, with what was refused and what was taken.
        wait_until(SOON, "a delivery to be taken", async || {
            taken(&operator, &path, &refused).await
        })
        .await?;
        ensure!(send(&operator, &path, &first).await?.status == 202);
        acknowledged.push(refused);
        answers(&home, "usage", &acknowledged, "PossibleGap").await?;
        // Numbers alone are written once a minute.
        let object = told(&home, ("True", "EventsReceived"), stored + 1).await?;
        let (reason, end) = &gaps(&object)[0];
        ensure!(reason == "Refused" && *end > back, "{object:#}");
    }
    ensure!(operator.pid() == process, "it was never started again");
    operator.stop().await?;
    home.end().await;
    Ok(())
}

#[tokio::test]
async fn an_operator_that_does_not_reach_its_database_ends_and_says_why() -> Result<()> {
    let mut server = PostgresServer::start().await?;
    let home = Cluster::builder().start().await?;
    let port = server.port();
    let mut operator = Operator::prepare(&home).await?.env(
        "DATABASE_URL",
        &format!("postgres://postgres:a-secret-word@127.0.0.1:{port}/nowhere?sslmode=disable"),
    );
    for reason in ["there is no such database", "Connection refused"] {
        operator.spawn()?;
        let status = operator.ended().await?;
        ensure!(status.code() == Some(1), "{status}");
        let log = operator.log()?;
        let last = log.lines().last().unwrap_or_default();
        ensure!(last.contains("failed to open the event store"), "{last}");
        ensure!(last.contains(reason), "{last}");
        ensure!(!log.contains("a-secret-word"), "the password is in the log");
        server.end().await?;
    }
    // Kubernetes starts it again, and again, until the database is there.
    server.begin().await?;
    let mut operator = operator.env("DATABASE_URL", &server.url("postgres"));
    operator.up().await?;
    operator.stop().await?;
    home.end().await;
    Ok(())
}
