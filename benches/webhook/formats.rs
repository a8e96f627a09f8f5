//! The load in the words of every format, one after the other, each to a registry of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use http::HeaderMap;
use image_usage_operator::dialect::Format;
use jiff::{Timestamp, tz::TimeZone};
use local_cluster::{Cluster, wait_until};
use story::{NAMESPACE, operator::image_registry};

use crate::{
    GOAL_ACKNOWLEDGED,
    ground::{self, open},
    load::{Load, Pace},
    numbers::{latencies, met, quantile},
    post::Message,
};

/// A fixture of each format: folder and name.
const FIXTURES: [(Format, &str, &str); 15] = [
    (Format::Distribution, "distribution", "pull-by-containerd"),
    (Format::GitLab, "gitlab", "push"),
    (Format::Harbor, "harbor", "default-push"),
    (Format::AlibabaACR, "alibaba-acr", "access-log-push"),
    (Format::AmazonECR, "amazon-ecr", "image-action-push"),
    (
        Format::GoogleArtifactRegistry,
        "google-artifact-registry",
        "notification-insert",
    ),
    (Format::AzureACR, "azure-acr", "webhook-push"),
    (Format::Quay, "quay", "splunk-pull"),
    (Format::Zot, "zot", "image-updated"),
    (Format::DockerHub, "docker-hub", "push"),
    (Format::GitHub, "github", "registry-package-published"),
    (Format::Artifactory, "artifactory", "pushed"),
    (Format::Gitea, "gitea", "created"),
    (Format::Nexus, "nexus", "component-created"),
    (Format::Generic, "generic", "pull"),
];
const REPOSITORIES: u32 = 200;
/// Numbers alone are written once a minute.
const COUNTED_WITHIN: Duration = Duration::from_mins(3);

/// A fixture, of which each number makes another message.
#[derive(Clone)]
struct Form {
    format: Format,
    headers: Vec<(String, String)>,
    body: String,
    /// Events of one message.
    events: u32,
}

pub(crate) async fn run(pace: Pace) -> Result<()> {
    let forms: Vec<Form> = FIXTURES
        .into_iter()
        .map(|(format, folder, name)| {
            Form::read(format, folder, name).with_context(|| format!("the fixture of {}", format.name()))
        })
        .collect::<Result<_>>()?;
    let (cluster, mut operator) = ground::started().await?;
    let mut sent = Vec::new();
    for form in forms {
        let name = form.format.name().to_lowercase();
        let mut registry = image_registry(NAMESPACE, &name, &format!("{name}.example.com"));
        registry["spec"]["sources"][0]["format"] = form.format.name().into();
        let path = open(&cluster, &name, &registry).await?;
        let (format, events) = (form.format, form.events);
        let load = Load::run(pace, operator.webhook(), move |number, time| {
            form.message(&path, number, time)
        })
        .await?;
        print(format, events, &load);
        sent.push((name, u64::from(load.sent) * u64::from(events)));
    }
    for (name, events) in sent {
        stored(&cluster, &name, events).await?;
    }
    println!("each registry counts as many events as were sent to it");
    operator.stop().await?;
    cluster.end().await;
    Ok(())
}

