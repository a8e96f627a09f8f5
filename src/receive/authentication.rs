//! How sources prove who they are. All but signatures of bodies are settled before a byte of the body is read.

mod certificate;
mod crypto;
mod key_set;
mod token;
mod topic;

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, header};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

pub use self::{
    certificate::{Certificate, CertificateError},
    key_set::{KeySet, KeySetError},
    token::{Claim, Keys, TokenRules},
    topic::{TopicCertificates, TopicRules, topic_host},
};
pub(super) use topic::Heard;

use super::refusal::Refusal;

/// A shorter secret is never accepted: it can be guessed.
pub const SHORTEST_SECRET: usize = 16;

/// How a source proves who it is. Of the secrets each is accepted, two while one is being replaced.
#[derive(Debug)]
pub struct Authentication {
    pub method: Method,
    pub secrets: Vec<SecretString>,
}

#[derive(Debug, Clone)]
pub enum Method {
    /// `Authorization: Bearer <secret>`
    Bearer,
    /// `Authorization: Basic <user name and secret in base64>` (RFC 7617)
    Basic { username: String },
    /// The header has the secret as its whole value.
    Header(HeaderName),
    /// `Authorization: Splunk <secret>`, as Splunk's HTTP event collector is spoken to.
    Splunk,
    /// The secret is the last part of the path.
    Path,
    /// The client has a certificate of one of these names, signed by those that the server believes.
    ClientCertificate { names: Vec<String> },
    /// The header has a signature of the body in hexadecimal.
    Hmac {
        header: HeaderName,
        algorithm: HmacAlgorithm,
    },
    /// `Authorization: Bearer <token>`, signed by others for the source.
    SignedToken(Arc<TokenRules>),
    /// The body has a signature of itself.
    NotificationTopic(Arc<TopicRules>),
}

impl Method {
    /// The header of the source's own choice that it proves itself by.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) | Self::Hmac { header: name, .. } => Some(name),
            _ => None,
        }
    }

    /// What `WWW-Authenticate` asks for.
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Bearer | Self::SignedToken(_) => Some("Bearer"),
            Self::Basic { .. } => Some("Basic realm=\"events\""),
            Self::Splunk => Some("Splunk"),
            Self::Header(_)
            | Self::Path
            | Self::ClientCertificate { .. }
            | Self::Hmac { .. }
            | Self::NotificationTopic(_) => None,
        }
    }

    /// Whether the secret is part of the path.
    pub(super) fn is_in_path(&self) -> bool {
        matches!(self, Self::Path)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HmacAlgorithm {
    Sha256,
    Sha1,
}

/// What a request shows before its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) headers: &'a HeaderMap,
    /// What the path ends with, where it has more parts than name a source.
    pub(super) secret: Option<&'a str>,
    /// Of the certificate of the connection.
    pub(super) names: &'a [String],
}

/// What the head of a request proves.
#[derive(Debug)]
pub(super) enum Proof {
    Accepted,
    Refused,
    /// The keys to tell by are not there now.
    Undecided,
    /// The body decides: [`Verifier::prove`].
    ByBody(Unproven),
}

/// What is left to look at once the body is there.
#[derive(Debug)]
pub(super) enum Unproven {
    /// A signature of all of it.
    Signature(Vec<u8>),
    /// A message that has its signature inside.
    Message(Arc<TopicRules>),
}

type SecretHash = [u8; 32];

/// Tells a source from a stranger.
#[derive(Debug)]
pub(super) struct Verifier {
    method: Method,
    /// Of what is shown. Hashes are compared, so that a length tells nothing.
    hashes: Vec<SecretHash>,
    /// Of signatures.
    keys: Vec<SecretString>,
}

