//! How long a change of a pod takes to show in the status of a quiet report.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::DeleteParams};
use serde_json::json;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{objects, reports::Reports};

/// A report that was written is written again after 5 seconds, a large one later: one that was left alone for so
/// long is quiet.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// A report about an image that nothing else uses, and where pods of it are made.
pub(crate) struct Probe {
    pub(crate) report: String,
    pods: Api<Pod>,
}

impl Probe {
    pub(crate) fn new(number: usize, client: &Client, namespace: &str) -> Self {
        Self {
            report: format!("probe-{number:03}"),
            pods: Api::namespaced(client.clone(), namespace),
        }
    }

    pub(crate) fn image(&self) -> String {
        format!("registry.example.com/probes/{}:v1", self.report)
    }

    /// One pod is always there: a first one would change the verdict, which has precedence.
    pub(crate) async fn prepare(&self) -> Result<()> {
        self.create(&self.report).await?;
        self.delete().await
    }

    fn second(&self) -> String {
        format!("{}-second", self.report)
    }

    async fn create(&self, name: &str) -> Result<()> {
        let container = json!({"name": "app", "image": self.image()});
        objects::create(
            &self.pods,
            json!({"metadata": {"name": name}, "spec": {"containers": [container]}}),
        )
        .await?;
        Ok(())
    }

    async fn delete(&self) -> Result<()> {
        objects::delete(
            &self.pods,
            &self.second(),
            &DeleteParams::default().grace_period(0),
        )
        .await
    }

    /// Adds the second pod and takes it away, in turn.
    async fn measure(&self, reports: &Reports, schedule: &Schedule<'_>, place: u32) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut ticks = interval_at(schedule.begin + schedule.every * place, schedule.cycle);
        for visit in 0..schedule.visits {
            if schedule.stop.run_until_cancelled(ticks.tick()).await.is_none() {
                break;
            }
            let pods = if visit % 2 == 0 {
                self.create(&self.second()).await?;
                2
            } else {
                self.delete().await?;
                1
            };
            let acknowledged = Instant::now();
            let shown = reports.shows(&self.report, pods).await?;
            latencies.push(shown.saturating_duration_since(acknowledged));
        }
        Ok(latencies)
    }
}

struct Schedule<'a> {
    begin: Instant,
    every: Duration,
    cycle: Duration,
    visits: usize,
    stop: &'a CancellationToken,
}

/// Changes something every so often, another report's pods each time, and returns how long each change took from
/// the API server's acknowledgement to the report's status, as a watch shows it.
pub(crate) async fn measure(
    probes: &[Probe],
    reports: &Reports,
    every: Duration,
    samples: usize,
    stop: &CancellationToken,
) -> Result<Vec<Duration>> {
    let cycle = every * u32::try_from(probes.len())?;
    ensure!(
        cycle >= QUIET,
        "{} reports, one every {every:?}, are not quiet for {QUIET:?}: take more reports",
        probes.len()
    );
    let schedule = Schedule {
        begin: Instant::now(),
        every,
        cycle,
        visits: samples.div_ceil(probes.len()),
        stop,
    };
    let measured = probes
        .iter()
        .zip(0..)
        .map(|(probe, place)| probe.measure(reports, &schedule, place));
    Ok(try_join_all(measured).await?.concat())
}
