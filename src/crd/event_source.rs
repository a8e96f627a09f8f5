use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Poll,
    signed_source::{NotificationTopicAuthentication, SignedTokenAuthentication},
};

/// Where events come from: a webhook that the registry calls, or a log of the registry that is polled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.webhook) != has(self.poll)").message("set exactly one of webhook and poll"),
    validation = Rule::new("!has(self.poll) || self.format in ['Harbor', 'Quay']").message("only sources of the formats Harbor and Quay can be polled: use webhook"),
    validation = Rule::new("!has(self.poll) || (self.format == 'Quay') == (has(self.poll.organizations) || has(self.poll.repositories))").message("poll.organizations and poll.repositories say whose logs are asked for: at least one of them for the format Quay, none for Harbor"),
)]
pub struct EventSource {
    /// Name of the source; the last part of its webhook's path.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    )]
    pub name: String,
    /// What the events look like: the kind of the registry, or of what speaks for it.
    pub format: SourceFormat,
    /// The registry sends its events to the operator's webhook server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// The operator asks the registry for its log; of the formats Harbor and Quay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
}

/// What the events look like. Distribution: the CNCF distribution registry (versions 2 and 3) and what is built on
/// it. Generic: the operator's own form, for whatever can be made to say what happened. The others are named for
/// the registries that send them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceFormat {
    Distribution,
    GitLab,
    Harbor,
    AlibabaACR,
    AmazonECR,
    GoogleArtifactRegistry,
    AzureACR,
    Quay,
    Zot,
    DockerHub,
    GitHub,
    Artifactory,
    Gitea,
    Nexus,
    Generic,
}

/// A webhook of the operator. Its path is in status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// How the registry proves who it is.
    pub authentication: WebhookAuthentication,
}

/// How the registry proves who it is: the type, and the one field that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Bearer') == has(self.bearer)").message("set bearer exactly when type is Bearer"),
    validation = Rule::new("(self.type == 'Basic') == has(self.basic)").message("set basic exactly when type is Basic"),
    validation = Rule::new("(self.type == 'Header') == has(self.header)").message("set header exactly when type is Header"),
    validation = Rule::new("(self.type == 'HMAC') == has(self.hmac)").message("set hmac exactly when type is HMAC"),
    validation = Rule::new("(self.type == 'Splunk') == has(self.splunk)").message("set splunk exactly when type is Splunk"),
    validation = Rule::new("(self.type == 'Path') == has(self.path)").message("set path exactly when type is Path"),
    validation = Rule::new("(self.type == 'ClientCertificate') == has(self.clientCertificate)").message("set clientCertificate exactly when type is ClientCertificate"),
    validation = Rule::new("(self.type == 'SignedToken') == has(self.signedToken)").message("set signedToken exactly when type is SignedToken"),
    validation = Rule::new("(self.type == 'NotificationTopic') == has(self.notificationTopic)").message("set notificationTopic exactly when type is NotificationTopic"),
)]
pub struct WebhookAuthentication {
    /// Bearer: Authorization with the word Bearer and a token. Basic: Authorization with a user name and a
    /// password. Header: a header with exactly one of the values. HMAC: a header with a signature of the body.
    /// Splunk: Authorization with the word Splunk and a token. Path: a secret at the end of the path, for a
    /// registry that can do nothing better; it is weak, since paths are written into logs. `ClientCertificate`: the
    /// certificate of the connection, where the operator's webhook server speaks TLS. `SignedToken`: Authorization with
    /// the word Bearer and a token that an identity provider signs. `NotificationTopic`: a message that Amazon SNS signs.
    pub r#type: WebhookAuthenticationType,
    /// For type Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretAuthentication>,
    /// For type Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthentication>,
    /// For type Header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderAuthentication>,
    /// For type HMAC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacAuthentication>,
    /// For type Splunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splunk: Option<SecretAuthentication>,
    /// For type Path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<SecretAuthentication>,
    /// For type `ClientCertificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificateAuthentication>,
    /// For type `SignedToken`: a JWT (RFC 7519) with a signature RS256, RS384, RS512, PS256, PS384, PS512, ES256 or
    /// ES384 and an end (exp), of at most 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_token: Option<SignedTokenAuthentication>,
    /// For type `NotificationTopic`, with the format `AmazonECR`. The subscription must leave raw message delivery off,
    /// since raw messages are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_topic: Option<NotificationTopicAuthentication>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WebhookAuthenticationType {
    Bearer,
    Basic,
    Header,
    #[serde(rename = "HMAC")]
    Hmac,
    Splunk,
    Path,
    ClientCertificate,
    SignedToken,
    NotificationTopic,
}

/// What the registry shows is a secret alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretAuthentication {
    /// A Secret of this namespace that holds the accepted values.
    pub secret_ref: WebhookSecretRef,
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuthentication {
    /// The user name.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^:]+$"))]
    pub username: String,
    /// A Secret of this namespace that holds the accepted passwords.
    pub secret_ref: WebhookSecretRef,
}

/// A header with a secret value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderAuthentication {
    /// Name of the header, for example Authorization or X-JFrog-Event-Auth.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// A Secret of this namespace that holds the accepted values, each the whole value of the header.
    pub secret_ref: WebhookSecretRef,
}

/// A signature of the body with a shared key (RFC 2104), in hexadecimal; the name of the algorithm and an equals
/// sign may stand before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HmacAuthentication {
    /// Name of the header, for example X-Hub-Signature-256 (GitHub, Gitea), X-JFrog-Event-Auth (Artifactory) or
    /// X-Nexus-Webhook-Signature (Nexus).
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub header: String,
    /// SHA1 only where the registry can do no better (Nexus).
    #[serde(default)]
    pub algorithm: HmacAlgorithm,
    /// A Secret of this namespace that holds the accepted keys.
    pub secret_ref: WebhookSecretRef,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HmacAlgorithm {
    #[default]
    #[serde(rename = "SHA256")]
    Sha256,
    #[serde(rename = "SHA1")]
    Sha1,
}

/// A certificate that the webhook server's ca.crt signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificateAuthentication {
    /// DNS names or URIs; the certificate has one of them among its subject alternative names.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
}

/// Keys of a Secret in the same namespace, each a value of at least 16 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Keys whose values are accepted; two while one is being replaced.
    #[schemars(length(min = 1, max = 2), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub keys: Vec<String>,
}
