//! Reading a cluster: the slim wire types, the streams and the watch that keeps them
//! going, and the inventory that they fill.
//!
//! ```text
//! stream (bytes) -> wire (protobuf or JSON) -> model (slim objects) -> inventory
//!    ^ watch: what to ask for next, after what went before
//! ```

pub mod inventory;
mod kind;
pub mod model;
pub mod stream;
pub mod watch;
pub mod wire;

pub use inventory::{Inventory, Lifecycle, SharedInventory, Touched, Usage, WorkloadUse};
pub use kind::Kind;
pub use model::ContainerType;
pub use stream::Limits;
pub use watch::{ClusterState, KindState, Phase, Target, TouchSink};
