//! Writing a status: server-side apply with one field manager.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use thiserror::Error;

use crate::telemetry::KindLabel;

use super::{touch::ObjectKey, world::World};

/// Field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "image-usage-operator";
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often numbers alone are written.
pub const NUMBERS_EVERY: Duration = Duration::from_mins(1);
/// How soon an object is looked at again when the event store does not answer.
pub const STORE_RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
pub enum WriteError {
    #[error("failed to write the status: no answer within {} s", WRITE_TIMEOUT.as_secs())]
    Timeout,
    #[error("failed to write the status")]
    Api(#[source] kube::Error),
}

impl WriteError {
    /// The word for a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "Timeout",
            Self::Api(_) => "ApiError",
        }
    }
}

/// Writes the statuses of one kind whose numbers change all the time: numbers alone are written at most once a
/// minute.
#[derive(Debug, Default)]
pub struct CalmWriter(Mutex<HashMap<ObjectKey, Instant>>);

impl CalmWriter {
    /// Writes the status if it differs from the one before and it is time.
    pub async fn write<K, S>(
        &self,
        world: &World,
        key: &ObjectKey,
        [previous, next]: [&S; 2],
        only_numbers: bool,
    ) -> Result<(), WriteError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + Debug,
        S: Serialize + PartialEq + Sync,
    {
        let now = Instant::now();
        let is_recent = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .is_some_and(|written| now.duration_since(*written) < NUMBERS_EVERY);
        if previous == next || (only_numbers && is_recent) {
            return Ok(());
        }
        write::<K, S>(world, key, next).await?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.clone(), now);
        Ok(())
    }

    /// The object is gone.
    pub fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Writes the whole status of an object. One that is gone is no error.
pub async fn write<K, S>(world: &World, key: &ObjectKey, status: &S) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
    S: Serialize + Sync,
{
    let api: Api<K> = Api::namespaced(world.client.clone(), &key.namespace);
    let patch = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status});
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    match tokio::time::timeout(WRITE_TIMEOUT, api.patch_status(&key.name, &parameters, &patch)).await {
        Err(_) => Err(WriteError::Timeout),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(Err(error)) => Err(WriteError::Api(error)),
        Ok(Ok(_)) => {
            let kind = K::kind(&()).into_owned();
            world
                .metrics
                .status_writes
                .get_or_create(&KindLabel { kind })
                .inc();
            Ok(())
        }
    }
}
