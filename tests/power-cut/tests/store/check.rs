//! What must be on a disk after a power cut.

use std::{collections::BTreeMap, path::Path};

use image_usage_operator::{
    event::{Attribution, LogicalCategory},
    store::{
        Clause, Clients as From, EventQuery, EventReader, Select, SqliteStore, StoreError, Upkeep, Window,
    },
};
use jiff::Timestamp;
use power_cut::{Disk, Image, Lie};
use rusqlite::Connection;

use crate::clients::{CLIENTS, Clients, DATABASE, id, registry, repositories, send_one};

/// Looks at a copy: the next round begins with what the cut left, and not with what was made of it here.
pub async fn what_is_left(folder: &Path, image: &Image, clients: &Clients) -> Result<(), String> {
    sound(folder, image).map_err(|error| format!("the file is not sound: {error}"))?;
    let _disk = Disk::mount(folder, image.clone(), Lie::None, |_, _| false);
    let store = SqliteStore::open(&folder.join(DATABASE), |_, _| {}).map_err(|error| error.to_string())?;
    let found = Found::read(&store).await.map_err(|error| error.to_string())?;
    found.holds(clients)?;
    goes_on(&store)
        .await
        .map_err(|error| format!("no event is taken any more: {error}"))?;
    store.close().await.map_err(|error| error.to_string())
}

/// By the database's own judgement.
fn sound(folder: &Path, image: &Image) -> Result<(), String> {
    let _disk = Disk::mount(folder, image.clone(), Lie::None, |_, _| false);
    let file = Connection::open(folder.join(DATABASE)).map_err(|error| error.to_string())?;
    let verdict: rusqlite::Result<String> = file.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(verdict),
        Err(error) => Err(error.to_string()),
    }
}

/// What the store has.
struct Found {
    /// How many raw events each pull and check is made of, by id.
    logical: BTreeMap<String, (LogicalCategory, i64)>,
    /// How many lines there are.
    lines: usize,
    /// How many events it says that it has stored.
    stored: i64,
}

impl Found {
    async fn read(store: &SqliteStore) -> Result<Self, StoreError> {
        store.linked().await?;
        let (mut logical, mut lines) = (BTreeMap::new(), 0);
        for repository in repositories() {
            let all = Clause {
                select: Select::All,
                window: Window {
                    start: Timestamp::MIN,
                    end: Timestamp::MAX,
                },
                attribution: Attribution::Named,
            };
            let query = EventQuery {
                registry: registry(),
                repository,
                categories: Vec::new(),
                clauses: vec![all],
                clients: From::default(),
            };
            let events = store.events(query, None, usize::MAX).await?;
            lines += events.len();
            logical.extend(events.into_iter().map(|found| {
                let event = found.event;
                (event.id, (event.category, event.raw_count))
            }));
        }
        let sources = store.sources(registry()).await?;
        Ok(Self {
            logical,
            lines,
            stored: sources.iter().map(|source| source.stored).sum(),
        })
    }

    /// All that was acknowledged, each once and linked; beside it only what was under way.
    fn holds(&self, clients: &Clients) -> Result<(), String> {
        for (client, acknowledged) in clients.acknowledged.into_iter().enumerate() {
            for pull in 0..acknowledged / 2 {
                self.is_pull(&id(client, "GET", pull))?;
            }
            if acknowledged % 2 == 1 {
                let (head, get) = (
                    id(client, "HEAD", acknowledged / 2),
                    id(client, "GET", acknowledged / 2),
                );
                if self.logical.get(&head) != Some(&(LogicalCategory::Check, 1)) {
                    // The GET that was under way took it.
                    self.is_pull(&get).map_err(|error| format!("{head}: {error}"))?;
                }
            }
        }
        if self.lines != self.logical.len() {
            return Err(format!("{} lines of {} ids", self.lines, self.logical.len()));
        }
        let raw: i64 = self.logical.values().map(|(_, parts)| parts).sum();
        let acknowledged: i64 = clients.acknowledged.map(i64::from).iter().sum();
        let most = acknowledged + i64::try_from(CLIENTS).unwrap_or_default();
        if raw != self.stored || raw > most {
            return Err(format!(
                "{raw} events are linked, {} counted, {acknowledged} acknowledged",
                self.stored
            ));
        }
        Ok(())
    }

    fn is_pull(&self, id: &str) -> Result<(), String> {
        match self.logical.get(id) {
            Some((LogicalCategory::Pull, 2)) => Ok(()),
            None => Err(format!("{id} was acknowledged and is lost")),
            other => Err(format!("{id} is {other:?}")),
        }
    }
}

/// One more event, of a client that nobody else has met.
async fn goes_on(store: &SqliteStore) -> Result<(), StoreError> {
    let appended = send_one(store, CLIENTS, 0).await?;
    match appended.stored {
        1 => Ok(()),
        _ => Err(StoreError::Write(format!("{appended:?}"))),
    }
}
