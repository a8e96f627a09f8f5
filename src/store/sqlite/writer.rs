//! The one thread that writes: it takes all that is queued into one transaction,
//! commits, and then answers everybody. Idle, it adds no delay.

mod admit;

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{error, info, warn};

use super::{
    append::{self, Outcome},
    gate::Gate,
    keeping::{self, KeepingChange},
    known::Known,
    listening,
    opened::Opened,
    purge::{self, PurgeStep},
    quarantine::Quarantine,
    relink,
    sealing::Step,
    touched::{Touched, TouchedRepository},
    usage::{self, UsageChange},
};
use crate::store::{Appended, Listened, RegistryKey, StoreError, batch::Batch};

/// Most deliveries of one transaction: bounds how long the first of them waits.
const MOST_WAITING: usize = 1_000;

/// Linking takes at most one part in this many of the time: a repository that is busy is
/// linked for many events at once, one that is not at once.
const LINK_SHARE: u32 = 5;

/// Deliveries wait no longer than this for linking, save where a part of one repository needs more.
const LINK_TURN: Duration = Duration::from_millis(5);

/// How long linking rests when the disk refuses.
const LINK_RETRY: Duration = Duration::from_secs(1);

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Called with what changed, after it can be read.
pub(super) type OnChange = Box<dyn Fn(&RegistryKey, &[String]) + Send>;

#[derive(Debug)]
pub(super) enum Command {
    Append(Waiting),
    Purge {
        step: PurgeStep,
        reply: Reply<(PurgeStep, bool)>,
    },
    /// Changes what is kept of clusters.
    Usage {
        change: UsageChange,
        reply: Reply<()>,
    },
    /// Does a part of what is asked; the answer is whether there is more to do.
    Keeping {
        change: KeepingChange,
        reply: Reply<bool>,
    },
    /// Notes when the webhook server listened.
    Listened {
        listened: Listened,
        reply: Reply<()>,
    },
    Seal(Step),
    /// Writes the gaps of sources that were refused.
    MarkRefused,
    /// Links all that waits.
    Link {
        reply: Reply<()>,
    },
    Close,
}

