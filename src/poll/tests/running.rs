use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use local_cluster::wait_until;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Place, close, guard, polled, row,
    server::{Answer, Logs, Registry},
    stored, tags,
};
use crate::{
    cluster::Guard,
    poll::{Poll, PollOptions, problem::Problem, source::Log},
    store::SqliteStore,
};

struct Started {
    poll: Poll,
    changes: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

fn start(registry: &Registry, store: &Arc<SqliteStore>, guard: Guard) -> Started {
    let (changes, tasks) = (Arc::<AtomicUsize>::default(), TaskTracker::new());
    let counted = changes.clone();
    let poll = Poll::start(PollOptions {
        polled: polled(registry, &[Log::Harbor]),
        guard,
        log: store.clone(),
        cursors: store.clone(),
        keeping: store.clone(),
        on_change: Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }),
        tasks: tasks.clone(),
        cancel: CancellationToken::new(),
    });
    Started { poll, changes, tasks }
}

#[tokio::test]
async fn a_poll_goes_on_until_it_is_dropped_and_tells_what_changes() {
    let (place, registry) = (Place::new(), Registry::start(Logs::default()).await);
    let store = place.open();
    registry.add([row(0, 5)]);
    registry.script([Answer::Page, Answer::Status(502, Some(0))]);
    let Started { poll, changes, tasks } = start(&registry, &store, guard());
    let within = Duration::from_mins(1);
    wait_until(within, "the failed round to be told", async || {
        anyhow::ensure!(changes.load(Ordering::Relaxed) == 2, "{:?}", poll.problem());
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(poll.problem(), None, "told when it began and when it ended");
    registry.add([row(1, 1)]);
    wait_until(within, "the second row", async || {
        anyhow::ensure!(stored(&place.path()).await.0 == tags(0..2));
        Ok(())
    })
    .await
    .unwrap();
    drop(poll);
    tasks.close();
    tokio::time::timeout(within, tasks.wait()).await.unwrap();
    close(store).await;
}

#[tokio::test]
async fn an_address_inside_is_refused_unless_it_is_allowed() {
    let (place, registry) = (Place::new(), Registry::start(Logs::default()).await);
    let store = place.open();
    let Started { poll, tasks, .. } = start(&registry, &store, Guard::default());
    assert_eq!(poll.problem(), Some(Problem::Unreachable("AddressNotAllowed")));
    tasks.close();
    tasks.wait().await;
    assert!(registry.asked().is_empty());
    close(store).await;
}
