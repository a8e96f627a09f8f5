//! Asking an API server who it is and what it lets us read.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use k8s_openapi::{
    api::{
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::Namespace,
    },
    apimachinery::pkg::version::Info,
};
use kube::{
    Client, Resource,
    api::{GetParams, PartialObjectMeta, PostParams},
    client::Body,
    core::request,
};
use serde::de::DeserializeOwned;

use super::{Kind, guard};

/// Every question has this long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the longest answer that is read: thousands of times those of an ordinary one.
const LONGEST: usize = 1 << 20;
const VERBS: [&str; 2] = ["list", "watch"];
/// The namespace whose uid stands for the cluster's identity.
const IDENTITY_NAMESPACE: &str = "kube-system";

/// Which cluster answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// Absent where the namespace may not be read.
    pub uid: Option<String>,
    pub version: String,
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

/// The version the API server states; any answer shows that it is there.
pub async fn version(client: &Client) -> Result<String, &'static str> {
    let Info { git_version, .. } = answer(client, Request::get("/version").body(Vec::new())).await?;
    Ok(printable(&git_version, 64))
}

/// Which cluster it is.
pub async fn identity(client: &Client) -> Result<ClusterIdentity, &'static str> {
    let version = version(client).await?;
    let namespaces = request::Request::new(Namespace::url_path(&(), None));
    let question = namespaces.get_metadata(IDENTITY_NAMESPACE, &GetParams::default());
    let uid = match answer::<PartialObjectMeta<Namespace>>(client, question).await {
        Ok(namespace) => namespace.metadata.uid.map(|uid| printable(&uid, 64)),
        Err("Forbidden" | "RequestRefused") => None,
        Err(reason) => return Err(reason),
    };
    Ok(ClusterIdentity { uid, version })
}

/// What it lets us read.
pub async fn permissions(client: &Client) -> Result<Vec<Permission>, &'static str> {
    let mut permissions: Vec<Permission> = stream::iter(Kind::ALL)
        .map(|kind| async move {
            let mut allowed = true;
            for verb in VERBS {
                allowed &= may(client, kind.group(), kind.resource(), verb, None).await?;
            }
            Ok::<_, &'static str>(Permission {
                resource: full_name(kind),
                verbs: VERBS.to_vec(),
                allowed,
                // Nodes tell whose an address is; deployments do without.
                optional: kind == Kind::Node,
            })
        })
        .buffered(4)
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

fn full_name(kind: Kind) -> String {
    if kind.group().is_empty() {
        kind.resource().to_owned()
    } else {
        format!("{}.{}", kind.resource(), kind.group())
    }
}

async fn may(
    client: &Client,
    group: &str,
    resource: &str,
    verb: &str,
    name: Option<&str>,
) -> Result<bool, &'static str> {
    let reviews = request::Request::new(SelfSubjectAccessReview::url_path(&(), None));
    let review = SelfSubjectAccessReview {
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
    let review = serde_json::to_vec(&review).map_err(|_| "RequestRefused")?;
    let question = reviews.create(&PostParams::default(), review);
    let reviewed: SelfSubjectAccessReview = answer(client, question).await?;
    Ok(reviewed.status.is_some_and(|status| status.allowed))
}

/// Asks, and takes no longer an answer and no more of it than the limits. kube's own helpers read a body whole,
/// whatever its length.
async fn answer<T: DeserializeOwned>(
    client: &Client,
    question: Result<Request<Vec<u8>>, impl Sized>,
) -> Result<T, &'static str> {
    let question = question.map_err(|_| "RequestRefused")?.map(Body::from);
    let answer = async {
        let response = client
            .send(question)
            .await
            .map_err(|error| guard::reason(&error))?;
        if !response.status().is_success() {
            return Err(guard::reason_of_code(response.status()));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                "AnswerTooLarge"
            } else {
                "ConnectionFailed"
            }
        })?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| "Malformed")
    };
    tokio::time::timeout(TIMEOUT, answer)
        .await
        .unwrap_or(Err("TimedOut"))
}

/// Text of a remote server: cut, and without what a terminal would act on.
fn printable(text: &str, length: usize) -> String {
    text.chars().filter(char::is_ascii_graphic).take(length).collect()
}
