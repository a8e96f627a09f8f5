//! Writing objects to a server that is busy.

use std::fmt::Debug;

use anyhow::{Context as _, Result};
use image_usage_operator::cluster::Kind;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Attempts before a write is given up: a server that is being filled is slow at times.
const ATTEMPTS: usize = 5;

/// Objects of one kind that the operator reads.
pub(crate) fn api(client: &Client, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    any(client, kind.group(), kind.name(), kind.resource(), namespace)
}

fn any(
    client: &Client,
    group: &str,
    kind: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// A namespace in which pods can be made: no controller gives it an account.
pub(crate) async fn namespace(client: &Client, name: &str) -> Result<()> {
    let namespaces = any(client, "", "Namespace", "namespaces", None);
    create(&namespaces, json!({"metadata": {"name": name}})).await?;
    let accounts = any(client, "", "ServiceAccount", "serviceaccounts", Some(name));
    create(&accounts, json!({"metadata": {"name": "default"}})).await?;
    Ok(())
}

/// Creates an object, unless it is there.
pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> Result<K>
where
    K: Clone + Debug + DeserializeOwned + Serialize + kube::Resource,
{
    let parameters = PostParams {
        field_manager: Some("kube-controller-manager".into()),
        ..PostParams::default()
    };
    let object: K = serde_json::from_value(object)?;
    let name = object.meta().name.clone().unwrap_or_default();
    match persist(|| api.create(&parameters, &object)).await {
        // An attempt that was said to fail may not have.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(api.get(&name).await?),
        created => created.with_context(|| format!("failed to create {name}")),
    }
}

/// As a kubelet does it: so the object has managed fields of two managers.
pub(crate) async fn set_status(api: &Api<DynamicObject>, name: &str, status: Value) -> Result<()> {
    let parameters = PatchParams {
        field_manager: Some("kubelet".into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"status": status}));
    persist(|| api.patch_status(name, &parameters, &patch))
        .await
        .with_context(|| format!("failed to report {name}"))?;
    Ok(())
}

/// Changes an object's spec.
pub(crate) async fn patch(api: &Api<DynamicObject>, name: &str, patch: &Patch<Value>) -> Result<()> {
    let parameters = PatchParams::default();
    persist(|| api.patch(name, &parameters, patch))
        .await
        .with_context(|| format!("failed to change {name}"))?;
    Ok(())
}

/// Deletes an object, unless it is gone.
pub(crate) async fn delete<K>(api: &Api<K>, name: &str, parameters: &DeleteParams) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    match persist(|| api.delete(name, parameters)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => deleted
            .map(drop)
            .with_context(|| format!("failed to delete {name}")),
    }
}

async fn persist<T, Attempt: Future<Output = kube::Result<T>>>(
    mut attempt: impl FnMut() -> Attempt,
) -> kube::Result<T> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(kube::Error::Api(status)) if status.code >= 500 => {}
            done => return done,
        }
    }
    attempt().await
}
