//! Reading a cluster: credentials and connection, the slim wire types, the streams and
//! the watch that keeps them going, and the inventory that they fill.
//!
//! ```text
//! kubeconfig -> guard -> session (connects, checks rights, reports state)
//!                          |
//!   stream (bytes) -> wire (protobuf or JSON) -> model (slim objects) -> inventory
//!      ^ watch: what to ask for next, after what went before
//! ```

mod guard;
pub mod inventory;
mod kind;
mod kubeconfig;
pub mod model;
pub mod stream;
pub mod watch;
pub mod wire;

pub use guard::{ADDRESS_NOT_ALLOWED, ClientError, Guard, Rules, guarded_client, is_address_not_allowed};
pub use inventory::{Inventory, Lifecycle, SharedInventory, Touched, Usage, WorkloadUse};
pub use kind::Kind;
pub use kubeconfig::{Credentials, Kubeconfig, KubeconfigError, Timeouts};
pub use model::ContainerType;
pub use stream::Limits;
pub use watch::{ClusterState, KindState, Phase, Target, TouchSink};
