//! The webhook server: registries deliver their events here. It authenticates before it reads a body, bounds
//! everything, and answers 2xx only after what it was told is durable.

mod authentication;
mod body;
mod directory;
mod handler;
mod handshake;
mod limits;
mod metrics;
mod rate;
mod refusal;
mod remote;
mod server;
#[cfg(test)]
mod tests;
mod tls;

pub use authentication::{
    Authentication, Certificate, CertificateError, Claim, HmacAlgorithm, KeySet, KeySetError, Keys, Method,
    SHORTEST_SECRET, TokenRules, TopicCertificates, TopicRules, topic_host,
};
pub use body::MAX_BODY_BYTES;
pub use directory::{Directory, Source, SourcePath};
pub use handler::{QUARANTINED_BYTES, Receiver};
pub use limits::Limits;
pub use metrics::ReceiveMetrics;
pub use rate::Rate;
pub use remote::{FetchHost, FetchedKeys, Fetcher, InvalidFetchHost, KeysState, Remote};
pub use server::serve;
pub use tls::{Tls, TlsError};
