//! How long an event takes from the webhook to the status of a quiet report.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use kube::Client;
use local_cluster::Access;
use serde_json::json;
use story::{NAMESPACE, operator::usage_report};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{event, post::deliver, reports::Reports};

pub(crate) const REGISTRY: &str = "probes";
pub(crate) const HOST: &str = "probes.example";
/// Reports that are asked in turn.
const REPORTS: u32 = 60;
/// A report that was written is written again after 5 seconds: one that was left alone for so long is quiet.
const QUIET: Duration = Duration::from_secs(10);

const FIRST_EVERY: Duration = Duration::from_millis(200);

/// Reports about images that only probes are about.
pub(crate) struct Probes {
    webhook: Arc<Webhook>,
    /// How many events were sent so far.
    sent: u32,
}

struct Webhook {
    address: SocketAddr,
    path: String,
    reports: Reports,
}

impl Probes {
    /// Asks, and tells of each image once: what comes first also changes conditions, which have precedence.
    pub(crate) async fn ask(
        home: &Access,
        client: Client,
        address: SocketAddr,
        path: String,
    ) -> Result<Self> {
        let reports = Reports::follow(client);
        let asked: Vec<_> = (0..REPORTS)
            .map(|number| {
                let spec = json!({"image": format!("{HOST}/{}:v1", repository(number))});
                usage_report(NAMESPACE, &format!("probe-{number:03}"), &spec)
            })
            .collect();
        home.apply(&json!({"apiVersion": "v1", "kind": "List", "items": asked}).to_string())
            .await?;
        reports.answered(REPORTS as usize).await?;
        let webhook = Webhook {
            address,
            path,
            reports,
        };
        let mut probes = Self {
            webhook: Arc::new(webhook),
            sent: 0,
        };
        let stop = CancellationToken::new();
        probes.measure(FIRST_EVERY, REPORTS, &stop).await?;
        Ok(probes)
    }

    /// How many events were sent so far.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// Sends one event every so often, each about the next report's image, at most so many or until it is stopped;
    /// how long each took to be shown.
    pub(crate) async fn measure(
        &mut self,
        every: Duration,
        most: u32,
        stop: &CancellationToken,
    ) -> Result<Vec<Duration>> {
        ensure!(
            every * REPORTS >= QUIET,
            "{REPORTS} reports, one every {every:?}, are not quiet"
        );
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut under_way, end) = (JoinSet::new(), self.sent.saturating_add(most));
        while self.sent < end && stop.run_until_cancelled(ticks.tick()).await.is_some() {
            under_way.spawn(show(self.webhook.clone(), self.sent));
            self.sent += 1;
        }
        let mut times = Vec::new();
        while let Some(shown) = under_way.join_next().await {
            times.push(shown??);
        }
        Ok(times)
    }
}

/// From the moment at which the registry begins to deliver an event until a watch of the reports shows it.
async fn show(webhook: Arc<Webhook>, number: u32) -> Result<Duration> {
    let id = format!("7d0e1f2a-0000-4000-8000-{number:012x}");
    let message = event::message(&webhook.path, &[event::probe(&id, &repository(number), "v1")]);
    let begun = Instant::now();
    deliver(webhook.address, &message).await?;
    let shown = webhook.reports.shows(&id).await?;
    Ok(shown.saturating_duration_since(begun))
}

fn repository(number: u32) -> String {
    format!("probes/app-{:03}", number % REPORTS)
}
