//! The clusters that are read: credentials and connection.

pub mod guard;
pub mod kubeconfig;
