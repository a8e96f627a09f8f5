//! The story from end to end: what the demo prints, checked. Real clusters, a real registry, the operator in a pod
//! with the chart's rights.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use local_cluster::{Cluster, Nodes, NotificationEndpoint, Registry, wait_until};
use story::{CLIENT_ADDRESS, NAMESPACE, Story, TOKEN, WEBHOOK_PATH, operator_binary, report};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn one_report_tells_where_an_image_runs_and_who_pushed_pulled_and_deleted_it() -> Result<()> {
    let notifications =
        NotificationEndpoint::new("operator", &format!("http://{{webhook-address}}{WEBHOOK_PATH}"));
    let home = Cluster::builder()
        .nodes(Nodes::Real)
        .registry(Registry::v3("registry").notify(notifications.bearer(TOKEN)))
        .map_image_host("registry.example.com", "registry")
        .start()
        .await?;
    let second = Cluster::builder().nodes(Nodes::Simulated(1)).start().await?;
    let story = Story {
        home: (*home).clone(),
        second: (*second).clone(),
    };

    story.install(&operator_binary()?).await?;
    the_operator_reads_its_own_cluster_at_once(&story).await?;
    Story::apply_example(&home, "image-registry.yaml").await?;
    Story::apply_example(&home, "image-usage-report-tag.yaml").await?;
    Story::apply_example(&home, "image-usage-report-repository.yaml").await?;
    let v1 = story.push_v1().await?;
    story.deploy().await?;
    story.deploy_in_second(&v1, 2).await?;
    story.authorise_second().await?;
    story.pull_from_the_internet().await?;
    story.check().await?;
    let v2 = story.push_v2_and_delete_its_tag().await?;

    // Where.
    let tag = wait_until(SOON, "five ready pods in two clusters", async || {
        let tag = report(&home, "test-repository-v1").await?;
        ensure!(
            tag.number("readyPods") == Some(5),
            "ready pods: {:?}",
            tag.number("readyPods")
        );
        ensure!(
            tag.number("publicPulls") == Some(1),
            "public pulls: {:?}",
            tag.number("publicPulls")
        );
        ensure!(
            tag.number("checks") >= Some(1),
            "checks: {:?}",
            tag.number("checks")
        );
        Ok(tag)
    })
    .await?;
    assert_eq!(tag.verdict(), "InUse");
    assert_eq!(tag.number("clusters"), Some(2));
    assert_eq!(tag.0["image"]["digest"], v1.digest);
    for (cluster, rows) in [
        (
            "this-cluster",
            &[
                ("web", "Deployment", "Running", 3),
                ("nightly", "CronJob", "Scheduled", 0),
                ("scaled-to-zero", "Deployment", "ScaledToZero", 0),
            ][..],
        ),
        ("second-cluster", &[("far", "Deployment", "Running", 2)][..]),
    ] {
        let found = tag.deployments_in(cluster);
        assert_eq!(found.len(), rows.len(), "{cluster}: {found:#?}");
        for (name, kind, state, pods) in rows {
            let row = found
                .iter()
                .find(|row| row["name"] == *name)
                .unwrap_or_else(|| panic!("no {name} in {found:#?}"));
            assert_eq!(
                (row["kind"].as_str(), row["state"].as_str(), row["pods"].as_i64()),
                (Some(*kind), Some(*state), Some(*pods))
            );
            if *pods > 0 {
                assert_eq!(row["digest"], v1.digest, "{name}");
                assert_eq!(row["match"], "Exact", "{name}");
            }
        }
    }
    assert_eq!(tag.condition("Ready"), ("True", "Computed"));
    assert_eq!(tag.condition("ClustersComplete"), ("True", "Complete"));
    // The registry has been watched for minutes, the report asks for 30 days.
    assert_eq!(tag.condition("EventsComplete"), ("False", "WindowBeforeCoverage"));

    // Who.
    let pushes = tag.events("Push");
    assert_eq!(pushes.len(), 1, "{pushes:#?}");
    assert_eq!(pushes[0]["digest"], v1.digest);
    let pulls = tag.events("Pull");
    let from_the_internet: Vec<_> = pulls
        .iter()
        .filter(|pull| pull["networkType"] == "Public")
        .collect();
    assert_eq!(from_the_internet.len(), 1, "{pulls:#?}");
    assert_eq!(from_the_internet[0]["clientIP"], CLIENT_ADDRESS.to_string());
    let by_nodes: Vec<_> = pulls
        .iter()
        .filter(|pull| pull["client"] == format!("node of {NAMESPACE}/this-cluster"))
        .collect();
    assert_eq!(
        i64::try_from(by_nodes.len())?,
        gets_by_the_node(&home).await?,
        "one pull for each real GET by the node"
    );
    assert!(
        by_nodes
            .iter()
            .all(|pull| pull["tag"] == "v1" && pull["rawCount"] == 2),
        "each took its HEAD: {by_nodes:#?}"
    );
    assert!(tag.events("Delete").is_empty());

    let repository = wait_until(SOON, "v2 and its delete", async || {
        let repository = report(&home, "test-repository").await?;
        ensure!(
            repository.number("deletes") == Some(1),
            "deletes: {:?}",
            repository.number("deletes")
        );
        Ok(repository)
    })
    .await?;
    let deletes = repository.events("Delete");
    assert_eq!(
        (deletes[0]["tag"].as_str(), deletes[0]["target"].as_str()),
        (Some("v2"), Some("Tag"))
    );
    assert!(
        repository
            .events("Push")
            .iter()
            .any(|push| push["digest"] == v2.digest)
    );
    let v2_line = repository
        .list("tags")
        .iter()
        .find(|tag| tag["tag"] == "v2")
        .expect("v2 is among the tags");
    assert!(v2_line["deleted"].is_string(), "{v2_line:#?}");
    assert_eq!(v2_line["verdict"], "Unused", "{v2_line:#?}");

    a_killed_operator_forgets_nothing(&story).await?;
    a_withdrawn_cluster_leaves_within_five_seconds(&story).await?;
    the_operator_has_logged_no_secret(&story).await?;

    second.end().await;
    home.end().await;
    Ok(())
}

