//! Deliveries of one event at a steady rate, whatever becomes of those before, while something else
//! goes on.

use std::{sync::Arc, time::Duration};

use image_usage_operator::store::EventLog;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{Result, hot::History};

/// A second.
pub(crate) const RATE: u32 = 200;

/// What became of the deliveries.
#[derive(Default)]
pub(crate) struct Appends {
    /// How long each took that was acknowledged.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) refused: usize,
    /// How long after it was due each was sent: what the machine, and not the store, makes of it.
    pub(crate) late: Vec<Duration>,
    /// How long they were sent.
    pub(crate) sent_for: Duration,
}

impl Appends {
    fn answered(&mut self, took: Option<Duration>) {
        match took {
            Some(took) => self.latencies.push(took),
            None => self.refused += 1,
        }
    }

    fn add(&mut self, more: Self) {
        let Self {
            latencies,
            refused,
            late,
            sent_for,
        } = more;
        self.latencies.extend(latencies);
        self.refused += refused;
        self.late.extend(late);
        self.sent_for += sent_for;
    }
}

/// Whoever sends them: events of a history, from those beyond its end.
pub(crate) struct Sender<S> {
    store: Arc<S>,
    history: History,
    next: u64,
}

impl<S: EventLog> Sender<S> {
    pub(crate) fn new(store: Arc<S>, history: History) -> Self {
        Self {
            store,
            history,
            next: history.events(),
        }
    }

    /// Sends while `work` is done.
    pub(crate) async fn during<T>(
        &mut self,
        work: impl Future<Output = Result<T>>,
        into: &mut Appends,
    ) -> Result<T> {
        let stop = CancellationToken::new();
        let (store, history) = (Arc::clone(&self.store), self.history);
        let sending = tokio::spawn(send(store, history, self.next, stop.clone()));
        let done = work.await;
        stop.cancel();
        let sent = sending.await?;
        self.next += u64::try_from(sent.late.len())?;
        into.add(sent);
        done
    }
}

/// Until it is stopped. A store answers within seconds, so that few are under way.
async fn send<S: EventLog>(store: Arc<S>, history: History, first: u64, stop: CancellationToken) -> Appends {
    let (mut appends, mut under_way) = (Appends::default(), JoinSet::new());
    let begun = Instant::now();
    for number in 0.. {
        let due = begun + Duration::from_secs(number) / RATE;
        if stop.run_until_cancelled(sleep_until(due)).await.is_none() {
            break;
        }
        appends.late.push(due.elapsed());
        let (store, number) = (Arc::clone(&store), first + number);
        let delivery = history.delivery(number..number + 1);
        under_way.spawn(async move {
            let sent = Instant::now();
            store.append(delivery).await.ok().map(|_| sent.elapsed())
        });
        while let Some(Ok(answer)) = under_way.try_join_next() {
            appends.answered(answer);
        }
    }
    appends.sent_for = begun.elapsed();
    for answer in under_way.join_all().await {
        appends.answered(answer);
    }
    appends
}
