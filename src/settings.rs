//! What the operator is told when it starts.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use crate::{
    cluster::{CustomKind, Kind, Rules},
    receive::FetchHost,
    store::{DatabaseUrl, EVENTS_FILE, KeepFree, PostgresOptions},
};

#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// The operator's service account, as messages name it that say what right it lacks.
    #[arg(long, env = "SERVICE_ACCOUNT", default_value = "image-usage-operator")]
    pub service_account: String,
    #[command(flatten)]
    pub store: StorePlace,
    /// How much of its volume stays free, in bytes such as 256Mi, at least 16Mi: while less is free, deliveries are
    /// refused. By default 256Mi, or a twentieth of the volume where that is less.
    #[arg(long, env = "KEEP_FREE")]
    pub keep_free: Option<KeepFree>,
    /// Where registries deliver their events.
    #[arg(long, env = "WEBHOOK_ADDRESS", default_value = "0.0.0.0:8080")]
    pub webhook_address: SocketAddr,
    /// Folder with tls.crt and tls.key of the webhook server, which speaks TLS then, and with ca.crt where clients
    /// may show certificates that it signs. They are read again when they change.
    #[arg(long, env = "WEBHOOK_TLS_DIR")]
    pub webhook_tls_dir: Option<PathBuf>,
    /// Hosts from which keys of signed tokens and certificates of notification topics may be fetched, and at which
    /// subscriptions of topics may be confirmed, each as NAME or NAME:PORT, for example www.googleapis.com. By https;
    /// the rules for addresses of kubeconfigs hold here too.
    #[arg(long, env = "WEBHOOK_FETCH_HOSTS", value_delimiter = ',')]
    pub webhook_fetch_hosts: Vec<FetchHost>,
    /// Where health, readiness and metrics are served.
    #[arg(long, env = "HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    pub health_address: SocketAddr,
    /// Namespaces whose `ClusterAuthorizations` and `ImageRegistries` may serve reports of other namespaces;
    /// by default the operator's own.
    #[arg(long, env = "GRANTING_NAMESPACES", value_delimiter = ',')]
    pub granting_namespaces: Vec<String>,
    /// Namespaces beside the operator's own whose `ClusterAuthorizations` may set inCluster.
    #[arg(long, env = "IN_CLUSTER_NAMESPACES", value_delimiter = ',')]
    pub in_cluster_namespaces: Vec<String>,
    /// Addresses that a kubeconfig or a polled source may point at although they are loopback, link-local or the cluster's own
    /// services.
    #[arg(long, env = "ALLOWED_API_SERVERS", value_delimiter = ',')]
    pub allowed_api_servers: Vec<IpNet>,
    /// Address ranges of the operator's own cluster's Services, which no kubeconfig and no polled source may point at.
    #[arg(long, env = "SERVICE_CIDRS", value_delimiter = ',')]
    pub service_cidrs: Vec<IpNet>,
    /// Address at which pods reach the operator's own API server, which no kubeconfig and no polled source may
    /// point at; Kubernetes tells every pod.
    #[arg(long, env = "KUBERNETES_SERVICE_HOST")]
    pub own_api_server: Option<IpAddr>,
    /// Further kinds with a pod template in them to read in every cluster that has them, each as
    /// KIND=RESOURCE.VERSION.GROUP:PATH, for example Rollout=rollouts.v1alpha1.argoproj.io:spec.template.
    #[arg(long, env = "WORKLOAD_KINDS", value_delimiter = ',')]
    pub workload_kinds: Vec<CustomKind>,
    /// Kubeconfig of the cluster whose custom resources are served; by default the cluster that the operator
    /// runs in.
    #[arg(long, env = "OPERATOR_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Counts every `ClusterAuthorization` as a cluster of its own, also several of one cluster: only for
    /// measuring many clusters with few API servers.
    #[arg(long, env = "COUNT_SAME_CLUSTER_TWICE", hide = true)]
    pub count_same_cluster_twice: bool,
    /// How log lines are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// Where the event store is.
#[derive(Debug, Clone, Args)]
pub struct StorePlace {
    /// Folder for the event store, where it is a file.
    #[arg(long, env = "DATA_DIR", default_value = "/var/lib/image-usage-operator")]
    pub data_dir: PathBuf,
    /// `PostgreSQL` database for the event store, instead of a file: <postgres://USER:PASSWORD@HOST/DATABASE>.
    /// With TLS wherever the server offers it; sslmode=require refuses a server that does not.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// PEM certificates that sign the database server's; by default those that the system trusts.
    #[arg(long, env = "DATABASE_CA_FILE", requires = "database_url")]
    pub database_ca_file: Option<PathBuf>,
}

impl StorePlace {
    /// The database, if it is not a file.
    #[must_use]
    pub fn database(&self) -> Option<PostgresOptions> {
        Some(PostgresOptions {
            url: self.database_url.clone()?,
            ca_file: self.database_ca_file.clone(),
        })
    }

    /// The file, if it is not in a database.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.data_dir.join(EVENTS_FILE)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people at a terminal.
    Text,
}

/// Every cluster's Services have names below it unless it was changed.
const CLUSTER_DOMAIN: &str = "cluster.local";

impl Settings {
    /// Which addresses a kubeconfig or a polled source may point at.
    #[must_use]
    pub fn address_rules(&self) -> Rules {
        Rules {
            allowed: self.allowed_api_servers.clone(),
            in_cluster: self
                .service_cidrs
                .iter()
                .copied()
                .chain(self.own_api_server.map(IpNet::from))
                .collect(),
            cluster_domain: CLUSTER_DOMAIN.to_owned(),
        }
    }

    /// The kinds to read in each cluster. Those of the configuration last as long as the process: called once.
    #[must_use]
    pub fn kinds(&self) -> Arc<[Kind]> {
        let custom = self.workload_kinds.iter().cloned();
        let custom = custom.map(|custom| Kind::Custom(Box::leak(Box::new(custom))));
        Kind::ALL.into_iter().chain(custom).collect()
    }

    /// Whether objects of this namespace may have the operator's own cluster read.
    #[must_use]
    pub fn may_set_in_cluster(&self, namespace: &str) -> bool {
        namespace == self.namespace
            || self
                .in_cluster_namespaces
                .iter()
                .any(|allowed| allowed == namespace)
    }

    /// Whether objects of this namespace may serve reports of other namespaces.
    #[must_use]
    pub fn is_granting(&self, namespace: &str) -> bool {
        if self.granting_namespaces.is_empty() {
            namespace == self.namespace
        } else {
            self.granting_namespaces
                .iter()
                .any(|granting| granting == namespace)
        }
    }
}
