//! Deliveries at a steady rate, whatever becomes of those before.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::post::{Message, post, source};

/// Deliveries under way at the same time: beyond it the sender gives up, as its machine would.
const UNDER_WAY: usize = 8_000;

/// How many deliveries, and how fast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// A second.
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
}

/// What was sent and what became of it.
pub(crate) struct Load {
    /// When the first was due.
    begun: Timestamp,
    rate: u32,
    /// From then on, until the last was answered.
    pub(crate) took: Duration,
    pub(crate) sent: u32,
    /// Those that were acknowledged, by their number, and how long after they were due.
    pub(crate) answered: Vec<(u32, Duration)>,
    /// How long after it was due each was begun: the sender's own share of the time above.
    pub(crate) late: Vec<Duration>,
    /// How often each kind of failure was met.
    pub(crate) failed: BTreeMap<String, u32>,
    /// Numbers of those that failed: they may have been taken or not.
    pub(crate) unanswered: Vec<u32>,
}

impl Load {
    /// Sends all, each when it is due, and waits for the answers. A message is made of its number and its time.
    pub(crate) async fn run(
        Pace { rate, seconds }: Pace,
        to: SocketAddr,
        message: impl Fn(u32, Timestamp) -> Message + Send + Sync + 'static,
    ) -> Result<Self> {
        let (message, places) = (Arc::new(message), Arc::new(Semaphore::new(UNDER_WAY)));
        let (begun, start) = (Timestamp::now(), Instant::now());
        let mut load = Self {
            begun,
            rate,
            took: Duration::ZERO,
            sent: rate * seconds,
            answered: Vec::new(),
            late: Vec::new(),
            failed: BTreeMap::new(),
            unanswered: Vec::new(),
        };
        let mut deliveries = JoinSet::new();
        for number in 0..load.sent {
            let due = start + after(number, rate);
            sleep_until(due).await;
            load.late.push(due.elapsed());
            let Ok(place) = places.clone().try_acquire_owned() else {
                load.failure(number, format!("not sent: {UNDER_WAY} were under way"));
                continue;
            };
            let (time, message) = (load.time(number), message.clone());
            deliveries.spawn(async move {
                let status = post(source(number), to, &message(number, time)).await;
                drop(place);
                (number, due.elapsed(), status)
            });
        }
        while let Some(delivery) = deliveries.join_next().await {
            match delivery? {
                (number, time, Ok(202)) => load.answered.push((number, time)),
                (number, _, Ok(status)) => load.failure(number, format!("answered with {status}")),
                (number, _, Err(error)) => load.failure(number, format!("{error:#}")),
            }
        }
        load.took = start.elapsed();
        Ok(load)
    }

    fn failure(&mut self, number: u32, error: String) {
        *self.failed.entry(error).or_default() += 1;
        self.unanswered.push(number);
    }

    /// When a message was due.
    pub(crate) fn time(&self, number: u32) -> Timestamp {
        let after = SignedDuration::try_from(after(number, self.rate)).unwrap_or_default();
        self.begun.checked_add(after).unwrap_or(self.begun)
    }
}

/// When it is due, from the beginning.
fn after(number: u32, rate: u32) -> Duration {
    Duration::from_secs(number.into()) / rate
}
