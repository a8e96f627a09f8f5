//! A steady stream of pod changes: of ten, eight report a restart, one changes an image, one replaces a pod.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use kube::Client;
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Interval, interval},
};

use crate::fill::Workload;

const WORKERS: usize = 32;
/// Prime to every number of pods that one would choose: each turn takes a pod far from the one before.
const STRIDE: usize = 7919;

pub(crate) struct Load {
    client: Client,
    workloads: Vec<Workload>,
    pods: usize,
    changes: usize,
    pace: Mutex<Interval>,
    turns: AtomicUsize,
    done: AtomicUsize,
}

impl Load {
    /// So many changes, at most so many a second.
    pub(crate) fn new(
        client: Client,
        workloads: Vec<Workload>,
        pods: usize,
        changes: usize,
        per_second: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            workloads,
            pods,
            changes,
            pace: Mutex::new(interval(Duration::from_secs(1) / per_second)),
            turns: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        })
    }

    /// Changes that the API server has acknowledged.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Until all are done.
    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let mut workers: JoinSet<Result<()>> = (0..WORKERS)
            .map(|_| {
                let load = self.clone();
                async move { load.work().await }
            })
            .collect();
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn work(&self) -> Result<()> {
        while self.done() < self.changes {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            let (pod, round) = (turn.wrapping_mul(STRIDE) % self.pods, turn / self.pods);
            let workload = Workload::of(&self.workloads, pod);
            match (turn + round) % 10 {
                0 => {
                    self.paced(workload.terminate_pod(&self.client, pod)).await?;
                    self.paced(workload.remove_pod(&self.client, pod)).await?;
                    self.paced(workload.create_pod(&self.client, pod)).await?;
                    self.paced(workload.run_pod(&self.client, pod, 0)).await?;
                }
                1 => {
                    self.paced(workload.set_image(&self.client, pod, turn)).await?;
                }
                _ => {
                    self.paced(workload.run_pod(&self.client, pod, round + 1)).await?;
                }
            }
        }
        Ok(())
    }

    /// One change, when it is its turn.
    async fn paced(&self, change: impl Future<Output = Result<()>>) -> Result<()> {
        self.pace.lock().await.tick().await;
        change.await?;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
