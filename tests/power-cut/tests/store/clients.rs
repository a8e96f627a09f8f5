//! Those who append to the store, and what they know of it.

use std::sync::Arc;

use image_usage_operator::{
    event::{Category, RegistryEvent},
    image::Digest,
    store::{Appended, Delivery, EventLog, EventReader, Quarantined, RegistryKey, SqliteStore, StoreError},
};
use jiff::{SignedDuration, Timestamp};

pub const DATABASE: &str = "events.db";
pub const LOG: &str = "events.db-wal";
pub const CLIENTS: usize = 6;
const REPOSITORIES: usize = 3;
/// Before each so manieth event comes a body that cannot be read: the write-ahead log is soon full, and its pages
/// are written back.
const BODY_EVERY: u32 = 8;
const BODY_BYTES: usize = 48 * 1024;
/// After each so manieth event comes a question: readers decide how far the log can be written back.
const READ_EVERY: u32 = 5;

/// Each client's number of acknowledged events. It sends one after the other, and the one that was not
/// acknowledged again, as registries do.
#[derive(Debug, Default)]
pub struct Clients {
    pub acknowledged: [u32; CLIENTS],
}

impl Clients {
    /// All at the same time send so many more, until the power is out. An error before that is wrong.
    pub async fn append(
        &mut self,
        store: &Arc<SqliteStore>,
        events: u32,
        is_out: impl Fn() -> bool,
    ) -> Result<(), String> {
        let senders: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let first = self.acknowledged[client];
                tokio::spawn(send(store.clone(), client, first, first + events))
            })
            .collect();
        for (client, sender) in senders.into_iter().enumerate() {
            let (acknowledged, error) = sender.await.map_err(|error| error.to_string())?;
            self.acknowledged[client] = acknowledged;
            match error {
                Some(error) if !is_out() => return Err(format!("client {client} was told: {error}")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// How many are acknowledged then, and why not all are.
async fn send(store: Arc<SqliteStore>, client: usize, first: u32, end: u32) -> (u32, Option<StoreError>) {
    for number in first..end {
        if let Err(error) = send_one(&store, client, number).await {
            return (number, Some(error));
        }
        if number.is_multiple_of(READ_EVERY)
            && let Err(error) = store.sources(registry()).await
        {
            return (number + 1, Some(error));
        }
    }
    (end, None)
}

pub async fn send_one(store: &SqliteStore, client: usize, number: u32) -> Result<Appended, StoreError> {
    let event = event(client, number);
    let delivery = Delivery {
        registry: registry(),
        source: "notifications".to_owned(),
        received: event.time.unwrap_or_default(),
        events: Vec::new(),
        ignored: 0,
        quarantined: None,
    };
    if number.is_multiple_of(BODY_EVERY) {
        let unreadable = Quarantined {
            reason: "Malformed",
            body: vec![7; BODY_BYTES],
            ..Quarantined::default()
        };
        store
            .append(Delivery {
                quarantined: Some(unreadable),
                ..delivery.clone()
            })
            .await?;
    }
    store
        .append(Delivery {
            events: vec![event],
            ..delivery
        })
        .await
}

pub fn registry() -> RegistryKey {
    RegistryKey {
        namespace: "default".to_owned(),
        name: "power-cut".to_owned(),
        uid: "1".to_owned(),
    }
}

pub fn repositories() -> impl Iterator<Item = String> {
    (0..REPOSITORIES).map(repository)
}

fn repository(client: usize) -> String {
    format!("team/app-{}", client % REPOSITORIES)
}

/// The id of the HEAD or the GET of one of a client's pulls.
pub fn id(client: usize, method: &str, pull: u32) -> String {
    format!("{method}-{client}-{pull}")
}

/// A client's events are pulls, each a HEAD by tag and the GET that follows it, so that there is something to link.
fn event(client: usize, number: u32) -> RegistryEvent {
    let (method, pull) = (if number.is_multiple_of(2) { "HEAD" } else { "GET" }, number / 2);
    let start = Timestamp::from_second(1_770_000_000).unwrap();
    RegistryEvent {
        id: id(client, method, pull),
        category: Category::Pull,
        target: None,
        repository: repository(client),
        tag: (method == "HEAD").then(|| format!("v{}", pull / 50)),
        digest: Some(Digest::Sha256([7; 32])),
        media_type: None,
        method: Some(method.to_owned()),
        address: None,
        network_type: None,
        forwarded_chain: None,
        actor: None,
        // Nobody else's GET takes the HEAD.
        user_agent: Some(format!("client-{client}-{pull}")),
        time: Some(start + SignedDuration::from_secs(pull.into())),
        request_id: None,
        instance_id: Some("instance".to_owned()),
    }
}
