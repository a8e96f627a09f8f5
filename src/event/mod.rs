//! Registry events: the one record every source produces, the client address
//! and its network, and the linker that makes logical events of raw ones.
//!
//! Knows no Kubernetes and no HTTP.

pub mod clauses;
mod client;
#[cfg(test)]
pub(crate) mod fixture;
pub mod link;
mod logical;
pub mod pointer;
mod record;
pub mod time;

pub use client::{
    Client, ClientRole, ForwardedAddress, Network, NetworkError, NetworkType, PRIVATE_CIDRS, client_ranges,
};
pub use logical::{Attribution, LogicalCategory, LogicalEvent};
pub use record::{
    AddressSource, Category, DeleteTarget, RegistryEvent, SourceAddress, StoredEvent, TimeSource,
};
