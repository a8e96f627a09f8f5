use std::fmt;

use thiserror::Error;

/// Why a kubeconfig is not used. Holds no text of it: field names come from the
/// lists in this program, save an unknown one that cannot be a secret ([`FieldName`]).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KubeconfigError {
    #[error("the kubeconfig is larger than 64 KiB: leave one cluster, one user and one context in it")]
    TooLarge,
    #[error(
        "the kubeconfig is not UTF-8 text: store the file itself, not an archive or a second base64 of it"
    )]
    NotText,
    #[error("the kubeconfig is not one YAML or JSON document")]
    Malformed,
    #[error(
        "the kubeconfig nests too deep or uses YAML aliases, anchors, merge keys or tags: write it out plainly"
    )]
    TooComplex,
    #[error("field {0} is written twice: leave one")]
    Duplicate(FieldName),
    #[error("unknown field {name} in {within}: remove it")]
    UnknownField { within: &'static str, name: FieldName },
    #[error("{field} must be {expected}")]
    WrongType {
        field: &'static str,
        expected: &'static str,
    },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error(
        "{list} has {count} entries and must have exactly one: write a kubeconfig for this cluster alone, for example with `kubectl config view --minify --flatten`"
    )]
    NotExactlyOne { list: &'static str, count: usize },
    #[error("{0} names an entry that the kubeconfig does not hold")]
    Dangling(&'static str),

    #[error(
        "{0} is refused: commands are never run. Use the token of a ServiceAccount or a client certificate instead"
    )]
    Exec(&'static str),
    #[error("{0} is refused: use the token of a ServiceAccount or a client certificate instead")]
    AuthProvider(&'static str),
    #[error("{0} is refused: files are never read. Put the content itself into the kubeconfig (`--flatten`)")]
    FilePath(&'static str),
    #[error("{0} is refused: the cluster must be reachable without a proxy")]
    Proxy(&'static str),
    #[error("{0} is refused: use the credentials of the identity itself, not impersonation")]
    Impersonation(&'static str),
    #[error("{0} is refused: put the cluster's CA certificate into the kubeconfig instead")]
    InsecureTls(&'static str),
    #[error(
        "{0} is refused: API servers know no passwords. Use the token of a ServiceAccount or a client certificate"
    )]
    BasicAuthentication(&'static str),

    #[error("the server must be an https address: it starts with https://")]
    ServerNotHttps,
    #[error("the server is not an address of the form https://<host>[:<port>][/<path>]")]
    ServerMalformed,
    #[error("{0} is neither a DNS name nor an IP address")]
    ServerNameMalformed(&'static str),
    #[error("{0} holds no usable CA certificate: it must be the base64 of certificates in PEM")]
    CertificateAuthorityMalformed(&'static str),
    #[error("{0} holds no usable certificate: it must be the base64 of a certificate chain in PEM")]
    CertificateMalformed(&'static str),
    #[error(
        "{0} holds no usable private key: it must be the base64 of one unencrypted RSA, ECDSA or Ed25519 key in PEM"
    )]
    KeyMalformed(&'static str),
    #[error("the client certificate and the client key do not belong together")]
    KeyMismatch,
    #[error("{0} is no bearer token: it has only visible ASCII characters, without spaces and line breaks")]
    TokenMalformed(&'static str),
    #[error("the user has no credentials: add a token, or a client certificate with its key")]
    NoCredentials,
    #[error("the user has a token and a client certificate: leave one of them")]
    SeveralCredentials,
}

impl KubeconfigError {
    /// The reason of a condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "KubeconfigTooLarge",
            Self::NotText | Self::Malformed => "KubeconfigMalformed",
            Self::TooComplex => "KubeconfigTooComplex",
            Self::Duplicate(_) => "KubeconfigFieldDuplicate",
            Self::UnknownField { .. } => "KubeconfigFieldUnknown",
            Self::WrongType { .. } | Self::Missing(_) | Self::Dangling(_) => "KubeconfigIncomplete",
            Self::NotExactlyOne { .. } => "KubeconfigNotExactlyOne",
            Self::Exec(_) => "ExecRefused",
            Self::AuthProvider(_) => "AuthProviderRefused",
            Self::FilePath(_) => "FilePathRefused",
            Self::Proxy(_) => "ProxyRefused",
            Self::Impersonation(_) => "ImpersonationRefused",
            Self::InsecureTls(_) => "InsecureTLSRefused",
            Self::BasicAuthentication(_) => "BasicAuthenticationRefused",
            Self::ServerNotHttps => "ServerNotHTTPS",
            Self::ServerMalformed | Self::ServerNameMalformed(_) => "ServerMalformed",
            Self::CertificateAuthorityMalformed(_) => "CertificateAuthorityMalformed",
            Self::CertificateMalformed(_) | Self::KeyMalformed(_) | Self::KeyMismatch => {
                "ClientCertificateMalformed"
            }
            Self::TokenMalformed(_) => "TokenMalformed",
            Self::NoCredentials => "CredentialsMissing",
            Self::SeveralCredentials => "CredentialsAmbiguous",
        }
    }
}

/// A field name of the input, shown only where it cannot be a credential that
/// slipped into the place of a name: ASCII letters and `-`, 32 at most. Tokens,
/// keys and passwords of any strength hold digits or other characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(Option<Box<str>>);

impl FieldName {
    const MAX_BYTES: usize = 32;

    pub(super) fn new(name: &str) -> Self {
        let is_plain = !name.is_empty()
            && name.len() <= Self::MAX_BYTES
            && name
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_alphabetic());
        Self(is_plain.then(|| name.into()))
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("(name withheld)"))
    }
}
