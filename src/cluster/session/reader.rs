//! The tasks of a session: be let in, watch, look whether the API server answers, move to newer credentials.

use std::{future::pending, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::{asked_for, backoff, random},
    cluster::{
        ClusterIdentity, Guard, Kind, Limits, SharedInventory, Timeouts, TouchSink, guarded_client,
        probe::{self, Rights, Unanswered},
        watch::{self as watches, ClusterState, Target},
    },
    image::RepositoryName,
};

use super::{
    Access, CLUSTER_CHANGED, SessionEvents, SessionState,
    progress::{self, Progress, Reach},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether the API server answers.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// The same while it is in doubt whether it still does.
const PROBE_AGAIN: Duration = Duration::from_secs(2);
/// Looks in a row without an answer before the cluster counts as not reachable.
const PROBES_MISSED: u32 = 2;
/// Identity and rights are checked again after so many looks.
const PROBES_BETWEEN_REVIEWS: u32 = 30;

pub(super) struct Reader {
    pub(super) inventory: SharedInventory,
    pub(super) expected: Vec<String>,
    pub(super) kinds: Arc<[Kind]>,
    pub(super) guard: Guard,
    pub(super) events: Arc<dyn SessionEvents>,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) cancel: CancellationToken,
}

/// Why the API server is not read yet.
struct NotAdmitted {
    unanswered: Unanswered,
    /// The cluster that answered, where it is the wrong one.
    stranger: Option<ClusterIdentity>,
}

impl From<Unanswered> for NotAdmitted {
    fn from(unanswered: Unanswered) -> Self {
        Self {
            unanswered,
            stranger: None,
        }
    }
}

/// What a look at the API server showed.
enum Look {
    Answered,
    Silent(Unanswered),
    /// There are other credentials, or another cluster answers: it has to be let in anew.
    Anew,
}

impl Reader {
    pub(super) async fn read(self, mut accesses: watch::Receiver<Access>) {
        let client = self
            .admitted(&mut accesses, |reason| self.unreachable(reason))
            .await;
        let (states, kinds) = watch::channel(ClusterState::of(&self.kinds, Timestamp::now()));
        let (newest, clients) = watch::channel(client);
        let target = Target {
            inventory: self.inventory.clone(),
            sink: Arc::new(Sink(self.events.clone())),
            states,
        };
        let (reach, reached) = watch::channel(Reach::Reached);
        let watching = watches::run(clients, Limits::default(), target, self.cancel.clone());
        tokio::join!(
            async {
                if let Err(error) = watching.await {
                    tracing::error!(%error, "a cluster is no longer read");
                    self.progress(Progress::Stale {
                        since: Timestamp::now(),
                        reason: "InternalError",
                    });
                }
            },
            self.attend(accesses, &newest, &reach),
            self.follow(kinds, reached),
        );
    }

