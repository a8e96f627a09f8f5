//! What one can do with a running cluster, from any process that knows where it is.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::namespace::Namespace;
use crate::network::Network;
use crate::pki::{Authority, KeyedCertificate};
use crate::programs::Programs;
use crate::public_client::PublicClient;

/// Who a kubeconfig speaks for.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A bearer token.
    Token(String),
    /// A client certificate, as of [`Access::client_certificate`].
    Certificate(KeyedCertificate),
}

/// A registry of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RegistryAddress {
    pub(crate) name: String,
    /// `address:port`
    pub(crate) host: String,
}

/// A running cluster, as plain data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Access {
    pub(crate) folder: PathBuf,
    pub(crate) network: Network,
    pub(crate) namespace: Namespace,
    pub(crate) authority: Authority,
    pub(crate) admin_token: String,
    pub(crate) api_port: u16,
    pub(crate) registries: Vec<RegistryAddress>,
    pub(crate) system_registry: Option<String>,
    pub(crate) programs: Programs,
}

impl Access {
    /// The cluster's folder. It ends with the cluster, unless that failed.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder
    }

    /// Addresses and ranges.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The address of the API server and the registries, also the node's own.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.network.inner
    }

    /// Where the API server is.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("https://{}:{}", self.network.inner, self.api_port)
    }

    /// Certificate authority of the API server.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority.ca.certificate
    }

    /// A bearer token of the group `system:masters`.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// Text of a kubeconfig for somebody else, everything in it inline.
    #[must_use]
    pub fn kubeconfig(&self, credentials: &Credentials) -> String {
        kubeconfig(&self.api_url(), self.ca_pem(), credentials)
    }

    /// A client certificate that the API server takes for this user.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn client_certificate(&self, user: &str, group: Option<&str>) -> Result<KeyedCertificate> {
        self.authority.client(user, group)
    }

    /// A token of a service account, and a kubeconfig around it.
    ///
    /// # Errors
    /// When the account is not there.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String> {
        let token = self
            .kubectl(&["create", "token", name, "--namespace", namespace])
            .await?;
        Ok(self.kubeconfig(&Credentials::Token(token.trim().to_owned())))
    }

    /// `address:port` of the first registry, as clients and the node reach it.
    ///
    /// # Panics
    /// When the cluster was built without a registry.
    #[must_use]
    pub fn registry_host(&self) -> &str {
        self.first_registry_host()
            .expect("the cluster was built without a registry")
    }

    /// The same, where there may be none.
    #[must_use]
    pub fn first_registry_host(&self) -> Option<&str> {
        self.registries.first().map(|registry| registry.host.as_str())
    }

    /// `address:port` of a registry by its name.
    #[must_use]
    pub fn registry_host_of(&self, name: &str) -> Option<&str> {
        self.registries
            .iter()
            .find(|registry| registry.name == name)
            .map(|registry| registry.host.as_str())
    }

    /// `address:port` of the registry that serves a real node's own images. It
    /// sends no notifications, so it is the place for images that are not part of
    /// what a test looks at. A cluster without a real node has none.
    #[must_use]
    pub fn system_registry_host(&self) -> Option<&str> {
        self.system_registry.as_deref()
    }

    /// The API server's audit log, one JSON object a line, where it was switched on.
    #[must_use]
    pub fn audit_log_path(&self) -> PathBuf {
        self.folder.join("logs/audit.log")
    }

    /// The programs that this cluster was made of.
    #[must_use]
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A command on the machine, with this cluster's kubeconfig and programs.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(self.programs.resolve(program.as_ref()));
        self.set_environment(&mut command);
        command
    }

    /// A command inside the cluster's namespaces: it sees the cluster's network,
    /// processes and mounts, and ends with the cluster.
    pub fn exec_in_network(&self, program: impl AsRef<OsStr>) -> Command {
        let enter = self.namespace.enter();
        let mut command = Command::new(&enter[0]);
        command
            .args(&enter[1..])
            .arg(self.programs.resolve(program.as_ref()));
        self.set_environment(&mut command);
        command
    }

    pub(crate) fn set_environment(&self, command: &mut Command) {
        command
            .env("KUBECONFIG", self.kubeconfig_path())
            .env("PATH", self.programs.path_variable())
            .env("HELM_CACHE_HOME", self.folder.join("helm/cache"))
            .env("HELM_CONFIG_HOME", self.folder.join("helm/config"))
            .env("HELM_DATA_HOME", self.folder.join("helm/data"))
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache"))
            .kill_on_drop(true);
    }

    /// The cluster address of a Service.
    ///
    /// # Errors
    /// When it has none.
    pub async fn service_ip(&self, namespace: &str, name: &str) -> Result<Ipv4Addr> {
        let path = "jsonpath={.spec.clusterIP}";
        let text = self
            .kubectl(&["get", "service", name, "--namespace", namespace, "--output", path])
            .await?;
        text.parse()
            .map_err(|_| anyhow!("service {namespace}/{name} has no address but {text:?}"))
    }

    /// A client whose address, as the cluster's servers see it, is `address`: for
    /// instance one of 203.0.113.0/24, which stands for the public internet.
    /// Asked again, the same client. It ends with the cluster.
    ///
    /// # Errors
    /// Without a network of its own, or when the client cannot be made.
    pub async fn public_client(&self, address: Ipv4Addr) -> Result<PublicClient> {
        PublicClient::open(self, address).await
    }
}

/// A kubeconfig. JSON, which is YAML too.
pub(crate) fn kubeconfig(server: &str, ca: &str, credentials: &Credentials) -> String {
    use base64::Engine as _;
    let inline = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    let user = match credentials {
        Credentials::Token(token) => serde_json::json!({ "token": token }),
        Credentials::Certificate(pair) => serde_json::json!({
            "client-certificate-data": inline(&pair.certificate),
            "client-key-data": inline(&pair.key),
        }),
    };
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority-data": inline(ca)}}],
        "users": [{"name": "local", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    });
    format!("{config:#}\n")
}
