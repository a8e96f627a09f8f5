//! Reports, and when they first showed what.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use image_usage_operator::crd::{ConditionStatus, ImageUsageReport, condition_type};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use story::NAMESPACE;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::task::AbortOnDropHandle;

const SHOWN_WITHIN: Duration = Duration::from_mins(1);

/// What was seen of all reports so far.
#[derive(Default)]
struct Seen {
    /// Names of those that are answered.
    answered: BTreeSet<String>,
    /// When each event was first shown, by its id.
    events: HashMap<String, Instant>,
}

/// Reports that are watched.
pub(crate) struct Reports {
    seen: watch::Receiver<Seen>,
    _watching: AbortOnDropHandle<()>,
}

impl Reports {
    pub(crate) fn follow(client: Client) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let reports: Api<ImageUsageReport> = Api::namespaced(client, NAMESPACE);
        let events = watcher(reports, watcher::Config::default()).default_backoff();
        let watching = events.applied_objects().for_each(move |report| {
            // A watch that breaks off begins anew by itself.
            if let Ok(report) = report {
                sender.send_modify(|seen| seen.note(&report));
            }
            futures::future::ready(())
        });
        Self {
            seen,
            _watching: AbortOnDropHandle::new(tokio::spawn(watching)),
        }
    }

    /// Waits until so many are answered.
    pub(crate) async fn answered(&self, count: usize) -> Result<()> {
        self.wait(|seen| (seen.answered.len() >= count).then_some(()))
            .await
            .context("waiting for the first answers")
    }

    /// Waits until a report shows the event; says when it did.
    pub(crate) async fn shows(&self, id: &str) -> Result<Instant> {
        self.wait(|seen| seen.events.get(id).copied())
            .await
            .with_context(|| format!("waiting for event {id}"))
    }

    async fn wait<T>(&self, find: impl Fn(&Seen) -> Option<T>) -> Result<T> {
        let mut seen = self.seen.clone();
        let found = timeout(SHOWN_WITHIN, seen.wait_for(|seen| find(seen).is_some()));
        let seen = found
            .await
            .with_context(|| format!("gave up after {SHOWN_WITHIN:?}"))??;
        find(&seen).context("it was there")
    }
}

impl Seen {
    fn note(&mut self, report: &ImageUsageReport) {
        let Some(status) = &report.status else {
            return;
        };
        let now = Instant::now();
        for event in &status.events {
            self.events.entry(event.id.clone()).or_insert(now);
        }
        let is_ready = status.conditions.iter().any(|condition| {
            condition.r#type == condition_type::READY && condition.status == ConditionStatus::True
        });
        if is_ready {
            self.answered.insert(report.name_any());
        }
    }
}
