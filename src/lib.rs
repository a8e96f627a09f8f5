//! Where an image runs, who pushed, pulled or deleted it, and whether it may be
//! deleted: the rooms of the operator. `docs/architecture.md` draws the flow.

pub mod analysis;
mod backoff;
pub mod cluster;
pub mod command;
mod controller;
pub mod crd;
pub mod dialect;
pub mod event;
pub mod image;
mod operator;
mod poll;
pub mod receive;
pub mod settings;
pub mod store;
mod telemetry;
mod web;

pub use operator::run;