/// A delivery whose sender waits for the answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) batch: Batch,
    pub(super) reply: Reply<Appended>,
    /// Room in the queue, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    connection: Connection,
    known: Known,
    quarantine: Quarantine,
    touched: Touched,
    gate: Arc<Gate>,
    opened: Opened,
    on_change: OnChange,
    /// Before this, nothing is linked, and nothing is tried again.
    link_after: Instant,
    /// The disk refused at the last try.
    refused: bool,
    /// The gap of a source that was refused could not be written.
    unmarked: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        gate: Arc<Gate>,
        on_change: OnChange,
    ) -> rusqlite::Result<Self> {
        let quarantine = Quarantine::load(&connection)?;
        let touched = Touched::load(&connection)?;
        Ok(Self {
            connection,
            known: Known::default(),
            quarantine,
            touched,
            gate,
            opened: Opened::default(),
            on_change,
            link_after: Instant::now(),
            refused: false,
            unmarked: false,
        })
    }

    /// Serves until it is closed or everybody who could ask is gone; then links the rest
    /// and empties the write-ahead log. An error means that the file is not to be trusted.
    pub(super) fn run(mut self, commands: &Receiver<Command>) -> rusqlite::Result<()> {
        while let Some(command) = self.next(commands)? {
            if !self.serve(command, commands)? {
                break;
            }
        }
        while let Ok(command) = commands.try_recv() {
            self.serve(command, commands)?;
        }
        self.link_all()?;
        // A reader that is still at work keeps the log from being emptied; the next open does it.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// The next command, or nothing when nobody is left; does meanwhile what waits to be linked or marked.
    fn next(&mut self, commands: &Receiver<Command>) -> rusqlite::Result<Option<Command>> {
        loop {
            if self.touched.is_empty() && !self.unmarked {
                return Ok(commands.recv().ok());
            }
            let now = Instant::now();
            if now < self.link_after {
                match commands.recv_timeout(self.link_after - now) {
                    Ok(command) => return Ok(Some(command)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(None),
                }
            }
            if self.unmarked {
                self.mark_refused();
            }
            if self.unmarked {
                self.link_after = Instant::now() + LINK_RETRY;
            } else {
                self.link(LINK_TURN)?;
            }
        }
    }

    /// Carries out a command, and with an append all those that wait. False when closed.
    fn serve(&mut self, command: Command, commands: &Receiver<Command>) -> rusqlite::Result<bool> {
        let mut waiting = Vec::new();
        let mut next = Some(command);
        while let Some(command) = next {
            match command {
                Command::Append(one) => waiting.push(one),
                Command::Purge { step, reply } => {
                    // What was asked before is done before.
                    self.write(std::mem::take(&mut waiting))?;
                    let done = self.purge(step);
                    // Nobody waits any more: the purge goes on when it is asked for again.
                    let _ = reply.send(done.map_err(|error| StoreError::Write(error.to_string())));
                    return Ok(true);
                }
                Command::Keeping { change, reply } => {
                    self.write(std::mem::take(&mut waiting))?;
                    let done = self.keep(&change);
                    let _ = reply.send(done.map_err(|error| StoreError::Write(error.to_string())));
                    return Ok(true);
                }
                Command::Listened { listened, reply } => {
                    self.write(std::mem::take(&mut waiting))?;
                    let _ = reply.send(self.listened(&listened));
                    return Ok(true);
                }
                Command::Usage { change, reply } => {
                    self.write(std::mem::take(&mut waiting))?;
                    let done = usage::apply(&mut self.connection, &change);
                    let fatal = done.as_ref().is_err_and(is_fatal);
                    let told = done
                        .as_ref()
                        .map(drop)
                        .map_err(|error| StoreError::Write(error.to_string()));
                    let _ = reply.send(told);
                    return if fatal { done.map(|()| false) } else { Ok(true) };
                }
                Command::Seal(step) => {
                    self.write(std::mem::take(&mut waiting))?;
                    return match step.run(&mut self.connection, &mut self.opened) {
                        Err(error) if is_fatal(&error) => Err(error),
                        Ok(()) | Err(_) => Ok(true),
                    };
                }
                Command::MarkRefused => {
                    self.write(std::mem::take(&mut waiting))?;
                    self.mark_refused();
                    return Ok(true);
                }
                Command::Link { reply } => {
                    self.write(waiting)?;
                    self.link_all()?;
                    let linked = if self.touched.is_empty() {
                        Ok(())
                    } else {
                        Err(StoreError::Write("linking waits for the disk".to_owned()))
                    };
                    let _ = reply.send(linked);
                    return Ok(true);
                }
                Command::Close => {
                    self.write(waiting)?;
                    return Ok(false);
                }
            }
            next = if waiting.len() < MOST_WAITING {
                commands.try_recv().ok()
            } else {
                None
            };
        }
        self.write(waiting)?;
        Ok(true)
    }

    fn purge(&mut self, step: PurgeStep) -> rusqlite::Result<(PurgeStep, bool)> {
        let before = step.purged.raw;
        let mut done = purge::step(&mut self.connection, &mut self.opened, step.clone());
        if done.as_ref().is_err_and(is_full) {
            self.make_room();
            done = purge::step(&mut self.connection, &mut self.opened, step);
        }
        match &done {
            Ok((step, more)) => {
                let removed = i64::try_from(step.purged.raw - before).unwrap_or(i64::MAX);
                self.gate.purged(&step.registry, removed);
                if !more {
                    self.forget()?;
                }
            }
            Err(_) => self.forget()?,
        }
        done
    }

    fn keep(&mut self, change: &KeepingChange) -> rusqlite::Result<bool> {
        let more = keeping::apply(&mut self.connection, change)?;
        match change {
            KeepingChange::Keep { registry, terms } => self.gate.set_quota(registry, terms.quota),
            KeepingChange::Remove { registry } => {
                // Nothing that is being counted may come to rest in a repository that is gone.
                self.opened.forget();
                if !more {
                    self.gate.forget(registry);
                    self.forget()?;
                }
            }
            KeepingChange::Release { .. } | KeepingChange::Cursor { .. } | KeepingChange::HandBack => {}
        }
        Ok(more)
    }

    /// Tells of the gaps that this opens.
    fn listened(&mut self, listened: &Listened) -> Result<(), StoreError> {
        let changed = listening::note(&mut self.connection, listened)
            .map_err(|error| StoreError::Write(error.to_string()))?;
        for registry in changed {
            (self.on_change)(&registry, &[]);
        }
        Ok(())
    }

    /// Looks up again what may have been removed.
    fn forget(&mut self) -> rusqlite::Result<()> {
        self.known.forget();
        self.quarantine = Quarantine::load(&self.connection)?;
        Ok(())
    }

    /// One transaction for all; where it fails, one for each, so that a delivery that
    /// cannot be written takes no other with it.
    fn write(&mut self, waiting: Vec<Waiting>) -> rusqlite::Result<()> {
        let waiting = self.admit(waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let together = self.commit(waiting.iter().map(|one| &one.batch));
        match together {
            Ok(outcomes) => {
                for (one, outcome) in waiting.into_iter().zip(outcomes) {
                    self.answer(one, outcome);
                }
            }
            Err(error) if is_fatal(&error) => {
                for one in waiting {
                    let _ = one.reply.send(Err(StoreError::Write(error.to_string())));
                }
                return Err(error);
            }
            Err(error) if is_full(&error) => {
                let error = self.gate.disk_is_full();
                self.make_room();
                for one in waiting {
                    self.refuse(one, error.clone());
                }
            }
            Err(error) if waiting.len() == 1 => {
                for one in waiting {
                    self.refuse(one, StoreError::Write(error.to_string()));
                }
            }
            Err(_) => {
                for one in waiting {
                    self.write(vec![one])?;
                }
            }
        }
        Ok(())
    }

    fn commit<'a>(&mut self, batches: impl Iterator<Item = &'a Batch>) -> rusqlite::Result<Vec<Outcome>> {
        let mut quarantine = self.quarantine;
        let mut touched = Touched::default();
        let write = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcomes = batches
                .map(|batch| {
                    append::append(
                        &transaction,
                        &mut self.known,
                        &mut quarantine,
                        &mut touched,
                        batch,
                    )
                })
                .collect::<rusqlite::Result<Vec<_>>>()?;
            self.known.save_sources(&transaction)?;
            touched.save(&transaction)?;
            transaction.commit()?;
            Ok(outcomes)
        };
        let written = write();
        if written.is_ok() {
            self.quarantine = quarantine;
            self.touched.merge(touched);
        } else {
            self.known.forget();
        }
        written
    }

    /// Tells the sender; a change of coverage is told at once, one of events once linked.
    fn answer(&self, waiting: Waiting, outcome: Outcome) {
        let Waiting { batch, reply, room } = waiting;
        let Outcome {
            appended,
            coverage_changed,
        } = outcome;
        drop(room);
        if batch.replays.is_some() {
            self.gate.replayed(&batch.registry, appended.stored);
        } else {
            self.gate.taken(&batch.registry, &batch.source, appended.stored);
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
        // Whoever no longer waits delivers it again, and learns that it is there.
        let _ = reply.send(Ok(appended));
        if coverage_changed {
            (self.on_change)(&batch.registry, &[]);
        }
    }

    /// Lets the write-ahead log begin anew in the room it has, so that a purge can write
    /// although the volume is full.
    fn make_room(&self) {
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            warn!(%error, "failed to empty the write-ahead log");
        }
    }

    /// Links the repositories whose turn it is, for about so long; tells what changed.
    fn link(&mut self, turn: Duration) -> rusqlite::Result<()> {
        let begun = Instant::now();
        let mut taken = Vec::new();
        self.refused = false;
        // Lost in a power cut, it is done again: the raw events and the mark are durable.
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let linked = self.link_transaction(&mut taken, begun + turn);
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        if linked.is_err() {
            self.opened.forget();
        }
        match linked {
            Ok(left) => {
                self.tell(&taken);
                for repository in left {
                    self.touched.put_back(&repository);
                }
            }
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                if !is_passing(&error)
                    && let Some(failed) = taken.pop()
                {
                    // Left in the table `unlinked`: tried again at its next event or the next start.
                    error!(repository = failed.path, %error, "failed to link events");
                } else {
                    warn!(%error, "failed to link events: trying again");
                    self.refused = true;
                }
                for repository in &taken {
                    self.touched.put_back(repository);
                }
            }
        }
        let rest = if self.refused {
            LINK_RETRY
        } else {
            begun.elapsed() * (LINK_SHARE - 1)
        };
        self.link_after = Instant::now() + rest;
        Ok(())
    }

    /// All that waits, unless the disk refuses.
    fn link_all(&mut self) -> rusqlite::Result<()> {
        while !self.touched.is_empty() {
            self.link(LINK_RETRY)?;
            if self.refused {
                break;
            }
        }
        Ok(())
    }

    /// What is left of those that it takes.
    fn link_transaction(
        &mut self,
        taken: &mut Vec<TouchedRepository>,
        until: Instant,
    ) -> rusqlite::Result<Vec<TouchedRepository>> {
        let mut left = Vec::new();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        while let Some(repository) = self.touched.pop() {
            taken.push(repository);
            if let Some(repository) = taken.last() {
                let spans = relink::relink(&transaction, &mut self.opened, repository, until)?;
                if !spans.is_empty() {
                    left.push(repository.with(spans));
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        transaction.commit()?;
        Ok(left)
    }

    fn tell(&self, linked: &[TouchedRepository]) {
        for of_registry in linked.chunk_by(|a, b| a.registry == b.registry) {
            let paths: Vec<String> = of_registry.iter().map(|touched| touched.path.clone()).collect();
            if let Some(first) = of_registry.first() {
                (self.on_change)(&first.registry, &paths);
            }
        }
    }
}

/// The file is damaged or is none of ours: nothing that is written to it can be promised.
fn is_fatal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The volume has no room.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// The disk or a lock may give way later.
fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
        )
    )
}
