//! Which buckets have changed since they were looked at: whatever changes a logical event says
//! so here, in its transaction, and what was counted of its buckets counts no more.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::values::Column;
use crate::store::bucket::{Bucket, Level};

/// Past this many quarters of an hour the memory starts afresh: a source may invent times.
const MOST: usize = 10_000;

/// The writer's memory of the table `open_buckets`, so that a change in a bucket that is open
/// already costs nothing. Forget it after a rollback: what was written is not there.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The number of the last change in each quarter of an hour of a repository of which all
    /// buckets are known to be open.
    quarters: BTreeMap<(i64, i64), u64>,
    changes: u64,
    /// Of what had happened by this change, nothing is remembered.
    forgotten: u64,
}

/// A bucket to look at, and the last change before it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) repository: i64,
    pub(super) bucket: Bucket,
    seen: u64,
}

impl Opened {
    /// Opens the buckets of this time.
    pub(super) fn change(
        &mut self,
        connection: &Connection,
        repository: i64,
        time: i64,
    ) -> rusqlite::Result<()> {
        let Some(quarter) = Bucket::of(Level::Quarter, time) else {
            return Ok(());
        };
        self.changes += 1;
        let key = (repository, quarter.start);
        if self.quarters.insert(key, self.changes).is_some() {
            return Ok(());
        }
        let mut unseal = connection.prepare_cached(UNSEAL)?;
        let mut open = connection.prepare_cached(
            "INSERT INTO open_buckets (repository, level, start) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        for Bucket { level, start } in Level::ALL.into_iter().filter_map(|level| Bucket::of(level, time)) {
            let key = params![repository, Column(level), start];
            unseal.execute(key)?;
            open.execute(key)?;
        }
        if self.quarters.len() > MOST {
            self.forget();
        }
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.quarters.clear();
        self.forgotten = self.changes;
    }

    /// A bucket that is open in the file, as of now.
    pub(super) fn candidate(&self, repository: i64, bucket: Bucket) -> Candidate {
        Candidate {
            repository,
            bucket,
            seen: self.changes,
        }
    }

    /// Whether no event of the bucket can have changed since it became a candidate.
    fn is_unchanged(&self, candidate: &Candidate) -> bool {
        self.forgotten <= candidate.seen
            && self
                .in_bucket(candidate)
                .all(|(_, &change)| change <= candidate.seen)
    }

    /// Closes what was looked at: the next change in it opens it again. Does nothing, and says so,
    /// where it has changed meanwhile.
    pub(super) fn close(&mut self, connection: &Connection, candidate: &Candidate) -> rusqlite::Result<bool> {
        if !self.is_unchanged(candidate) {
            return Ok(false);
        }
        let Candidate {
            repository,
            bucket: Bucket { level, start },
            seen: _,
        } = *candidate;
        connection
            .prepare_cached("DELETE FROM open_buckets WHERE repository = ?1 AND level = ?2 AND start = ?3")?
            .execute(params![repository, Column(level), start])?;
        let closed: Vec<(i64, i64)> = self.in_bucket(candidate).map(|(&key, _)| key).collect();
        for key in closed {
            self.quarters.remove(&key);
        }
        Ok(true)
    }

    fn in_bucket(&self, candidate: &Candidate) -> impl Iterator<Item = (&(i64, i64), &u64)> {
        let span = candidate.bucket.span();
        self.quarters
            .range((candidate.repository, span.start)..(candidate.repository, span.end))
    }
}

pub(super) const UNSEAL: &str =
    "UPDATE sealed SET whole = 0 WHERE repository = ?1 AND level = ?2 AND start = ?3 AND whole = 1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    fn open_buckets(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM open_buckets", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_bucket_closes_unless_it_changed_after_it_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&folder.path().join("events.db")).unwrap();
        let mut opened = Opened::default();
        let (repository, time) = (1, 7 * Level::Day.width() + 5);
        let hour = Bucket::of(Level::Hour, time).unwrap();
        opened.change(&connection, repository, time).unwrap();
        assert_eq!(open_buckets(&connection), 3, "one of each level");

        let looked_at = opened.candidate(repository, hour);
        opened
            .change(&connection, repository, time + Level::Quarter.width())
            .unwrap();
        assert!(!opened.close(&connection, &looked_at).unwrap());
        let again = opened.candidate(repository, hour);
        for elsewhere in [time + Level::Hour.width(), time - Level::Hour.width()] {
            opened.change(&connection, repository, elsewhere).unwrap();
        }
        opened.change(&connection, 2, time).unwrap();
        assert!(opened.close(&connection, &again).unwrap());

        // It is open again after the next change, though its quarters were open all the time.
        let before = open_buckets(&connection);
        opened.change(&connection, repository, time).unwrap();
        assert_eq!(open_buckets(&connection), before + 1);

        let forgotten = opened.candidate(repository, hour);
        opened.change(&connection, repository, time).unwrap();
        opened.forget();
        assert!(
            !opened.close(&connection, &forgotten).unwrap(),
            "what is not remembered may have changed"
        );
    }

    #[test]
    fn the_memory_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&folder.path().join("events.db")).unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        let mut opened = Opened::default();
        let quarters = i64::try_from(MOST).unwrap() + 5;
        for quarter in 0..quarters {
            opened
                .change(&transaction, 1, quarter * Level::Quarter.width())
                .unwrap();
        }
        assert!(opened.quarters.len() <= 5, "{}", opened.quarters.len());
    }
}
