//! A watch to look at from outside, and clients that meddle.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Result, ensure};
use http::{Request, Response, StatusCode};
use image_usage_operator::{
    cluster::{
        ClusterState, Kind, Limits, SharedInventory, Target, TouchSink, WorkloadUse,
        watch::{self, Phase},
    },
    image::RepositoryName,
};
use jiff::Timestamp;
use kube::{
    Client,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
};
use local_cluster::wait_until;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Touches(Mutex<Vec<String>>);

impl TouchSink for Touches {
    fn repositories(&self, names: &[Arc<RepositoryName>]) {
        self.0
            .lock()
            .unwrap()
            .extend(names.iter().map(ToString::to_string));
    }

    fn listed(&self) {
        self.0.lock().unwrap().push("listed".to_owned());
    }

    fn everything(&self) {
        self.0.lock().unwrap().push("everything".to_owned());
    }
}

/// A cluster being watched.
pub(crate) struct Watched {
    pub(crate) inventory: SharedInventory,
    pub(crate) states: tokio::sync::watch::Receiver<ClusterState>,
    pub(crate) clients: tokio::sync::watch::Sender<Client>,
    touches: Arc<Touches>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), watch::WatchEnded>>,
}

impl Watched {
    pub(crate) fn start(client: Client) -> Self {
        let (inventory, touches) = (SharedInventory::default(), Arc::new(Touches::default()));
        let (states, receiver) = tokio::sync::watch::channel(ClusterState::new(Timestamp::now()));
        let (clients, newest) = tokio::sync::watch::channel(client);
        let cancel = CancellationToken::new();
        let target = Target {
            inventory: inventory.clone(),
            sink: touches.clone(),
            states,
        };
        Self {
            task: tokio::spawn(watch::run(newest, Limits::default(), target, cancel.clone())),
            inventory,
            states: receiver,
            clients,
            touches,
            cancel,
        }
    }

    pub(crate) async fn until_synced(&self) -> Result<()> {
        let mut states = self.states.clone();
        tokio::time::timeout(SOON, states.wait_for(ClusterState::is_synced)).await??;
        Ok(())
    }

    pub(crate) async fn until(&self, kind: Kind, phase: Phase) -> Result<()> {
        let mut states = self.states.clone();
        let is_there = |states: &ClusterState| states.kind(kind).is_some_and(|state| state.phase == phase);
        tokio::time::timeout(SOON, states.wait_for(is_there)).await??;
        Ok(())
    }

    /// Waits until a repository is used as these lines say.
    pub(crate) async fn until_used(&self, repository: &str, expected: &[&str]) -> Result<()> {
        wait_until(SOON, repository, async || {
            let lines = self.lines(repository);
            ensure!(lines == expected, "{lines:#?}");
            Ok(())
        })
        .await
    }

    /// A line for each use: `kind/name container reference digest lifecycle ready/pods`.
    pub(crate) fn lines(&self, repository: &str) -> Vec<String> {
        let (host, path) = repository.split_once('/').unwrap();
        let name = RepositoryName {
            host: host.to_owned(),
            path: path.to_owned(),
        };
        let uses = self.inventory.read().uses(&name, &|_| true);
        uses.iter().map(line).collect()
    }

    pub(crate) fn take_touches(&self) -> Vec<String> {
        let mut touches = std::mem::take(&mut *self.touches.0.lock().unwrap());
        touches.sort();
        touches.dedup();
        touches
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.cancel.cancel();
        self.task.await??;
        Ok(())
    }
}

fn line(row: &WorkloadUse) -> String {
    let digest = match &row.running {
        Some(running) => running.digest.to_string()["sha256:".len()..][..4].to_owned(),
        None => "-".to_owned(),
    };
    format!(
        "{}/{} {:?} {} {} {digest} {:?} {}/{}",
        row.kind,
        row.name,
        row.container_type,
        row.container,
        row.reference,
        row.lifecycle,
        row.ready_pods,
        row.pods
    )
}

/// A client as the operator has it, of whoever the kubeconfig names.
pub(crate) async fn client(kubeconfig: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// A client whose requests are changed on the way, or answered instead of the server.
pub(crate) fn through(
    client: Client,
    change: impl Fn(Request<Body>) -> Result<Request<Body>, StatusCode> + Clone + Send + 'static,
) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, changed) = (client.clone(), change(request));
        async move {
            match changed {
                Ok(request) => client.send(request).await,
                Err(status) => {
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = status;
                    Ok(response)
                }
            }
        }
    });
    Client::new(service, "default")
}
