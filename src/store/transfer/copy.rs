//! From a store to a file, and from a file into a store, a part at a time.

use std::io::{self, BufRead, Read, Write};

use thiserror::Error;

use super::{
    Record, TransferReader, TransferWriter, Written,
    line::{LineError, decode, encode},
};
use crate::store::StoreError;

/// Lines written in one step: bounds what a step holds, and what is done again after a crash.
const STEP_LINES: usize = 1_000;
/// A line is not longer than this: an event's body is at most a mebibyte.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

#[derive(Debug, Error)]
pub enum TransferError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("failed to write the export: {0}")]
    Output(#[source] io::Error),
    #[error("failed to read the export: {0}")]
    Input(#[source] io::Error),
    #[error("failed to write a line: {0}")]
    Encode(#[source] LineError),
    #[error("line {number} cannot be taken, what came before it has been: {error}")]
    Line {
        number: u64,
        #[source]
        error: LineError,
    },
    #[error("line {0} is longer than 16 MiB: this is no export")]
    LineTooLong(u64),
    #[error("the first line does not say that this is an export")]
    NoHeader,
    #[error("the export was cut off after line {0}: what came before has been taken")]
    CutOff(u64),
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub lines: u64,
    pub events: u64,
    /// Events that were there before.
    pub duplicates: u64,
}

/// Writes all that the reader gives.
pub async fn export(
    reader: &mut dyn TransferReader,
    out: &mut (dyn Write + Send),
    mut told: impl FnMut(Progress),
) -> Result<Progress, TransferError> {
    let mut progress = Progress::default();
    loop {
        let records = reader.next().await?;
        if records.is_empty() {
            out.flush().map_err(TransferError::Output)?;
            return Ok(progress);
        }
        for record in &records {
            let line = encode(record).map_err(TransferError::Encode)?;
            out.write_all(line.as_bytes())
                .and_then(|()| out.write_all(b"\n"))
                .map_err(TransferError::Output)?;
            progress.lines += 1;
            progress.events += u64::from(matches!(record, Record::Event { .. }));
        }
        told(progress);
    }
}

/// Takes all lines of a file into a store.
pub async fn import(
    input: &mut (dyn BufRead + Send),
    writer: &mut dyn TransferWriter,
    mut told: impl FnMut(Progress),
) -> Result<Progress, TransferError> {
    let mut lines = Lines {
        input,
        number: 0,
        ended: false,
    };
    let mut progress = Progress::default();
    loop {
        let (records, end) = lines.step();
        let last = records.is_empty();
        if !last {
            let Written { events, duplicates } = writer.write(records).await?;
            progress.lines = lines.number;
            progress.events += events;
            progress.duplicates += duplicates;
            told(progress);
        }
        // What came before a line that cannot be taken has been taken.
        end?;
        if last {
            return if lines.ended {
                Ok(progress)
            } else {
                Err(TransferError::CutOff(lines.number))
            };
        }
    }
}

struct Lines<'a> {
    input: &'a mut (dyn BufRead + Send),
    number: u64,
    /// The last line said that it is the last.
    ended: bool,
}

impl Lines<'_> {
    /// Some records, and what keeps it from more.
    fn step(&mut self) -> (Vec<Record>, Result<(), TransferError>) {
        let mut records = Vec::new();
        while records.len() < STEP_LINES {
            match self.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(error) => return (records, Err(error)),
            }
        }
        (records, Ok(()))
    }

    fn next(&mut self) -> Result<Option<Record>, TransferError> {
        let mut line = String::new();
        let read = Read::take(&mut *self.input, LONGEST_LINE)
            .read_line(&mut line)
            .map_err(TransferError::Input)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        let whole = line.ends_with('\n');
        if !whole && line.len() as u64 >= LONGEST_LINE {
            return Err(TransferError::LineTooLong(number));
        }
        let record = match decode(line.trim_end_matches('\n')) {
            Ok(record) => record,
            Err(LineError::Malformed(_)) if !whole => return Err(TransferError::CutOff(number - 1)),
            Err(error) => return Err(TransferError::Line { number, error }),
        };
        if number == 1 && !matches!(record, Record::Header { .. }) {
            return Err(TransferError::NoHeader);
        }
        self.ended = matches!(record, Record::End);
        Ok(Some(record))
    }
}
