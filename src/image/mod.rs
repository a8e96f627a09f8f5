//! What an image is called and which content runs: references, digests, the
//! identifiers container runtimes report.
//!
//! Knows no Kubernetes and no HTTP.

mod digest;
mod reference;
mod running;

pub use digest::{Digest, DigestError};
pub use reference::{Reference, ReferenceError, RepositoryName};
pub use running::{RunningDigest, RunningForm};
