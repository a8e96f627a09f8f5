//! What a `ClusterAuthorization`'s status says: pure.

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    cluster::{KubeconfigError, Progress, SessionState, Usage},
    crd::{
        ClusterAuthorizationStatus, Condition, ConditionStatus, Conditions, ConnectedCluster, Permission,
        UsageCounts,
        condition_type::{AUTHORIZED, REACHABLE, READY, RECONCILING, STALLED, SYNCED},
    },
};

use super::super::{grants, secrets::SecretProblem};

/// The word for a cluster that is not read on purpose.
pub const SUSPENDED: &str = "Suspended";

/// Why a cluster cannot be tried.
#[derive(Debug, Error)]
pub enum Problem {
    #[error(
        "allowedReports reaches beyond this namespace, which only the namespaces that the operator's configuration names as granting may do: use from: Same, or ask for this namespace to be added"
    )]
    GrantNotPermitted,
    #[error("inCluster is permitted only in the operator's own namespace: use kubeconfigSecretRef")]
    InClusterNotPermitted,
    #[error("set exactly one of inCluster and kubeconfigSecretRef")]
    ClusterNotChosen,
    #[error(transparent)]
    Secret(#[from] SecretProblem),
    #[error(transparent)]
    Kubeconfig(KubeconfigError),
}

impl Problem {
    /// The word for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::GrantNotPermitted => grants::GRANT_NOT_PERMITTED,
            Self::InClusterNotPermitted => "InClusterNotPermitted",
            Self::ClusterNotChosen => "ClusterNotChosen",
            Self::Secret(problem) => problem.reason(),
            Self::Kubeconfig(error) => error.reason(),
        }
    }

    /// Whether the object itself is not permitted, so that no report may count on it.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::GrantNotPermitted | Self::InClusterNotPermitted | Self::ClusterNotChosen
        )
    }

    /// Whether it may go away by itself.
    fn is_passing(&self) -> bool {
        matches!(self, Self::Secret(problem) if problem.is_passing())
    }
}

/// What there is to say about one authorisation.
#[derive(Debug)]
pub enum View {
    Suspended,
    Problem(Problem),
    Connected { state: SessionState, usage: Usage },
}

