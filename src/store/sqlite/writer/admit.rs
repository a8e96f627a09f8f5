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
                    one.batch.refused_since = self.gate.refused_since(registry, source);
                    admitted.push(one);
                }
                Err(refusing) => self.refuse(one, refusing.into()),
            }
        }
        admitted
    }

    /// Tells the sender that its delivery is not taken. The first time, the gap that this
    /// opens is written at once where that is possible: it outlives a crash.
    pub(super) fn refuse(&mut self, waiting: Waiting, error: StoreError) {
        let Waiting { batch, reply, room } = waiting;
        drop(room);
        let is_news = self.gate.refused(&batch.registry, &batch.source, batch.received);
        if is_news {
            let key = &batch.registry;
            warn!(namespace = key.namespace, registry = key.name, source = batch.source, %error, "events are refused");
            if let Err(error) = self.mark_refused(&batch) {
                warn!(%error, "failed to note that events are refused: a crash would lose it");
            }
        }
        let _ = reply.send(Err(error));
        if is_news {
            (self.on_change)(&batch.registry, &[]);
        }
    }

    /// A source that never delivered has no coverage that could have a gap.
    fn mark_refused(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let RegistryKey { namespace, name, uid } = &batch.registry;
        let source: Option<i64> = transaction
            .prepare_cached(
                "SELECT s.id FROM sources s JOIN registries g ON g.id = s.registry
                 WHERE g.namespace = ?1 AND g.name = ?2 AND g.uid = ?3 AND s.name = ?4",
            )?
            .query_row([namespace, name, uid, &batch.source], |row| row.get(0))
            .optional()?;
        if let Some(source) = source {
            gaps::open(
                &transaction,
                source,
                gaps::REFUSED,
                batch.received,
                batch.received,
            )?;
        }
        transaction.commit()
    }
}
