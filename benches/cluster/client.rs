//! Speaking to an API server.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use image_usage_operator::cluster::{Guard, Kubeconfig, Rules, Timeouts, guarded_client};
use kube::{Client, Config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn config(kubeconfig: &Path) -> Result<Config> {
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

/// The operator's own for other clusters, which every reader is measured with.
pub(crate) fn operators_client(kubeconfig: &Path) -> Result<Client> {
    let guard = Guard::new(Rules {
        allowed: vec!["0.0.0.0/0".parse()?, "::/0".parse()?],
        ..Rules::default()
    });
    Ok(guarded_client(config(kubeconfig)?, &guard)?)
}
