//! Writes deliveries: all that wait go into one transaction. Two may be on their way at a
//! time, so that one is made while the other waits for the disk. Idle, it adds no delay.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::{JoinError, JoinSet},
};
use tracing::info;

use super::{
    append::{self, Committed, Outcome},
    changes::OnChange,
    failure::Failure,
    ids::Ids,
    linker::Waiting,
    partitions::Partitions,
    refusals::Refusals,
    session::{Database, within},
    values::nanoseconds,
};
use crate::store::{
    Appended, StoreError,
    accounts::{Accounts, Pending},
    batch::Batch,
};

/// Most deliveries, and events, of one transaction: bounds how long the first of them waits.
const MOST_DELIVERIES: usize = 1_000;
const MOST_EVENTS: usize = 5_000;
const AT_A_TIME: usize = 2;

/// How long one transaction may take, a connection for it included.
const WRITE_WITHIN: Duration = Duration::from_secs(6);
/// How often a transaction that met another one in its way is tried.
const TRIES: u32 = 4;

/// A delivery whose sender waits for the answer.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Appended, StoreError>>,
    /// Room in the queue, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) ids: Arc<Mutex<Ids>>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) refusals: Arc<Refusals>,
    /// Held from when deliveries of a registry that has a quota are counted until they are there.
    pub(super) counting: Mutex<()>,
    pub(super) partitions: Arc<Partitions>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) on_change: OnChange,
    pub(super) operator: i64,
}

impl Writer {
    /// Serves until everybody who could ask is gone, or the queue is closed.
    pub(super) async fn run(self, mut queue: mpsc::UnboundedReceiver<Queued>) {
        let writer = Arc::new(self);
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        let mut transactions = JoinSet::new();
        while let Some(first) = queue.recv().await {
            // While it waits for its turn, others join it.
            let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
                break;
            };
            let mut events = first.batch.events.len();
            let mut waiting = vec![first];
            while waiting.len() < MOST_DELIVERIES
                && events < MOST_EVENTS
                && let Ok(next) = queue.try_recv()
            {
                events += next.batch.events.len();
                waiting.push(next);
            }
            let writer = Arc::clone(&writer);
            transactions.spawn(async move {
                let _turn = turn;
                writer.write(waiting).await;
            });
            while let Some(ended) = transactions.try_join_next() {
                pass_on_panic(ended);
            }
        }
        while let Some(ended) = transactions.join_next().await {
            pass_on_panic(ended);
        }
    }

    /// One transaction for all. Where it fails for what is in it, one for each half, so that a
    /// delivery that cannot be written takes no other with it.
    async fn write(&self, waiting: Vec<Queued>) {
        let has_quota = waiting
            .iter()
            .any(|queued| self.accounts.has_quota(&queued.batch.registry));
        let _counting = if has_quota {
            Some(self.counting.lock().await)
        } else {
            None
        };
        let mut parts = vec![self.admit(waiting).await];
        while let Some(mut part) = parts.pop() {
            part.retain(|queued| {
                let waits = !queued.reply.is_closed();
                if !waits {
                    // Whoever gave up delivers it again, or does not.
                    self.refusals.later(&queued.batch, &StoreError::Busy);
                }
                waits
            });
            if part.is_empty() {
                continue;
            }
            match self.commit(&part).await {
                Ok(committed) => self.answer(part, committed),
                Err(error) if error.is_of_the_data() && part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.push(rest);
                    parts.push(part);
                }
                Err(error) => {
                    let passing = error.is_passing();
                    let told = error.write();
                    self.fail(part, &told);
                    if passing {
                        // The database is not there: the others need not find out one by one.
                        for part in parts.drain(..) {
                            self.fail(part, &told);
                        }
                    }
                }
            }
        }
    }

    async fn commit(&self, part: &[Queued]) -> Result<Committed, Failure> {
        let batches: Vec<&Batch> = part.iter().map(|queued| &queued.batch).collect();
        let mut tries = 0;
        loop {
            tries += 1;
            match within(WRITE_WITHIN, Box::pin(self.commit_once(&batches))).await {
                Err(error) if error.is_conflict() && tries < TRIES => {}
                Err(error) => {
                    // What was remembered may be of another database, put in its place.
                    self.ids.lock().await.forget();
                    return Err(error);
                }
                Ok(committed) => return Ok(committed),
            }
        }
    }

    async fn commit_once(&self, batches: &[&Batch]) -> Result<Committed, Failure> {
        let session = self.database.session().await?;
        let times = batches
            .iter()
            .flat_map(|batch| &batch.events)
            .map(|stored| nanoseconds(stored.time));
        self.partitions.make(&session, times).await?;
        let mark = i64::from_ne_bytes(random_bytes());
        let committed = append::commit(&session, &self.ids, self.operator, mark, batches).await?;
        session.done();
        Ok(committed)
    }

    /// Answers those that their registry's quota leaves no room for; the others have to be written.
    async fn admit(&self, waiting: Vec<Queued>) -> Vec<Queued> {
        let mut pending = Pending::new();
        let mut admitted = Vec::with_capacity(waiting.len());
        for mut queued in waiting {
            let Batch {
                registry,
                source,
                events,
                ..
            } = &queued.batch;
            match self.accounts.admit(registry, events.len(), &mut pending) {
                Ok(()) => {
                    if queued.batch.replays.is_none() {
                        queued.batch.refused_since = self.accounts.refused_since(registry, source);
                    }
                    admitted.push(queued);
                }
                Err(error) => self.refuse(queued, error).await,
            }
        }
        admitted
    }

    /// Tells the sender that its delivery is not taken. The first time, the gap that this opens is
    /// written at once: it outlives a crash.
    async fn refuse(&self, queued: Queued, error: StoreError) {
        let Queued { batch, reply, room } = queued;
        drop(room);
        self.refusals.now(&batch, &error).await;
        let _ = reply.send(Err(error));
    }

    /// Tells senders that the database did not take their deliveries.
    fn fail(&self, part: Vec<Queued>, told: &StoreError) {
        for Queued { batch, reply, .. } in part {
            self.refusals.later(&batch, told);
            let _ = reply.send(Err(told.clone()));
        }
    }

    /// Tells the senders; a change of coverage is told at once, one of events once linked.
    fn answer(&self, part: Vec<Queued>, committed: Committed) {
        let Committed { outcomes, unlinked } = committed;
        if !unlinked.is_empty() {
            self.waiting.add(unlinked);
        }
        for (Queued { batch, reply, room }, outcome) in part.into_iter().zip(outcomes) {
            drop(room);
            let Outcome {
                appended,
                coverage_changed,
            } = outcome;
            if batch.replays.is_some() {
                self.accounts.replayed(&batch.registry, appended.stored);
            } else {
                self.accounts
                    .taken(&batch.registry, &batch.source, appended.stored);
            }
            if batch.refused_since.is_some() {
                let key = &batch.registry;
                info!(
                    namespace = key.namespace,
                    registry = key.name,
                    source = batch.source,
                    "events are taken again"
                );
            }
            if coverage_changed {
                (self.on_change)(&batch.registry, &[]);
            }
            // Whoever no longer waits delivers it again, and learns that it is there.
            let _ = reply.send(Ok(appended));
        }
    }
}

fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Hardly ever the same twice, here or in another process.
pub(super) fn random_bytes() -> [u8; 8] {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0).to_ne_bytes()
}
