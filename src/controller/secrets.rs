//! Secrets that objects refer to, each watched by name: the operator lists none.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use thiserror::Error;
use tokio::{sync::watch, task::AbortHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use super::{
    touch::{ObjectKey, Touched},
    world::World,
};

/// How long an object waits for the first answer about its Secret.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The values of a Secret, by key. Not printed.
#[derive(Clone, Default)]
pub struct SecretData(Arc<BTreeMap<String, Vec<u8>>>);

impl SecretData {
    #[cfg(test)]
    pub fn of<const N: usize>(values: [(&str, &[u8]); N]) -> Self {
        let values = values.map(|(key, value)| (key.to_owned(), value.to_vec()));
        Self(Arc::new(values.into()))
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }
}

impl std::fmt::Debug for SecretData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a Secret is of no use. Names it and its keys, never a value.
#[derive(Debug, Clone, Error)]
pub enum SecretProblem {
    #[error("there is no Secret {0} in this namespace: create it")]
    Missing(String),
    #[error(
        "the operator may not read the Secret {secret}: run kubectl create role image-usage-{secret} --namespace {namespace} --resource secrets --resource-name {secret} --verb list,watch && kubectl create rolebinding image-usage-{secret} --namespace {namespace} --role image-usage-{secret} --serviceaccount {account}"
    )]
    Forbidden {
        secret: String,
        namespace: String,
        /// `<namespace>:<name>` of the operator's service account.
        account: String,
    },
    #[error("the API server has not said yet what is in the Secret {0}; trying again")]
    Unknown(String),
    #[error("the Secret {0} has no key {1}: add it, or name the right key")]
    KeyMissing(String, String),
}

impl SecretProblem {
    /// The word for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "SecretMissing",
            Self::Forbidden { .. } => "SecretForbidden",
            Self::Unknown(_) => "SecretUnknown",
            Self::KeyMissing(..) => "KeyMissing",
        }
    }

    /// Whether it may go away by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// What is known of a Secret.
#[derive(Debug, Clone, Default)]
enum SecretState {
    /// No answer yet.
    #[default]
    Unknown,
    Missing,
    /// The operator may not read it.
    Forbidden,
    Present(SecretData),
}

/// Watches the Secrets that objects of one kind refer to, and touches those objects when one changes.
pub struct Secrets {
    client: Client,
    /// `<namespace>:<name>` of the operator's service account.
    account: String,
    touched: Arc<Touched>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    watched: Mutex<HashMap<ObjectKey, Watched>>,
}

#[derive(Debug)]
struct Watched {
    state: watch::Receiver<SecretState>,
    users: Arc<Mutex<HashSet<ObjectKey>>>,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Secrets {
    #[must_use]
    pub fn new(world: &World, touched: Arc<Touched>) -> Self {
        Self {
            client: world.client.clone(),
            account: format!("{}:{}", world.settings.namespace, world.settings.service_account),
            touched,
            tasks: world.tasks.clone(),
            cancel: world.cancel.clone(),
            watched: Mutex::default(),
        }
    }

    /// The Secret `name` in the namespace of `user`, which is touched whenever it changes from now on.
    pub async fn follow(&self, user: &ObjectKey, name: &str) -> Result<SecretData, SecretProblem> {
        let secret = ObjectKey {
            namespace: user.namespace.clone(),
            name: name.to_owned(),
        };
        let mut state = {
            let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = watched
                .entry(secret.clone())
                .or_insert_with(|| self.start(&secret));
            entry
                .users
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(user.clone());
            entry.state.clone()
        };
        let answered = state.wait_for(|state| !matches!(state, SecretState::Unknown));
        let state = match tokio::time::timeout(FIRST_ANSWER, answered).await {
            Ok(Ok(state)) => state.clone(),
            Ok(Err(_)) | Err(_) => SecretState::Unknown,
        };
        match state {
            SecretState::Present(data) => Ok(data),
            SecretState::Missing => Err(SecretProblem::Missing(secret.name)),
            SecretState::Forbidden => Err(SecretProblem::Forbidden {
                secret: secret.name,
                namespace: secret.namespace,
                account: self.account.clone(),
            }),
            SecretState::Unknown => Err(SecretProblem::Unknown(secret.name)),
        }
    }

    /// The object refers to no Secret any more, or is gone.
    pub fn release(&self, user: &ObjectKey) {
        self.release_others(user, &[]);
    }

    /// The object refers to no Secrets but these.
    pub fn release_others(&self, user: &ObjectKey, kept: &[&str]) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|secret, entry| {
            let mut users = entry.users.lock().unwrap_or_else(PoisonError::into_inner);
            if !kept.contains(&secret.name.as_str()) {
                users.remove(user);
            }
            !users.is_empty()
        });
    }

    fn start(&self, secret: &ObjectKey) -> Watched {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &secret.namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={}", secret.name));
        let (sender, state) = watch::channel(SecretState::Unknown);
        let users: Arc<Mutex<HashSet<ObjectKey>>> = Arc::default();
        let (task_users, touched, secret) = (users.clone(), self.touched.clone(), secret.clone());
        let follow = async move {
            let mut seen_in_list = false;
            let mut events = watcher(api, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                let next = match event {
                    Ok(watcher::Event::Init) => {
                        seen_in_list = false;
                        continue;
                    }
                    Ok(watcher::Event::InitApply(object)) => {
                        seen_in_list = true;
                        present(object)
                    }
                    Ok(watcher::Event::Apply(object)) => present(object),
                    Ok(watcher::Event::InitDone) if seen_in_list => continue,
                    Ok(watcher::Event::InitDone | watcher::Event::Delete(_)) => SecretState::Missing,
                    Err(error) if is_forbidden(&error) => SecretState::Forbidden,
                    Err(_) => {
                        debug!(%secret, "failed to watch a Secret, trying again");
                        continue;
                    }
                };
                sender.send_replace(next);
                let users = task_users.lock().unwrap_or_else(PoisonError::into_inner).clone();
                touched.touch(users);
            }
        };
        let cancel = self.cancel.clone();
        let task = self.tasks.spawn(async move {
            cancel.run_until_cancelled(follow).await;
        });
        Watched {
            state,
            users,
            task: task.abort_handle(),
        }
    }
}

fn present(secret: Secret) -> SecretState {
    let data = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, value.0));
    SecretState::Present(SecretData(Arc::new(data.collect())))
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))) = error
    else {
        return false;
    };
    matches!(status.code, 401 | 403)
}
