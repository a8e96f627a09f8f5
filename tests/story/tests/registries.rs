//! What real clients do at real registries, as reports tell it: CNCF distribution 3 and Debian's 2.8.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Result, ensure};
use local_cluster::{Access, Cluster, Image, PushedImage, Registry, output, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, Report,
    operator::{Operator, ask, condition, image_registry},
};

const SOON: Duration = Duration::from_secs(20);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const STORED: &str = "image_usage_events_stored_total";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Version {
    V3,
    V2,
}

/// One registry, seen by its clients and by reports.
struct Place<'a> {
    home: &'a Access,
    operator: &'a Operator,
    version: Version,
    name: &'static str,
    host: String,
}

#[tokio::test]
async fn registries_of_both_versions_tell_who_pushed_pulled_and_deleted() -> Result<()> {
    let mut home = Cluster::builder().registry(Registry::v3("v3")).registry(Registry::v2("v2")).start().await?;
    let operator = Operator::start(&home).await?;
    for name in ["v3", "v2"] {
        let host = home.registry_host_of(name).expect("the cluster has it").to_owned();
        home.apply(&image_registry(NAMESPACE, name, &host).to_string()).await?;
        let path = wait_until(SOON, "the registry to be accepted", async || {
            let object = home.get_json(&["imageregistry", name, "--namespace", NAMESPACE]).await?;
            ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
            Ok(object["status"]["sources"][0]["path"].as_str().unwrap_or_default().to_owned())
        })
        .await?;
        home.set_notifications(name, vec![operator.notifications(&path)]).await?;
    }
    for (name, version) in [("v3", Version::V3), ("v2", Version::V2)] {
        let host = home.registry_host_of(name).expect("the cluster has it").to_owned();
        let place = Place { home: &home, operator: &operator, version, name, host };
        a_push_and_pulls_by_tag_and_digest_are_one_event_each(&place).await?;
        a_head_alone_is_a_check_and_no_pull(&place).await?;
        a_digest_under_two_tags_is_shared_between_them(&place).await?;
        skopeo_is_seen_as_crane_is(&place).await?;
        an_index_and_its_children_are_one_push_and_one_pull(&place).await?;
        a_delete_by_digest_is_a_manifests(&place).await?;
        a_delete_by_tag_is_the_tags(&place).await?;
        a_blobs_delete_is_unresolved_and_no_delete(&place).await?;
        filters_choose_what_is_listed_and_counted(&place).await?;
        events_are_on_the_status_of_the_registry(&place).await?;
    }
    home.end().await;
    Ok(())
}

impl Place<'_> {
    fn image(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }

    async fn push(&self, repository: &str, tag: &str) -> Result<PushedImage> {
        let image = Image::scratch().file("/text", format!("{repository}:{tag} of {}", self.name), 0o644);
        self.home.push_image_to(&self.host, &image, repository, tag).await
    }

    /// The answer about a tag or digest, once it is accepted.
    async fn image_report(&self, name: &str, image: &str, accept: impl Fn(&Report) -> Result<()>) -> Result<Report> {
        let spec = json!({"image": self.image(image)});
        Ok(ask(self.home, &format!("{}-{name}", self.name), &spec, accept).await?.0)
    }

    async fn repository_report(&self, name: &str, repository: &str, accept: impl Fn(&Report) -> Result<()>) -> Result<Report> {
        let spec = json!({"repository": self.image(repository)});
        Ok(ask(self.home, &format!("{}-{name}", self.name), &spec, accept).await?.0)
    }

    async fn crane(&self, words: &[&str]) -> Result<String> {
        self.home.crane(words).await
    }

    /// Does something that the registry tells in so many events, and waits until they are stored.
    async fn stored<T>(&self, events: f64, act: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.operator.metric(STORED, "").await?;
        let done = act.await?;
        wait_until(SOON, "the events to be stored", async || {
            let now = self.operator.metric(STORED, "").await?;
            ensure!(now >= before + events, "{} of {events}", now - before);
            Ok(())
        })
        .await?;
        Ok(done)
    }

    async fn skopeo(&self, args: &[&str]) -> Result<String> {
        let mut command = self.home.command("skopeo");
        command.arg("--insecure-policy").args(args);
        output(command, None).await
    }
}

fn numbers(report: &Report, expected: &[(&str, i64)]) -> Result<()> {
    for (name, number) in expected {
        ensure!(report.number(name) == Some(*number), "{name} is {:?}, not {number}: {:#}", report.number(name), report.0);
    }
    Ok(())
}

