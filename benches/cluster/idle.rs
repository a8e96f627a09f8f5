//! What the operator writes while nothing changes, by the API server's own audit log.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local_cluster::{Cluster, Credentials, wait_until};
use serde_json::Value;
use story::{
    NAMESPACE, TOKEN,
    operator::{Operator, create_secret, image_registry},
};

use crate::{
    fill::{self, IMAGES},
    ground::Ground,
    numbers::met,
    reports::{self, Reports},
    subject,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pods of the cluster.
    #[arg(long, default_value_t = 2_000)]
    pods: usize,
    /// Reports about them.
    #[arg(long, default_value_t = 50)]
    reports: usize,
    /// How long nothing changes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// Whom the audit log names.
const USER: &str = "image-usage-operator";
/// Numbers alone are written once a minute: whoever has written nothing for longer is at rest.
const REST: Duration = Duration::from_secs(90);
const REST_WITHIN: Duration = Duration::from_mins(10);

pub(crate) async fn run(options: &Options) -> Result<()> {
    // One file holds all: what the filling of the cluster writes there too is large.
    let builder = Cluster::builder()
        .audit_log()
        .api_server_arg("--audit-log-maxsize=10000");
    let ground = Ground::filled(options.pods, builder).await?;
    ground.install().await?;
    let (cluster, client) = (&ground.cluster, &ground.client);
    create_secret(cluster, NAMESPACE, "registry-webhook", "token", TOKEN).await?;
    let registry = image_registry(NAMESPACE, "registry", "registry.example.com");
    cluster.apply(&registry.to_string()).await?;
    let mut names = Vec::new();
    for number in 0..options.reports {
        let name = format!("report-{number:03}");
        reports::ask(client, &name, &fill::image(number, number % IMAGES)).await?;
        names.push(name);
    }
    subject::authorize_own_cluster(client).await?;
    let certificate = cluster.client_certificate(USER, Some("system:masters"))?;
    let mut operator =
        Operator::new(cluster)?.kubeconfig(cluster.kubeconfig(&Credentials::Certificate(certificate)));
    operator.up().await?;
    Reports::follow(client, names).all_answered().await?;
    rest(&operator).await?;

    let length = Duration::from_mins(options.minutes);
    let begun = Timestamp::now();
    println!("at rest since {begun:.0}, listening for {length:?}");
    tokio::time::sleep(length).await;
    let requests = requests(&cluster.audit_log_path(), begun)?;
    operator.stop().await?;
    ground.end().await;

    println!();
    for (Request { verb, resource }, count) in &requests {
        println!("{verb} {resource}: {count}");
    }
    if hour(begun) != hour(Timestamp::now()) {
        println!("a full hour has passed: windows of days have moved on, and each report says so");
    }
    let writes: usize = requests
        .iter()
        .filter(|(request, _)| request.is_write())
        .map(|(_, count)| count)
        .sum();
    println!(
        "0 writes but Leases in {} minutes: {writes}, {}",
        options.minutes,
        met(writes == 0)
    );
    Ok(())
}

fn hour(time: Timestamp) -> i64 {
    time.as_second() / 3600
}

async fn rest(operator: &Operator) -> Result<()> {
    let last = Cell::new((None, Instant::now()));
    wait_until(REST_WITHIN, "the operator to rest", async || {
        let writes = operator.metric("image_usage_status_writes_total", "").await?;
        if last.get().0 != Some(writes) {
            last.set((Some(writes), Instant::now()));
        }
        let (_, since) = last.get();
        ensure!(since.elapsed() >= REST, "{writes} writes so far");
        Ok(())
    })
    .await
}

/// What was asked for, without the name of the object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    verb: String,
    resource: String,
}

impl Request {
    /// Whether it changes what is stored. A review is created, answered and forgotten.
    fn is_write(&self) -> bool {
        let is_review = self.resource.starts_with("authorization.k8s.io")
            || self.resource.starts_with("authentication.k8s.io");
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
            && !is_review
            && self.resource != "coordination.k8s.io/leases"
    }
}

/// The operator's requests since then.
fn requests(audit_log: &Path, since: Timestamp) -> Result<BTreeMap<Request, usize>> {
    let mut requests = BTreeMap::new();
    let mut was_seen = false;
    for line in BufReader::new(File::open(audit_log)?).lines() {
        let line = line?;
        // The last line may be half there.
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if event["user"]["username"] != USER {
            continue;
        }
        was_seen = true;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let received: Timestamp = text(&event["requestReceivedTimestamp"]).parse()?;
        if received < since {
            continue;
        }
        let object = &event["objectRef"];
        let request = Request {
            verb: text(&event["verb"]),
            resource: format!(
                "{}/{}",
                object["apiGroup"].as_str().unwrap_or_default(),
                object["resource"]
                    .as_str()
                    .unwrap_or(event["requestURI"].as_str().unwrap_or_default())
            ),
        };
        *requests.entry(request).or_default() += 1;
    }
    ensure!(was_seen, "the audit log does not name the operator");
    Ok(requests)
}
