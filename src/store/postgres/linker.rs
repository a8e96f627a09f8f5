//! Links raw events after they are acknowledged: one repository after the other, each in a
//! transaction of its own, those of this operator first. Several operators share the work:
//! a repository is linked by whoever holds its lock.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::try_join;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    changes::{self, OnChange},
    failure::Failure,
    relink::{self, Linking},
    schema::repository_lock,
    session::{Database, Parameters, Session, begin_keeping_plans, within},
    turns::{RETRY, Turns},
    values::get,
};
use crate::{
    backoff::{about, random},
    store::{RegistryKey, StoreError, spans::Spans},
};

/// What other operators and earlier runs left unlinked is looked for this often.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// While events come, linking takes at most one part in this many of the time: a repository
/// that is busy is linked for many events at once, one that is not at once.
const SHARE: u32 = 2;
const LONGEST_REST: Duration = Duration::from_millis(500);
/// How long it goes on when the operator ends.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long one transaction may take.
const LINK_WITHIN: Duration = Duration::from_secs(30);
/// How often a transaction that met another one in its way is tried.
const TRIES: u32 = 4;
/// Most new raw events of one transaction, save where one stretch has more.
const MOST: i64 = 5_000;
/// Most stretches of one transaction.
const MOST_MARKS: i64 = 1_000;

pub(super) type Asked = oneshot::Sender<Result<(), StoreError>>;

/// What waits, told by the writer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    repositories: Mutex<HashSet<i64>>,
    there: Notify,
}

impl Waiting {
    pub(super) fn add(&self, repositories: impl IntoIterator<Item = i64>) {
        self.repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(repositories);
        self.there.notify_one();
    }

