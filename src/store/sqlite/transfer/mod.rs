//! The file read and written as records, beside or instead of a running store.

mod read;
mod write;

pub use read::SqliteReader;
pub use write::SqliteWriter;
