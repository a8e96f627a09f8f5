//! What happens to an authorised cluster when its credentials, or the cluster behind them, change, and when the
//! operator restarts while the cluster is away.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use local_cluster::{Access, Cluster, Credentials, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, Report, example,
    operator::{
        Operator, condition, create_namespace, create_secret, deployment, kubeconfig_authorization,
        usage_report,
    },
    report,
};

const SHOP: &str = "shop";
const IMAGE: &str = "credentials.example/team/app:v1";
/// Reads the far cluster and nothing else.
const READER: &str = "image-usage-reader";
const FAR: &str = "far";
const REPORT: &str = "app";
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_cluster_stays_itself_through_new_credentials_other_clusters_and_restarts() -> Result<()> {
    let home = Cluster::builder().start().await?;
    let far = Cluster::builder().audit_log().start().await?;
    let other = Cluster::builder().start().await?;
    let mut operator = Operator::start(&home).await?;
    let story = Story { home: &home };
    for (cluster, pods) in [(&*far, 2), (&*other, 3)] {
        prepare(cluster, pods).await?;
    }
    let administrator = home_kubeconfig(&far)?;
    create_secret(&home, NAMESPACE, FAR, "kubeconfig", &administrator).await?;
    home.apply(&kubeconfig_authorization(NAMESPACE, FAR).to_string())
        .await?;
    story.ask().await?;
    story.runs(2, false).await?;

    new_credentials_are_taken_up_without_a_list(&story, &far).await?;
    refused_credentials_are_said_and_keep_what_is_known(&story, &far).await?;
    another_cluster_waits_until_it_is_confirmed(&story, &far, &other).await?;

    // The operator starts anew while the cluster is away.
    operator.stop().await?;
    other.stop("kube-apiserver").await?;
    operator.up().await?;
    story.runs(3, true).await?;
    story.authorization("Reachable", "False", "").await?;
    operator.kill().await?;
    operator.up().await?;
    let stale = story.runs(3, true).await?;
    let coverage = &stale.list("coverage")[0];
    ensure!(coverage["state"] == "Stale", "{coverage:#}");
    other.restart("kube-apiserver").await?;
    story.runs(3, false).await?;

    operator.stop().await?;
    other.end().await;
    far.end().await;
    home.end().await;
    Ok(())
}

/// The account that examples describe, and a Deployment.
async fn prepare(cluster: &Access, pods: i64) -> Result<()> {
    cluster
        .apply(&fs::read_to_string(example("remote-cluster.yaml"))?)
        .await?;
    create_namespace(cluster, SHOP).await?;
    cluster
        .apply(&deployment(SHOP, "web", IMAGE, pods).to_string())
        .await?;
    Ok(())
}

/// A client certificate of somebody who may do everything.
fn home_kubeconfig(cluster: &Access) -> Result<String> {
    let certificate = cluster.client_certificate("somebody", Some("system:masters"))?;
    Ok(cluster.kubeconfig(&Credentials::Certificate(certificate)))
}

struct Story<'a> {
    home: &'a Access,
}

impl Story<'_> {
    async fn ask(&self) -> Result<()> {
        let question = usage_report(NAMESPACE, REPORT, &json!({"image": IMAGE}));
        self.home.apply(&question.to_string()).await?;
        Ok(())
    }

    /// Waits until the report shows so many pods of the cluster, current or as last known.
    async fn runs(&self, pods: i64, is_stale: bool) -> Result<Report> {
        let what = format!(
            "{pods} pods, {}",
            if is_stale { "as last known" } else { "current" }
        );
        wait_until(SOON, &what, async || {
            let report = report(self.home, REPORT).await?;
            let rows = report.deployments_in(FAR);
            ensure!(rows.len() == 1, "{rows:#?}");
            let found = (rows[0]["pods"].as_i64(), rows[0]["staleSince"].is_string());
            ensure!(found == (Some(pods), is_stale), "{found:?}");
            Ok(report)
        })
        .await
    }

    /// Waits for a condition of the authorisation; an empty reason is any. Its message.
    async fn authorization(&self, kind: &str, status: &str, reason: &str) -> Result<String> {
        wait_until(SOON, &format!("{kind}={status} {reason}"), async || {
            let object = self.object().await?;
            let (found, because) = condition(&object, kind);
            ensure!(
                found == status && (reason.is_empty() || because == reason),
                "{:#}",
                object["status"]["conditions"]
            );
            let conditions = object["status"]["conditions"].as_array();
            let message = conditions
                .into_iter()
                .flatten()
                .find(|condition| condition["type"] == kind)
                .and_then(|condition| condition["message"].as_str());
            Ok(message.unwrap_or_default().to_owned())
        })
        .await
    }

    async fn object(&self) -> Result<Value> {
        self.home
            .get_json(&["clusterauthorization", FAR, "--namespace", NAMESPACE])
            .await
    }

    async fn use_kubeconfig(&self, text: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": FAR, "namespace": NAMESPACE},
            "stringData": {"kubeconfig": text},
        });
        self.home.apply(&secret.to_string()).await?;
        Ok(())
    }
}

