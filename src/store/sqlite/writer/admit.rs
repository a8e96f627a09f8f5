//! Which of the waiting deliveries are taken, and what becomes of the others.

use rusqlite::{OptionalExtension, TransactionBehavior};
use tracing::warn;

use super::{super::gaps, Waiting, Writer};
use crate::store::{RegistryKey, StoreError, accounts::Pending, batch::Batch, room::UNIT};

impl Writer {
    /// Answers those that are not taken now; the others have to be written.
    pub(super) fn admit(&mut self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let mut pending = Pending::new();
        let mut admitted = Vec::with_capacity(waiting.len());
        for mut one in waiting {
            let Batch {
                registry,
                source,
                events,
                ..
            } = &one.batch;
            let bytes = one.room.num_permits() * UNIT;
            match self.gate.admit(registry, events.len(), bytes, &mut pending) {
                Ok(()) => {
                    if one.batch.replays.is_none() {
                        one.batch.refused_since = self.gate.refused_since(registry, source);
                    }
                    admitted.push(one);
                }
                Err(error) => self.refuse(one, error),
            }
        }
        admitted
    }

    /// Tells the sender that its delivery is not taken. The first time, the gap that this
    /// opens is written at once where that is possible: it outlives a crash.
    pub(super) fn refuse(&mut self, waiting: Waiting, error: StoreError) {
        let Waiting { batch, reply, room } = waiting;
        drop(room);
        let is_news =
            batch.replays.is_none() && self.gate.refused(&batch.registry, &batch.source, batch.received);
        if is_news {
            let key = &batch.registry;
            warn!(namespace = key.namespace, registry = key.name, source = batch.source, %error, "events are refused");
            self.mark_refused();
            if self.unmarked {
                (self.on_change)(&batch.registry, &[]);
            }
        }
        let _ = reply.send(Err(error));
    }

    /// Writes the gaps that refusals opened and that are not written yet, and tells of them. Where that fails it is
    /// tried again.
    pub(super) fn mark_refused(&mut self) {
        let refused = self.gate.unwritten();
        if let Err(error) = self.mark(&refused) {
            if !std::mem::replace(&mut self.unmarked, true) {
                warn!(%error, "failed to note that events are refused: trying again, a crash would lose it");
            }
            return;
        }
        self.unmarked = false;
        for (registry, source, _) in refused {
            self.gate.written(&registry, &source);
            (self.on_change)(&registry, &[]);
        }
    }

    /// A source that never delivered has no coverage that could have a gap.
    fn mark(&mut self, refused: &[(RegistryKey, String, i64)]) -> rusqlite::Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (RegistryKey { namespace, name, uid }, source, since) in refused {
            let source: Option<i64> = transaction
                .prepare_cached(
                    "SELECT s.id FROM sources s JOIN registries g ON g.id = s.registry
                     WHERE g.namespace = ?1 AND g.name = ?2 AND g.uid = ?3 AND s.name = ?4",
                )?
                .query_row([namespace, name, uid, source], |row| row.get(0))
                .optional()?;
            if let Some(source) = source {
                gaps::open(&transaction, source, gaps::REFUSED, *since, *since)?;
            }
        }
        transaction.commit()
    }
}
