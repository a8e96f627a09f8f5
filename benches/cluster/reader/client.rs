use std::path::Path;

use anyhow::Result;
use image_usage_operator::cluster::{Guard, Rules, guarded_client};
use kube::Client;

use crate::client::config;

/// The operator's own for other clusters, which every reader is measured with.
pub(crate) fn operators_client(kubeconfig: &Path) -> Result<Client> {
    let guard = Guard::new(Rules {
        allowed: vec!["0.0.0.0/0".parse()?, "::/0".parse()?],
        ..Rules::default()
    });
    Ok(guarded_client(config(kubeconfig)?, &guard)?)
}
