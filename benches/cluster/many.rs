//! A hundred authorised clusters, one of which hangs: what it costs the others.
//!
//! A few real API servers stand for them: each authorisation reads all of its server and shows one namespace.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use image_usage_operator::crd::{ClusterAuthorization, ImageUsageReport};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
};
use local_cluster::{Cluster, Credentials, wait_until};
use serde_json::json;
use story::{
    NAMESPACE,
    operator::{Operator, kubeconfig_authorization},
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    fill::{self, NAMESPACES},
    ground::Ground,
    numbers::{latencies, mebibytes, met, quantile},
    objects,
    probe::{self, Probe, QUIET},
    reports::{self, Reports},
    subject,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Authorised clusters, with the one that hangs.
    #[arg(long, default_value_t = 100)]
    clusters: usize,
    /// Real API servers.
    #[arg(long, default_value_t = 3)]
    servers: usize,
    /// Pods of each of them.
    #[arg(long, default_value_t = 500)]
    pods: usize,
    /// Rounds, each without the one that hangs and with it.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Quiet reports that the latency is measured with.
    #[arg(long, default_value_t = 48)]
    reports: usize,
    /// Measurements of the latency in each half of a round.
    #[arg(long, default_value_t = 48)]
    samples: usize,
}

const HANGING: &str = "hanging";
const PROBE_EVERY: Duration = Duration::from_millis(250);
const GONE_WITHIN: Duration = Duration::from_mins(1);
/// How much slower the others may be.
const GOAL_RATIO: f64 = 1.05;

/// Without the cluster that hangs, and with it.
#[derive(Default)]
struct Results {
    synced: Vec<Duration>,
    answered: Vec<Duration>,
    latencies: Vec<Duration>,
    resident: Vec<u64>,
}

pub(crate) async fn run(options: &Options) -> Result<()> {
    let working = options.clusters.saturating_sub(1);
    ensure!(
        working > 0 && options.servers > 0 && working <= options.servers * NAMESPACES,
        "{} servers stand for 1 to {} clusters, and one that hangs",
        options.servers,
        options.servers * NAMESPACES
    );
    let mut grounds = Vec::new();
    for _ in 0..options.servers {
        grounds.push(Ground::filled(options.pods, Cluster::builder()).await?);
    }
    let many = Many::prepare(&grounds, options, working).await?;
    let mut results = [Results::default(), Results::default()];
    for round in 0..options.rounds {
        for (with_hanging, results) in [false, true].into_iter().zip(&mut results) {
            many.measure(with_hanging, options.samples, results).await?;
        }
        let [without, with] = [&results[0], &results[1]]
            .map(|results| results.synced.last().copied().unwrap_or_default().as_secs_f64());
        println!(
            "round {} of {}: all others synced after {without:.2} s without the one that hangs, {with:.2} s with it",
            round + 1,
            options.rounds
        );
    }
    drop(many);
    for ground in grounds {
        ground.end().await;
    }
    print(options, &results);
    Ok(())
}

struct Many<'a> {
    home: &'a Cluster,
    client: &'a Client,
    /// Names of those that work.
    working: Vec<String>,
    authorizations: Vec<ClusterAuthorization>,
    probes: Vec<Probe>,
    hanging: ClusterAuthorization,
    _server: HangingServer,
}

impl<'a> Many<'a> {
    /// Everything that outlives a round.
    async fn prepare(grounds: &'a [Ground], options: &Options, working: usize) -> Result<Self> {
        let home = grounds.first().context("there is a server")?;
        home.install().await?;
        let (mut names, mut authorizations) = (Vec::new(), Vec::new());
        for number in 0..working {
            let name = format!("cluster-{number:03}");
            let cluster = &grounds[number % grounds.len()].cluster;
            let credentials = Credentials::Token(cluster.admin_token().to_owned());
            create_secret(&home.client, &name, &cluster.kubeconfig(&credentials)).await?;
            let mut authorization = kubeconfig_authorization(NAMESPACE, &name);
            let shown = fill::namespace(number / grounds.len());
            authorization["spec"]["scope"] = json!({"namespaces": {"include": [shown]}});
            authorizations.push(serde_json::from_value(authorization)?);
            names.push(name);
        }
        let server = HangingServer::start().await?;
        let credentials = Credentials::Token("a-token-that-nobody-asks-for".to_owned());
        let kubeconfig = home
            .cluster
            .kubeconfig(&credentials)
            .replace(&home.cluster.api_url(), &server.url);
        create_secret(&home.client, HANGING, &kubeconfig).await?;
        let probes: Vec<Probe> = (0..options.reports)
            .map(|number| {
                let place = number % working;
                let client = &grounds[place % grounds.len()].client;
                Probe::new(number, client, &fill::namespace(place / grounds.len()))
            })
            .collect();
        Ok(Self {
            home: &home.cluster,
            client: &home.client,
            working: names,
            authorizations,
            probes,
            hanging: serde_json::from_value(kubeconfig_authorization(NAMESPACE, HANGING))?,
            _server: server,
        })
    }

