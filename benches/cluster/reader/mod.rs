//! Ways of reading a cluster. Each is measured in a fresh process, so that none inherits
//! another's memory.

mod client;
mod decode;
mod inventory;
mod raw;
mod reflector;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::ValueEnum;
use image_usage_operator::cluster::wire::Format;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use local_cluster::Access;
use serde::{Deserialize, Serialize};

pub(crate) use client::operators_client;
pub(crate) use decode::decode;

use crate::{ground, process::Process};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reader {
    /// The protobuf streams of all kinds, walked frame by frame and thrown away.
    RawProtobuf,
    /// The operator's own watch into its inventory.
    Inventory,
    /// The operator itself: from the start of its process until its status says Synced.
    Operator,
    /// The JSON streams of all kinds, walked line by line and thrown away.
    RawJson,
    /// kube-runtime's reflector of pods of which only the needed fields are kept.
    SlimReflector,
    /// kube-runtime's reflector of whole pods.
    FullReflector,
}

impl Reader {
    /// In the order in which each round measures them.
    pub(crate) const ALL: [Self; 6] = [
        Self::RawProtobuf,
        Self::Inventory,
        Self::Operator,
        Self::RawJson,
        Self::SlimReflector,
        Self::FullReflector,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::RawProtobuf => "raw protobuf streams",
            Self::Inventory => "the operator's watch and inventory",
            Self::Operator => "the operator, from its start",
            Self::RawJson => "raw JSON streams",
            Self::SlimReflector => "kube reflector, slim pods",
            Self::FullReflector => "kube reflector, whole pods",
        }
    }

    /// Those that are there for comparison take longer and need fewer rounds.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::RawJson | Self::SlimReflector | Self::FullReflector)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
    /// Growth of resident memory, from before the first stream until after the last object.
    pub(crate) grown: u64,
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) pods: u64,
    /// The inventory's own estimate, in bytes; 0 where there is none.
    pub(crate) estimate: u64,
}

struct Clock {
    begun: Instant,
    processor: Duration,
    resident: u64,
}

impl Clock {
    /// After one request, so that connecting and the first TLS session are not measured.
    async fn start(client: &Client) -> Result<Self> {
        client.apiserver_version().await?;
        let this = Process::this();
        Ok(Self {
            processor: this.processor_time()?,
            resident: this.resident()?,
            begun: Instant::now(),
        })
    }

    fn stop(self, pods: u64, estimate: u64) -> Result<Measured> {
        let wall = self.begun.elapsed();
        let this = Process::this();
        let resident = this.resident()?;
        Ok(Measured {
            wall,
            processor: this.processor_time()?.saturating_sub(self.processor),
            grown: resident.saturating_sub(self.resident),
            resident,
            peak: this.resident_peak()?,
            pods,
            estimate,
        })
    }
}

/// Measures in this process.
pub(crate) async fn here(reader: Reader, client: &Client) -> Result<Measured> {
    match reader {
        Reader::RawProtobuf => raw::read(client, Format::Protobuf).await,
        Reader::RawJson => raw::read(client, Format::Json).await,
        Reader::Inventory => inventory::read(client).await,
        Reader::SlimReflector => reflector::read::<reflector::SlimPod>(client).await,
        Reader::FullReflector => reflector::read::<Pod>(client).await,
        Reader::Operator => bail!("the operator is a process of its own"),
    }
}

/// Measures in a process of its own.
pub(crate) fn in_own_process(reader: Reader, cluster: &Access) -> Result<Measured> {
    let name = reader
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    let output = Command::new(std::env::current_exe()?)
        .args(["once", &name.unwrap_or_default()])
        .env(ground::KUBECONFIG, cluster.kubeconfig_path())
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
