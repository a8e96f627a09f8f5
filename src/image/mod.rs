//! What an image is called and which content runs: references, digests, the
//! identifiers container runtimes report.
//!
//! Knows no Kubernetes and no HTTP.

mod digest;
mod endpoint;
mod grammar;
mod reference;
mod running;
mod text;

pub use digest::{Digest, DigestError};
pub use endpoint::{Endpoint, Endpoints, is_prefix};
pub use reference::{MAX_REFERENCE_BYTES, Reference, ReferenceError, RepositoryName};
pub use running::{RunningDigest, RunningForm};
