//! Reports, and what they say as they say it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, future::try_join_all};
use image_usage_operator::crd::{ConditionStatus, ImageUsageReport, condition_type};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::json;
use story::NAMESPACE;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::objects;

const SHOWN_WITHIN: Duration = Duration::from_mins(1);
const QUIET_WITHIN: Duration = Duration::from_mins(5);

pub(crate) fn api(client: &Client) -> Api<ImageUsageReport> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// Asks about an image.
pub(crate) async fn ask(client: &Client, name: &str, image: &str) -> Result<()> {
    let report = json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ImageUsageReport",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"image": image},
    });
    objects::create(&api(client), report).await?;
    Ok(())
}

/// What a report said last.
#[derive(Debug, Clone, Copy)]
struct Answer {
    pods: i64,
    at: Instant,
}

/// Reports that are watched.
pub(crate) struct Reports {
    answers: BTreeMap<String, watch::Receiver<Option<Answer>>>,
    /// Counts what was seen of any report.
    changes: watch::Receiver<u64>,
    _watching: AbortOnDropHandle<()>,
}

impl Reports {
    /// Follows the reports of these names; others count only for what is [`quiet`](Self::quiet).
    pub(crate) fn follow(client: &Client, names: impl IntoIterator<Item = String>) -> Self {
        let (mut senders, mut answers) = (HashMap::new(), BTreeMap::new());
        for name in names {
            let (sender, receiver) = watch::channel(None);
            senders.insert(name.clone(), sender);
            answers.insert(name, receiver);
        }
        let (counter, changes) = watch::channel(0);
        let events = watcher(api(client), watcher::Config::default()).default_backoff();
        let watching = events.applied_objects().for_each(move |report| {
            // A watch that breaks off begins anew by itself.
            if let Ok(report) = report {
                counter.send_modify(|count| *count += 1);
                if let (Some(sender), Some(pods)) = (senders.get(&report.name_any()), answered(&report)) {
                    sender.send_replace(Some(Answer {
                        pods,
                        at: Instant::now(),
                    }));
                }
            }
            futures::future::ready(())
        });
        Self {
            answers,
            changes,
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        }
    }

    /// Waits until a report shows this many pods; says when it did.
    pub(crate) async fn shows(&self, name: &str, pods: i64) -> Result<Instant> {
        self.waits(name, |shown| shown == pods)
            .await
            .with_context(|| format!("waiting for {pods} pods"))
    }

    async fn waits(&self, name: &str, accept: impl Fn(i64) -> bool) -> Result<Instant> {
        let mut answer = self.answers.get(name).context("not followed")?.clone();
        let shown = answer.wait_for(|answer| answer.is_some_and(|answer| accept(answer.pods)));
        if let Ok(answer) = timeout(SHOWN_WITHIN, shown).await {
            return Ok(answer?.context("an answer is there")?.at);
        }
        let last = self.answers.get(name).and_then(|answer| *answer.borrow());
        bail!("gave up on report {name} after {SHOWN_WITHIN:?}; it says {last:?}");
    }

    /// Waits until all of them are answered.
    pub(crate) async fn all_answered(&self) -> Result<Instant> {
        let answered = try_join_all(self.answers.keys().map(|name| self.waits(name, |_| true))).await?;
        answered.into_iter().max().context("no report is followed")
    }

    /// Waits until all of them show this many pods; says when the last one did.
    pub(crate) async fn all_show(&self, pods: i64) -> Result<Instant> {
        let shown = try_join_all(self.answers.keys().map(|name| self.shows(name, pods))).await?;
        shown.into_iter().max().context("no report is followed")
    }

    /// Waits until no report has changed for so long.
    pub(crate) async fn quiet(&self, length: Duration) -> Result<()> {
        let mut changes = self.changes.clone();
        let begun = Instant::now();
        while let Ok(changed) = timeout(length, changes.changed()).await {
            changed.context("the reports are no longer followed")?;
            if begun.elapsed() > QUIET_WITHIN {
                bail!("the reports do not come to rest within {QUIET_WITHIN:?}");
            }
        }
        Ok(())
    }
}

/// How many pods a report says, once it is answered.
fn answered(report: &ImageUsageReport) -> Option<i64> {
    let status = report.status.as_ref()?;
    let is_ready = status.conditions.iter().any(|condition| {
        condition.r#type == condition_type::READY && condition.status == ConditionStatus::True
    });
    status
        .summary
        .as_ref()
        .filter(|_| is_ready)
        .map(|summary| summary.pods)
}