impl Form {
    fn read(format: Format, folder: &str, name: &str) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/events")
            .join(folder);
        let body = fs::read_to_string(folder.join(format!("{name}.json")))?;
        let body = serde_json::from_str::<serde_json::Value>(&body)?.to_string();
        let headers = match fs::read(folder.join(format!("{name}.headers.json"))) {
            Ok(text) => serde_json::from_slice::<BTreeMap<String, String>>(&text)?,
            Err(_) => BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]),
        };
        let mut form = Self {
            format,
            // The sender has its own.
            headers: headers
                .into_iter()
                .filter(|(name, _)| name != "User-Agent")
                .collect(),
            body,
            events: 0,
        };
        form.check()?;
        Ok(form)
    }

    /// Sees that messages differ: by the ids of their events, and by their repositories; and that they are of now.
    fn check(&mut self) -> Result<()> {
        let now = Timestamp::now();
        let (mut ids, mut repositories) = (BTreeSet::new(), BTreeSet::new());
        let mut events = 0;
        for number in 0..REPOSITORIES {
            let Message {
                path: _,
                headers,
                body,
            } = self.message("", number, now);
            let headers = headers
                .iter()
                .map(|(name, value)| Ok((name.parse()?, value.parse()?)))
                .collect::<Result<HeaderMap>>()?;
            let parsed = self.format.parse(&headers, body.as_bytes())?;
            for event in parsed.events {
                if let Some(time) = event.time {
                    let age = now.duration_since(time);
                    ensure!((0..12).contains(&age.as_hours()), "an event of {time}");
                }
                ids.insert(event.id);
                repositories.insert(event.repository);
                events += 1;
            }
        }
        ensure!(
            ids.len() == events && repositories.len() == REPOSITORIES as usize,
            "{events} events have {} ids, and are of {} repositories",
            ids.len(),
            repositories.len()
        );
        self.events = u32::try_from(events)? / REPOSITORIES;
        Ok(())
    }

    /// Fixtures call their repository web and their tag v1, and their ids end alike.
    fn message(&self, path: &str, number: u32, time: Timestamp) -> Message {
        let repository = format!("web-{}", number % REPOSITORIES);
        let (digest, id) = (format!("{number:064x}"), format!("-8000-{number:010x}"));
        let filled = |text: &str| {
            let text = text
                .replace("web", &repository)
                .replace("Web", &repository)
                .replace(&"1".repeat(64), &digest)
                .replace("-8000-0000000000", &id)
                .replace("\"4f2c\"", &format!("\"4f2c-{number}\""))
                .replace("\"v1\"", &format!("\"v{number}\""))
                .replace(":v1\"", &format!(":v{number}\""));
            at(&text, time)
        };
        Message {
            path: path.to_owned(),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), filled(value)))
                .collect(),
            body: filled(&self.body),
        }
    }
}

/// The text with another time in the place of each of March 2026, in which fixtures play.
fn at(text: &str, time: Timestamp) -> String {
    const DAYS: &str = "2026-03-";
    const WHOLE: usize = "2026-03-01T09:00:00".len();
    const EPOCHS: [&str; 2] = ["1772355600", "1772442000"];
    let now = time
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string();
    let (day, clock) = now.split_at("2026-03-01".len());
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(DAYS) {
        let (before, found) = rest.split_at(place);
        made.push_str(before);
        made.push_str(day);
        made.push_str(&found[day.len()..=day.len()]);
        made.push_str(&clock[1..]);
        rest = &found[WHOLE..];
    }
    made.push_str(rest);
    let seconds = time.as_second().to_string();
    EPOCHS
        .iter()
        .fold(made, |made, epoch| made.replace(epoch, &seconds))
}

fn print(format: Format, events: u32, load: &Load) {
    let times: Vec<Duration> = load.answered.iter().map(|(_, time)| *time).collect();
    let is_met =
        times.len() == load.sent as usize && quantile(times.iter().copied(), 0.99) <= GOAL_ACKNOWLEDGED;
    println!(
        "{}: {} of {} deliveries of {events} acknowledged: {}; all, p99 at most 50 ms: {}",
        format.name(),
        times.len(),
        load.sent,
        latencies(&times),
        met(is_met)
    );
    for (error, times) in &load.failed {
        println!("    errors: {times} × {error}");
    }
}

/// Waits until a registry says that it has stored so many.
async fn stored(cluster: &Cluster, name: &str, expected: u64) -> Result<()> {
    wait_until(COUNTED_WITHIN, "the registry to count", async || {
        let object = cluster
            .get_json(&["imageregistry", name, "--namespace", NAMESPACE])
            .await?;
        let stored = object["status"]["sources"][0]["events"]["stored"].as_u64();
        ensure!(stored == Some(expected), "{stored:?} of {expected} events");
        Ok(())
    })
    .await
}