    fn take(&self) -> HashSet<i64> {
        std::mem::take(&mut *self.repositories.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Linker {
    pub(super) database: Arc<Database>,
    pub(super) operator: i64,
    pub(super) waiting: Arc<Waiting>,
    pub(super) on_change: OnChange,
    pub(super) cancel: CancellationToken,
}

/// What became of a repository.
enum Linked {
    /// Nothing waited.
    Nothing,
    /// Another operator is at it.
    Held,
    /// Whether more of it waits.
    Some { more: bool },
}

impl Linker {
    /// Links until it is cancelled, and then what waits here.
    pub(super) async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut turns = Turns::new();
        loop {
            turns.add(self.waiting.take());
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                Some(reply) = asked.recv() => {
                    // Nobody waits any more: it is linked all the same.
                    let _ = reply.send(self.link_all().await);
                }
                _ = sweep.tick() => self.sweep(&mut turns).await,
                repository = turns.next() => self.link(repository, &mut turns).await,
                () = self.waiting.there.notified() => {}
            }
        }
        // What cannot be linked now is marked in the database.
        turns.add(self.waiting.take());
        let begun = Instant::now();
        while begun.elapsed() < END_WITHIN
            && let Some(repository) = turns.take()
        {
            self.link(repository, &mut turns).await;
        }
    }

    async fn sweep(&self, turns: &mut Turns) {
        match within(LINK_WITHIN, self.unlinked()).await {
            Ok(repositories) => turns.add(repositories),
            Err(error) => warn!(%error, "failed to look for events to link: trying again"),
        }
    }

    /// Links what waits of this one. While events come, it rests after that. What fails waits for
    /// the next sweep.
    async fn link(&self, repository: i64, turns: &mut Turns) {
        let begun = Instant::now();
        match self.link_one(repository).await {
            Ok(Linked::Nothing | Linked::Some { more: false }) => {}
            Ok(Linked::Some { more: true }) => turns.add([repository]),
            Ok(Linked::Held) => turns.hold(repository),
            Err(error) if error.is_passing() => {
                warn!(%error, "failed to link events: trying again");
                *turns = Turns::new();
            }
            Err(error) => error!(repository, %error, "failed to link events"),
        }
        let came = self.waiting.take();
        if !came.is_empty() {
            turns.rest((begun.elapsed() * (SHARE - 1)).min(LONGEST_REST));
            turns.add(came);
        }
    }

    /// Links all that waits anywhere by now.
    async fn link_all(&self) -> Result<(), StoreError> {
        let all = within(LINK_WITHIN, self.unlinked())
            .await
            .map_err(Failure::write)?;
        self.link_whole(all).await.map_err(Failure::write)
    }

    /// Links all that waits of these, however long it takes.
    pub(super) async fn link_whole(&self, mut repositories: Vec<i64>) -> Result<(), Failure> {
        while !repositories.is_empty() {
            let mut held = Vec::new();
            for repository in repositories {
                loop {
                    match self.link_one(repository).await? {
                        Linked::Some { more: true } => {}
                        Linked::Held => {
                            held.push(repository);
                            break;
                        }
                        Linked::Nothing | Linked::Some { more: false } => break,
                    }
                }
            }
            if !held.is_empty() {
                tokio::time::sleep(about(RETRY, random())).await;
            }
            repositories = held;
        }
        Ok(())
    }

    /// Repositories with something that waits.
    pub(super) async fn unlinked(&self) -> Result<Vec<i64>, Failure> {
        let session = self.database.session().await?;
        let rows = session.query(UNLINKED, &[]).await?;
        session.done();
        rows.iter().map(|row| get(row, 0)).collect()
    }

    /// Again where another transaction was in its way.
    async fn link_one(&self, repository: i64) -> Result<Linked, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.link_once(repository).await {
                Err(error) if error.is_conflict() && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn link_once(&self, repository: i64) -> Result<Linked, Failure> {
        let session = self.database.session().await?;
        let (linked, changed) = within(LINK_WITHIN, Box::pin(self.link_in(&session, repository))).await?;
        session.done();
        if let Some((registry, path)) = changed {
            (self.on_change)(&registry, &[path]);
        }
        Ok(linked)
    }

    /// One transaction. Lost in a crash it is done again: the mark goes with it, so that
    /// nobody need wait for the disk.
    async fn link_in(
        &self,
        session: &Session,
        repository: i64,
    ) -> Result<(Linked, Option<(RegistryKey, String)>), Failure> {
        let try_lock = session.statement(TRY_LOCK).await?;
        let marks = session.statement(MARKS).await?;
        let name = session.statement(NAME).await?;
        let reporting = session.statement(relink::REPORTING).await?;
        let key = repository_lock(repository);
        let lock: Parameters<'_> = &[&key];
        let of: Parameters<'_> = &[&repository, &MOST_MARKS];
        let named: Parameters<'_> = &[&repository];
        // Marks are read once the lock is had, and after them whose events they may mark.
        let ((), lock, marks, name, reporting) = try_join!(
            session.batch_execute(BEGIN),
            session.run(&try_lock, lock),
            session.run(&marks, of),
            session.run(&name, named),
            session.run(&reporting, named)
        )?;
        let is_ours = lock.first().map_or(Ok(false), |row| get(row, 0))?;
        let marks = Marks::read(&marks)?;
        if !is_ours || marks.starts.is_empty() {
            session.batch_execute("ROLLBACK").await?;
            let linked = if is_ours { Linked::Nothing } else { Linked::Held };
            return Ok((linked, None));
        }
        let name = name
            .first()
            .ok_or(Failure::Malformed("the number of a repository"))?;
        let registry = get(name, 0)?;
        let registry_key = RegistryKey {
            namespace: get(name, 1)?,
            name: get(name, 2)?,
            uid: get(name, 3)?,
        };
        let path: String = get(name, 4)?;
        let linking = Linking {
            session,
            repository,
            path: &path,
            reporting: relink::reporting(&reporting)?,
        };
        linking.link(&marks.spans).await?;
        session.statement(CLEAR).await?;
        session.statement(changes::TELL).await?;
        try_join!(
            marks.clear(session, repository),
            changes::tell(session, self.operator, registry, repository),
            session.batch_execute("COMMIT")
        )?;
        Ok((Linked::Some { more: marks.more }, Some((registry_key, path))))
    }
}

/// Stretches that wait, the earliest first, and their marks.
struct Marks {
    spans: Spans,
    starts: Vec<i64>,
    /// The mark of each start.
    of: Vec<i64>,
    more: bool,
}

impl Marks {
    fn read(rows: &[Row]) -> Result<Self, Failure> {
        let mut marks = Self {
            spans: Spans::default(),
            starts: Vec::new(),
            of: Vec::new(),
            more: false,
        };
        let mut events = 0;
        marks.more = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MOST_MARKS;
        for row in rows {
            if events >= MOST {
                marks.more = true;
                break;
            }
            let (start, mark, finish): (i64, i64, i64) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
            events += get::<i64>(row, 3)?;
            marks.spans.add(start, finish);
            marks.starts.push(start);
            marks.of.push(mark);
        }
        Ok(marks)
    }

    /// All of them are linked. What came since has marks of its own.
    async fn clear(&self, session: &Session, repository: i64) -> Result<(), Failure> {
        let (Some(first), Some(last), Some(mark)) = (self.starts.first(), self.starts.last(), self.of.last())
        else {
            return Ok(());
        };
        session
            .query_by_values(CLEAR, &[&repository, first, last, mark, &self.of])
            .await?;
        Ok(())
    }
}

const BEGIN: &str = concat!(begin_keeping_plans!(), "; SET LOCAL synchronous_commit = off");

const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock($1)";

pub(super) const NAME: &str = "SELECT g.id, g.namespace, g.name, g.uid, r.path
     FROM repositories r JOIN registries g ON g.id = r.registry WHERE r.id = $1";

/// Each repository by one step in the index.
const UNLINKED: &str = "WITH RECURSIVE waiting (repository) AS (
         SELECT min(repository) FROM unlinked
         UNION ALL
         SELECT (SELECT min(repository) FROM unlinked WHERE repository > waiting.repository)
         FROM waiting WHERE waiting.repository IS NOT NULL
     )
     SELECT repository FROM waiting WHERE repository IS NOT NULL";

pub(super) const MARKS: &str = "SELECT start, mark, finish, events FROM unlinked
     WHERE repository = $1 ORDER BY start, mark LIMIT $2";

/// Those read, in their order, from $2 to ($3, $4); not what another transaction put between.
pub(super) const CLEAR: &str = "DELETE FROM unlinked
     WHERE repository = $1 AND start >= $2 AND (start, mark) <= ($3::bigint, $4::bigint)
         AND mark = ANY ($5)";
