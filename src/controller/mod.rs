//! Reconciling the three kinds: load, decide (pure), apply.

mod cluster_authorization;
mod clusters;
mod grants;
mod image_registry;
mod image_usage_report;
mod kinds;
mod last_known;
mod listening;
mod registries;
mod retention;
mod scope;
mod secrets;
mod shelf;
mod status;
mod touch;
mod world;

pub use cluster_authorization::run as run_cluster_authorizations;
pub use clusters::Clusters;
pub use image_registry::{WEBHOOKS, run as run_image_registries};
pub use image_usage_report::WriteBudget;
pub use image_usage_report::run as run_image_usage_reports;
pub use last_known::run as keep_last_known;
pub use listening::run as run_listening;
pub use registries::Registries;
pub use retention::run as run_retention;
pub use touch::{Interests, ObjectKey, Touched};
pub use world::World;
