//! From a store to a file, and from a file into a store, a part at a time.

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, Read, Write},
};

use thiserror::Error;

use super::{
    Record, TransferReader, TransferWriter, Written,
    line::{LineError, decode, encode},
};
use crate::store::{RegistryKey, StoreError};

/// Lines, and bytes, written in one step: bounds what a step holds, and what is done again after a crash.
const STEP_LINES: usize = 1_000;
const STEP_BYTES: u64 = 4 * 1024 * 1024;
/// A line is not longer than this: an event's body is at most a mebibyte.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// How the line of an event begins.
const EVENT: &str = "{\"event\":";

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
    #[error("line {0} names a source that no line before it tells of")]
    UnknownSource(u64),
    #[error(
        "the event of line {0} was not there: this store has not taken the file so far, skip fewer lines"
    )]
    NotTaken(u64),
    #[error("nothing is left after line {0}")]
    NothingLeft(u64),
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub lines: u64,
    pub bytes: u64,
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
            let mut line = encode(record).map_err(TransferError::Encode)?;
            line.push('\n');
            out.write_all(line.as_bytes()).map_err(TransferError::Output)?;
            progress.lines += 1;
            progress.bytes += line.len() as u64;
            progress.events += u64::from(matches!(record, Record::Event { .. }));
        }
        told(progress);
    }
}

/// Takes all lines of a file into a store, save the events among the first `skip` lines: an
/// earlier import has taken them, which is looked up for the last of these lines.
pub async fn import(
    input: &mut (dyn BufRead + Send),
    writer: &mut dyn TransferWriter,
    skip: u64,
    mut told: impl FnMut(Progress),
) -> Result<Progress, TransferError> {
    let mut lines = Lines {
        input,
        line: String::new(),
        number: 0,
        bytes: 0,
        skip,
        sources: HashMap::new(),
        ended: false,
    };
    let mut progress = Progress::default();
    loop {
        let (records, end) = lines.step();
        let last = records.is_empty();
        if !last {
            let Written { events, duplicates } = writer.write(records).await?;
            if lines.number <= skip && events > 0 {
                return Err(TransferError::NotTaken(lines.number));
            }
            progress.lines = lines.number;
            progress.bytes = lines.bytes;
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
    line: String,
    number: u64,
    bytes: u64,
    skip: u64,
    /// Those that lines told of.
    sources: HashMap<RegistryKey, HashSet<String>>,
    /// The last line said that it is the last.
    ended: bool,
}

impl Lines<'_> {
    /// Some records, and what keeps it from more. A step ends with the lines to skip.
    fn step(&mut self) -> (Vec<Record>, Result<(), TransferError>) {
        let mut records = Vec::new();
        let begin = self.bytes;
        while records.len() < STEP_LINES && self.bytes - begin < STEP_BYTES {
            match self.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break,
                Err(error) => return (records, Err(error)),
            }
            if self.number == self.skip {
                break;
            }
        }
        (records, Ok(()))
    }

    fn next(&mut self) -> Result<Option<Record>, TransferError> {
        while self.read()? {
            if self.number >= self.skip || self.number == 1 || !self.line.starts_with(EVENT) {
                return self.decode().map(Some);
            }
        }
        Ok(None)
    }

    /// Whether there is another line.
    fn read(&mut self) -> Result<bool, TransferError> {
        self.line.clear();
        let read = Read::take(&mut *self.input, LONGEST_LINE)
            .read_line(&mut self.line)
            .map_err(TransferError::Input)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.bytes += read as u64;
        if read as u64 >= LONGEST_LINE && !self.line.ends_with('\n') {
            return Err(TransferError::LineTooLong(self.number));
        }
        Ok(true)
    }

    fn decode(&mut self) -> Result<Record, TransferError> {
        let number = self.number;
        let whole = self.line.ends_with('\n');
        let record = match decode(self.line.trim_end_matches('\n')) {
            Ok(record) => record,
            Err(LineError::Malformed(_)) if !whole => return Err(TransferError::CutOff(number - 1)),
            Err(error) => return Err(TransferError::Line { number, error }),
        };
        if number == 1 && !matches!(record, Record::Header { .. }) {
            return Err(TransferError::NoHeader);
        }
        self.ended = matches!(record, Record::End);
        if self.ended && number <= self.skip {
            return Err(TransferError::NothingLeft(number));
        }
        self.look_up_source(&record)?;
        Ok(record)
    }

    fn look_up_source(&mut self, record: &Record) -> Result<(), TransferError> {
        if let Record::Source { registry, source, .. } = record {
            self.sources
                .entry(registry.clone())
                .or_default()
                .insert(source.clone());
        } else if let Some((registry, source)) = record.registry().zip(record.of_source()) {
            let is_known = self
                .sources
                .get(registry)
                .is_some_and(|sources| sources.contains(source));
            if !is_known {
                return Err(TransferError::UnknownSource(self.number));
            }
        }
        Ok(())
    }
}