async fn new_credentials_are_taken_up_without_a_list(story: &Story<'_>, far: &Access) -> Result<()> {
    let message = story
        .authorization("ExcessRights", "True", "MoreThanRead")
        .await?;
    ensure!(message.contains("* *.*"), "{message}");
    let least = far.service_account_kubeconfig(READER, READER).await?;
    let begun = Instant::now();
    story.use_kubeconfig(&least).await?;
    let account = format!("system:serviceaccount:{READER}:{READER}");
    let requests = wait_until(SOON, "watches with the new credentials", async || {
        let log = fs::read_to_string(far.audit_log_path())?;
        let requests: Vec<String> = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| entry["user"]["username"] == account.as_str())
            .filter(|entry| ["list", "watch"].contains(&entry["verb"].as_str().unwrap_or_default()))
            .filter_map(|entry| entry["requestURI"].as_str().map(str::to_owned))
            // A look at how far the server is.
            .filter(|uri| !uri.ends_with("limit=1"))
            .collect();
        let watched = requests.iter().filter(|uri| uri.contains("watch=")).count();
        ensure!(watched >= 8, "{watched} of 8 kinds");
        Ok(requests)
    })
    .await?;
    println!("new credentials: {:.1} s", begun.elapsed().as_secs_f64());
    for uri in requests {
        ensure!(
            uri.contains("watch=") && uri.contains("resourceVersion=") && !uri.contains("sendInitialEvents"),
            "a list: {uri}"
        );
    }
    wait_until(SOON, "no right beyond reading", async || {
        let found = condition(&story.object().await?, "ExcessRights");
        ensure!(found.0.is_empty(), "{found:?}");
        Ok(())
    })
    .await?;
    story.runs(2, false).await?;
    far.kubectl(&["scale", "deployment/web", "--namespace", SHOP, "--replicas", "1"])
        .await?;
    story.runs(1, false).await?;
    Ok(())
}

async fn refused_credentials_are_said_and_keep_what_is_known(story: &Story<'_>, far: &Access) -> Result<()> {
    let wrong = Credentials::Token("not-a-token-of-this-cluster".to_owned());
    story.use_kubeconfig(&far.kubeconfig(&wrong)).await?;
    let message = story.authorization("Reachable", "False", "Unauthorized").await?;
    ensure!(message.contains("renew the token"), "{message}");
    story.runs(1, true).await?;
    story
        .use_kubeconfig(&far.service_account_kubeconfig(READER, READER).await?)
        .await?;
    story.authorization("Ready", "True", "Synced").await?;
    story.runs(1, false).await?;
    Ok(())
}

async fn another_cluster_waits_until_it_is_confirmed(
    story: &Story<'_>,
    far: &Access,
    other: &Access,
) -> Result<()> {
    story
        .use_kubeconfig(&other.service_account_kubeconfig(READER, READER).await?)
        .await?;
    let message = story.authorization("Stalled", "True", "ClusterChanged").await?;
    let uid = uid(other).await?;
    let annotation = format!("imageusage.dev/confirm-cluster={uid}");
    ensure!(message.contains(&annotation), "{message}");
    story.authorization("Ready", "False", "ClusterChanged").await?;
    story.runs(1, true).await?;
    ensure!(
        story.object().await?["status"]["cluster"]["uid"] == self::uid(far).await?,
        "the authorised one is not forgotten"
    );

    story
        .home
        .kubectl(&[
            "annotate",
            "clusterauthorization",
            FAR,
            "--namespace",
            NAMESPACE,
            &annotation,
        ])
        .await?;
    story.authorization("Ready", "True", "Synced").await?;
    story.runs(3, false).await?;
    ensure!(
        story.object().await?["status"]["cluster"]["uid"] == uid,
        "the confirmed one"
    );
    Ok(())
}

async fn uid(cluster: &Access) -> Result<String> {
    let namespace = cluster.get_json(&["namespace", "kube-system"]).await?;
    let uid = namespace["metadata"]["uid"].as_str();
    Ok(uid.context("kube-system has a uid")?.to_owned())
}
