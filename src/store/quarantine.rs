//! Bodies that were put aside, and what becomes of them when they can be read.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::{Appended, Delivery, RegistryKey, StoreError};

/// A body that could not be read, kept for later, cut at the quarantine's limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quarantined {
    pub reason: &'static str,
    /// Name of the format that its source has.
    pub format: &'static str,
    /// What it came with that helps to read it; nothing that proves who sent it.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Why a message is put aside that holds no events: it asks people to open an address.
pub const CONFIRMATION_ASKED: &str = "ConfirmationAsked";

impl Quarantined {
    /// Whether events may be lost with it.
    pub(super) fn may_hold_events(&self) -> bool {
        self.reason != CONFIRMATION_ASKED
    }
}

/// A body in quarantine, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedBody {
    pub id: i64,
    pub registry: RegistryKey,
    pub source: String,
    pub received: Timestamp,
    /// Why it could not be read.
    pub reason: String,
    pub bytes: i64,
}

/// The same with what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyAside {
    pub of: QuarantinedBody,
    /// Absent of one that was put aside before formats were kept.
    pub format: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Gives bodies that were put aside another chance.
pub trait Quarantine: Send + Sync + 'static {
    /// Some of the bodies that may hold events, of those with a higher number than `after`, by their numbers; none
    /// where there are no more.
    fn aside(&self, after: i64) -> BoxFuture<'_, Result<Vec<BodyAside>, StoreError>>;
    /// Takes what a body turned out to say, as the delivery that it was, and the body out of quarantine, in one
    /// transaction. The gap that it opened ends with the last body of its time. It is refused as a delivery is, which
    /// is no gap; again, it changes nothing.
    fn replay(&self, body: i64, delivery: Delivery) -> BoxFuture<'_, Result<Appended, StoreError>>;
}