    /// Half of a round, from objects that nobody has seen and an operator that knows nothing.
    async fn measure(&self, with_hanging: bool, samples: usize, results: &mut Results) -> Result<()> {
        self.forget().await?;
        let authorizations = subject::authorizations(self.client);
        for authorization in self
            .authorizations
            .iter()
            .chain(with_hanging.then_some(&self.hanging))
        {
            objects::create(&authorizations, serde_json::to_value(authorization)?).await?;
        }
        for probe in &self.probes {
            probe.prepare().await?;
            reports::ask(self.client, &probe.report, &probe.image()).await?;
        }
        let reports = Reports::follow(self.client, self.probes.iter().map(|probe| probe.report.clone()));
        let mut operator = Operator::new(self.home)?
            .env("COUNT_SAME_CLUSTER_TWICE", "true")
            .env("ALLOWED_API_SERVERS", "127.0.0.1/32");
        let begun = Instant::now();
        operator.spawn()?;
        let synced = subject::synced(self.client, self.working.iter().cloned().collect()).await?;
        results.synced.push(synced.duration_since(begun));
        results
            .answered
            .push(reports.all_show(1).await?.duration_since(begun));
        reports.quiet(QUIET).await?;
        let never = CancellationToken::new();
        let measured = probe::measure(&self.probes, &reports, PROBE_EVERY, samples, &never).await?;
        results.latencies.extend(measured);
        results.resident.push(subject::process_of(&operator)?.resident()?);
        operator.stop().await
    }

    /// Takes away what the last round left.
    async fn forget(&self) -> Result<()> {
        let authorizations = subject::authorizations(self.client);
        let reports: Api<ImageUsageReport> = reports::api(self.client);
        let (delete, all) = (DeleteParams::default(), ListParams::default());
        authorizations.delete_collection(&delete, &all).await?;
        reports.delete_collection(&delete, &all).await?;
        wait_until(GONE_WITHIN, "the last round's objects to be gone", async || {
            let left = authorizations.list(&all).await?.items.len() + reports.list(&all).await?.items.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await
    }
}

async fn create_secret(client: &Client, name: &str, kubeconfig: &str) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let secret = json!({"metadata": {"name": name}, "stringData": {"kubeconfig": kubeconfig}});
    objects::create(&secrets, secret).await?;
    Ok(())
}

/// Accepts connections and never answers.
struct HangingServer {
    url: String,
    _accepting: AbortOnDropHandle<()>,
}

impl HangingServer {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let accepting = tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.push(connection);
            }
        });
        Ok(Self {
            url,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }
}

fn print(options: &Options, [without, with]: &[Results; 2]) {
    println!();
    println!(
        "{} authorised clusters on {} API servers of {} pods; reports that ask all of them; {} rounds",
        options.clusters, options.servers, options.pods, options.rounds
    );
    for (name, results) in [("without the one that hangs", without), ("with it", with)] {
        let seconds = |values: &[Duration]| quantile(values.iter().copied(), 0.25).as_secs_f64();
        println!("{name}:");
        println!(
            "  from the operator's start until all others are synced, lower quartile: {:.2} s",
            seconds(&results.synced)
        );
        println!(
            "  until the first answer of every report: {:.2} s",
            seconds(&results.answered)
        );
        println!("  change to status: {}", latencies(&results.latencies));
        let resident = quantile(results.resident.iter().copied(), 0.5);
        println!("  resident memory: {:.1} MiB", mebibytes(resident));
    }
    let ratio = |of: fn(&Results) -> &[Duration], share: f64| {
        let [without, with] = [without, with].map(|results| quantile(of(results).iter().copied(), share));
        with.as_secs_f64() / without.as_secs_f64()
    };
    for (what, ratio) in [
        (
            "until all others are synced",
            ratio(|results| &results.synced, 0.25),
        ),
        ("change to status, p50", ratio(|results| &results.latencies, 0.5)),
        ("change to status, p99", ratio(|results| &results.latencies, 0.99)),
    ] {
        println!(
            "{what}: {ratio:.3} times as long with the one that hangs; at most {GOAL_RATIO}: {}",
            met(ratio <= GOAL_RATIO)
        );
    }
}
