//! What the load falls on: an API server, the operator, registries that it knows, and quiet reports.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local_cluster::{Access, Cluster, wait_until};
use serde_json::Value;
use story::{
    NAMESPACE, TOKEN,
    operator::{Operator, condition, create_namespace, create_secret, image_registry, install_definitions},
};

use crate::{
    client::client,
    event,
    post::deliver,
    probe::{self, Probes},
};

const ACCEPTED_WITHIN: Duration = Duration::from_secs(20);
/// Hands the store's address on to the operator.
const DATABASE_URL: &str = "DATABASE_URL";

pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) operator: Operator,
    /// Where each registry delivers.
    pub(crate) paths: Vec<String>,
    pub(crate) probes: Probes,
}

impl Ground {
    pub(crate) async fn prepare(registries: u32) -> Result<Self> {
        let (cluster, operator) = started().await?;
        let mut paths = Vec::new();
        for number in 0..registries {
            paths.push(accepted(&cluster, &name(number), &format!("registry-{number}.example")).await?);
        }
        let path = accepted(&cluster, probe::REGISTRY, probe::HOST).await?;
        let client = client(&cluster.kubeconfig_path())?;
        let probes = Probes::ask(&cluster, client, operator.webhook(), path).await?;
        Ok(Self {
            cluster,
            operator,
            paths,
            probes,
        })
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        self.operator.pid().context("the operator does not run")
    }

    /// Kills the operator, SIGKILL, and starts it again; waits until it takes deliveries.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        self.operator.kill().await?;
        self.operator.up().await?;
        for path in &self.paths {
            wait_until(ACCEPTED_WITHIN, "the paths to be open", async || {
                deliver(self.operator.webhook(), &event::message(path, &[])).await
            })
            .await?;
        }
        Ok(())
    }

    /// How many events the registries say are stored, in all.
    pub(crate) async fn stored(&self) -> Result<u64> {
        let list = self
            .cluster
            .get_json(&["imageregistries", "--namespace", NAMESPACE])
            .await?;
        let registries = list["items"].as_array().context("no list")?;
        Ok(registries
            .iter()
            .filter_map(|registry| registry["status"]["sources"][0]["events"]["stored"].as_u64())
            .sum())
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.operator.stop().await?;
        self.cluster.end().await;
        Ok(())
    }
}

/// An API server and the operator on it, which knows the token of [`post`](crate::post::post).
pub(crate) async fn started() -> Result<(Cluster, Operator)> {
    let cluster = Cluster::builder().start().await?;
    install_definitions(&cluster).await?;
    create_namespace(&cluster, NAMESPACE).await?;
    create_secret(&cluster, NAMESPACE, "registry-webhook", "token", TOKEN).await?;
    let mut operator = Operator::new(&cluster)?;
    if let Ok(url) = std::env::var(DATABASE_URL) {
        println!("events go to {DATABASE_URL}");
        operator = operator.env(DATABASE_URL, &url);
    }
    operator.up().await?;
    Ok((cluster, operator))
}

fn name(number: u32) -> String {
    format!("registry-{number}")
}

async fn accepted(home: &Access, name: &str, host: &str) -> Result<String> {
    open(home, name, &image_registry(NAMESPACE, name, host)).await
}

/// Makes a registry and waits until it is accepted; the path of its webhook.
pub(crate) async fn open(home: &Access, name: &str, registry: &Value) -> Result<String> {
    home.apply(&registry.to_string()).await?;
    wait_until(ACCEPTED_WITHIN, "the registry to be accepted", async || {
        let object = home
            .get_json(&["imageregistry", name, "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        let path = object["status"]["sources"][0]["path"].as_str();
        Ok(path.context("no path")?.to_owned())
    })
    .await
}
