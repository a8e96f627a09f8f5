//! Keeps one cluster's inventory current: a task for each kind lists, follows the
//! changes, resumes after a break and lists again where it must.

mod attempt;
mod plan;
mod state;

use std::{fmt, future::pending, sync::Arc};

use kube::Client;
use thiserror::Error;
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{
    attempt::Context,
    plan::{Closed, Plan},
    state::Reporter,
};
use super::{Kind, SharedInventory, stream::Limits};
use crate::{backoff::random, image::RepositoryName};

pub use state::{ClusterState, KindState, Phase};

/// Who wants to know that answers may have changed. Called from the watch's tasks:
/// must return at once.
pub trait TouchSink: Send + Sync + fmt::Debug {
    /// Something that refers to these repositories changed; each is named once.
    fn repositories(&self, names: &[Arc<RepositoryName>]);
    /// A list was completed: any use may have changed.
    fn listed(&self);
    /// What is no matter of single repositories changed: a node came or went.
    fn everything(&self);
}

/// What the watch of one cluster writes to.
#[derive(Debug, Clone)]
pub struct Target {
    pub inventory: SharedInventory,
    pub sink: Arc<dyn TouchSink>,
    pub states: watch::Sender<ClusterState>,
}

/// A task of the watch ended though nobody asked it to. A fault in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to keep watching: a task ended by itself")]
pub struct WatchEnded;

/// Watches the kinds of one cluster that `target.states` names until `cancel` is cancelled, then returns once all its tasks
/// have ended. Nothing that the cluster does ends it.
///
/// Takes the newest of `clients` for each connection; when there is a newer one,
/// connections move over to it and go on where they were. Clients should speak
/// HTTP/1.1 (faster for these streams), and neither retry by themselves
/// (`Config::default_retry`) nor have a read timeout shorter than [`Limits::silence`].
pub async fn run(
    clients: watch::Receiver<Client>,
    limits: Limits,
    target: Target,
    cancel: CancellationToken,
) -> Result<(), WatchEnded> {
    let mut tasks = JoinSet::new();
    let kinds: Vec<Kind> = target.states.borrow().iter().map(|(kind, _)| kind).collect();
    for kind in kinds {
        let Target {
            inventory,
            sink,
            states,
        } = target.clone();
        let context = Context {
            kind,
            limits,
            inventory,
            sink,
            reporter: Reporter { kind, states },
            listing: watch::Sender::new(false),
        };
        tasks.spawn(watch_kind(context, clients.clone(), cancel.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() || !cancel.is_cancelled() {
            tasks.shutdown().await;
            return Err(WatchEnded);
        }
    }
    Ok(())
}

/// Watches one kind for ever, or until cancelled.
async fn watch_kind(context: Context, mut clients: watch::Receiver<Client>, cancel: CancellationToken) {
    let mut plan = Plan::new();
    loop {
        let client = clients.borrow_and_update().clone();
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = newer_between_lists(&mut clients, &context) => Ok(Closed::ForNewClient),
            ended = context.attempt(&client, &mut plan) => ended,
        };
        let verdict = plan.ended(&ended, random());
        if let Some(error) = verdict.trouble {
            tracing::debug!(
                kind = context.kind.name(),
                reason = error.reason(),
                "watch interrupted"
            );
            context.reporter.trouble(error);
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = newer(&mut clients) => {}
            () = sleep(verdict.wait) => {}
        }
    }
}

/// Waits until there is a newer client; for ever if there will be none.
async fn newer(clients: &mut watch::Receiver<Client>) {
    if clients.changed().await.is_err() {
        pending::<()>().await;
    }
}

/// The same, but not in the middle of a list: it has deadlines of its own, and a slow
/// server that is asked for it again and again would never get to its end.
async fn newer_between_lists(clients: &mut watch::Receiver<Client>, context: &Context) {
    newer(clients).await;
    if context
        .listing
        .subscribe()
        .wait_for(|listing| !listing)
        .await
        .is_err()
    {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