/// A line as the tests compare it: category, target, tag, attribution, raw count.
fn line(event: &Value) -> (&str, &str, &str, &str, i64) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    (text("category"), text("target"), text("tag"), text("attribution"), event["rawCount"].as_i64().unwrap_or_default())
}

fn lines(report: &Report) -> Vec<(&str, &str, &str, &str, i64)> {
    report.list("events").iter().map(line).collect()
}

async fn a_push_and_pulls_by_tag_and_digest_are_one_event_each(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/app", "v1").await?;
    place.crane(&["export", &pushed.reference, "/dev/null"]).await?;
    let by_digest = format!("team/app@{}", pushed.digest);
    place.crane(&["export", &place.image(&by_digest), "/dev/null"]).await?;
    let client = place.home.public_client(PUBLIC).await?;
    client.crane(&["export", &pushed.reference, "/dev/null"]).await?;

    let expected = [("pushes", 1), ("pulls", 3), ("publicPulls", 1), ("checks", 0), ("deletes", 0), ("clientAddresses", 2), ("unknownAddresses", 1)];
    let tag = place.image_report("tag", "team/app:v1", |report| numbers(report, &expected)).await?;
    assert_eq!(
        lines(&tag),
        [
            ("Pull", "", "v1", "Named", 1),
            ("Pull", "", "", "Linked", 1),
            ("Pull", "", "v1", "Named", 1),
            ("Push", "", "v1", "Named", 1),
        ],
        "{:#}",
        tag.0
    );
    let inside = place.home.network().host_address().to_string();
    let addresses: Vec<_> = tag.list("events").iter().map(|event| (&event["clientIP"], &event["networkType"])).collect();
    let (public, private) = (json!(PUBLIC.to_string()), json!(inside));
    let (is_public, is_private) = (json!("Public"), json!("Private"));
    let own = (&private, &is_private);
    assert_eq!(addresses, [(&public, &is_public), own, own, own]);
    for event in tag.list("events") {
        assert_eq!(event["digest"], pushed.digest, "{event:#}");
        assert_eq!(event["timeSource"], "Event", "{event:#}");
        assert!(event["userAgent"].as_str().is_some_and(|agent| agent.contains("crane")), "{event:#}");
        assert!(event["claimedClientIP"].is_null(), "{event:#}");
    }
    assert_eq!(tag.0["image"]["digest"], pushed.digest);
    assert_eq!(tag.0["image"]["namespace"], "team");

    // The same by digest: everything names it.
    let digest = place.image_report("digest", &by_digest, |report| numbers(report, &expected)).await?;
    assert!(lines(&digest).iter().all(|line| line.3 == "Named"), "{:#}", digest.0);
    let repository = place.repository_report("repository", "team/app", |report| numbers(report, &expected)).await?;
    let tags = repository.list("tags");
    assert_eq!(tags.len(), 1, "{tags:#?}");
    assert_eq!((&tags[0]["tag"], &tags[0]["digest"]), (&json!("v1"), &json!(pushed.digest)));
    assert!(tags[0]["lastPush"].is_string() && tags[0]["lastPull"].is_string(), "{tags:#?}");
    Ok(())
}

async fn a_head_alone_is_a_check_and_no_pull(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/checked", "v1").await?;
    place.stored(1.0, place.crane(&["digest", &pushed.reference])).await?;
    let expected = [("pushes", 1), ("pulls", 0), ("checks", 1)];
    let report = place.image_report("checked", "team/checked:v1", |report| numbers(report, &expected)).await?;
    assert_eq!(lines(&report), [("Push", "", "v1", "Named", 1)]);
    assert!(report.0["summary"]["lastCheck"].is_string() && report.0["summary"]["lastPull"].is_null(), "{:#}", report.0);
    Ok(())
}

async fn a_digest_under_two_tags_is_shared_between_them(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/shared", "v1").await?;
    place.crane(&["tag", &pushed.reference, "stable"]).await?;
    place.crane(&["export", &place.image(&format!("team/shared@{}", pushed.digest)), "/dev/null"]).await?;
    let shared = place
        .image_report("shared", "team/shared:stable", |report| numbers(report, &[("pushes", 1), ("sharedPulls", 1), ("pulls", 0)]))
        .await?;
    assert_eq!(lines(&shared), [("Pull", "", "", "Shared", 1), ("Push", "", "stable", "Named", 1)], "{:#}", shared.0);
    assert!(shared.0["summary"]["lastPull"].is_null(), "a shared pull is no pull of this tag: {:#}", shared.0);
    Ok(())
}

