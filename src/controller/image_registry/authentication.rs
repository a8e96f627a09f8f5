//! How a source of a webhook proves who it is, as its spec says: pure.

use http::HeaderName;
use secrecy::SecretString;

use crate::{
    crd::{
        self, EventSource, NotificationTopicAuthentication, SignedTokenAuthentication, Webhook,
        WebhookAuthentication, WebhookAuthenticationType, WebhookSecretRef,
    },
    receive::{HmacAlgorithm, Method, SHORTEST_SECRET},
};

use super::{
    super::secrets::{SecretData, SecretProblem},
    decide::Problem,
    polled::credentials_ref,
};

/// How a source proves who it is, and what else it takes to tell.
#[derive(Debug)]
pub enum Wanted<'a> {
    Nothing(Method),
    /// Values of a Secret, each of which is accepted.
    Secrets(Method, &'a WebhookSecretRef),
    Token(&'a SignedTokenAuthentication),
    Topic(&'a NotificationTopicAuthentication),
}

impl<'a> Wanted<'a> {
    fn secret_name(self) -> Option<&'a str> {
        let reference = match self {
            Self::Nothing(_) => return None,
            Self::Secrets(_, reference) => return Some(&reference.name),
            Self::Token(token) => &token.keys.secret_ref,
            Self::Topic(topic) => &topic.certificate.secret_ref,
        };
        reference.as_ref().map(|reference| reference.name.as_str())
    }
}

pub fn authentication(webhook: &Webhook) -> Result<Wanted<'_>, Problem> {
    use WebhookAuthenticationType as Type;
    let WebhookAuthentication {
        r#type,
        bearer,
        basic,
        header,
        hmac,
        splunk,
        path,
        client_certificate,
        signed_token,
        notification_topic,
    } = &webhook.authentication;
    let incomplete = || Problem::AuthenticationIncomplete(*r#type);
    let (method, secret_ref) = match r#type {
        Type::Bearer => (
            Method::Bearer,
            &bearer.as_ref().ok_or_else(incomplete)?.secret_ref,
        ),
        Type::Splunk => (
            Method::Splunk,
            &splunk.as_ref().ok_or_else(incomplete)?.secret_ref,
        ),
        Type::Path => (Method::Path, &path.as_ref().ok_or_else(incomplete)?.secret_ref),
        Type::Basic => {
            let given = basic.as_ref().ok_or_else(incomplete)?;
            let username = given.username.clone();
            (Method::Basic { username }, &given.secret_ref)
        }
        Type::Header => {
            let given = header.as_ref().ok_or_else(incomplete)?;
            (Method::Header(header_name(&given.name)?), &given.secret_ref)
        }
        Type::Hmac => {
            let given = hmac.as_ref().ok_or_else(incomplete)?;
            let method = Method::Hmac {
                header: header_name(&given.header)?,
                algorithm: match given.algorithm {
                    crd::HmacAlgorithm::Sha256 => HmacAlgorithm::Sha256,
                    crd::HmacAlgorithm::Sha1 => HmacAlgorithm::Sha1,
                },
            };
            (method, &given.secret_ref)
        }
        Type::ClientCertificate => {
            let given = client_certificate.as_ref().ok_or_else(incomplete)?;
            let names = given.names.clone();
            return Ok(Wanted::Nothing(Method::ClientCertificate { names }));
        }
        Type::SignedToken => return signed_token.as_ref().map(Wanted::Token).ok_or_else(incomplete),
        Type::NotificationTopic => {
            return notification_topic
                .as_ref()
                .map(Wanted::Topic)
                .ok_or_else(incomplete);
        }
    };
    Ok(Wanted::Secrets(method, secret_ref))
}

fn header_name(name: &str) -> Result<HeaderName, Problem> {
    name.parse().map_err(|_| Problem::HeaderName(name.to_owned()))
}

/// The Secrets that sources refer to.
pub fn secret_names(sources: &[EventSource]) -> Vec<&str> {
    let of_webhooks = sources
        .iter()
        .filter_map(|source| authentication(source.webhook.as_ref()?).ok()?.secret_name());
    let of_polls = sources
        .iter()
        .filter_map(|source| source.poll.as_ref())
        .flat_map(|poll| {
            let credentials = credentials_ref(poll).ok();
            credentials.into_iter().chain(&poll.ca_secret_ref)
        });
    of_webhooks
        .chain(of_polls.map(|reference| reference.name.as_str()))
        .collect()
}

/// The secrets that are accepted.
pub fn secrets(
    method: &Method,
    reference: &WebhookSecretRef,
    data: &SecretData,
) -> Result<Vec<SecretString>, Problem> {
    let name = || reference.name.clone();
    reference
        .keys
        .iter()
        .map(|key| {
            let value = data
                .get(key)
                .ok_or_else(|| SecretProblem::KeyMissing(name(), key.clone()))?;
            let secret = std::str::from_utf8(value)
                .map(str::trim)
                .ok()
                .filter(|secret| secret.len() >= SHORTEST_SECRET)
                .ok_or_else(|| Problem::TokenTooShort(name(), key.clone()))?;
            if matches!(method, Method::Path) && !secret.bytes().all(is_unreserved) {
                return Err(Problem::NotForAPath(name(), key.clone()));
            }
            Ok(SecretString::from(secret))
        })
        .collect()
}

/// What a path has as it is (RFC 3986, 2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
