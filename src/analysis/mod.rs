//! From evidence to an answer: pure functions on plain values.

mod coverage;
mod deployments;
mod events;
mod evidence;
mod fit;
mod history;
mod question;
mod report;
mod reporting;
#[cfg(test)]
mod tests;
mod verdict;

pub use coverage::{KIND_CLUSTER, withdrawn};
pub use deployments::{Match, Matched};
pub use events::KnownClients;
pub use evidence::{ClusterEvidence, ClusterState, EventEvidence, Evidence, RegistryEvidence};
pub use fit::{STATUS_BYTES, fit};
pub use history::TagHistory;
pub use question::{Filter, InvalidQuestion, LONGEST_WINDOW, Question, Range, Subject};
pub use report::{asks_for_past, report};
pub use reporting::{Reported, reported};
