//! Speaking to an API server.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use image_usage_operator::cluster::{Kubeconfig, Timeouts};
use kube::{Client, Config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn config(kubeconfig: &Path) -> Result<Config> {
    let kubeconfig = Kubeconfig::from_kubeconfig(&fs::read(kubeconfig)?)?;
    Ok(kubeconfig.into_config(Timeouts {
        connect: CONNECT_TIMEOUT,
        read: None,
        write: CONNECT_TIMEOUT,
    }))
}

/// For filling a cluster and looking at it.
pub(crate) fn client(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(config(kubeconfig)?)?)
}
