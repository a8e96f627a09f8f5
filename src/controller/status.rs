//! Writing a status: server-side apply with one field manager.

use std::{fmt::Debug, time::Duration};

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use thiserror::Error;

use super::touch::ObjectKey;

/// Field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "image-usage-operator";
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Writes the whole status of an object. One that is gone is no error.
pub async fn write<K, S>(client: &Client, key: &ObjectKey, status: &S) -> Result<(), WriteError>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug,
    S: Serialize + Sync,
{
    let api: Api<K> = Api::namespaced(client.clone(), &key.namespace);
    let patch = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status});
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    match tokio::time::timeout(WRITE_TIMEOUT, api.patch_status(&key.name, &parameters, &patch)).await {
        Err(_) => Err(WriteError::Timeout),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(Err(error)) => Err(WriteError::Api(error)),
        Ok(Ok(_)) => Ok(()),
    }
}
