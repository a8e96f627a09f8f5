//! Carries what a store holds to a file and into another store. The form belongs to this
//! room (`docs/operation.md` describes it), as do the traits that stores read and write it by.

mod copy;
mod event_line;
mod form;
mod line;
mod parts;
mod scope;
#[cfg(test)]
mod tests;
mod text;

use futures::future::BoxFuture;

use super::StoreError;

pub use copy::{Progress, TransferError, export, import};
pub use form::{FORM, Fact, Record, VERSION};
pub use line::{LineError, decode, encode};
pub(super) use parts::{Parts, Reading, Stop, parts};
pub(super) use scope::Events;
pub use scope::{EventKey, Scope};

/// Gives what a store holds, as it was when the reading began.
pub trait TransferReader: Send {
    /// The next part, in the order of the form; nothing at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Record>, StoreError>>;
}

/// What a store took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Events that are new.
    pub events: u64,
    /// Events that were there.
    pub duplicates: u64,
}

/// Takes records in the order of the form. What is there already is left as it is, so
/// that the same records again change nothing.
pub trait TransferWriter: Send {
    /// Resolves once they are durable, and what clients did is made of the events among them.
    fn write(&mut self, records: Vec<Record>) -> BoxFuture<'_, Result<Written, StoreError>>;
}
