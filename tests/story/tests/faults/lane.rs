//! An authorisation of the cluster that is read from afar, through a proxy of its own, and a report that rests on
//! it alone.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use local_cluster::{Access, wait_until};
use serde_json::{Value, json};
use story::{
    Report,
    operator::{condition, create_namespace, create_secret, kubeconfig_authorization, usage_report},
    proxy::{Fault, Proxy},
};

use crate::{
    home::Home,
    scratch::{self, Row},
};

/// Until the authorisation and the report say what happened.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
/// Until they say that it is over, and report what is there.
const RECOVERED_WITHIN: Duration = Duration::from_secs(180);
/// A stream that has lasted as long is no failure when it ends, and ends the longer and longer waits.
const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(60);

pub(crate) struct Lane<'a> {
    home: &'a Home,
    far: &'a Access,
    /// Of authorisation and report at home, and of the workloads afar.
    namespace: &'static str,
    pub(crate) proxy: Proxy,
    pub(crate) opened: Instant,
}

/// What an authorisation has to say while a fault lasts.
#[derive(Debug)]
pub(crate) struct Told {
    /// Whether the API server is to be called reachable.
    pub(crate) reachable: &'static str,
    pub(crate) reasons: &'static [&'static str],
}

impl<'a> Lane<'a> {
    /// Fills a namespace of the cluster, authorises the cluster and asks what uses the image.
    pub(crate) async fn open(home: &'a Home, far: &'a Access, namespace: &'static str) -> Result<Self> {
        let lane = Self {
            home,
            far,
            namespace,
            proxy: Proxy::start(far).await?,
            opened: Instant::now(),
        };
        create_namespace(far, namespace).await?;
        create_namespace(&home.cluster, namespace).await?;
        lane.fill().await?;
        let kubeconfig = lane.proxy.kubeconfig(far.admin_token());
        create_secret(&home.cluster, namespace, "far", "kubeconfig", &kubeconfig).await?;
        let authorization = kubeconfig_authorization(namespace, "far");
        home.cluster.apply(&authorization.to_string()).await?;
        let report = usage_report(namespace, "usage", &json!({"repository": lane.repository()}));
        home.cluster.apply(&report.to_string()).await?;
        lane.recovered("the first answer").await?;
        Ok(lane)
    }

    fn repository(&self) -> String {
        format!("faults.example/{}/app", self.namespace)
    }

