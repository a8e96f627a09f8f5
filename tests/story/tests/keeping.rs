//! What the operator says of a store that takes no more, and how it goes on.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local_cluster::{Access, Cluster, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, TOKEN,
    operator::{
        Operator, condition, create_namespace, create_secret, image_registry, install_definitions, request,
    },
};

const SOON: Duration = Duration::from_secs(20);
/// The status of a registry that gets nothing is looked at once a minute.
const LOOKED_AT_WITHIN: Duration = Duration::from_secs(90);
const NAME: &str = "kept";
const PATH: &str = "/v1/events/image-usage-system/kept/notifications";

/// Pushes number `from` to `to`, as distribution tells them.
fn pushes(from: usize, to: usize) -> String {
    let events: Vec<Value> = (from..to)
        .map(|number| {
            json!({
                "id": format!("push-{number}"),
                "timestamp": Timestamp::now().to_string(),
                "action": "push",
                "target": {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": format!("sha256:{number:064}"),
                    "repository": "team/app",
                    "tag": "v1",
                },
                "request": {"id": format!("request-{number}"), "addr": "192.0.2.7:40000", "method": "PUT"},
                "source": {"instanceID": "one"},
            })
        })
        .collect();
    json!({"events": events}).to_string()
}

fn registry(quota: i64) -> String {
    let mut object = image_registry(NAMESPACE, NAME, "kept.example");
    object["spec"]["quota"] = json!({"events": quota});
    object.to_string()
}

async fn deliver(operator: &Operator, from: usize, to: usize) -> Result<u16> {
    let body = pushes(from, to);
    Ok(request(operator.webhook(), "POST", PATH, Some(TOKEN), &body)
        .await?
        .status)
}

/// Waits until `Receiving` is so; the object then.
async fn receiving(home: &Access, within: Duration, expected: (&str, &str)) -> Result<Value> {
    wait_until(within, &format!("Receiving to be {expected:?}"), async || {
        let object = home
            .get_json(&["imageregistry", NAME, "--namespace", NAMESPACE])
            .await?;
        let (status, reason) = condition(&object, "Receiving");
        ensure!((status.as_str(), reason.as_str()) == expected, "{object:#}");
        Ok(object)
    })
    .await
}

fn gaps(object: &Value) -> Vec<&str> {
    let gaps = object["status"]["sources"][0]["coverage"][0]["gaps"].as_array();
    gaps.into_iter()
        .flatten()
        .filter_map(|gap| gap["reason"].as_str())
        .collect()
}

#[tokio::test]
async fn a_store_that_takes_no_more_says_so_and_recovers_by_itself() -> Result<()> {
    let home = Cluster::builder().start().await?;
    install_definitions(&home).await?;
    create_namespace(&home, NAMESPACE).await?;
    create_secret(&home, NAMESPACE, "registry-webhook", "token", TOKEN).await?;

    // No volume is that large.
    let mut operator = Operator::new(&home)?.env("KEEP_FREE", "9000Ti");
    operator.up().await?;
    home.apply(&registry(1000)).await?;
    let object = receiving(&home, SOON, ("False", "LowSpace")).await?;
    ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
    ensure!(deliver(&operator, 0, 1).await? == 503);
    ensure!(operator.metric("image_usage_store_low_space", "").await? > 0.0);
    let refused = operator
        .metric("image_usage_webhook_deliveries_total", "LowSpace")
        .await?;
    ensure!(refused > 0.0);
    operator.stop().await?;

    let mut operator = operator.env("KEEP_FREE", "16Mi");
    operator.up().await?;
    receiving(&home, SOON, ("Unknown", "NoEventYet")).await?;
    ensure!(deliver(&operator, 0, 999).await? == 202);
    receiving(&home, SOON, ("True", "EventsReceived")).await?;

    a_quota_is_kept_and_told(&home, &operator).await?;
    operator.stop().await?;
    home.end().await;
    Ok(())
}

async fn a_quota_is_kept_and_told(home: &Access, operator: &Operator) -> Result<()> {
    ensure!(home.apply(&registry(999)).await.is_err(), "it is at least 1000");
    ensure!(deliver(operator, 999, 1001).await? == 503, "one too many");
    let object = receiving(home, SOON, ("False", "QuotaExceeded")).await?;
    ensure!(gaps(&object) == ["Refused"], "{object:#}");
    ensure!(operator.metric("image_usage_registries_over_quota", "").await? == 1.0);
    ensure!(deliver(operator, 999, 1000).await? == 202, "the last that fits");
    ensure!(deliver(operator, 1000, 1001).await? == 503);

    home.apply(&registry(2000)).await?;
    let raised = wait_until(LOOKED_AT_WITHIN, "the quota to be raised", async || {
        let status = deliver(operator, 1000, 1001).await?;
        ensure!(status == 202, "{status}");
        Ok(())
    });
    raised.await?;
    let object = receiving(home, SOON, ("True", "EventsReceived")).await?;
    ensure!(gaps(&object) == ["Refused"], "{object:#}");
    ensure!(object["status"]["sources"][0]["events"]["stored"].as_i64() >= Some(999));
    ensure!(operator.metric("image_usage_registries_over_quota", "").await? == 0.0);
    Ok(())
}