async fn skopeo_is_seen_as_crane_is(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/origin", "v1").await?;
    let (from, to) = (format!("docker://{}", pushed.reference), format!("docker://{}", place.image("team/copy:v1")));
    place.skopeo(&["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to]).await?;
    place.skopeo(&["inspect", "--tls-verify=false", &from]).await?;
    let origin = place
        .image_report("origin", "team/origin:v1", |report| numbers(report, &[("pushes", 1), ("pulls", 2)]))
        .await?;
    for pull in origin.events("Pull") {
        assert_eq!(line(pull), ("Pull", "", "v1", "Named", 1));
        assert!(pull["userAgent"].as_str().is_some_and(|agent| agent.starts_with("skopeo/")), "{pull:#}");
    }
    let copy = place.image_report("copy", "team/copy:v1", |report| numbers(report, &[("pushes", 1), ("pulls", 0)])).await?;
    assert_eq!(copy.0["events"][0]["digest"], pushed.digest);
    assert!(copy.0["events"][0]["userAgent"].as_str().is_some_and(|agent| agent.starts_with("skopeo/")));
    Ok(())
}

async fn an_index_and_its_children_are_one_push_and_one_pull(place: &Place<'_>) -> Result<()> {
    let (one, two) = (place.push("team/part", "one").await?, place.push("team/part", "two").await?);
    let index = place.image("team/index:multi");
    place.crane(&["index", "append", "--manifest", &one.reference, "--manifest", &two.reference, "--tag", &index]).await?;
    let digest = place.crane(&["digest", &index]).await?;
    let client = place.home.public_client(PUBLIC).await?;
    client.crane(&["export", "--platform", "linux/amd64", &index, "/dev/null"]).await?;
    let report = place
        .image_report("index", "team/index:multi", |report| {
            numbers(report, &[("pushes", 1), ("pulls", 1), ("publicPulls", 1), ("sharedPulls", 0)])
        })
        .await?;
    assert_eq!(lines(&report), [("Pull", "", "multi", "Named", 2), ("Push", "", "multi", "Named", 3)], "{:#}", report.0);
    assert_eq!(report.0["image"]["digest"], digest.trim(), "{:#} parts {one:?} {two:?}", report.0);
    let repository =
        place.repository_report("index-repository", "team/index", |report| numbers(report, &[("pushes", 1), ("pulls", 1)])).await?;
    assert_eq!(repository.list("tags").len(), 1, "{:#}", repository.0);
    Ok(())
}

async fn a_delete_by_digest_is_a_manifests(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/removed", "v1").await?;
    let by_digest = format!("team/removed@{}", pushed.digest);
    place.crane(&["delete", &place.image(&by_digest)]).await?;
    let expected = [("deletes", 1), ("unresolvedDeletes", 0), ("pushes", 1)];
    for (name, image, attribution) in
        [("removed-tag", "team/removed:v1", "Linked"), ("removed-digest", by_digest.as_str(), "Named")]
    {
        let report = place.image_report(name, image, |report| numbers(report, &expected)).await?;
        let deletes = report.events("Delete");
        let (_, target, _, found, _) = line(deletes[0]);
        assert_eq!((target, found), ("Manifest", attribution), "{:#}", report.0);
        assert_eq!(deletes[0]["digest"], pushed.digest);
    }
    let repository = place.repository_report("removed", "team/removed", |report| numbers(report, &expected)).await?;
    let tags = repository.list("tags");
    assert!(tags.iter().all(|tag| tag["deleted"].is_string()), "the tag went with its manifest: {tags:#?}");
    Ok(())
}

async fn a_delete_by_tag_is_the_tags(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/untagged", "v1").await?;
    let deleted = place.crane(&["delete", &pushed.reference]).await;
    if place.version == Version::V2 {
        let refusal = deleted.expect_err("distribution 2.8 deletes no tags").to_string();
        assert!(refusal.contains("DIGEST_INVALID") || refusal.contains("UNSUPPORTED"), "{refusal}");
        let report = place.image_report("untagged", "team/untagged:v1", |report| numbers(report, &[("pushes", 1)])).await?;
        return numbers(&report, &[("deletes", 0), ("unresolvedDeletes", 0)]);
    }
    deleted?;
    let report = place.image_report("untagged", "team/untagged:v1", |report| numbers(report, &[("deletes", 1), ("pushes", 1)])).await?;
    assert_eq!(line(report.events("Delete")[0]), ("Delete", "Tag", "v1", "Named", 1), "{:#}", report.0);
    // The digest lost its tag, and is there still.
    let by_digest = format!("team/untagged@{}", pushed.digest);
    let report = place.image_report("untagged-digest", &by_digest, |report| numbers(report, &[("deletes", 1), ("pushes", 1)])).await?;
    assert_eq!(line(report.events("Delete")[0]), ("Delete", "Tag", "v1", "Linked", 1), "{:#}", report.0);
    Ok(())
}

async fn a_blobs_delete_is_unresolved_and_no_delete(place: &Place<'_>) -> Result<()> {
    let pushed = place.push("team/blob", "v1").await?;
    let manifest: Value = serde_json::from_str(&place.crane(&["manifest", &pushed.reference]).await?)?;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
    let url = format!("http://{}/v2/team/blob/blobs/{layer}", place.host);
    place
        .stored(1.0, async {
            let mut delete = place.home.command("curl");
            delete.args(["--fail", "--silent", "--show-error", "--request", "DELETE", &url]);
            output(delete, None).await
        })
        .await?;
    let report = place
        .repository_report("blob", "team/blob", |report| numbers(report, &[("pushes", 1), ("pulls", 1), ("unresolvedDeletes", 1)]))
        .await?;
    numbers(&report, &[("deletes", 0)])?;
    assert!(report.events("Delete").is_empty() && report.events("UnresolvedDelete").is_empty(), "{:#}", report.0);
    let tag = place.image_report("blob-tag", "team/blob:v1", |report| numbers(report, &[("pushes", 1)])).await?;
    numbers(&tag, &[("deletes", 0)])
}

async fn filters_choose_what_is_listed_and_counted(place: &Place<'_>) -> Result<()> {
    let name = |filter: &str| format!("{}-filter-{filter}", place.name);
    let image = place.image("team/app:v1");
    let report = |filter: &'static str, events: Value| {
        let spec = json!({"image": image, "events": events});
        async move { anyhow::Ok(ask(place.home, &name(filter), &spec, |_| Ok(())).await?.0) }
    };
    let pushes = report("pushes", json!({"categories": ["Push"]})).await?;
    assert_eq!(lines(&pushes), [("Push", "", "v1", "Named", 1)]);
    assert_eq!((pushes.number("pushes"), pushes.number("pulls"), pushes.number("deletes")), (Some(1), None, None));
    let public = report("public", json!({"networkTypes": ["Public"]})).await?;
    assert_eq!(lines(&public), [("Pull", "", "v1", "Named", 1)]);
    assert_eq!(public.0["events"][0]["clientIP"], PUBLIC.to_string());
    numbers(&public, &[("pushes", 0), ("pulls", 1), ("publicPulls", 1), ("clientAddresses", 1), ("withoutNetworkType", 0)])?;
    let private_pulls = report("private-pulls", json!({"networkTypes": ["Private"], "categories": ["Pull"]})).await?;
    assert_eq!(private_pulls.events("Pull").len(), 2, "{:#}", private_pulls.0);
    numbers(&private_pulls, &[("pulls", 2), ("publicPulls", 0)])?;
    // The newest are listed, all are counted.
    let two = report("limit", json!({"limit": 2})).await?;
    assert_eq!(two.list("events").len(), 2, "{:#}", two.0);
    assert_eq!(two.0["events"][0]["clientIP"], PUBLIC.to_string());
    numbers(&two, &[("pushes", 1), ("pulls", 3)])?;
    assert_eq!(two.0["truncated"]["events"], 2, "{:#}", two.0);
    // Windows: one that ended before, one around a single event.
    let before = report("before", json!({"timeRange": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}})).await?;
    assert!(before.list("events").is_empty());
    numbers(&before, &[("pushes", 0), ("pulls", 0), ("clientAddresses", 0)])?;
    let push: jiff::Timestamp = pushes.0["events"][0]["eventTime"].as_str().unwrap_or_default().parse()?;
    let end = push + jiff::SignedDuration::from_millis(1);
    let around = report("around", json!({"timeRange": {"start": push.to_string(), "end": end.to_string()}})).await?;
    assert_eq!(lines(&around), [("Push", "", "v1", "Named", 1)], "{:#}", around.0);
    let window = report("end", json!({"timeRange": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}})).await?;
    assert_eq!(window.0["window"], json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}));
    Ok(())
}

async fn events_are_on_the_status_of_the_registry(place: &Place<'_>) -> Result<()> {
    let object = place.home.get_json(&["imageregistry", place.name, "--namespace", NAMESPACE]).await?;
    assert_eq!(condition(&object, "Receiving").0, "True", "{object:#}");
    let source = &object["status"]["sources"][0];
    assert!(source["events"]["stored"].as_i64() > Some(0), "{source:#}");
    assert_eq!((&source["events"]["rejected"], &source["events"]["quarantined"]), (&json!(0), &json!(0)), "{source:#}");
    Ok(())
}
