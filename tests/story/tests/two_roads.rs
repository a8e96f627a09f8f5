//! The same pulls by two roads: a real registry's notifications, and its access log as a log shipper would send it.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use jiff::fmt::strtime;
use local_cluster::{Access, Cluster, Image, Nodes, PushedImage, Registry, output, wait_until};
use serde_json::{Value, json};
use story::{
    NAMESPACE, Report, TOKEN,
    operator::{Operator, ask, condition, deployment, image_registry, request},
};

const SOON: Duration = Duration::from_secs(30);
const POD_RUNS_WITHIN: Duration = Duration::from_secs(120);
const REPOSITORY: &str = "team/app";
const DUPLICATE: &str = "image_usage_events_duplicate_total";
const STORED: &str = "image_usage_events_stored_total";

/// A registry that both sources tell of.
struct Place<'a> {
    home: &'a Access,
    operator: &'a Operator,
    name: &'static str,
    /// Where clients on the machine find it.
    host: String,
    /// As pods name it.
    image_host: String,
    /// Where lines of its access log are delivered.
    access_log: String,
}

#[tokio::test]
async fn an_access_log_beside_notifications_counts_nothing_twice() -> Result<()> {
    let mut home = Cluster::builder()
        .nodes(Nodes::Real)
        .registry(Registry::v3("v3"))
        .registry(Registry::v2("v2"))
        .map_image_host("v3.example.com", "v3")
        .map_image_host("v2.example.com", "v2")
        .start()
        .await?;
    let operator = Operator::start(&home).await?;
    for name in ["v3", "v2"] {
        let host = home
            .registry_host_of(name)
            .context("the cluster has it")?
            .to_owned();
        let image_host = format!("{name}.example.com");
        let [notifications, access_log] = accepted(&home, name, &[&image_host, &host]).await?;
        home.set_notifications(name, vec![operator.notifications(&notifications)])
            .await?;
        let place = Place {
            home: &home,
            operator: &operator,
            name,
            host,
            image_host,
            access_log,
        };
        place.tells_each_act_once().await?;
    }
    home.end().await;
    Ok(())
}

/// Makes a registry with two sources and waits until it is accepted; their paths.
async fn accepted(home: &Access, name: &str, hosts: &[&str]) -> Result<[String; 2]> {
    let mut object = image_registry(NAMESPACE, name, hosts[0]);
    object["spec"]["endpoints"] = hosts.iter().map(|host| json!({"host": host})).collect();
    let mut second = object["spec"]["sources"][0].clone();
    second["name"] = json!("access-log");
    second["format"] = json!("Generic");
    object["spec"]["sources"]
        .as_array_mut()
        .context("a list")?
        .push(second);
    home.apply(&object.to_string()).await?;
    wait_until(SOON, "the registry to be accepted", async || {
        let object = home
            .get_json(&["imageregistry", name, "--namespace", NAMESPACE])
            .await?;
        ensure!(condition(&object, "Ready").0 == "True", "{object:#}");
        let path = |source: &str| -> Result<String> {
            let sources = object["status"]["sources"].as_array().context("no sources")?;
            let found = sources.iter().find(|entry| entry["name"] == source);
            let path = found.and_then(|found| found["path"].as_str());
            Ok(path.context("no path")?.to_owned())
        };
        Ok([path("notifications")?, path("access-log")?])
    })
    .await
}

