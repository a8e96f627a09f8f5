//! Reading a cluster: credentials and connection, the slim wire types, the streams and
//! the watch that keeps them going, and the inventory that they fill.
//!
//! ```text
//! kubeconfig -> guard -> session (who it is, what it lets us read, how it fares)
//!                          |
//!   stream (bytes) -> wire (protobuf or JSON) -> model (slim objects) -> inventory
//!      ^ watch: what to ask for next, after what went before
//! ```

pub(crate) mod guard;
pub mod inventory;
mod kind;
pub mod kubeconfig;
pub mod model;
mod probe;
mod session;
mod stream;
pub mod watch;
pub mod wire;

pub use guard::{
    ClientError, Guard, Resolver, Rules, guarded_client, reason as failure_reason, reason_of_code,
};
pub use inventory::{Inventory, Lifecycle, SharedInventory, Touched, Usage, WorkloadUse};
pub use kind::{CustomKind, InvalidCustomKind, Kind};
pub use kubeconfig::{Credentials, Kubeconfig, KubeconfigError, Timeouts, Validity};
pub use model::ContainerType;
pub use probe::{ClusterIdentity, Permission, Rights};
pub use session::{Access, CLUSTER_CHANGED, Progress, Session, SessionEvents, SessionOptions, SessionState};
pub use stream::{Limits, StreamError};
pub use watch::{ClusterState, Target, TouchSink};
