//! Many clients behind one address that pull as nodes do, HEAD by tag and GET by digest, and an operator that is
//! killed between the two.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local_cluster::{Access, Cluster, Image, PushedImage, Registry, wait_until};
use serde_json::json;
use story::{
    Report,
    operator::{Operator, accepted, ask},
    report,
};
use tokio::task::JoinSet;

const CLIENTS: usize = 6;
const LOOKS_ALONE: usize = 2;
/// Distribution sends its queue again, one event after the other, and pauses in between.
const DELIVERED_WITHIN: Duration = Duration::from_secs(90);

struct Clients<'a> {
    home: &'a Access,
    pushed: PushedImage,
    by_digest: String,
}

impl Clients<'_> {
    /// Each resolves the tag.
    async fn look(&self, clients: usize) -> Result<()> {
        self.all(clients, ["digest", &self.pushed.reference]).await
    }

    /// Each reads what the tag led to.
    async fn pull(&self) -> Result<()> {
        self.all(CLIENTS, ["manifest", &self.by_digest]).await
    }

    /// At the same time.
    async fn all(&self, clients: usize, words: [&str; 2]) -> Result<()> {
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (home, words) = (self.home.clone(), words.map(str::to_owned));
            running.spawn(async move { home.crane(&[&words[0], &words[1]]).await });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    }
}

#[tokio::test]
async fn many_clients_behind_one_address_are_as_many_pulls() -> Result<()> {
    let mut home = Cluster::builder()
        .registry(Registry::v3("v3"))
        .registry(Registry::v2("v2"))
        .start()
        .await?;
    let mut operator = Operator::start(&home).await?;
    for name in ["v3", "v2"] {
        let host = home
            .registry_host_of(name)
            .context("the cluster has it")?
            .to_owned();
        let path = accepted(&home, name, &host).await?;
        home.set_notifications(name, vec![operator.notifications(&path)])
            .await?;
        let image = Image::scratch().file("/text", name, 0o644);
        let pushed = home.push_image_to(&host, &image, "team/app", "v1").await?;
        let clients = Clients {
            home: &home,
            by_digest: format!("{host}/team/app@{}", pushed.digest),
            pushed,
        };

        clients.look(CLIENTS).await?;
        operator.kill().await?;
        clients.pull().await?;
        operator.up().await?;
        let spec = json!({"repository": format!("{host}/team/app"), "events": {"categories": ["Pull"]}});
        ask(&home, name, &spec, |_| Ok(())).await?;
        each_is_one_pull(&home, name, CLIENTS, 0).await?;

        clients.look(CLIENTS).await?;
        clients.pull().await?;
        clients.look(LOOKS_ALONE).await?;
        each_is_one_pull(&home, name, 2 * CLIENTS, LOOKS_ALONE).await?;
    }
    operator.stop().await?;
    home.end().await;
    Ok(())
}

/// So many pulls by the tag, each of a HEAD and a GET, and so many HEADs that no GET took.
async fn each_is_one_pull(home: &Access, name: &str, pulls: usize, checks: usize) -> Result<()> {
    wait_until(DELIVERED_WITHIN, "each client's pull", async || {
        let report = report(home, name).await?;
        let numbers = (number(&report, "pulls")?, number(&report, "checks")?);
        ensure!(
            numbers == (pulls, checks),
            "{numbers:?} pulls and checks, not {:?}: {:#}",
            (pulls, checks),
            report.0
        );
        for pull in report.events("Pull") {
            ensure!(
                pull["tag"] == "v1" && pull["rawCount"] == 2,
                "not of a HEAD and a GET: {pull:#}"
            );
        }
        Ok(())
    })
    .await
}

fn number(report: &Report, name: &str) -> Result<usize> {
    Ok(usize::try_from(report.number(name).context("no number")?)?)
}
