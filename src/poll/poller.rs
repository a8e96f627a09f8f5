//! Rounds through the logs of one source: ask, store, note how far.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use jiff::Timestamp;
use tracing::warn;

use super::{
    client::{Client, Failure},
    page::{Page, Row},
    problem::Problem,
    reading::{Reading, begin, moved},
    seen::Seen,
    source::{Log, Polled},
};
use crate::{
    backoff::{asked_for, backoff, denied_backoff},
    dialect::told_apart,
    store::{Cursor, Cursors, Delivery, EventLog, Keeping, LogKey, StoreError},
};

/// Most pages of one round, of all logs together.
pub(super) const MOST_PAGES: u32 = 100;

/// Where pages go.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) cursors: Arc<dyn Cursors>,
    pub(super) keeping: Arc<dyn Keeping>,
}

/// Asks for the logs of one source.
pub(super) struct Poller {
    polled: Polled,
    client: Client,
    stores: Stores,
    logs: Vec<LogState>,
    /// Whose turn it is first: where a round was cut, the others come before it is gone on with.
    first: usize,
}

struct LogState {
    log: Log,
    /// As it is stored.
    cursor: Option<Cursor>,
    /// A round that goes on.
    reading: Option<Reading>,
    seen: Seen,
}

/// Why a round ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(Failure),
    /// What was read is asked for again once the store takes it.
    Store(StoreError),
    /// Nothing is asked for as long as the store takes nothing.
    Refusing,
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Poller {
    pub(super) fn new(polled: Polled, client: Client, stores: Stores) -> Self {
        let logs = polled.logs.iter().map(|log| LogState {
            log: log.clone(),
            cursor: None,
            reading: None,
            seen: Seen::default(),
        });
        Self {
            logs: logs.collect(),
            polled,
            client,
            stores,
            first: 0,
        }
    }

    /// One round after the other, for ever. `told` hears after each what is wrong with the registry.
    pub(super) async fn run(mut self, told: impl Fn(Option<Problem>)) {
        let mut failures = 0_u32;
        loop {
            let round = self.round().await;
            match &round {
                Ok(()) => told(None),
                Err(Stop::Failed(failure)) => told(Some(failure.problem)),
                Err(Stop::Store(error)) => {
                    let key = &self.polled.registry;
                    warn!(namespace = key.namespace, registry = key.name, source = self.polled.source, %error, "what a log said was not stored: asking again");
                }
                Err(Stop::Refusing) => {}
            }
            failures = match round {
                Ok(()) | Err(Stop::Refusing) => 0,
                Err(_) => failures.saturating_add(1),
            };
            tokio::time::sleep(rest(
                &round,
                failures,
                self.polled.interval,
                crate::backoff::random(),
            ))
            .await;
        }
    }

    /// All logs, as far as the pages of one round go.
    pub(super) async fn round(&mut self) -> Result<(), Stop> {
        if self.stores.keeping.refusing(&self.polled.registry).is_some() {
            return Err(Stop::Refusing);
        }
        let (mut pages, count, begun) = (MOST_PAGES, self.logs.len(), self.first);
        let mut failed = None;
        for turn in 0..count {
            let index = (begun + turn) % count;
            match self.read(index, &mut pages).await {
                // One log that cannot be read says nothing of the others.
                Err(Stop::Failed(failure)) if !failure.is_passing => {
                    failed.get_or_insert(failure);
                }
                Err(stop) => {
                    self.first = (index + 1) % count;
                    return Err(stop);
                }
                Ok(()) => {}
            }
            if pages == 0 {
                self.first = (index + 1) % count;
                break;
            }
        }
        failed.map_or(Ok(()), |failure| Err(Stop::Failed(failure)))
    }

    /// One log, until its end or until no page is left.
    async fn read(&mut self, index: usize, pages: &mut u32) -> Result<(), Stop> {
        let Self {
            polled,
            client,
            stores,
            logs,
            ..
        } = self;
        let Some(state) = logs.get_mut(index) else {
            return Ok(());
        };
        let key = LogKey {
            registry: polled.registry.clone(),
            source: polled.source.clone(),
            log: state.log.name(),
        };
        if state.cursor.is_none() {
            state.cursor = stores.cursors.cursor(key.clone()).await?;
        }
        let now = Timestamp::now();
        let start = now.saturating_sub(polled.reach).unwrap_or(Timestamp::MIN);
        let mut cursor = state.cursor.unwrap_or(Cursor {
            since: start,
            until: start,
        });
        let mut reading = match state.reading.take() {
            Some(reading) => reading,
            None => Reading::new(&state.log, cursor.until, now),
        };
        while *pages > 0 {
            *pages -= 1;
            let body = match client.get(&reading.target(&state.log)).await {
                Ok(body) => body,
                Err(failure) if failure.problem == Problem::NotFound && reading.elsewhere() => continue,
                Err(failure) => {
                    state.reading = Some(reading).filter(|_| failure.is_passing);
                    return Err(Stop::Failed(failure));
                }
            };
            let received = Timestamp::now();
            let page = reading
                .page(&body)
                .map_err(|_| Stop::Failed(Failure::lasting(Problem::Unreadable)))?;
            keep(polled, stores, state, &reading, &page, received).await?;
            let step = reading.take(&page);
            cursor = moved(cursor, step);
            if state.cursor != Some(cursor) {
                stores.cursors.set_cursor(key.clone(), cursor).await?;
                state.cursor = Some(cursor);
            }
            if step.is_done {
                state.seen.forget_before(begin(cursor.until));
                return Ok(());
            }
        }
        state.reading = Some(reading);
        Ok(())
    }
}

/// Has the rows of a page stored that are new; durable when it returns.
async fn keep(
    polled: &Polled,
    stores: &Stores,
    state: &mut LogState,
    reading: &Reading,
    page: &Page<'_>,
    received: Timestamp,
) -> Result<(), Stop> {
    let rows = page.rows.iter().copied();
    let new: Vec<Row<'_>> = rows
        .filter(|row| reading.asked_for(row) && !state.seen.has(row))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let parsed = state
        .log
        .format()
        .parse(&HeaderMap::new(), reading.body(&new).as_bytes())
        .map_err(|_| Stop::Failed(Failure::lasting(Problem::Unreadable)))?;
    let events = parsed.events.into_iter();
    let delivery = Delivery {
        registry: polled.registry.clone(),
        source: polled.source.clone(),
        received,
        events: events
            .map(|event| told_apart(reading.named(event), received))
            .collect(),
        ignored: parsed.ignored,
        quarantined: None,
    };
    stores.log.append(delivery).await?;
    state.seen.add(&new);
    Ok(())
}

/// How long to wait after a round. `failures` in a row, this one among them.
pub(super) fn rest(round: &Result<(), Stop>, failures: u32, interval: Duration, random: u64) -> Duration {
    match round {
        Ok(()) | Err(Stop::Refusing) => interval,
        Err(Stop::Failed(Failure {
            retry_after: Some(wait),
            ..
        })) => asked_for(*wait, random),
        Err(Stop::Failed(Failure {
            is_passing: false, ..
        })) => denied_backoff(failures, random),
        Err(Stop::Failed(_) | Stop::Store(_)) => backoff(failures, random),
    }
}