impl Verifier {
    pub(super) fn new(Authentication { method, secrets }: Authentication) -> Self {
        let long_enough = |secret: &SecretString| secret.expose_secret().len() >= SHORTEST_SECRET;
        let secrets: Vec<SecretString> = secrets.into_iter().filter(long_enough).collect();
        let is_signature = matches!(method, Method::Hmac { .. });
        Self {
            hashes: secrets
                .iter()
                .map(|secret| hash(secret.expose_secret().as_bytes()))
                .collect(),
            keys: if is_signature { secrets } else { Vec::new() },
            method,
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// The body, or what of it is signed, and what a topic said by it. Refused if it is not signed as it must be.
    pub(super) async fn prove(
        &self,
        body: Bytes,
        unproven: &Unproven,
    ) -> Result<(Bytes, Option<Heard>), Refusal> {
        match unproven {
            Unproven::Signature(signature) if self.is_signed(&body, signature) => Ok((body, None)),
            Unproven::Signature(_) => Err(Refusal::Unauthorized(None)),
            Unproven::Message(rules) => {
                let (body, heard) = rules.hear(&body).await?;
                Ok((body, Some(heard)))
            }
        }
    }

    /// Whether one of the keys signed the body this way, in a time that does not tell how much of it is right.
    fn is_signed(&self, body: &[u8], signature: &[u8]) -> bool {
        let Method::Hmac { algorithm, .. } = &self.method else {
            return false;
        };
        let signed = |key: &SecretString| {
            let key = key.expose_secret().as_bytes();
            match algorithm {
                HmacAlgorithm::Sha256 => signs::<Hmac<Sha256>>(key, body, signature),
                HmacAlgorithm::Sha1 => signs::<Hmac<Sha1>>(key, body, signature),
            }
        };
        self.keys.iter().fold(false, |found, key| found | signed(key))
    }
}

/// What the head of a request to a source proves, in a time that tells neither which of its secrets was meant nor
/// whether there is such a source. Checking the signature of a token takes longer: who shows one that is well formed
/// may learn by that, as by the answer 404, that there is such a source.
pub(super) fn proof(verifier: Option<&Verifier>, shown: Shown<'_>) -> Proof {
    const NOBODYS: &[SecretHash] = &[[0; 32]];
    let method = verifier.map_or(&Method::Bearer, |verifier| &verifier.method);
    if let Method::Hmac { header, algorithm } = method {
        let given = shown.headers.get(header).and_then(|value| value.to_str().ok());
        let signature = given.and_then(|text| signature(text, *algorithm));
        return signature.map_or(Proof::Refused, |signature| {
            Proof::ByBody(Unproven::Signature(signature))
        });
    }
    if let Method::ClientCertificate { names } = method {
        let has_one = names.iter().any(|name| shown.names.contains(name));
        return if has_one { Proof::Accepted } else { Proof::Refused };
    }
    if let Method::NotificationTopic(rules) = method {
        return Proof::ByBody(Unproven::Message(rules.clone()));
    }
    let secret = shown.secret_of(method).unwrap_or_default();
    let shown = hash(&secret);
    let hashes = verifier.map_or(NOBODYS, |verifier| &verifier.hashes);
    let found = hashes
        .iter()
        .fold(Choice::from(0), |found, accepted| found | accepted.ct_eq(&shown));
    match method {
        Method::SignedToken(rules) => rules.proof(&secret),
        _ if bool::from(found) && verifier.is_some() => Proof::Accepted,
        _ => Proof::Refused,
    }
}

impl<'a> Shown<'a> {
    /// The secret that it shows.
    fn secret_of(self, method: &Method) -> Option<Cow<'a, [u8]>> {
        let Self { headers, secret, .. } = self;
        match method {
            Method::Bearer | Method::SignedToken(_) => authorization(headers, "Bearer").map(Cow::Borrowed),
            Method::Splunk => authorization(headers, "Splunk").map(Cow::Borrowed),
            Method::Basic { username } => {
                let decoded = STANDARD.decode(authorization(headers, "Basic")?).ok()?;
                let password = decoded.strip_prefix(username.as_bytes())?.strip_prefix(b":")?;
                Some(Cow::Owned(password.to_vec()))
            }
            Method::Header(name) => Some(Cow::Borrowed(headers.get(name)?.as_bytes().trim_ascii())),
            Method::Path => Some(Cow::Borrowed(secret?.as_bytes())),
            Method::ClientCertificate { .. } | Method::Hmac { .. } | Method::NotificationTopic(_) => None,
        }
    }
}

/// What follows the scheme in `Authorization`.
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a [u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (given, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?;
    given
        .eq_ignore_ascii_case(scheme.as_bytes())
        .then_some(rest.trim_ascii())
}

/// The bytes of a signature; the algorithm may be named before it, as in `sha256=…`.
fn signature(text: &str, algorithm: HmacAlgorithm) -> Option<Vec<u8>> {
    let (prefix, bytes) = match algorithm {
        HmacAlgorithm::Sha256 => ("sha256=", 32),
        HmacAlgorithm::Sha1 => ("sha1=", 20),
    };
    let text = text.trim();
    let hexadecimal = text.strip_prefix(prefix).unwrap_or(text).as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_one = hexadecimal.len() == 2 * bytes && hexadecimal.iter().all(u8::is_ascii_hexdigit);
    is_one
        .then(|| hexadecimal.chunks_exact(2).map(byte).collect())
        .flatten()
}

fn signs<M: Mac + KeyInit>(key: &[u8], body: &[u8], signature: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(signature).is_ok()
}

fn hash(secret: &[u8]) -> SecretHash {
    Sha256::digest(secret).into()
}
