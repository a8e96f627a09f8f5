//! One page of a log, as far as it matters for what comes next.

use jiff::Timestamp;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::dialect::MAX_ENTRIES;

/// A page, in the order of the registry.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// Where the registry says that the next page is.
    pub(super) next: Option<String>,
}

/// One entry of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) text: &'a RawValue,
    /// As far as it can be read.
    pub(super) time: Option<Timestamp>,
}

/// Quotes nothing of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the answer is no page of a log")]
pub(super) struct NoPage;

impl From<serde_json::Error> for NoPage {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

impl<'a> Page<'a> {
    pub(super) fn new(
        rows: Vec<&'a RawValue>,
        next: Option<String>,
        time: impl Fn(&RawValue) -> Option<Timestamp>,
    ) -> Result<Self, NoPage> {
        if rows.len() > MAX_ENTRIES {
            return Err(NoPage);
        }
        let rows = rows
            .into_iter()
            .map(|text| Row {
                text,
                time: time(text),
            })
            .collect();
        Ok(Self { rows, next })
    }

    /// The time of its newest row.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.rows.iter().filter_map(|row| row.time).max()
    }
}

/// The beginning of the second.
pub(super) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::MIN)
}

/// A JSON list of rows.
pub(super) fn list(rows: &[Row<'_>]) -> String {
    let rows: Vec<&str> = rows.iter().map(|row| row.text.get()).collect();
    format!("[{}]", rows.join(","))
}
