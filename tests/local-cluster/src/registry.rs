//! Image registries that report what happens in them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::access::Access;
use crate::process::Program;

/// Which registry program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryVersion {
    /// CNCF distribution v3, built from Go.
    V3,
    /// distribution v2, Debian's `docker-registry`.
    V2,
}

impl RegistryVersion {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::V3 => "registry",
            Self::V2 => "docker-registry",
        }
    }
}

/// A registry of the cluster. It serves plain http and allows deletes.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) name: String,
    pub(crate) version: RegistryVersion,
    pub(crate) endpoints: Vec<NotificationEndpoint>,
}

impl Registry {
    /// CNCF distribution v3.
    #[must_use]
    pub fn v3(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: RegistryVersion::V3,
            endpoints: Vec::new(),
        }
    }

    /// distribution v2.
    #[must_use]
    pub fn v2(name: &str) -> Self {
        Self {
            version: RegistryVersion::V2,
            ..Self::v3(name)
        }
    }

    /// Sends notifications there. May be called several times.
    #[must_use]
    pub fn notify(mut self, endpoint: NotificationEndpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }
}

/// Where a registry sends its notifications.
#[derive(Clone, Debug, Serialize)]
pub struct NotificationEndpoint {
    /// As distribution's own log and metrics call it.
    pub name: String,
    /// `{webhook-address}` in it stands for [`Network::webhook_address`], which is
    /// not known before the cluster is.
    ///
    /// [`Network::webhook_address`]: crate::Network::webhook_address
    pub url: String,
    /// The registry sends every value under its name.
    pub headers: std::collections::BTreeMap<String, Vec<String>>,
    /// As distribution writes durations, such as `1s`.
    pub timeout: String,
    /// Failures in a row after which it pauses.
    pub threshold: u32,
    /// How long it pauses.
    pub backoff: String,
}

impl NotificationEndpoint {
    /// An endpoint with the timeouts that distribution's own documentation shows.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            headers: std::collections::BTreeMap::new(),
            timeout: "1s".to_owned(),
            threshold: 10,
            backoff: "1s".to_owned(),
        }
    }

    /// Sends this header, too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .entry(name.to_owned())
            .or_default()
            .push(value.to_owned());
        self
    }

    /// Sends `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }
}

/// The program and its configuration file, for a registry that listens on `host`.
pub(crate) fn program(access: &Access, registry: &Registry, host: &str) -> Result<Program> {
    let config = write_config(access, registry, host)?;
    let path = access.programs.path(registry.version.program());
    let program = Program::new(&registry.name, path)
        .arg("serve")
        .arg(config.display().to_string());
    // It traces to an address of its own choosing unless told not to.
    Ok(program.env("OTEL_TRACES_EXPORTER", "none"))
}

/// Writes the registry's configuration. JSON, which is YAML too.
pub(crate) fn write_config(access: &Access, registry: &Registry, host: &str) -> Result<PathBuf> {
    let webhook = access.network.webhook_address().to_string();
    let mut endpoints = registry.endpoints.clone();
    for endpoint in &mut endpoints {
        endpoint.url = endpoint.url.replace("{webhook-address}", &webhook);
    }
    let config = serde_json::json!({
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": access.folder.join("data").join(&registry.name)},
            "delete": {"enabled": true},
        },
        "http": {"addr": host},
        "notifications": {"endpoints": endpoints},
    });
    let path = access.folder.join(format!("{}.registry.json", registry.name));
    std::fs::write(&path, format!("{config:#}\n"))
        .with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}