impl Place<'_> {
    async fn tells_each_act_once(&self) -> Result<()> {
        let pushed = self.push("v1").await?;
        self.crane(&["export", &pushed.reference, "/dev/null"]).await?;
        let by_digest = format!("{}/{REPOSITORY}@{}", self.host, pushed.digest);
        self.crane(&["export", &by_digest, "/dev/null"]).await?;
        self.skopeo_copies(&pushed).await?;
        self.a_node_pulls().await?;
        self.crane(&["digest", &pushed.reference]).await?;
        let index = self.push_index().await?;
        self.crane(&["export", "--platform", "linux/amd64", &index, "/dev/null"])
            .await?;

        let repository = format!("{}/{REPOSITORY}", self.image_host);
        let spec = json!({"repository": repository});
        // Each GET of a manifest is a pull, of an index and its children too as long as nothing says that they are its.
        let (alone, lines) = ask(self.home, &format!("{}-alone", self.name), &spec, |report| {
            let lines = self.access_log_lines()?;
            for program in ["crane", "skopeo", "containerd"] {
                let gets = gets(&lines, program);
                let pulls = pulls(report, program).len();
                ensure!(
                    pulls > 0 && pulls == gets,
                    "{pulls} pulls by {program}, not {gets}: {:#}",
                    report.0
                );
            }
            Ok(lines)
        })
        .await?;

        let rows = lines.len();
        self.deliver(&lines).await?;
        let (both, ()) = ask(self.home, &format!("{}-both", self.name), &spec, |report| {
            let raw = raw_count(report);
            // Each row of the log is part of an event that is shown, or of a check, which is not.
            ensure!(raw > raw_count(&alone), "{raw} raw events: {:#}", report.0);
            Ok(())
        })
        .await?;
        for number in ["pushes", "pulls", "checks", "deletes"] {
            assert_eq!(
                both.number(number),
                alone.number(number),
                "{number}: {:#}",
                both.0
            );
        }
        assert_eq!(acts(&both), acts(&alone));
        for pull in pulls(&both, "containerd") {
            assert_eq!(pull["tag"], "v1", "{pull:#}");
            assert!(
                pull["rawCount"].as_i64() >= Some(3),
                "HEAD, GET and a row of the log: {pull:#}"
            );
        }
        println!(
            "{}: {rows} rows of the access log beside what the registry told",
            self.name
        );
        self.the_same_rows_again_are_known(&lines).await
    }

    async fn push(&self, tag: &str) -> Result<PushedImage> {
        let image = Image::busybox()?.label("made", &format!("{tag} of {}", self.name));
        self.home.push_image_to(&self.host, &image, REPOSITORY, tag).await
    }

    /// An index of two images, pushed under a tag of its own.
    async fn push_index(&self) -> Result<String> {
        let (one, two) = (self.push("one").await?, self.push("two").await?);
        let index = format!("{}/{REPOSITORY}:multi", self.host);
        let (first, second) = (&one.reference, &two.reference);
        self.crane(&[
            "index",
            "append",
            "--manifest",
            first,
            "--manifest",
            second,
            "--tag",
            &index,
        ])
        .await?;
        Ok(index)
    }

    async fn crane(&self, words: &[&str]) -> Result<String> {
        self.home.crane(words).await
    }

    async fn skopeo_copies(&self, pushed: &PushedImage) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut command = self.home.command("skopeo");
        command.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]);
        command.arg(format!("docker://{}", pushed.reference));
        command.arg(format!("oci:{}", folder.path().display()));
        output(command, None).await?;
        Ok(())
    }

    /// containerd, by a pod.
    async fn a_node_pulls(&self) -> Result<()> {
        let image = format!("{}/{REPOSITORY}:v1", self.image_host);
        let mut object = deployment("default", self.name, &image, 1);
        object["spec"]["template"]["spec"]["containers"][0]["command"] =
            json!(["/bin/busybox", "sleep", "3600"]);
        self.home.apply(&object.to_string()).await?;
        wait_until(POD_RUNS_WITHIN, "the pod to run", async || {
            let object = self.home.get_json(&["deployment", self.name]).await?;
            ensure!(object["status"]["readyReplicas"] == 1, "{:#}", object["status"]);
            Ok(())
        })
        .await
    }

    /// What happened to manifests, as the registry's own access log has it, in the format Generic.
    fn access_log_lines(&self) -> Result<Vec<Value>> {
        let log = self.home.dir().join(format!("logs/{}.log", self.name));
        let text = fs::read_to_string(log)?;
        let rows = text.lines().enumerate();
        Ok(rows.filter_map(|(number, line)| row(number, line)).collect())
    }

    async fn deliver(&self, rows: &[Value]) -> Result<()> {
        let body = json!(rows).to_string();
        let webhook = self.operator.webhook();
        let answer = request(webhook, "POST", &self.access_log, Some(TOKEN), &body).await?;
        ensure!(answer.status == 202, "{}", answer.status);
        Ok(())
    }

    async fn the_same_rows_again_are_known(&self, rows: &[Value]) -> Result<()> {
        let before = [
            self.operator.metric(STORED, "").await?,
            self.operator.metric(DUPLICATE, "").await?,
        ];
        self.deliver(rows).await?;
        let after = [
            self.operator.metric(STORED, "").await?,
            self.operator.metric(DUPLICATE, "").await?,
        ];
        #[expect(clippy::cast_precision_loss, reason = "few rows")]
        let known = before[1] + rows.len() as f64;
        assert_eq!(after, [before[0], known]);
        Ok(())
    }
}

/// A line of the combined log format: address, time, request, status, size, referrer, user agent.
fn row(number: usize, line: &str) -> Option<Value> {
    let (address, rest) = line.split_once(" - - [")?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    // containerd adds the host that it was asked for: `?ns=…`.
    let path = path.split('?').next()?;
    let (repository, reference) = path.strip_prefix("/v2/")?.split_once("/manifests/")?;
    let is_done = rest.starts_with("200 ") || rest.starts_with("201 ");
    let category = match method {
        "GET" | "HEAD" => "Pull",
        "PUT" => "Push",
        _ => return None,
    };
    let user_agent = rest.rsplit('"').nth(1)?;
    let time = strtime::parse("%d/%b/%Y:%H:%M:%S %z", time)
        .ok()?
        .to_timestamp()
        .ok()?;
    let named = if reference.contains(':') { "digest" } else { "tag" };
    is_done.then(|| {
        json!({
            "id": format!("line {number}"),
            "category": category,
            "repository": repository,
            named: reference,
            "clientIP": address.rsplit(' ').next(),
            "clientIPSource": "Peer",
            "eventTime": time.to_string(),
            "userAgent": user_agent,
            "method": method,
        })
    })
}

/// Rows of manifests that a program fetched.
fn gets(rows: &[Value], program: &str) -> usize {
    let by = |row: &&Value| {
        row["userAgent"]
            .as_str()
            .is_some_and(|agent| agent.contains(program))
    };
    rows.iter()
        .filter(|row| row["method"] == "GET")
        .filter(by)
        .count()
}

fn pulls<'a>(report: &'a Report, program: &str) -> Vec<&'a Value> {
    let by = |pull: &&Value| {
        pull["userAgent"]
            .as_str()
            .is_some_and(|agent| agent.contains(program))
    };
    report.events("Pull").into_iter().filter(by).collect()
}

fn raw_count(report: &Report) -> i64 {
    let events = report.list("events").iter();
    events.filter_map(|event| event["rawCount"].as_i64()).sum()
}

/// What is shown, without how many raw events told it.
fn acts(report: &Report) -> Vec<[String; 6]> {
    let events = report.list("events").iter();
    events
        .map(|event| {
            ["category", "id", "tag", "digest", "clientIP", "eventTime"].map(|field| event[field].to_string())
        })
        .collect()
}
