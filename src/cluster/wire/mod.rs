//! From bytes to the slim model, in both formats that API servers speak. Nothing
//! of an object is decoded but what is read.

mod fields;
mod json;
mod protobuf;

use std::{borrow::Cow, time::Duration};

use thiserror::Error;

use super::{
    Kind,
    model::{Meta, Object},
};

/// The encoding of a response's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Protobuf,
    Json,
}

/// The bytes are not what the format demands. Says no more: they are the remote's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to decode what the API server sent")]
pub struct Malformed;

/// One event of a watch stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Added or modified: what it is now.
    Applied(Object<'a>),
    Deleted(Meta<'a>),
    /// All changes up to this version were sent.
    Bookmark {
        resource_version: Cow<'a, str>,
        /// The initial list ends here (annotation `k8s.io/initial-events-end`).
        initial_end: bool,
    },
    Failed(Failure),
    /// A type this version does not know.
    Unknown,
}

/// What a `Status` object says about a failure, less its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status code; 0 where it is absent.
    pub code: u16,
    pub retry_after: Option<Duration>,
}

/// What a page of a list says beside its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageEnd {
    pub resource_version: String,
    /// Token of the next page; `None` on the last.
    pub next: Option<String>,
}

/// Decodes one frame (protobuf) or line (JSON) of a watch stream.
pub fn event(format: Format, kind: Kind, frame: &[u8]) -> Result<Event<'_>, Malformed> {
    match format {
        Format::Protobuf => protobuf::event(kind, frame),
        Format::Json => json::event(kind, frame),
    }
}

/// Decodes one page of a list and hands each object to `each`.
pub fn page<'a>(
    format: Format,
    kind: Kind,
    body: &'a [u8],
    each: &mut dyn FnMut(Object<'a>),
) -> Result<PageEnd, Malformed> {
    match format {
        Format::Protobuf => protobuf::page(kind, body, each),
        Format::Json => json::page(kind, body, each),
    }
}

/// Phases in which no container of a pod will run again.
fn is_finished_phase(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// Conditions that say a Job has ended.
fn is_finished_condition(condition: &str) -> bool {
    matches!(condition, "Complete" | "Failed")
}

const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

#[cfg(test)]
mod tests;
