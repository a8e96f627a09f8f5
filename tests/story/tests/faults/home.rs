//! The operator, and the cluster that it runs in: authorised too, and never to suffer from another.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use local_cluster::{Cluster, wait_until};
use serde_json::json;
use story::{
    NAMESPACE,
    operator::{Operator, ask, create_namespace, in_cluster},
    report,
};

const REPOSITORY: &str = "faults.example/home/app";
/// A report that was written a moment ago is written again after 5 seconds.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Home {
    pub(crate) cluster: Cluster,
    pub(crate) operator: Operator,
}

impl Home {
    pub(crate) async fn start() -> Result<Self> {
        let cluster = Cluster::builder().start().await?;
        let operator = Operator::start(&cluster).await?;
        create_namespace(&cluster, "live").await?;
        cluster.apply(&in_cluster(NAMESPACE, "this").to_string()).await?;
        let spec = json!({"repository": REPOSITORY});
        ask(&cluster, "home", &spec, |report| {
            let complete = report.condition("ClustersComplete");
            ensure!(complete.0 == "True", "{complete:?}");
            Ok(())
        })
        .await?;
        Ok(Self { cluster, operator })
    }

    /// A new Deployment shows, whatever happens elsewhere.
    pub(crate) async fn goes_on(&self, name: &str) -> Result<()> {
        let image = format!("--image={REPOSITORY}:{name}");
        self.cluster
            .kubectl(&["--namespace=live", "create", "deployment", name, &image])
            .await?;
        let begun = Instant::now();
        wait_until(SHOWN_WITHIN, &format!("{name} at home"), async || {
            let report = report(&self.cluster, "home").await?;
            let rows = report.list("deployments");
            ensure!(rows.iter().any(|row| row["name"] == name), "{rows:#?}");
            ensure!(rows.iter().all(|row| row["staleSince"].is_null()), "{rows:#?}");
            let complete = report.condition("ClustersComplete");
            ensure!(complete.0 == "True", "{complete:?}");
            Ok(())
        })
        .await?;
        println!(
            "{name} showed at home after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Resident bytes of the operator, and the most there were since [`Home::forget_peak`].
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(self.process("status")?)?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            Ok::<_, anyhow::Error>(kilobytes.with_context(|| format!("no {name}"))? * 1024)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    pub(crate) fn forget_peak(&self) -> Result<()> {
        // See proc_pid_clear_refs(5).
        Ok(fs::write(self.process("clear_refs")?, "5")?)
    }

    fn process(&self, file: &str) -> Result<String> {
        let pid = self.operator.pid().context("the operator does not run")?;
        Ok(format!("/proc/{pid}/{file}"))
    }
}