pub fn status_of(
    view: &View,
    previous: &ClusterAuthorizationStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> ClusterAuthorizationStatus {
    let conditions = Conditions::new(&previous.conditions, generation, now);
    let status = |conditions: Vec<Condition>| ClusterAuthorizationStatus {
        observed_generation: generation.unwrap_or_default(),
        conditions,
        ..ClusterAuthorizationStatus::default()
    };
    match view {
        View::Suspended => {
            let message =
                "suspended on purpose: the cluster is not read, and its deployments are in no report";
            let unknown = ConditionStatus::Unknown;
            status(
                conditions
                    .set(READY, true, SUSPENDED, message)
                    .set(REACHABLE, unknown, SUSPENDED, message)
                    .set(AUTHORIZED, unknown, SUSPENDED, message)
                    .set(SYNCED, unknown, SUSPENDED, message)
                    .build(),
            )
        }
        View::Problem(problem) => {
            let (reason, message) = (problem.reason(), problem.to_string());
            let unknown = ConditionStatus::Unknown;
            let conditions = conditions
                .set(READY, false, reason, message.clone())
                .set(REACHABLE, unknown, reason, message.clone())
                .set(AUTHORIZED, unknown, reason, message.clone())
                .set(SYNCED, false, reason, message.clone())
                .set(
                    if problem.is_passing() {
                        RECONCILING
                    } else {
                        STALLED
                    },
                    true,
                    reason,
                    message,
                );
            status(conditions.build())
        }
        View::Connected { state, usage } => {
            let next = status(session_conditions(conditions, state));
            ClusterAuthorizationStatus {
                cluster: state.cluster.as_ref().map(|cluster| ConnectedCluster {
                    uid: cluster.uid.clone(),
                    version: cluster.version.clone(),
                }),
                permissions: state.permissions.iter().map(permission).collect(),
                usage: state.is_synced().then(|| counts(usage)),
                ..next
            }
        }
    }
}

fn session_conditions(conditions: Conditions<'_>, state: &SessionState) -> Vec<Condition> {
    let missing: Vec<&str> = state
        .permissions
        .iter()
        .filter(|permission| !permission.allowed && !permission.optional)
        .map(|permission| permission.resource.as_str())
        .collect();
    let conditions = match &state.progress {
        Progress::Connecting => conditions
            .set(READY, false, "Connecting", "connecting to the cluster")
            .set(
                REACHABLE,
                ConditionStatus::Unknown,
                "Connecting",
                "connecting to the cluster",
            ),
        Progress::Unreachable { reason, .. } | Progress::Stale { reason, .. } => match unusable(reason) {
            Some(answer) => conditions
                .set(READY, false, reason, format!("{answer}; trying again"))
                .set(REACHABLE, true, "Connected", "the API server answers"),
            None => conditions.set(READY, false, reason, unreachable(reason)).set(
                REACHABLE,
                false,
                reason,
                unreachable(reason),
            ),
        },
        Progress::Syncing => conditions
            .set(READY, false, "Syncing", "reading the cluster for the first time")
            .set(REACHABLE, true, "Connected", "the API server answers"),
        Progress::Synced { .. } => conditions
            .set(READY, true, "Synced", "the cluster is read and followed")
            .set(REACHABLE, true, "Connected", "the API server answers"),
    };
    let conditions = if state.permissions.is_empty() {
        conditions.set(
            AUTHORIZED,
            ConditionStatus::Unknown,
            "NotChecked",
            "not checked yet",
        )
    } else if missing.is_empty() {
        conditions.set(
            AUTHORIZED,
            true,
            "Allowed",
            "the credentials may read all that is needed",
        )
    } else {
        let message = format!(
            "the credentials may not list and watch {}: grant the ClusterRole in examples/remote-cluster.yaml",
            missing.join(", ")
        );
        conditions.set(AUTHORIZED, false, "RightsMissing", message)
    };
    let conditions = match &state.progress {
        Progress::Synced { .. } => conditions.set(
            SYNCED,
            true,
            "Synced",
            "everything that may be read has been read",
        ),
        Progress::Stale { reason, since } => conditions.set(
            SYNCED,
            false,
            reason,
            format!("what is known is as of {since}; reports show it as stale"),
        ),
        Progress::Unreachable { reason, .. } => {
            conditions.set(SYNCED, false, reason, "nothing has been read yet")
        }
        Progress::Connecting | Progress::Syncing => {
            conditions.set(SYNCED, false, "Syncing", "not everything has been read yet")
        }
    };
    if state.is_synced() {
        conditions.build()
    } else {
        conditions
            .set(RECONCILING, true, "Retrying", "the operator goes on trying")
            .build()
    }
}

/// What is wrong with the answers of an API server that does answer.
fn unusable(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "TooManyRequests" => "the API server asks to come back later",
        "ObjectTooLarge" => "the API server sends an object larger than any that it can hold",
        "ListTooLarge" | "MemoryBudgetExceeded" => {
            "the API server lists more objects than the operator takes of one cluster"
        }
        "Expired" | "ListTooSlow" | "NoListEnd" => {
            "the API server answers, but does not get to the end of a list"
        }
        _ => return None,
    })
}

fn unreachable(reason: &str) -> String {
    let hint = match reason {
        "Unauthorized" => {
            "the API server refuses the credentials: renew the token or certificate in the Secret"
        }
        "AddressNotAllowed" => {
            "the kubeconfig points at an address that is not permitted (loopback, link-local, in-cluster services): \
             correct it, or have the address allowed in the operator's configuration"
        }
        "NameNotResolved" => "the API server's name cannot be resolved: check the server in the kubeconfig",
        "CertificateNotTrusted" => {
            "the API server's certificate is not signed by the kubeconfig's certificate authority"
        }
        "CertificateNameMismatch" => {
            "the API server's certificate bears another name: set tls-server-name in the kubeconfig"
        }
        "CertificateExpired" => "the API server's certificate has expired: renew it there",
        "AnswerTooLarge" | "Malformed" | "NotAcceptable" | "RequestRefused" | "UnexpectedAnswer" => {
            "the server answers as no API server does: check the server in the kubeconfig"
        }
        "TimedOut" => "the API server does not answer in time: check the network between the operator and it",
        _ => {
            "the API server cannot be reached: check that it runs, and the network between the operator and it"
        }
    };
    format!("{hint}; trying again")
}

fn permission(permission: &crate::cluster::Permission) -> Permission {
    Permission {
        resource: permission.resource.clone(),
        verbs: permission.verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        allowed: permission.allowed,
        optional: permission.optional,
    }
}

fn counts(usage: &Usage) -> UsageCounts {
    let Usage {
        nodes,
        namespaces,
        workloads,
        pods,
        containers,
        images,
    } = *usage;
    UsageCounts {
        nodes,
        namespaces,
        workloads,
        pods,
        containers,
        images,
    }
}
