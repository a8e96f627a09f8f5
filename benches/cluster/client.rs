//! Speaking to an API server as the operator does.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use image_usage_operator::cluster::{Kubeconfig, Timeouts};
use kube::Client;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client as the operator's own are.
pub(crate) fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_kubeconfig(&fs::read(kubeconfig)?)?;
    Ok(Client::try_from(kubeconfig.into_config(Timeouts {
        connect: CONNECT_TIMEOUT,
        read: None,
        write: CONNECT_TIMEOUT,
    }))?)
}
