//! What distribution 3 sends, as `notifications/event.go` and `bridge.go` there make it.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::post::Message;

const REPOSITORIES: u32 = 50;
/// One client's doing: four pulls of a tag (HEAD and GET), a push, and a pull by digest alone.
const OF_ONE_CLIENT: u32 = 10;

/// One event; the same number is the same event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) number: u32,
    pub(crate) time: Timestamp,
}

impl Event {
    fn client(self) -> u32 {
        self.number / OF_ONE_CLIENT
    }

    /// Which of so many registries sends it.
    pub(crate) fn registry(self, registries: u32) -> u32 {
        self.client() % registries
    }

    pub(crate) fn value(self, registries: u32) -> Value {
        let client = self.client();
        let repository = client / registries % REPOSITORIES;
        let repository = format!("team-{}/service-{repository}", repository % 5);
        let (action, method, is_tagged) = match self.number % OF_ONE_CLIENT {
            8 => ("push", "PUT", true),
            9 => ("pull", "GET", false),
            turn if turn % 2 == 0 => ("pull", "HEAD", true),
            _ => ("pull", "GET", false),
        };
        let tag = is_tagged.then(|| format!("v{}", client % 20));
        let mut value = envelope(self.number, &repository, tag.as_deref(), self.time);
        value["action"] = json!(action);
        value["request"]["method"] = json!(method);
        let [_, high, middle, low] = client.to_be_bytes();
        value["request"]["addr"] = json!(format!("10.{high}.{middle}.{low}:51820"));
        value
    }
}

/// A push of a probe.
pub(crate) fn probe(id: &str, repository: &str, tag: &str) -> Value {
    let mut value = envelope(0, repository, Some(tag), Timestamp::now());
    value["id"] = json!(id);
    value
}

/// A push, one event of a body.
fn envelope(number: u32, repository: &str, tag: Option<&str>, time: Timestamp) -> Value {
    let digest = format!("sha256:{:064x}", 0x5eed);
    let host = "registry.example.com";
    let mut value = json!({
        "id": format!("5e0f3c1a-0000-4000-8000-{number:012x}"),
        "timestamp": time.to_string(),
        "action": "push",
        "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": 1493,
            "length": 1493,
            "repository": repository,
            "url": format!("https://{host}/v2/{repository}/manifests/{digest}"),
        },
        "request": {
            "id": format!("0a1b2c3d-0000-4000-8000-{number:012x}"),
            "addr": "10.255.0.1:51820",
            "host": host,
            "method": "PUT",
            "useragent": "containerd/v2.4.2",
        },
        "actor": {"name": "robot"},
        "source": {
            "addr": "registry-7c9:5000",
            "instanceID": "6f1b1f0e-2d1c-4a6c-9a55-2f4f7a0d3c11",
        },
    });
    if let Some(tag) = tag {
        value["target"]["tag"] = json!(tag);
    }
    value
}

/// A message of several events.
pub(crate) fn message(path: &str, events: &[Value]) -> Message {
    const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v2+json";
    Message {
        path: path.to_owned(),
        headers: vec![("Content-Type".to_owned(), MEDIA_TYPE.to_owned())],
        body: json!({"events": events}).to_string(),
    }
}
