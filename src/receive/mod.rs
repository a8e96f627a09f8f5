//! The webhook server: registries deliver their events here. It authenticates before it reads a body, bounds
//! everything, and answers 2xx only after what it was told is durable.

mod directory;
mod handler;
mod metrics;
mod server;

pub use directory::{Directory, Source, SourcePath};
pub use handler::{MAX_BODY_BYTES, Receiver};
pub use metrics::ReceiveMetrics;
pub use server::serve;
