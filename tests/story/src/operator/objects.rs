//! One builder for each object that tests apply.

use std::time::Duration;

use anyhow::{Result, ensure};
use local_cluster::{Access, wait_until};
use serde_json::{Value, json};

use crate::{NAMESPACE, Report};

const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

pub async fn create_namespace(home: &Access, name: &str) -> Result<()> {
    home.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string())
        .await?;
    Ok(())
}

/// Creates a Secret of one key, or changes it.
pub async fn create_secret(home: &Access, namespace: &str, name: &str, key: &str, value: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {key: value},
    });
    home.apply(&secret.to_string()).await?;
    Ok(())
}

/// A registry with the token of the Secret `registry-webhook`.
#[must_use]
pub fn image_registry(namespace: &str, name: &str, host: &str) -> Value {
    json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ImageRegistry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "endpoints": [{"host": host}],
            "sources": [{
                "name": "notifications",
                "format": "Distribution",
                "webhook": {"authentication": {
                    "type": "Bearer",
                    "bearer": {"secretRef": {"name": "registry-webhook", "keys": ["token"]}},
                }},
            }],
        },
    })
}

/// The operator's own cluster.
#[must_use]
pub fn in_cluster(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ClusterAuthorization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"cluster": {"inCluster": {}}},
    })
}

/// A cluster by the kubeconfig in the Secret of its name.
#[must_use]
pub fn kubeconfig_authorization(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ClusterAuthorization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"cluster": {"kubeconfigSecretRef": {"name": name, "key": "kubeconfig"}}},
    })
}

/// A question.
#[must_use]
pub fn usage_report(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "imageusage.dev/v1alpha1",
        "kind": "ImageUsageReport",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

/// A Deployment of one container.
#[must_use]
pub fn deployment(namespace: &str, name: &str, image: &str, replicas: i64) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}},
        },
    })
}

/// Asks anew: a report of this name that was not there before is answered at once, whatever was written lately.
/// Returns its first answer that `accept` takes.
pub async fn ask<T>(
    home: &Access,
    name: &str,
    spec: &Value,
    accept: impl Fn(&Report) -> Result<T>,
) -> Result<(Report, T)> {
    home.apply(&usage_report(NAMESPACE, name, spec).to_string())
        .await?;
    wait_until(
        ANSWERED_WITHIN,
        &format!("the answer of report {name}"),
        async || {
            let report = crate::report(home, name).await?;
            let (ready, reason) = report.condition("Ready");
            ensure!(ready == "True", "Ready is {ready:?}: {reason}");
            let accepted = accept(&report)?;
            Ok((report, accepted))
        },
    )
    .await
}

/// Status and reason of a condition of any object.
#[must_use]
pub fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == kind);
    let text = |field: &str| {
        found
            .and_then(|condition| condition[field].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    (text("status"), text("reason"))
}
