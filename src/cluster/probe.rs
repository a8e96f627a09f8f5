//! Asking an API server who it is and what it lets us read.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use k8s_openapi::{
    api::{
        authorization::v1::{
            ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
            SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
        },
        core::v1::Namespace,
    },
    apimachinery::pkg::{apis::meta::v1::APIResourceList, version::Info},
};
use kube::{
    Client, Resource,
    api::{GetParams, PartialObjectMeta, PostParams},
    client::Body,
    core::request,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Kind, guard};
use crate::crd::GROUP;

/// Every question has this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is read: thousands of times those of an ordinary one.
const LONGEST: usize = 1 << 20;
const VERBS: [&str; 2] = ["list", "watch"];
/// The namespace whose uid stands for the cluster's identity.
const IDENTITY_NAMESPACE: &str = "kube-system";
/// Rights beyond reading that are named.
const MOST_EXCESS: usize = 5;

/// Which cluster answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// Absent where the namespace may not be read.
    pub uid: Option<String>,
    pub version: String,
}

/// What the credentials may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Empty before they were checked.
    pub permissions: Vec<Permission>,
    /// Rights that no reader needs, sorted, the first few: `create pods`.
    pub excess: Vec<String>,
}

/// Whether one resource may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// With its group: `pods`, `deployments.apps`.
    pub resource: String,
    pub verbs: Vec<&'static str>,
    pub allowed: bool,
    /// Whether deployments are complete without it.
    pub optional: bool,
}

/// Why a question was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    pub reason: &'static str,
    /// How long the API server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl From<&'static str> for Unanswered {
    fn from(reason: &'static str) -> Self {
        Self {
            reason,
            retry_after: None,
        }
    }
}

/// The version the API server states; any answer shows that it is there.
pub async fn version(client: &Client) -> Result<String, Unanswered> {
    let Info { git_version, .. } = answer(client, Request::get("/version").body(Vec::new())).await?;
    Ok(printable(&git_version, 64))
}

/// Which cluster it is.
pub async fn identity(client: &Client) -> Result<ClusterIdentity, Unanswered> {
    let version = version(client).await?;
    let namespaces = request::Request::new(Namespace::url_path(&(), None));
    let question = namespaces.get_metadata(IDENTITY_NAMESPACE, &GetParams::default());
    let uid = match answer::<PartialObjectMeta<Namespace>>(client, question).await {
        Ok(namespace) => namespace.metadata.uid.map(|uid| printable(&uid, 64)),
        Err(refused) if ["Forbidden", "RequestRefused"].contains(&refused.reason) => None,
        Err(unanswered) => return Err(unanswered),
    };
    Ok(ClusterIdentity { uid, version })
}

/// What it lets us do.
pub async fn rights(client: &Client, kinds: &[Kind]) -> Result<Rights, Unanswered> {
    Ok(Rights {
        permissions: permissions(client, kinds).await?,
        excess: excess(client).await?,
    })
}

/// What it lets us do beyond reading, and reading Secrets: everywhere in the cluster, as far as it says so.
async fn excess(client: &Client) -> Result<Vec<String>, Unanswered> {
    let question = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            // What holds in this namespace mostly holds in all: nobody is given rights in it alone.
            namespace: Some(IDENTITY_NAMESPACE.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let reviewed = match review(client, &question).await {
        Ok(reviewed) => reviewed,
        // It does not say.
        Err(refused) if ["Forbidden", "RequestRefused", "ServerError"].contains(&refused.reason) => {
            return Ok(Vec::new());
        }
        Err(unanswered) => return Err(unanswered),
    };
    let rules = reviewed
        .status
        .map(|status| status.resource_rules)
        .unwrap_or_default();
    let mut found: Vec<String> = rules.iter().flat_map(excess_of).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST_EXCESS);
    Ok(found)
}

/// `verb resource.group`, for each verb of a rule that no reader needs.
fn excess_of(rule: &ResourceRule) -> Vec<String> {
    let (groups, resources) = (
        rule.api_groups.as_deref().unwrap_or_default(),
        rule.resources.as_deref().unwrap_or_default(),
    );
    let mut found = Vec::new();
    for group in groups {
        // What every authenticated user may ask about itself, and the operator's own kinds.
        if ["authorization.k8s.io", "authentication.k8s.io", GROUP].contains(&group.as_str()) {
            continue;
        }
        for resource in resources {
            let is_secret =
                ["", "*"].contains(&group.as_str()) && ["secrets", "*"].contains(&resource.as_str());
            let verbs = rule
                .verbs
                .iter()
                .filter(|verb| is_secret || !["get", "list", "watch"].contains(&verb.as_str()));
            let resource = printable(&full_name(group, resource), 128);
            found.extend(verbs.map(|verb| format!("{} {resource}", printable(verb, 64))));
        }
    }
    found
}