async fn the_operator_reads_its_own_cluster_at_once(story: &Story) -> Result<()> {
    wait_until(SOON, "this-cluster to be ready", async || {
        let ready = story
            .home
            .kubectl(&[
                "wait",
                "clusterauthorization/this-cluster",
                "--for=condition=Ready",
                "--timeout=1s",
                "--namespace",
                NAMESPACE,
            ])
            .await?;
        ensure!(ready.contains("condition met"), "{ready}");
        Ok(())
    })
    .await
}

/// GETs of v1's manifest by containerd, as the registry's own access log has them.
async fn gets_by_the_node(home: &Cluster) -> Result<i64> {
    let log = std::fs::read_to_string(home.dir().join("logs/registry.log"))?;
    let gets = log.lines().filter(|line| {
        line.contains("containerd/")
            && line.contains("GET /v2/test-namespace/test-repository/manifests/")
            && line.contains("\" 200 ")
    });
    Ok(i64::try_from(gets.count())?)
}

/// Kill -9 loses no acknowledged event: the container starts again on the same volume.
async fn a_killed_operator_forgets_nothing(story: &Story) -> Result<()> {
    let before = report(&story.home, "test-repository").await?;
    let mut kill = story.home.exec_in_network("pkill");
    kill.args(["-9", "-x", "image-usage-ope"]);
    local_cluster::output(kill, None).await?;
    story.push_v2_and_delete_its_tag().await?;
    let deletes = before.number("deletes").map(|deletes| deletes + 1);
    let after = wait_until(SOON, "the delete while it was down", async || {
        let after = report(&story.home, "test-repository").await?;
        ensure!(
            after.number("deletes") == deletes,
            "deletes: {:?}",
            after.number("deletes")
        );
        Ok(after)
    })
    .await?;
    assert!(after.number("pulls") >= before.number("pulls"));
    let ids = |report: &story::Report| -> Vec<String> {
        report
            .list("events")
            .iter()
            .filter_map(|event| event["id"].as_str().map(str::to_owned))
            .collect()
    };
    let known = ids(&after);
    for id in ids(&before) {
        assert_eq!(
            known.iter().filter(|known| **known == id).count(),
            1,
            "{id} is there once"
        );
    }
    Ok(())
}

async fn a_withdrawn_cluster_leaves_within_five_seconds(story: &Story) -> Result<()> {
    wait_until(SOON, "both clusters after the restart", async || {
        let tag = report(&story.home, "test-repository-v1").await?;
        ensure!(
            tag.number("clusters") == Some(2),
            "clusters: {:?}",
            tag.number("clusters")
        );
        Ok(())
    })
    .await?;
    let withdrawn = Instant::now();
    story.withdraw_second().await?;
    let tag = wait_until(SOON, "its deployments to leave", async || {
        let tag = report(&story.home, "test-repository-v1").await?;
        ensure!(tag.deployments_in("second-cluster").is_empty(), "still there");
        Ok(tag)
    })
    .await?;
    println!(
        "the withdrawn cluster's deployments left after {:?}",
        withdrawn.elapsed()
    );
    let coverage = tag.list("coverage");
    let entry = coverage
        .iter()
        .find(|entry| entry["source"] == format!("{NAMESPACE}/second-cluster"));
    assert_eq!(
        entry.map(|entry| &entry["state"]),
        Some(&"Withdrawn".into()),
        "{coverage:#?}"
    );
    assert_eq!(tag.condition("ClustersComplete"), ("False", "ClusterWithdrawn"));
    assert_eq!(tag.verdict(), "InUse");
    Ok(())
}

async fn the_operator_has_logged_no_secret(story: &Story) -> Result<()> {
    let logs = story
        .home
        .kubectl(&[
            "logs",
            "deployment/image-usage-operator",
            "--namespace",
            NAMESPACE,
        ])
        .await?;
    assert!(!logs.is_empty());
    let secrets = story
        .home
        .kubectl(&[
            "get",
            "secret",
            "second-cluster",
            "--namespace",
            NAMESPACE,
            "-o",
            "jsonpath={.data.kubeconfig}",
        ])
        .await?;
    assert!(!logs.contains(TOKEN), "the webhook's token is in the log");
    assert!(!logs.contains(&secrets[..40]), "the kubeconfig is in the log");
    assert!(!logs.contains("eyJhbGciOi"), "a token is in the log");
    Ok(())
}
