pub mod analysis;
pub mod cluster;
pub mod crd;
pub mod event;
pub mod image;
pub mod settings;
pub mod store;
