//! The watch against a real API server: every way of reading gives the same, and none of
//! what happens to a cluster or to a connection leaves the inventory behind.

#![expect(clippy::unwrap_used, reason = "a test")]

mod watched;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use http::{HeaderValue, Request, StatusCode, header};
use image_usage_operator::cluster::{Kind, Usage, watch::Phase};
use kube::{Client, client::Body};
use local_cluster::{Cluster, Credentials, wait_until};
use watched::{Watched, client, through};

const OBJECTS: &str = include_str!("objects.yaml");
const APP: &str = "registry.example.com/shop/app";
const MODEL: &str = "registry.example.com/shop/model";
const ENVOY: &str = "docker.io/envoyproxy/envoy";
const DIGEST: &str = "sha256:aaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaabbbb";

async fn administrator(cluster: &Cluster) -> Result<Client> {
    client(&fs::read_to_string(cluster.kubeconfig_path())?).await
}

/// With all objects, the pods of the controllers, and the statuses that a node would set.
async fn filled_cluster() -> Result<Cluster> {
    let cluster = Cluster::builder().start().await?;
    // The service account of a new namespace comes a moment later.
    cluster.kubectl(&["create", "namespace", "shop"]).await?;
    wait_until(Duration::from_secs(30), "the service account", async || {
        cluster
            .kubectl(&["--namespace=shop", "get", "serviceaccount", "default"])
            .await
    })
    .await?;
    cluster.apply(OBJECTS).await?;
    wait_until(
        Duration::from_secs(30),
        "the pods of the controllers",
        async || {
            let pods = cluster.get_json(&["--namespace=shop", "pods"]).await?;
            let pods = pods["items"].as_array().map_or(0, Vec::len);
            anyhow::ensure!(pods == 4, "{pods} pods");
            Ok(())
        },
    )
    .await?;
    let pods = cluster.get_json(&["--namespace=shop", "pods"]).await?;
    for pod in pods["items"].as_array().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let container = pod["spec"]["containers"][0]["name"].as_str().unwrap();
        set_status(&cluster, "pod", name, &running(container)).await?;
    }
    let addresses = r#"{"status":{"addresses":[{"type":"InternalIP","address":"10.9.8.7"},{"type":"Hostname","address":"node-a"}]}}"#;
    set_status(&cluster, "node", "node-a", addresses).await?;
    Ok(cluster)
}

fn running(container: &str) -> String {
    serde_json::json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{
            "name": container, "image": APP, "imageID": format!("{APP}@{DIGEST}"),
            "containerID": format!("containerd://{container}"), "ready": true, "restartCount": 0,
        }],
    }})
    .to_string()
}

async fn set_status(cluster: &Cluster, kind: &str, name: &str, status: &str) -> Result<()> {
    let patch = [
        "--namespace=shop",
        "patch",
        kind,
        name,
        "--subresource=status",
        "--type=merge",
        "--patch",
    ];
    cluster.kubectl(&[&patch[..], &[status]].concat()).await?;
    Ok(())
}

const USES: [&str; 13] = [
    "CronJob/nightly Container nightly registry.example.com/shop/app:v1 - Scheduled 0/0",
    "DaemonSet/agent Container agent registry.example.com/shop/app:v1 - Template 0/0",
    "Deployment/web Init migrate registry.example.com/shop/app:v1 - Running 2/2",
    "Deployment/web Init migrate registry.example.com/shop/app:v1 - Template 0/0",
    "Deployment/web Init migrate registry.example.com/shop/app:v1 - Revision 0/0",
    "Deployment/web Container web registry.example.com/shop/app:v1 aaaa Running 2/2",
    "Deployment/web Container web registry.example.com/shop/app:v1 - Template 0/0",
    "Deployment/web Container web registry.example.com/shop/app:v1 - Revision 0/0",
    "Job/once Container once registry.example.com/shop/app:v1 - Template 0/0",
    "Pod/alone Container alone registry.example.com/shop/app:v1 aaaa Running 1/1",
    "ReplicaSet/bare Container bare registry.example.com/shop/app:v1 - Template 0/0",
    "StatefulSet/db Container db registry.example.com/shop/app:v1 aaaa Running 1/1",
    "StatefulSet/db Container db registry.example.com/shop/app:v1 - Template 0/0",
];

