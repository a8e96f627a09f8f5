//! A source's row and the processes that reported through it, ahead of the file until
//! they are saved.

use hashbrown::{HashMap, HashSet};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    gaps,
    values::{Column, Id, IdText},
};
use crate::{event::Category, store::Appended};

/// Most processes remembered for one source.
const INSTANCES: usize = 1_000;

#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: i64,
    last_delivery: i64,
    last_event: Option<i64>,
    stored: i64,
    duplicates: i64,
    ignored: i64,
    quarantined: i64,
    /// Raw events that are in the file and not yet in its row.
    more_kept: i64,
    /// Categories of which it brought events.
    reported: HashSet<Category>,
    /// When each process of the registry last reported.
    instances: HashMap<String, Instance>,
    changed: bool,
}

#[derive(Debug)]
struct Instance {
    last: i64,
    changed: bool,
}

impl Source {
    pub(super) fn load(connection: &Connection, registry: i64, name: &str) -> rusqlite::Result<Option<Self>> {
        let found = connection
            .prepare_cached(
                "SELECT id, last_delivery, last_event, stored, duplicates, ignored, quarantined
                 FROM sources WHERE registry = ?1 AND name = ?2",
            )?
            .query_row(params![registry, name], |row| {
                Ok(Self {
                    id: row.get(0)?,
                    last_delivery: row.get(1)?,
                    last_event: row.get(2)?,
                    stored: row.get(3)?,
                    duplicates: row.get(4)?,
                    ignored: row.get(5)?,
                    quarantined: row.get(6)?,
                    more_kept: 0,
                    reported: HashSet::new(),
                    instances: HashMap::new(),
                    changed: false,
                })
            })
            .optional()?;
        let Some(mut source) = found else { return Ok(None) };
        source.reported = connection
            .prepare_cached("SELECT category FROM reported WHERE source = ?1")?
            .query_map([source.id], |row| row.get(0).map(|Column(category)| category))?
            .collect::<rusqlite::Result<_>>()?;
        let mut statement = connection.prepare_cached("SELECT id, last FROM instances WHERE source = ?1")?;
        let mut rows = statement.query([source.id])?;
        while let Some(row) = rows.next()? {
            let IdText(instance) = row.get(0)?;
            let last = row.get(1)?;
            source
                .instances
                .insert(instance, Instance { last, changed: false });
        }
        Ok(Some(source))
    }

    /// Writes the row of a source that delivers for the first time.
    pub(super) fn begin(
        connection: &Connection,
        registry: i64,
        name: &str,
        received: i64,
    ) -> rusqlite::Result<Self> {
        let id = connection
            .prepare_cached(
                "INSERT INTO sources
                     (registry, name, since, last_delivery, stored, duplicates, ignored, quarantined)
                 VALUES (?1, ?2, ?3, ?3, 0, 0, 0, 0)",
            )?
            .insert(params![registry, name, received])?;
        Ok(Self {
            id,
            last_delivery: received,
            last_event: None,
            stored: 0,
            duplicates: 0,
            ignored: 0,
            quarantined: 0,
            more_kept: 0,
            reported: HashSet::new(),
            instances: HashMap::new(),
            changed: false,
        })
    }

    /// Notes that a process reported; whether that opened a gap. A new one does where
    /// others came before: what they had queued in memory may be gone.
    ///
    /// The gap begins with the last delivery that named a process. One that names none (of
    /// blobs only) may already be the new one's.
    pub(super) fn seen(
        &mut self,
        connection: &Connection,
        process: &str,
        received: i64,
    ) -> rusqlite::Result<bool> {
        if let Some(instance) = self.instances.get_mut(process) {
            instance.last = instance.last.max(received);
            instance.changed = true;
            return Ok(false);
        }
        let before = self.instances.values().map(|instance| instance.last).max();
        if self.instances.len() >= INSTANCES
            && let Some((oldest, _)) = self.instances.iter().min_by_key(|(_, instance)| instance.last)
        {
            let oldest = oldest.clone();
            connection
                .prepare_cached("DELETE FROM instances WHERE source = ?1 AND id = ?2")?
                .execute(params![self.id, Id(&oldest)])?;
            self.instances.remove(&oldest);
        }
        connection
            .prepare_cached("INSERT INTO instances (source, id, first, last) VALUES (?1, ?2, ?3, ?3)")?
            .execute(params![self.id, Id(process), received])?;
        let instance = Instance {
            last: received,
            changed: false,
        };
        self.instances.insert(process.to_owned(), instance);
        match before {
            Some(before) => {
                gaps::open(
                    connection,
                    self.id,
                    gaps::NEW_INSTANCE,
                    before.min(received),
                    received,
                )?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Notes that it brought an event of a category; whether that is the first one.
    pub(super) fn reports(
        &mut self,
        connection: &Connection,
        category: Category,
        received: i64,
    ) -> rusqlite::Result<bool> {
        if !self.reported.insert(category) {
            return Ok(false);
        }
        connection
            .prepare_cached("INSERT INTO reported (source, category, first) VALUES (?1, ?2, ?3)")?
            .execute(params![self.id, Column(category), received])?;
        Ok(true)
    }

    /// Notes a delivery.
    pub(super) fn delivered(
        &mut self,
        received: i64,
        last_event: Option<i64>,
        appended: &Appended,
        ignored: i64,
        quarantined: bool,
    ) {
        self.last_delivery = self.last_delivery.max(received);
        self.last_event = self.last_event.max(last_event);
        self.stored += appended.stored;
        self.more_kept += appended.stored;
        self.duplicates += appended.duplicates;
        self.ignored += ignored;
        self.quarantined += i64::from(quarantined);
        self.changed = true;
    }

    /// Writes what was noted since the last time.
    pub(super) fn save(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        connection
            .prepare_cached(
                "UPDATE sources SET last_delivery = ?2, last_event = ?3, stored = ?4, duplicates = ?5,
                     ignored = ?6, quarantined = ?7, kept = kept + ?8
                 WHERE id = ?1",
            )?
            .execute(params![
                self.id,
                self.last_delivery,
                self.last_event,
                self.stored,
                self.duplicates,
                self.ignored,
                self.quarantined,
                std::mem::take(&mut self.more_kept)
            ])?;
        let mut update =
            connection.prepare_cached("UPDATE instances SET last = ?3 WHERE source = ?1 AND id = ?2")?;
        for (process, instance) in &mut self.instances {
            if std::mem::take(&mut instance.changed) {
                update.execute(params![self.id, Id(process), instance.last])?;
            }
        }
        Ok(())
    }
}
