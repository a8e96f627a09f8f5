//! Deliveries at a steady rate, whatever becomes of those before.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    Arguments,
    event::{self, Event},
    post::{post, source},
};

/// Deliveries under way at the same time: beyond it the sender gives up, as its machine would.
const UNDER_WAY: usize = 8_000;

/// What was sent and what became of it.
pub(crate) struct Load {
    /// When the first was due.
    pub(crate) begun: Timestamp,
    pub(crate) rate: u32,
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
    /// Sends all, each when it is due, and waits for the answers.
    pub(crate) async fn run(paths: &[String], to: SocketAddr, arguments: &Arguments) -> Result<Self> {
        let (rate, sent) = (arguments.rate, arguments.rate * arguments.seconds);
        let paths: Arc<[String]> = paths.into();
        let places = Arc::new(Semaphore::new(UNDER_WAY));
        let (begun, start) = (Timestamp::now(), Instant::now());
        let mut load = Self {
            begun,
            rate,
            took: Duration::ZERO,
            sent,
            answered: Vec::new(),
            late: Vec::new(),
            failed: BTreeMap::new(),
            unanswered: Vec::new(),
        };
        let mut deliveries = JoinSet::new();
        for number in 0..sent {
            let due = start + after(number, rate);
            sleep_until(due).await;
            load.late.push(due.elapsed());
            let Ok(place) = places.clone().try_acquire_owned() else {
                load.failure(number, format!("not sent: {UNDER_WAY} were under way"));
                continue;
            };
            let (event, paths) = (load.event(number), paths.clone());
            deliveries.spawn(async move {
                let status = send(event, &paths, to).await;
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

    /// One of those that were sent, as it was sent.
    pub(crate) fn event(&self, number: u32) -> Event {
        let after = SignedDuration::try_from(after(number, self.rate)).unwrap_or_default();
        Event {
            number,
            time: self.begun.checked_add(after).unwrap_or(self.begun),
        }
    }
}

/// When it is due, from the beginning.
fn after(number: u32, rate: u32) -> Duration {
    Duration::from_secs(number.into()) / rate
}

async fn send(event: Event, paths: &[String], to: SocketAddr) -> Result<u16> {
    let registries = u32::try_from(paths.len())?;
    let path = &paths[event.registry(registries) as usize];
    let body = event::body(&[event.value(registries)]);
    post(source(event.number), to, path, &body).await
}
