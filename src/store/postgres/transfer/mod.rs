//! The database read and written as records: read beside running operators, written instead
//! of them.

mod events;
mod facts;
mod read;
mod uses;
mod write;

#[cfg(test)]
pub(super) use read::EVENTS;
pub use read::PostgresReader;
pub use write::PostgresWriter;
