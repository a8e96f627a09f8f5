//! Messages of registries in files, and what they are to bring.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
};

use http::HeaderMap;
use serde_json::Value;

use super::{sound, told};
use crate::{
    dialect::{DialectError, Format, Parsed},
    event::RegistryEvent,
};

/// A message: `NAME.json`, and `NAME.headers.json` where headers matter.
pub struct Message {
    pub name: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The names of messages, each with its events as [`told`], and how many entries are ignored.
type Expected<'a> = [(&'a str, &'a [&'a str], i64)];

/// The messages of a format in `tests/fixtures/events/`.
#[derive(Clone, Copy)]
pub struct Fixtures(pub Format);

impl Fixtures {
    /// Called like the format's page in `docs/registries/`.
    pub fn folder(self) -> PathBuf {
        let name = match self.0 {
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
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join("tests/fixtures/events").join(name)
    }

    /// By name.
    pub fn messages(self) -> Vec<Message> {
        messages(&self.folder())
    }

    pub fn message(self, name: &str) -> Message {
        let mut messages = self.messages().into_iter();
        messages
            .find(|message| message.name == name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.folder().display()))
    }

    pub fn body(self, name: &str) -> Value {
        serde_json::from_slice(&self.message(name).body).unwrap()
    }

    /// A body [`with`] another value in one place.
    pub fn with(self, name: &str, pointer: &str, value: impl Into<Option<Value>>) -> Value {
        with(self.body(name), pointer, value)
    }

    /// Each fixture brings exactly this, and none is left out.
    #[track_caller]
    pub fn bring(self, expected: &Expected) {
        self.all_bring(&self.folder(), expected);
    }

    /// The same of a folder of samples of others, which are not in this repository.
    #[track_caller]
    pub fn samples_bring(self, folder: &str, expected: &Expected) {
        let Ok(samples) = env::var("IMAGE_USAGE_EVENT_SAMPLES") else {
            println!("skipped: IMAGE_USAGE_EVENT_SAMPLES names no folder of samples");
            return;
        };
        self.all_bring(&Path::new(&samples).join(folder), expected);
    }

    #[track_caller]
    fn all_bring(self, folder: &Path, expected: &Expected) {
        let messages = messages(folder);
        let names: Vec<&str> = messages.iter().map(|message| message.name.as_str()).collect();
        let told: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, told, "in {}", folder.display());
        for (Message { name, headers, body }, &(_, events, ignored)) in messages.iter().zip(expected) {
            brings(name, self.0.parse(headers, body), events, ignored);
        }
    }

    /// Without headers.
    pub fn read(self, body: impl AsRef<[u8]>) -> Result<Parsed, DialectError> {
        self.0.parse(&HeaderMap::new(), body.as_ref())
    }

    /// What a body with one entry brings.
    #[track_caller]
    pub fn one(self, body: &Value) -> Option<RegistryEvent> {
        let parsed = self.read(body.to_string()).unwrap();
        let ignored = usize::try_from(parsed.ignored).unwrap();
        assert_eq!(parsed.events.len() + ignored, 1, "{body}");
        parsed.events.into_iter().next()
    }

    /// What is told of a body is what is told of another without these words.
    #[track_caller]
    pub fn lacks(self, body: &Value, whole: &Value, words: &str) {
        let [whole, told] = [whole, body].map(|body| told(&self.one(body).unwrap()));
        assert!(whole.contains(words), "no {words:?} in {whole}");
        assert_eq!(told, whole.replace(words, ""), "{body}");
    }

    /// A body is refused for this reason, and nothing of it is quoted.
    #[track_caller]
    pub fn refuse(self, body: impl AsRef<[u8]>, reason: &str) {
        let body = body.as_ref();
        let error = self.read(body).unwrap_err();
        assert_eq!(error.reason(), reason, "{}", String::from_utf8_lossy(body));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

/// A body with another value in one place, or without what is there.
#[track_caller]
pub fn with(mut body: Value, pointer: &str, value: impl Into<Option<Value>>) -> Value {
    let place = body
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("no {pointer}"));
    if let Some(value) = value.into() {
        *place = value;
    } else {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap();
        parent.as_object_mut().unwrap().remove(field);
    }
    body
}

#[track_caller]
fn brings(what: &str, parsed: Result<Parsed, DialectError>, events: &[&str], ignored: i64) {
    let parsed = parsed.unwrap_or_else(|error| panic!("{what}: {error}"));
    sound(&parsed);
    let told: Vec<String> = parsed.events.iter().map(told).collect();
    assert_eq!(told, events, "{what}");
    assert_eq!(parsed.ignored, ignored, "{what}");
}

fn messages(folder: &Path) -> Vec<Message> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut messages: Vec<Message> = files
        .map(|file| file.unwrap().path())
        .filter_map(|file| {
            let name = file.file_stem()?.to_str()?.to_owned();
            let about = [".headers", ".response", "-handshake"];
            let is_body = !about.iter().any(|end| name.ends_with(end));
            is_body.then(|| Message {
                name,
                headers: headers(&file.with_extension("headers.json")),
                body: fs::read(&file).unwrap(),
            })
        })
        .collect();
    messages.sort_by(|one, other| one.name.cmp(&other.name));
    messages
}

fn headers(file: &Path) -> HeaderMap {
    let text = fs::read(file).unwrap_or_else(|_| b"{}".to_vec());
    let named: HashMap<String, String> = serde_json::from_slice(&text).unwrap();
    // In samples, some are described instead of named.
    let header = |(name, value): (String, String)| Some((name.parse().ok()?, value.parse().ok()?));
    named.into_iter().filter_map(header).collect()
}
