//! What a `ClusterAuthorization`'s status says: pure.

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    cluster::{CLUSTER_CHANGED, KubeconfigError, Progress, SessionState, Usage, Validity},
    crd::{
        CONFIRM_CLUSTER, ClusterAuthorizationStatus, Condition, ConditionStatus, Conditions,
        ConnectedCluster, Permission, UsageCounts,
        condition_type::{
            AUTHORIZED, CREDENTIALS_EXPIRING, EXCESS_RIGHTS, REACHABLE, READY, RECONCILING, STALLED, SYNCED,
        },
    },
    event::NetworkError,
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
    #[error(
        "inCluster is permitted only in the operator's own namespace and those that its configuration names: use kubeconfigSecretRef"
    )]
    InClusterNotPermitted,
    #[error("set exactly one of inCluster and kubeconfigSecretRef")]
    ClusterNotChosen,
    #[error(transparent)]
    Egress(#[from] NetworkError),
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
            Self::Egress(error) => error.reason(),
            Self::Secret(problem) => problem.reason(),
            Self::Kubeconfig(error) => error.reason(),
        }
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
    Connected {
        state: SessionState,
        usage: Usage,
        /// Of the credentials, where they say.
        validity: Option<Validity>,
    },
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
        // Which cluster was authorised is known whatever answers now.
        cluster: previous.cluster.clone(),
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
        View::Connected {
            state,
            usage,
            validity,
        } => {
            let conditions = warnings(conditions, state, validity.as_ref(), now);
            let cluster = state.cluster.as_ref().map(|cluster| ConnectedCluster {
                uid: cluster.uid.clone(),
                version: cluster.version.clone(),
            });
            let cluster = cluster.or_else(|| previous.cluster.clone());
            let next = status(session_conditions(conditions, state, cluster.as_ref()));
            ClusterAuthorizationStatus {
                cluster,
                permissions: state.rights.permissions.iter().map(permission).collect(),
                usage: state.is_synced().then(|| counts(usage)),
                ..next
            }
        }
    }
}

/// What works, and should be changed nevertheless.
fn warnings<'a>(
    conditions: Conditions<'a>,
    state: &SessionState,
    validity: Option<&Validity>,
    now: Timestamp,
) -> Conditions<'a> {
    let conditions = match validity {
        Some(validity) if validity.is_near_end(now) => {
            let until = validity.until;
            let (reason, message) = if until <= now {
                (
                    "Expired",
                    format!("the credentials ended at {until}: put new ones into the Secret"),
                )
            } else {
                (
                    "EndsSoon",
                    format!("the credentials end at {until}: put new ones into the Secret before"),
                )
            };
            conditions.set(CREDENTIALS_EXPIRING, true, reason, message)
        }
        _ => conditions,
    };
    if state.rights.excess.is_empty() {
        return conditions;
    }
    let message = format!(
        "the credentials may do more than read, for example {}: use ones with the ClusterRole in \
         examples/remote-cluster.yaml alone",
        state.rights.excess.join(", ")
    );
    conditions.set(EXCESS_RIGHTS, true, "MoreThanRead", message)
}

fn session_conditions(
    conditions: Conditions<'_>,
    state: &SessionState,
    authorised: Option<&ConnectedCluster>,
) -> Vec<Condition> {
    let unreachable = |reason: &str| match &state.stranger {
        Some(stranger) => other_cluster(stranger.uid.as_deref(), authorised),
        None => unreachable(reason),
    };
    let missing: Vec<&str> = state
        .rights
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
    let conditions = if state.rights.permissions.is_empty() {
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
    } else if state.stranger.is_some() {
        let message = unreachable(CLUSTER_CHANGED);
        conditions.set(STALLED, true, CLUSTER_CHANGED, message).build()
    } else {
        conditions
            .set(RECONCILING, true, "Retrying", "the operator goes on trying")
            .build()
    }
}

/// What to say, and do, about a cluster that is not the one that was authorised.
fn other_cluster(uid: Option<&str>, authorised: Option<&ConnectedCluster>) -> String {
    let expected = authorised
        .and_then(|cluster| cluster.uid.as_deref())
        .unwrap_or("unknown");
    match uid {
        Some(uid) => format!(
            "the credentials now reach another cluster (uid {uid}) than the authorised one (uid {expected}), so it \
             is not read: correct the Secret, or, if the other cluster is meant, set the annotation \
             {CONFIRM_CLUSTER}={uid}"
        ),
        None => format!(
            "the cluster that answers may not be the authorised one (uid {expected}), so it is not read: allow its \
             credentials to get the namespace kube-system, whose uid says which cluster it is"
        ),
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
