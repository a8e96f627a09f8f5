//! Where an image runs, who pushed, pulled or deleted it, and whether it may be
//! deleted: the rooms of the operator. `docs/architecture.md` draws the flow.

pub mod analysis;
pub mod cluster;
pub mod crd;
pub mod dialect;
pub mod event;
pub mod image;
pub mod settings;
pub mod store;
