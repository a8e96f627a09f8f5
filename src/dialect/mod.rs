//! One file for each kind of registry: what it sends, read into the one record that
//! all sources produce. Pure functions of headers and body.
//!
//! What a message is not about (blobs, scans, pings, kinds not known yet) is ignored
//! and counted, never an error: some registries stop sending, or send the same again
//! for ever, when they are refused. Only a body that cannot be read at all is an error.

mod distribution;
mod fields;
mod json;

use http::HeaderMap;
use thiserror::Error;

use crate::event::RegistryEvent;

/// The most entries one body may bring.
pub const MAX_ENTRIES: usize = 10_000;

/// How deep objects and arrays may lie in each other.
pub const MAX_DEPTH: usize = 32;

/// What a source sends. One variant for each supported registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// CNCF distribution, versions 2 and 3, and registries that send the same.
    Distribution,
}

/// What one body brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the body.
    pub events: Vec<RegistryEvent>,
    /// Entries that are no image events, or that could not be read among others that could.
    pub ignored: i64,
}

/// Why a body could not be read. Quotes nothing of it: it may hold a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialectError {
    #[error("failed to read the body as JSON, at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("failed to read the body: it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("failed to read the body: it has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    #[error("failed to read the body: {0}")]
    UnexpectedShape(&'static str),
}

impl DialectError {
    /// For quarantine, metrics and status.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "NotJSON",
            Self::TooDeep => "TooDeep",
            Self::TooManyEntries => "TooManyEntries",
            Self::UnexpectedShape(_) => "UnexpectedShape",
        }
    }
}

impl Format {
    /// Reads one delivery. The caller bounds the size of the body.
    pub fn parse(self, headers: &HeaderMap, body: &[u8]) -> Result<Parsed, DialectError> {
        match self {
            Self::Distribution => distribution::parse(headers, body),
        }
    }
}