/// What it lets us read.
async fn permissions(client: &Client, kinds: &[Kind]) -> Result<Vec<Permission>, Unanswered> {
    let mut permissions: Vec<Permission> = stream::iter(kinds.to_vec())
        .map(|kind| async move {
            if !is_served(client, kind).await? {
                return Ok(None);
            }
            let mut allowed = true;
            for verb in VERBS {
                allowed &= may(client, kind.group(), kind.resource(), verb, None).await?;
            }
            Ok::<_, Unanswered>(Some(Permission {
                resource: full_name(kind.group(), kind.resource()),
                verbs: VERBS.to_vec(),
                allowed,
                // Nodes tell whose an address is; deployments do without.
                optional: kind == Kind::Node,
            }))
        })
        .buffered(4)
        .try_filter_map(|permission| async move { Ok(permission) })
        .try_collect()
        .await?;
    permissions.push(Permission {
        resource: format!("namespaces/{IDENTITY_NAMESPACE}"),
        verbs: vec!["get"],
        allowed: may(client, "", "namespaces", "get", Some(IDENTITY_NAMESPACE)).await?,
        optional: true,
    });
    Ok(permissions)
}

/// Whether the cluster has the kind at all. An access review, and a refusal, do not say.
pub async fn is_served(client: &Client, kind: Kind) -> Result<bool, Unanswered> {
    let Kind::Custom(custom) = kind else {
        return Ok(true);
    };
    let path = format!("/apis/{}/{}", custom.group, custom.version);
    match answer::<APIResourceList>(client, Request::get(path).body(Vec::new())).await {
        Ok(served) => Ok(served
            .resources
            .iter()
            .any(|resource| resource.name == custom.resource)),
        Err(refused) if refused.reason == "RequestRefused" => Ok(false),
        // It may not be asked for: then what a review says counts.
        Err(refused) if refused.reason == "Forbidden" => Ok(true),
        Err(unanswered) => Err(unanswered),
    }
}

/// `deployments.apps`, or `pods` of the core group.
fn full_name(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

async fn may(
    client: &Client,
    group: &str,
    resource: &str,
    verb: &str,
    name: Option<&str>,
) -> Result<bool, Unanswered> {
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                verb: Some(verb.to_owned()),
                name: name.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviewed = review(client, &question).await?;
    Ok(reviewed.status.is_some_and(|status| status.allowed))
}

/// Has an access review answered.
async fn review<T>(client: &Client, question: &T) -> Result<T, Unanswered>
where
    T: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let question = serde_json::to_vec(question).map_err(|_| "RequestRefused")?;
    let reviews = request::Request::new(T::url_path(&(), None));
    answer(client, reviews.create(&PostParams::default(), question)).await
}

/// Asks, and takes no longer an answer and no more of it than the limits. kube's own helpers read a body whole,
/// whatever its length.
async fn answer<T: DeserializeOwned>(
    client: &Client,
    question: Result<Request<Vec<u8>>, impl Sized>,
) -> Result<T, Unanswered> {
    let question = question.map_err(|_| "RequestRefused")?.map(Body::from);
    let answer = async {
        let response = client
            .send(question)
            .await
            .map_err(|error| guard::reason(&error))?;
        if !response.status().is_success() {
            return Err(Unanswered {
                reason: guard::reason_of_code(response.status()),
                retry_after: guard::retry_after(response.headers()),
            });
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                "AnswerTooLarge"
            } else {
                "ConnectionFailed"
            }
        })?;
        Ok(serde_json::from_slice(&body.to_bytes()).map_err(|_| "Malformed")?)
    };
    tokio::time::timeout(TIMEOUT, answer)
        .await
        .unwrap_or(Err("TimedOut".into()))
}

/// Text of a remote server: cut, and without what a terminal would act on.
fn printable(text: &str, length: usize) -> String {
    text.chars().filter(char::is_ascii_graphic).take(length).collect()
}