/// Nothing but JSON, as if a proxy knew nothing else.
fn json_only(mut request: Request<Body>) -> Request<Body> {
    let accept = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, accept);
    request
}

/// No streamed lists, as servers before 1.32 have it, in the words they use.
fn no_streamed_lists(request: Request<Body>) -> Result<Request<Body>, StatusCode> {
    if request
        .uri()
        .query()
        .is_some_and(|query| query.contains("sendInitialEvents"))
    {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(request)
}

/// Pages so small that there are several.
fn small_pages(request: Request<Body>) -> Result<Request<Body>, StatusCode> {
    let mut request = no_streamed_lists(request)?;
    let smaller = request.uri().to_string().replace("limit=500", "limit=2");
    *request.uri_mut() = smaller.parse().unwrap();
    Ok(request)
}

#[tokio::test]
async fn every_way_of_reading_gives_the_same_inventory() -> Result<()> {
    let cluster = filled_cluster().await?;
    let client = administrator(&cluster).await?;
    let ways = [
        ("protobuf", client.clone()),
        ("JSON", through(client.clone(), |request| Ok(json_only(request)))),
        ("protobuf pages", through(client.clone(), no_streamed_lists)),
        ("small protobuf pages", through(client.clone(), small_pages)),
        (
            "small JSON pages",
            through(client, |request| small_pages(request).map(json_only)),
        ),
    ];
    for (way, client) in ways {
        let watched = Watched::start(client);
        watched.until_synced().await?;

        assert_eq!(watched.lines(APP), USES, "{way}");
        assert_eq!(
            watched.lines(MODEL),
            [
                "Deployment/web ImageVolume model registry.example.com/shop/model:v1 - Running 2/2",
                "Deployment/web ImageVolume model registry.example.com/shop/model:v1 - Template 0/0",
                "Deployment/web ImageVolume model registry.example.com/shop/model:v1 - Revision 0/0",
            ],
            "{way}"
        );
        let usage = Usage {
            nodes: 1,
            namespaces: 1,
            workloads: 7,
            pods: 4,
            containers: 8,
            images: 3,
        };
        assert_eq!(watched.inventory.read().usage(), usage, "{way}");
        let addresses = watched.inventory.read().node_addresses();
        assert_eq!(addresses, ["10.9.8.7".parse::<std::net::IpAddr>()?], "{way}");
        watched.end().await?;
    }
    cluster.end().await;
    Ok(())
}

#[tokio::test]
async fn a_change_is_seen_at_once_and_names_what_it_touches() -> Result<()> {
    let cluster = filled_cluster().await?;
    let watched = Watched::start(administrator(&cluster).await?);
    watched.until_synced().await?;
    watched.take_touches();
    // Something that nothing reads.
    cluster
        .kubectl(&["--namespace=shop", "label", "pods", "--all", "seen=yes"])
        .await?;
    cluster
        .kubectl(&["--namespace=shop", "run", "new", "--image=other.example.com/x:1"])
        .await?;
    watched
        .until_used(
            "other.example.com/x",
            &["Pod/new Container new other.example.com/x:1 - Running 0/1"],
        )
        .await?;
    assert_eq!(watched.take_touches(), ["other.example.com/x"]);
    // A rollout: a new template, a ReplicaSet, pods, and the old ones go.
    let image = format!("web={APP}:v2");
    cluster
        .kubectl(&["--namespace=shop", "set", "image", "deployment/web", &image])
        .await?;
    wait_until(Duration::from_secs(30), "the new template", async || {
        let lines = watched.lines(APP);
        let is_there = lines
            .iter()
            .any(|line| line.contains("web registry.example.com/shop/app:v2 - Template"));
        anyhow::ensure!(is_there, "{lines:#?}");
        Ok(())
    })
    .await?;
    cluster
        .kubectl(&[
            "--namespace=shop",
            "delete",
            "deployment/web",
            "--cascade=background",
        ])
        .await?;
    watched.until_used(ENVOY, &[]).await?;
    watched.until_used(MODEL, &[]).await?;
    watched.end().await?;
    cluster.end().await;
    Ok(())
}

#[tokio::test]
async fn what_happens_while_nobody_watches_is_seen_afterwards() -> Result<()> {
    let cluster = filled_cluster().await?;
    let client = administrator(&cluster).await?;
    let is_expired = Arc::new(AtomicBool::new(false));
    let expiring = {
        let is_expired = is_expired.clone();
        through(client.clone(), move |mut request: Request<Body>| {
            let target = request.uri().to_string();
            if is_expired.load(Ordering::Relaxed)
                && let Some((start, _)) = target.split_once("&resourceVersion=")
            {
                *request.uri_mut() = format!("{start}&resourceVersion=1").parse().unwrap();
            }
            Ok(request)
        })
    };
    let nowhere = through(client.clone(), |_| Err(StatusCode::SERVICE_UNAVAILABLE));
    for is_version_gone in [false, true] {
        let watched = Watched::start(expiring.clone());
        watched.until_synced().await?;
        watched.take_touches();
        watched.clients.send(nowhere.clone())?;
        watched
            .until(
                Kind::Pod,
                Phase::Disconnected {
                    reason: "ServerError",
                },
            )
            .await?;
        let name = format!("while-away-{is_version_gone}");
        let image = format!("--image=away.example.com/{name}:1");
        cluster
            .kubectl(&["--namespace=shop", "run", &name, &image])
            .await?;
        cluster
            .kubectl(&["--namespace=shop", "delete", "pod", &name, "--now"])
            .await?;
        let stays = format!("{name}-stays");
        cluster
            .kubectl(&["--namespace=shop", "run", &stays, &image])
            .await?;
        let earlier = "Pod/alone Container alone registry.example.com/shop/app:v1 aaaa Running 1/1";
        assert!(
            watched.lines(APP).iter().any(|line| line == earlier),
            "nothing is forgotten meanwhile"
        );
        is_expired.store(is_version_gone, Ordering::Relaxed);
        watched.clients.send(expiring.clone())?;
        watched.until_synced().await?;
        let repository = format!("away.example.com/{name}");
        let expected = format!("Pod/{stays} Container {stays} {repository}:1 - Running 0/1");
        watched.until_used(&repository, &[&expected]).await?;
        let was_listed = watched.take_touches().contains(&"listed".to_owned());
        assert!(was_listed, "a server that was away may have been restored");
        watched.end().await?;
    }
    cluster.end().await;
    Ok(())
}

#[tokio::test]
async fn an_api_server_that_restarts_is_followed_again() -> Result<()> {
    let cluster = filled_cluster().await?;
    let watched = Watched::start(administrator(&cluster).await?);
    watched.until_synced().await?;
    cluster.restart("kube-apiserver").await?;
    cluster
        .kubectl(&[
            "--namespace=shop",
            "run",
            "after",
            "--image=after.example.com/x:1",
        ])
        .await?;
    let expected = ["Pod/after Container after after.example.com/x:1 - Running 0/1"];
    watched.until_used("after.example.com/x", &expected).await?;
    watched.until_synced().await?;
    watched.end().await?;
    cluster.end().await;
    Ok(())
}

#[tokio::test]
async fn a_kind_without_rights_is_a_gap_until_they_are_granted() -> Result<()> {
    let cluster = filled_cluster().await?;
    cluster
        .kubectl(&[
            "create",
            "clusterrole",
            "pods-only",
            "--verb=list,watch",
            "--resource=pods",
        ])
        .await?;
    cluster
        .kubectl(&[
            "create",
            "clusterrolebinding",
            "pods-only",
            "--clusterrole=pods-only",
            "--user=reader",
        ])
        .await?;
    let certificate = cluster.client_certificate("reader", None)?;
    let kubeconfig = cluster.kubeconfig(&Credentials::Certificate(certificate));
    let watched = Watched::start(client(&kubeconfig).await?);
    watched.until(Kind::Pod, Phase::Synced).await?;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Pod) {
        watched
            .until(kind, Phase::Forbidden { reason: "Forbidden" })
            .await?;
        assert_eq!(
            watched
                .states
                .borrow()
                .kind(kind)
                .and_then(|state| state.complete),
            None
        );
    }
    // Without the ReplicaSet, the pods' own owner references are all there is to know.
    assert!(watched.lines(ENVOY)[0].starts_with("ReplicaSet/web-"));
    let view = [
        "create",
        "clusterrolebinding",
        "all",
        "--clusterrole=cluster-admin",
        "--user=reader",
    ];
    cluster.kubectl(&view).await?;
    watched.until_synced().await?;
    assert!(watched.lines(ENVOY)[0].starts_with("Deployment/web "));
    watched.end().await?;
    cluster.end().await;
    Ok(())
}
