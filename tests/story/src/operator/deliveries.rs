//! A registry that is told by hand: what it sends, and to where.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local_cluster::{Access, wait_until};
use serde_json::json;

use super::{Operator, condition, image_registry, request};
use crate::{NAMESPACE, TOKEN};

const SOON: Duration = Duration::from_secs(20);

/// Applies an `ImageRegistry` of this host and waits until it is accepted; the path of its source.
pub async fn accepted(home: &Access, name: &str, host: &str) -> Result<String> {
    home.apply(&image_registry(NAMESPACE, name, host).to_string())
        .await?;
    wait_until(SOON, "the registry to be accepted", async || {
        let object = home
            .get_json(&["imageregistry", name, "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        Ok(object["status"]["sources"][0]["path"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    })
    .await
}

/// After a start the operator opens a path once it has read the registry's Secret.
pub async fn wait_for_path(operator: &Operator, path: &str) -> Result<()> {
    wait_until(SOON, "the path to be open", async || {
        let answer = request(operator.webhook(), "POST", path, Some(TOKEN), "{}").await?;
        ensure!(answer.status == 202, "{}", answer.status);
        Ok(())
    })
    .await
}

/// A push of a tag named as its id, as distribution tells it.
#[must_use]
pub fn push_envelope(host: &str, repository: &str, id: &str) -> String {
    let digest = format!("sha256:{}", "5".repeat(64));
    let envelope = json!({"events": [{
        "id": id,
        "timestamp": Timestamp::now().to_string(),
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": 500,
            "repository": repository,
            "url": format!("http://{host}/v2/{repository}/manifests/{digest}"),
            "tag": id,
        },
        "request": {"id": format!("request-{id}"), "addr": "192.0.2.7:40000", "host": host, "method": "PUT", "useragent": "test"},
        "actor": {},
        "source": {"addr": "registry:5000", "instanceID": "one"},
    }]});
    envelope.to_string()
}
