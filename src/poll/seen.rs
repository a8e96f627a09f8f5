use std::collections::HashMap;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::page::Row;

/// Past this many rows the memory starts afresh: rows that come again are duplicates to the store then.
const MOST: usize = 50_000;

/// Rows that are stored and that the next round meets again: where there is nothing else, nothing is written.
#[derive(Debug, Default)]
pub(super) struct Seen(HashMap<Mark, Option<Timestamp>>);

/// The beginning of a row's hash.
type Mark = [u8; 16];

fn mark(row: &Row<'_>) -> Mark {
    let hash: [u8; 32] = Sha256::digest(row.text.get()).into();
    let mut mark = Mark::default();
    mark.iter_mut()
        .zip(hash)
        .for_each(|(byte, hashed)| *byte = hashed);
    mark
}

impl Seen {
    pub(super) fn has(&self, row: &Row<'_>) -> bool {
        self.0.contains_key(&mark(row))
    }

    pub(super) fn add(&mut self, rows: &[Row<'_>]) {
        if self.0.len() > MOST {
            self.0.clear();
        }
        self.0.extend(rows.iter().map(|row| (mark(row), row.time)));
    }

    /// No round asks for rows before this time again.
    pub(super) fn forget_before(&mut self, time: Timestamp) {
        self.0.retain(|_, of| of.is_none_or(|of| of >= time));
    }
}
