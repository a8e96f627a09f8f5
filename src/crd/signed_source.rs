//! Sources that prove who they are by what others sign for them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token that an identity provider signs: Google Pub/Sub with a push identity; Azure Event Grid and Azure Monitor with
/// Microsoft Entra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedTokenAuthentication {
    /// Who signs: exactly the claim iss, for example `https://accounts.google.com`.
    #[schemars(length(min = 1, max = 512))]
    pub issuer: String,
    /// For whom: exactly the claim aud, or one of its list.
    #[schemars(length(min = 1, max = 512))]
    pub audience: String,
    /// What the token must say besides; each of them. At least one, since issuer and audience do not tell a source
    /// from a stranger: at Google and at Microsoft anyone may get a token for any audience. Name whom the token was
    /// given to: email at Google (the service account; a token whose `email_verified` is false is refused then), azp,
    /// appid or sub at Microsoft Entra.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub claims: Vec<RequiredClaim>,
    /// The public keys of the issuer as a JSON Web Key Set (RFC 7517) of at most 32 keys: in a Secret, or at a URL.
    pub keys: TokenKeys,
}

/// A claim and the values of it that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredClaim {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// The claim is exactly one of these texts, or a list with one of them.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 512)), extend("x-kubernetes-list-type" = "set"))]
    pub values: Vec<String>,
}

/// Where public keys are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.url)").message("set exactly one of secretRef and url"))]
pub struct TokenKeys {
    /// A Secret of this namespace that holds the set. When the issuer changes its keys, the Secret must be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<WebhookKeyRef>,
    /// Where the issuer publishes the set, for example `https://www.googleapis.com/oauth2/v3/certs`. The operator
    /// fetches it only from hosts that its configuration names (webhook.fetchHosts, none by default), and again
    /// before it is outdated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 1024), regex(pattern = r"^https://[^/@?#]+(/[^#]*)?$"))]
    pub url: Option<String>,
}

/// A message that Amazon SNS signs (signature versions 1 and 2): the signature is in the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationTopicAuthentication {
    /// Topics whose messages are taken, exactly. Amazon signs the messages of all topics of all accounts with the
    /// same key: it is the topic that tells a source from a stranger.
    #[serde(rename = "topicARNs")]
    #[schemars(
        length(min = 1, max = 16),
        inner(
            length(max = 512),
            regex(pattern = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$")
        ),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub topic_arns: Vec<String>,
    /// The certificate that the signature is checked with.
    #[serde(default)]
    pub certificate: TopicCertificate,
}

/// The certificate of a notification topic's signatures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.from == 'Secret') == has(self.secretRef)").message("set secretRef exactly when from is Secret"))]
pub struct TopicCertificate {
    /// Message: the certificate at the address that each message names (`SigningCertURL`), which must be at
    /// sns.REGION.amazonaws.com (in China amazonaws.com.cn) of the topic's region. The operator fetches it only if its
    /// configuration names that host (webhook.fetchHosts, none by default). Secret: the one in secretRef.
    #[serde(default)]
    pub from: TopicCertificateOrigin,
    /// A Secret of this namespace that holds the certificate in PEM, when from is Secret; several, at most 8, while
    /// one replaces another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<WebhookKeyRef>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopicCertificateOrigin {
    #[default]
    Message,
    Secret,
}

/// A key of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
