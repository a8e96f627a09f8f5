use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The registry's own log, which is asked for again and again. Of Harbor the audit log, of Quay the usage logs. What
/// happened in the 24 hours before the source was first asked for is read too, and nothing before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The address below which the registry's API lies: https, the host, its port and path where it has them, such as
    /// `https://harbor.example.com`. No redirect is followed.
    #[schemars(
        length(min = 9, max = 2048),
        regex(pattern = r"^https://[^/?#@\s]+(/[^?#\s]*)?$")
    )]
    pub url: String,
    /// Who asks.
    pub authentication: PollAuthentication,
    /// How long after one answer the next question is asked, as a number and m, h or d.
    #[serde(default = "one_minute")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,4}(m|h|d)$"))]
    pub interval: String,
    /// Organizations whose logs are asked for, with all their repositories; only of Quay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 32),
        inner(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub organizations: Vec<String>,
    /// Repositories whose logs are asked for, each with its organization or user, such as team/app; only of Quay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 32),
        inner(
            length(min = 3, max = 255),
            regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$")
        ),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub repositories: Vec<String>,
    /// PEM certificates that sign the server's; by default the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<PollSecretRef>,
}

fn one_minute() -> String {
    "1m".to_owned()
}

/// Who asks: the type, and the one field that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type == 'Basic') == has(self.basic)").message("set basic exactly when type is Basic"),
    validation = Rule::new("(self.type == 'Bearer') == has(self.bearer)").message("set bearer exactly when type is Bearer"),
)]
pub struct PollAuthentication {
    /// Basic: a user name and a password, such as those of a robot account of Harbor. Bearer: a token, such as an OAuth
    /// access token of Quay.
    pub r#type: PollAuthenticationType,
    /// For type Basic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<PollBasic>,
    /// For type Bearer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<PollBearer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PollAuthenticationType {
    Basic,
    Bearer,
}

/// A user name and a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollBasic {
    /// The user name, such as robot$image-usage.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^:]+$"))]
    pub username: String,
    /// The password.
    pub secret_ref: PollSecretRef,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollBearer {
    /// The token.
    pub secret_ref: PollSecretRef,
}

/// A key of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
