//! What holds for every dialect, and what their tests share.

mod anything;
pub(super) mod lines;
mod properties;
mod samples;
pub(super) mod support;
mod table;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

pub(super) use self::{properties::any_json, samples::samples};
use super::*;

/// A message as a file of `tests/fixtures/events/` or a folder of samples has it.
pub(super) struct Message {
    /// Without its extension.
    pub name: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The folder of a format's fixtures, called like its page in `docs/registries/`.
pub(super) fn folder(format: Format) -> PathBuf {
    let name = match format {
        Format::Distribution => "distribution",
        Format::GitLab => "gitlab",
        Format::Harbor => "harbor",
        Format::AlibabaACR => "alibaba-acr",
        Format::AmazonECR => "amazon-ecr",
        Format::GoogleArtifactRegistry => "google-artifact-registry",
        Format::AzureACR => "azure-acr",
        Format::Quay => "quay",
        Format::Zot => "zot",
        Format::DockerHub => "docker-hub",
        Format::GitHub => "github",
        Format::Artifactory => "artifactory",
        Format::Gitea => "gitea",
        Format::Nexus => "nexus",
        Format::Generic => "generic",
    };
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/events")
        .join(name)
}

/// The messages of a folder, by name; none where there is no such folder.
pub(super) fn messages(folder: &Path) -> Vec<Message> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".headers") && !name.ends_with(".response"))
        .collect();
    names.sort();
    names.iter().map(|name| message(folder, name)).collect()
}

pub(super) fn message(folder: &Path, name: &str) -> Message {
    let body = folder.join(format!("{name}.json"));
    Message {
        name: name.to_owned(),
        headers: headers(&folder.join(format!("{name}.headers.json"))),
        body: fs::read(&body).unwrap_or_else(|error| panic!("{}: {error}", body.display())),
    }
}

fn headers(file: &Path) -> HeaderMap {
    let Ok(text) = fs::read(file) else {
        return HeaderMap::new();
    };
    let named: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap();
    let header = |(name, value): (String, String)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (name.parse::<HeaderName>().unwrap(), value)
    };
    named.into_iter().map(header).collect()
}

/// An event as a line: what happened to what, and what else is told of it.
pub(super) fn told(event: &RegistryEvent) -> String {
    let mut line = format!("{:?}", event.category);
    if let Some(target) = event.target {
        write!(line, " {target:?}").unwrap();
    }
    write!(line, " {}", event.repository).unwrap();
    if let Some(tag) = &event.tag {
        write!(line, " :{tag}").unwrap();
    }
    if let Some(digest) = &event.digest {
        write!(line, " @{}", &digest.to_string()[7..11]).unwrap();
    }
    if let Some(method) = &event.method {
        write!(line, " by {method}").unwrap();
    }
    if let Some(address) = event.address {
        write!(line, " from {:?} {}", address.source, address.ip).unwrap();
    }
    if let Some(network_type) = event.network_type {
        write!(line, " {network_type:?}").unwrap();
    }
    if let Some(actor) = &event.actor {
        write!(line, " as {actor}").unwrap();
    }
    if let Some(time) = event.time {
        write!(line, " at {time}").unwrap();
    }
    if has_own_id(event) {
        write!(line, " id {}", event.id).unwrap();
    }
    line
}

/// What a fixture of a format brings: its events as lines, and how much is ignored.
#[track_caller]
pub(super) fn brings(format: Format, name: &str, events: &[&str], ignored: i64) {
    let Message { headers, body, .. } = message(&folder(format), name);
    let parsed = format.parse(&headers, &body).unwrap();
    assert_eq!(
        parsed.events.iter().map(told).collect::<Vec<_>>(),
        events,
        "{name}"
    );
    assert_eq!(parsed.ignored, ignored, "{name}");
}

/// What a fixture brings when something is put in a place of it.
pub(super) fn with(format: Format, name: &str, changes: &[(&str, Value)]) -> Option<RegistryEvent> {
    let Message { headers, body, .. } = message(&folder(format), name);
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    for (pointer, value) in changes {
        *body
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{name} has no {pointer}")) = value.clone();
    }
    let parsed = format.parse(&headers, body.to_string().as_bytes()).unwrap();
    assert_eq!(
        parsed.events.len() + usize::try_from(parsed.ignored).unwrap(),
        1,
        "{changes:?}"
    );
    parsed.events.into_iter().next()
}