    /// A client of the expected cluster, once it has said who it is and what it lets us read.
    async fn admitted(&self, accesses: &mut watch::Receiver<Access>, tell: impl Fn(&'static str)) -> Client {
        let mut failures = 0;
        loop {
            let access = accesses.borrow_and_update().clone();
            let refused = match client(access, &self.guard) {
                Err(reason) => {
                    tell(reason);
                    // Nothing changes before the credentials do.
                    changed(accesses).await;
                    continue;
                }
                Ok(client) => match self.identify(&client).await {
                    Ok((cluster, rights)) => {
                        self.recognise(cluster, rights);
                        return client;
                    }
                    Err(refused) => refused,
                },
            };
            self.meet(refused.stranger);
            let Unanswered { reason, retry_after } = refused.unanswered;
            tell(reason);
            failures += 1;
            let wait = match retry_after {
                Some(wait) => asked_for(wait, random()),
                // At least a second: the answer may have been immediate.
                None => Duration::from_secs(1) + backoff(failures + 1, random()),
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = changed(accesses) => failures = 0,
            }
        }
    }

    async fn identify(&self, client: &Client) -> Result<(ClusterIdentity, Rights), NotAdmitted> {
        let cluster = probe::identity(client).await?;
        if !self.is_expected(&cluster) {
            return Err(NotAdmitted {
                unanswered: CLUSTER_CHANGED.into(),
                stranger: Some(cluster),
            });
        }
        let rights = probe::rights(client, &self.kinds).await?;
        Ok((cluster, rights))
    }

    fn is_expected(&self, cluster: &ClusterIdentity) -> bool {
        match self.state.borrow().cluster_uid() {
            Some(connected) => cluster.uid.as_deref() == Some(connected),
            None => {
                self.expected.is_empty()
                    || cluster
                        .uid
                        .as_ref()
                        .is_some_and(|uid| self.expected.contains(uid))
            }
        }
    }

    /// The expected cluster answered.
    fn recognise(&self, cluster: ClusterIdentity, rights: Rights) {
        let is_news = self.state.send_if_modified(|state| {
            let next = SessionState {
                // Later, what is read decides.
                progress: match state.cluster {
                    None => Progress::Syncing,
                    Some(_) => state.progress.clone(),
                },
                cluster: Some(cluster),
                stranger: None,
                rights,
            };
            let is_news = *state != next;
            *state = next;
            is_news
        });
        if is_news {
            self.events.state_changed();
        }
    }

    /// Another cluster answered, or nobody.
    fn meet(&self, stranger: Option<ClusterIdentity>) {
        let is_news = self.state.send_if_modified(|state| {
            let is_news = state.stranger != stranger;
            state.stranger = stranger;
            is_news
        });
        if is_news {
            self.events.state_changed();
        }
    }

    fn unreachable(&self, reason: &'static str) {
        let since = match self.state.borrow().progress {
            Progress::Unreachable { since, .. } => since,
            _ => Timestamp::now(),
        };
        self.progress(Progress::Unreachable { since, reason });
    }

    /// Looks again and again whether the API server answers, and at times who it is and what it lets us read;
    /// hands on a client with newer credentials once it is let in with them.
    async fn attend(
        &self,
        mut accesses: watch::Receiver<Access>,
        newest: &watch::Sender<Client>,
        reach: &watch::Sender<Reach>,
    ) {
        let lost = |reason| {
            reach.send_if_modified(|reach| reach.lose(reason, Timestamp::now()));
        };
        let reached = || {
            reach.send_if_modified(|reach| std::mem::replace(reach, Reach::Reached) != Reach::Reached);
        };
        let (mut looks, mut missed) = (0_u32, 0);
        let (mut must_reconnect, mut asked_wait) = (false, None);
        loop {
            let is_doubtful = must_reconnect && missed < PROBES_MISSED;
            let wait = if is_doubtful { PROBE_AGAIN } else { PROBE_EVERY };
            let wait = asked_wait
                .take()
                .map_or(wait, |asked| wait.max(asked_for(asked, random())));
            let look = tokio::select! {
                biased;
                () = changed(&mut accesses) => Look::Anew,
                () = sleep(wait) => {
                    looks = looks.wrapping_add(1);
                    let client = newest.borrow().clone();
                    self.look(&client, looks.is_multiple_of(PROBES_BETWEEN_REVIEWS)).await
                }
            };
            match look {
                Look::Silent(Unanswered { reason, retry_after }) => {
                    missed += 1;
                    asked_wait = retry_after;
                    // A wait that was asked for is kept.
                    must_reconnect |= reason != "TooManyRequests";
                    if missed >= PROBES_MISSED || reason == "Unauthorized" {
                        lost(reason);
                    }
                    continue;
                }
                Look::Anew => {
                    let client = self.admitted(&mut accesses, lost).await;
                    newest.send_replace(client);
                }
                // The watches' connections may have died of the same without being told, and those that wait to
                // try again need to wait no longer.
                Look::Answered if must_reconnect => {
                    newest.send_modify(|_| {});
                }
                Look::Answered => {}
            }
            must_reconnect = false;
            missed = 0;
            reached();
        }
    }

    async fn look(&self, client: &Client, is_review: bool) -> Look {
        if !is_review {
            return match probe::version(client).await {
                Ok(_) => Look::Answered,
                Err(unanswered) => Look::Silent(unanswered),
            };
        }
        match self.identify(client).await {
            Ok((cluster, rights)) => {
                self.recognise(cluster, rights);
                Look::Answered
            }
            Err(NotAdmitted {
                stranger: Some(_), ..
            }) => Look::Anew,
            Err(NotAdmitted { unanswered, .. }) => Look::Silent(unanswered),
        }
    }

    /// Makes one progress of the kinds' states and of whether the API server answers.
    async fn follow(&self, mut kinds: watch::Receiver<ClusterState>, mut reach: watch::Receiver<Reach>) {
        loop {
            let next = {
                let kinds = kinds.borrow_and_update();
                let reach = reach.borrow_and_update();
                progress::of(&kinds, &reach, &self.state.borrow().progress, Timestamp::now())
            };
            self.progress(next);
            tokio::select! {
                changed = kinds.changed() => if changed.is_err() { return },
                changed = reach.changed() => if changed.is_err() { return },
            }
        }
    }

    fn progress(&self, next: Progress) {
        let is_news = self.state.send_if_modified(|state| {
            let is_news = state.progress != next;
            state.progress = next;
            is_news
        });
        if is_news {
            self.events.state_changed();
        }
    }
}

/// Waits for newer credentials; for ever if there will be none.
async fn changed(accesses: &mut watch::Receiver<Access>) {
    if accesses.changed().await.is_err() {
        pending::<()>().await;
    }
}

fn client(access: Access, guard: &Guard) -> Result<Client, &'static str> {
    match access {
        Access::OwnCluster(client) => Ok(client),
        Access::Kubeconfig(kubeconfig) => {
            let config = kubeconfig.into_config(Timeouts {
                connect: CONNECT_TIMEOUT,
                // A watch is silent for as long as nothing changes; every request has a deadline of its own.
                read: None,
                write: CONNECT_TIMEOUT,
            });
            guarded_client(config, guard).map_err(|error| error.reason())
        }
    }
}

#[derive(Debug)]
struct Sink(Arc<dyn SessionEvents>);

impl TouchSink for Sink {
    fn repositories(&self, names: &[Arc<RepositoryName>]) {
        self.0.repositories_changed(names);
    }

    fn listed(&self) {
        self.0.uses_changed();
    }

    fn everything(&self) {
        self.0.state_changed();
    }
}
