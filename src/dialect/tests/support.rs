//! What the tests of dialects share: fixtures, samples, and an event told in a line.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::{
    dialect::{DialectError, Format, Parsed, has_own_id},
    event::RegistryEvent,
};

/// Where the fixtures of a format are: `NAME.json`, and `NAME.headers.json` where headers matter.
pub fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/events")
        .join(folder)
}

/// The names in a folder, without their endings, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .filter(|name| !name.ends_with(".headers"))
        .collect();
    names.sort();
    names
}

pub fn delivery(folder: &Path, name: &str) -> (HeaderMap, Vec<u8>) {
    let headers = fs::read(folder.join(format!("{name}.headers.json"))).unwrap_or_else(|_| b"{}".to_vec());
    let headers: Value = serde_json::from_slice(&headers).unwrap();
    let headers = headers.as_object().unwrap().iter().filter_map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    (
        headers.collect(),
        fs::read(folder.join(format!("{name}.json"))).unwrap(),
    )
}

/// A format and the folder of its fixtures.
#[derive(Clone, Copy)]
pub struct Fixtures(pub Format, pub &'static str);

impl Fixtures {
    pub fn parse(self, body: &[u8]) -> Result<Parsed, DialectError> {
        self.0.parse(&HeaderMap::new(), body)
    }

    pub fn body(self, name: &str) -> Value {
        serde_json::from_slice(&delivery(&fixtures(self.1), name).1).unwrap()
    }

    /// The body of a fixture with another value in one place.
    pub fn with(self, name: &str, pointer: &str, value: Value) -> Value {
        let mut body = self.body(name);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    }

    /// Each fixture brings exactly these events and this many ignored entries, and none is left out.
    #[track_caller]
    pub fn bring(self, expected: &[(&str, &[&str], i64)]) {
        brings(self.0, &fixtures(self.1), expected);
    }

    /// The same of samples of others, which are not in this repository.
    #[track_caller]
    pub fn samples_bring(self, expected: &[(&str, &[&str], i64)]) {
        let Ok(samples) = std::env::var("IMAGE_USAGE_EVENT_SAMPLES") else {
            println!("skipped: IMAGE_USAGE_EVENT_SAMPLES names no folder of samples");
            return;
        };
        brings(self.0, &Path::new(&samples).join(self.1), expected);
    }

    /// What a body with one entry brings.
    #[track_caller]
    pub fn one(self, body: &Value) -> Option<RegistryEvent> {
        let parsed = self.parse(body.to_string().as_bytes()).unwrap();
        let ignored = usize::try_from(parsed.ignored).unwrap();
        assert_eq!(parsed.events.len() + ignored, 1, "{body}");
        parsed.events.into_iter().next()
    }

    /// A body is refused for this reason, and nothing of it is quoted.
    #[track_caller]
    pub fn refuse(self, body: &str, reason: &str) {
        let error = self.parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.reason(), reason, "{body}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[track_caller]
fn brings(format: Format, folder: &Path, expected: &[(&str, &[&str], i64)]) {
    for &(name, events, ignored) in expected {
        let (headers, body) = delivery(folder, name);
        let parsed = format
            .parse(&headers, &body)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let told: Vec<String> = parsed.events.iter().map(told).collect();
        assert_eq!(told, events, "{name}");
        assert_eq!(parsed.ignored, ignored, "{name}");
    }
    let mut told: Vec<&str> = expected.iter().map(|(name, ..)| *name).collect();
    told.sort_unstable();
    assert_eq!(names(folder), told, "in {}", folder.display());
}

/// An event in a line. Of a digest only the first two digits; an id only where it is the format's own.
pub fn told(event: &RegistryEvent) -> String {
    let RegistryEvent {
        id,
        category,
        target,
        repository,
        tag,
        digest,
        media_type,
        method,
        address,
        network_type,
        forwarded_chain,
        actor,
        user_agent,
        time,
        request_id,
        instance_id,
    } = event;
    let mut line = format!("{category:?}");
    if let Some(target) = target {
        write!(line, " {target:?}").unwrap();
    }
    write!(line, " {repository}").unwrap();
    if let Some(tag) = tag {
        write!(line, ":{tag}").unwrap();
    }
    if let Some(digest) = digest {
        write!(line, "@{}", &digest.to_string()[7..9]).unwrap();
    }
    for (word, value) in [
        ("type", media_type.clone()),
        ("method", method.clone()),
        (
            "from",
            address.map(|address| format!("{:?} {}", address.source, address.ip)),
        ),
        ("network", network_type.map(|network| format!("{network:?}"))),
        ("through", forwarded_chain.clone()),
        ("by", actor.clone()),
        ("with", user_agent.clone()),
        ("at", time.map(|time| time.to_string())),
        ("request", request_id.clone()),
        ("instance", instance_id.clone()),
        ("id", has_own_id(event).then(|| id.clone())),
    ] {
        if let Some(value) = value {
            write!(line, " {word} {value}").unwrap();
        }
    }
    line
}