    async fn fill(&self) -> Result<()> {
        let labels = json!({"app": "web"});
        let template = json!({"metadata": {"labels": labels}, "spec": {
            "initContainers": [{"name": "migrate", "image": format!("{}:v1", self.repository())}],
            "containers": [{"name": "web", "image": format!("{}:v1", self.repository())}],
        }});
        let job = json!({"spec": {"template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "nightly", "image": format!("{}:v1", self.repository())}],
        }}}});
        let object = |api_version: &str, kind: &str, name: &str, spec: Value| {
            json!({
                "apiVersion": api_version,
                "kind": kind,
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            })
        };
        let web = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": template});
        let nightly = json!({"schedule": "0 0 1 1 *", "jobTemplate": job});
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            object("apps/v1", "Deployment", "web", web),
            object("batch/v1", "CronJob", "nightly", nightly),
        ]});
        // The service account of a new namespace comes a moment later.
        wait_until(SOON, "the first pods", async || {
            self.far.apply(&objects.to_string()).await?;
            self.run("bare", "v1").await
        })
        .await
    }

    /// A pod without an owner.
    async fn run(&self, name: &str, tag: &str) -> Result<()> {
        let image = format!("{}:{tag}", self.repository());
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"bare": "yes"}},
            "spec": {"containers": [{"name": "app", "image": image}]},
        });
        self.far.apply(&pod.to_string()).await?;
        Ok(())
    }

    /// Bare pods, a pod of the Deployment and its images are others afterwards.
    pub(crate) async fn change(&self, name: &str) -> Result<()> {
        let kubectl = async |args: &[&str]| {
            let args = [&["--namespace", self.namespace], args].concat();
            self.far.kubectl(&args).await
        };
        kubectl(&["delete", "pod", "--selector", "bare=yes"]).await?;
        self.run(name, "v1").await?;
        let image = format!("web={}:{name}", self.repository());
        kubectl(&["set", "image", "deployment/web", &image]).await?;
        let pod = kubectl(&["get", "pods", "--selector", "app=web", "--output", "name"]).await?;
        let pod = pod.lines().next().context("the Deployment has pods")?;
        kubectl(&["delete", pod]).await?;
        Ok(())
    }

    async fn report(&self) -> Result<Report> {
        let mut object = self
            .home
            .cluster
            .get_json(&["imageusagereports", "usage", "--namespace", self.namespace])
            .await?;
        Ok(Report(object.get_mut("status").context("no status yet")?.take()))
    }

    pub(crate) async fn rows(&self) -> Result<BTreeSet<Row>> {
        Ok(scratch::reported(self.report().await?.list("deployments")))
    }

    async fn authorization(&self) -> Result<Value> {
        self.home
            .cluster
            .get_json(&["clusterauthorization", "far", "--namespace", self.namespace])
            .await
    }

    /// Breaks what the operator reads, sees it told and the last known kept, mends it, and sees it over.
    pub(crate) async fn endure(&self, fault: Fault, told: &Told) -> Result<()> {
        self.suffer(fault, told).await?;
        self.mend(fault).await
    }

    /// Breaks what the operator reads, and sees it told and the last known kept.
    pub(crate) async fn suffer(&self, fault: Fault, told: &Told) -> Result<()> {
        self.settled().await?;
        let kept = self.rows().await?;
        let name = name(fault);
        let begun = Instant::now();
        self.proxy.switch(fault);
        self.told(&name, told, begun).await?;
        self.stale(&name, &kept, begun, |_| true).await?;
        self.change(&name).await?;
        self.home.goes_on(&format!("{}-{name}", self.namespace)).await?;
        // The other kinds are read on while only pods are in trouble.
        let is_cut_off = |row: &Row| fault != Fault::EndlessList || row.has_pods();
        self.stale(&name, &kept, begun, is_cut_off).await
    }

    /// Mends it, and sees it over.
    pub(crate) async fn mend(&self, fault: Fault) -> Result<()> {
        self.proxy.switch(Fault::None);
        self.recovered(&format!("{} to be over", name(fault))).await
    }

    /// Waits for the authorisation's conditions.
    pub(crate) async fn told(&self, what: &str, told: &Told, begun: Instant) -> Result<()> {
        let reason = wait_until(TOLD_WITHIN, &format!("{what} to be told"), async || {
            let object = self.authorization().await?;
            let (ready, reason) = condition(&object, "Ready");
            let seen = || format!("{:#}", object["status"]["conditions"]);
            ensure!(ready == "False" && told.reasons.contains(&&*reason), "{}", seen());
            ensure!(
                condition(&object, "Synced") == (ready, reason.clone()),
                "{}",
                seen()
            );
            ensure!(condition(&object, "Reachable").0 == told.reachable, "{}", seen());
            Ok(reason)
        })
        .await?;
        println!("{what}: {reason} after {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Waits until the report has what was last known of those lines that are cut off, marked as such.
    async fn stale(
        &self,
        what: &str,
        kept: &BTreeSet<Row>,
        begun: Instant,
        is_cut_off: impl Fn(&Row) -> bool,
    ) -> Result<()> {
        let kept: BTreeSet<&Row> = kept.iter().filter(|row| is_cut_off(row)).collect();
        wait_until(
            TOLD_WITHIN,
            &format!("{what} to show in the report"),
            async || {
                let report = self.report().await?;
                let rows = report.list("deployments");
                let reported = scratch::reported(rows);
                let reported: BTreeSet<&Row> = reported.iter().filter(|row| is_cut_off(row)).collect();
                ensure!(reported == kept, "{reported:#?}\nis not\n{kept:#?}");
                ensure!(
                    rows.iter().all(|row| row["staleSince"].is_string()),
                    "not all is marked stale: {rows:#?}"
                );
                let coverage = report.list("coverage");
                ensure!(
                    coverage.iter().any(|entry| entry["state"] == "Stale"),
                    "{coverage:#?}"
                );
                ensure!(
                    report.condition("ClustersComplete") == ("False", "ClusterStale"),
                    "{:?}",
                    report.condition("ClustersComplete")
                );
                ensure!(
                    report.condition("Ready").0 == "True",
                    "a report is an answer all the same"
                );
                Ok(())
            },
        )
        .await?;
        println!(
            "{what}: the report says so after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Waits until all is well and the report is what one computes anew.
    pub(crate) async fn recovered(&self, what: &str) -> Result<()> {
        let begun = Instant::now();
        wait_until(RECOVERED_WITHIN, what, async || {
            let object = self.authorization().await?;
            ensure!(
                condition(&object, "Ready") == ("True".to_owned(), "Synced".to_owned()),
                "{:#}",
                object["status"]["conditions"]
            );
            ensure!(condition(&object, "Reachable").0 == "True");
            Ok(())
        })
        .await?;
        let ready = begun.elapsed();
        wait_until(RECOVERED_WITHIN, &format!("{what}: the report"), async || {
            self.is_right().await
        })
        .await?;
        println!(
            "{what}: ready after {:.1} s, the report right after {:.1} s",
            ready.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Waits until the streams are old enough for what went wrong before them to be forgiven.
    async fn settled(&self) -> Result<()> {
        wait_until(RECOVERED_WITHIN, "the streams to last", async || {
            let asked = self.proxy.asked_since(self.opened);
            let last = asked.iter().rfind(|asked| asked.what.ends_with("?watch"));
            let age = last.context("nothing was ever watched")?.at.elapsed();
            ensure!(age > FORGIVEN_AFTER, "the newest is {age:?} old");
            Ok(())
        })
        .await
    }

    /// Whether the report is what one computes anew.
    pub(crate) async fn is_right(&self) -> Result<()> {
        let expected = scratch::expected(self.far, self.namespace, &self.repository()).await?;
        let report = self.report().await?;
        let rows = report.list("deployments");
        let reported = scratch::reported(rows);
        ensure!(reported == expected, "{reported:#?}\nis not\n{expected:#?}");
        ensure!(!expected.is_empty(), "nothing to compare");
        ensure!(
            rows.iter().all(|row| row["staleSince"].is_null()),
            "still marked stale: {rows:#?}"
        );
        ensure!(
            report.condition("ClustersComplete").0 == "True",
            "{:?}",
            report.condition("ClustersComplete")
        );
        Ok(())
    }
}

/// Of a fault, for images and objects.
fn name(fault: Fault) -> String {
    let name = format!("{fault:?}").to_lowercase();
    name.split(' ').next().unwrap_or_default().to_owned()
}
