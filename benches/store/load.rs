//! Appends as a registry sends them, one event at a time from several clients, while something
//! else goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use image_usage_operator::store::{EventLog, SqliteStore, StoreError};

use crate::{Result, hot::History};

/// Clients that each wait for the answer before they send the next event.
const CLIENTS: u64 = 10;
/// A client rests so long between two: 500 events a second in all.
const REST: Duration = Duration::from_millis(20);

/// How long appends took while `work` ran, at least for `shortest`.
pub(crate) async fn appends_during<T>(
    store: &Arc<SqliteStore>,
    (history, next): (History, &Arc<AtomicU64>),
    shortest: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Vec<Duration>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(client(
                Arc::clone(store),
                history,
                Arc::clone(next),
                Arc::clone(&stop),
            ))
        })
        .collect();
    let (done, ()) = tokio::join!(work, tokio::time::sleep(shortest));
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await??);
    }
    Ok((done?, latencies))
}

async fn client(
    store: Arc<SqliteStore>,
    history: History,
    next: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> std::result::Result<Vec<Duration>, StoreError> {
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let delivery = history.delivery(number..number + 1);
        let begun = Instant::now();
        store.append(delivery).await?;
        latencies.push(begun.elapsed());
        tokio::time::sleep(REST).await;
    }
    Ok(latencies)
}
