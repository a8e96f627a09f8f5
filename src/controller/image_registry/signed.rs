//! Sources that prove who they are by what others sign for them: where the keys for that come from.

use std::sync::Arc;

use http::Uri;
use thiserror::Error;

use crate::{
    crd::{
        Conditions, NotificationTopicAuthentication, SignedTokenAuthentication, TopicCertificateOrigin,
        WebhookKeyRef,
        condition_type::{READY, RECONCILING},
    },
    receive::{
        Certificate, CertificateError, Claim, FetchedKeys, KeySet, KeySetError, Keys, KeysState, Method,
        TokenRules, TopicCertificates, TopicRules, topic_host,
    },
};

use super::{ImageRegistries, decide::Problem};
use crate::controller::{secrets::SecretProblem, touch::ObjectKey};

/// Why what a source needs to be known by cannot be had.
#[derive(Debug, Error)]
pub enum SignedProblem {
    #[error(
        "the operator may not fetch from {0}: ask for this host to be added to webhook.fetchHosts in the values of the operator's chart (WEBHOOK_FETCH_HOSTS), or refer to a Secret instead"
    )]
    FetchNotPermitted(String),
    #[error("keys need exactly one of secretRef and url")]
    KeysIncomplete,
    #[error("{0} is no https address")]
    Url(String),
    #[error("{0} is no name of a notification topic: write its ARN")]
    TopicName(String),
    #[error("a certificate from a Secret needs secretRef")]
    CertificateIncomplete,
    #[error("the value under key {1} of the Secret {0} cannot be used: {2}")]
    Keys(String, String, KeySetError),
    #[error("the value under key {1} of the Secret {0} cannot be used: {2}")]
    Certificate(String, String, CertificateError),
}

impl SignedProblem {
    /// The word for a condition.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::FetchNotPermitted(_) => "FetchNotPermitted",
            Self::KeysIncomplete | Self::CertificateIncomplete => "AuthenticationIncomplete",
            Self::Url(_) => "InvalidURL",
            Self::TopicName(_) => "InvalidTopic",
            Self::Keys(..) => "InvalidKeys",
            Self::Certificate(..) => "InvalidCertificate",
        }
    }
}

/// A source whose tokens cannot be checked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingKeys {
    source: String,
    host: String,
    /// Why they could not be fetched; nothing before the first answer.
    failure: Option<&'static str>,
}

impl MissingKeys {
    pub fn of(source: &str, keys: &FetchedKeys) -> Option<Self> {
        let failure = match keys.state() {
            KeysState::Available => return None,
            KeysState::Fetching => None,
            KeysState::Unavailable(reason) => Some(reason),
        };
        Some(Self {
            source: source.to_owned(),
            host: keys.url().host().unwrap_or_default().to_owned(),
            failure,
        })
    }
}

/// Not ready, and trying.
pub fn waiting<'a>(conditions: Conditions<'a>, missing: &MissingKeys) -> Conditions<'a> {
    let MissingKeys {
        source,
        host,
        failure,
    } = missing;
    let (reason, message) = match failure {
        None => (
            "FetchingKeys",
            format!(
                "the keys for the source {source} are being fetched from {host}; until then its deliveries wait"
            ),
        ),
        Some(failure) => (
            "KeysUnavailable",
            format!(
                "the keys for the source {source} could not be fetched from {host} ({failure}): its deliveries are answered 503 until they can; see that the operator can reach this host and that url names a key set"
            ),
        ),
    };
    conditions
        .set(READY, false, reason, message.clone())
        .set(RECONCILING, true, reason, message)
}

/// The keys that the operator fetches for a method, where it does.
pub fn fetched_keys(method: &Method) -> Option<Arc<FetchedKeys>> {
    let Method::SignedToken(rules) = method else {
        return None;
    };
    match &rules.keys {
        Keys::Fetched(keys) => Some(keys.clone()),
        Keys::Given(_) => None,
    }
}

impl ImageRegistries {
    pub(super) async fn token(
        &self,
        user: &ObjectKey,
        spec: &SignedTokenAuthentication,
    ) -> Result<Method, Problem> {
        let SignedTokenAuthentication {
            issuer,
            audience,
            claims,
            keys,
        } = spec;
        let keys = match (&keys.secret_ref, &keys.url) {
            (Some(reference), None) => {
                let problem =
                    |error| SignedProblem::Keys(reference.name.clone(), reference.key.clone(), error);
                let set = KeySet::parse(&self.value(user, reference).await?).map_err(problem)?;
                Keys::Given(Arc::new(set))
            }
            (None, Some(url)) => {
                let url: Uri = url.parse().map_err(|_| SignedProblem::Url(url.clone()))?;
                self.permit(&url)?;
                Keys::Fetched(self.world.remote.keys.at(&url))
            }
            _ => return Err(SignedProblem::KeysIncomplete.into()),
        };
        let claims = claims.iter().map(|claim| Claim {
            name: claim.name.clone(),
            values: claim.values.clone(),
        });
        Ok(Method::SignedToken(Arc::new(TokenRules {
            issuer: issuer.clone(),
            audience: audience.clone(),
            claims: claims.collect(),
            keys,
        })))
    }

    pub(super) async fn topic(
        &self,
        user: &ObjectKey,
        spec: &NotificationTopicAuthentication,
    ) -> Result<Method, Problem> {
        let NotificationTopicAuthentication {
            topic_arns,
            certificate,
        } = spec;
        let certificates = match (certificate.from, &certificate.secret_ref) {
            (TopicCertificateOrigin::Message, _) => {
                for arn in topic_arns {
                    let url = topic_host(arn).and_then(|host| format!("https://{host}/").parse().ok());
                    self.permit(&url.ok_or_else(|| SignedProblem::TopicName(arn.clone()))?)?;
                }
                TopicCertificates::Named(self.world.remote.certificates.clone())
            }
            (TopicCertificateOrigin::Secret, Some(reference)) => {
                let problem =
                    |error| SignedProblem::Certificate(reference.name.clone(), reference.key.clone(), error);
                let pem = self.value(user, reference).await?;
                TopicCertificates::Given(Certificate::parse_all(&pem).map_err(problem)?)
            }
            (TopicCertificateOrigin::Secret, None) => return Err(SignedProblem::CertificateIncomplete.into()),
        };
        Ok(Method::NotificationTopic(Arc::new(TopicRules {
            arns: topic_arns.clone(),
            certificates,
            fetcher: self.world.remote.fetcher.clone(),
        })))
    }

    fn permit(&self, url: &Uri) -> Result<(), SignedProblem> {
        if self.world.remote.fetcher.permits(url) {
            return Ok(());
        }
        let authority = url.authority().map(ToString::to_string);
        Err(SignedProblem::FetchNotPermitted(authority.unwrap_or_default()))
    }

    async fn value(&self, user: &ObjectKey, reference: &WebhookKeyRef) -> Result<Vec<u8>, Problem> {
        let WebhookKeyRef { name, key } = reference;
        let data = self.secrets.follow(user, name).await?;
        let value = data
            .get(key)
            .ok_or_else(|| SecretProblem::KeyMissing(name.clone(), key.clone()))?;
        Ok(value.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::crd::{Condition, ConditionStatus};

    fn conditions(failure: Option<&'static str>) -> Vec<Condition> {
        let missing = MissingKeys {
            source: "pub-sub".to_owned(),
            host: "keys.example.com".to_owned(),
            failure,
        };
        waiting(Conditions::new(&[], None, Timestamp::UNIX_EPOCH), &missing).build()
    }

    #[test]
    fn a_registry_waits_for_the_keys_of_its_sources_and_says_why() {
        for (failure, reason) in [(None, "FetchingKeys"), (Some("TimedOut"), "KeysUnavailable")] {
            let conditions = conditions(failure);
            let told: Vec<_> = conditions
                .iter()
                .map(|condition| {
                    (
                        condition.r#type.as_str(),
                        condition.status,
                        condition.reason.as_str(),
                    )
                })
                .collect();
            assert_eq!(
                told,
                [
                    (READY, ConditionStatus::False, reason),
                    (RECONCILING, ConditionStatus::True, reason),
                ]
            );
            let message = &conditions[0].message;
            assert!(
                message.contains("pub-sub") && message.contains("keys.example.com"),
                "{message}"
            );
            assert!(
                failure.is_none_or(|failure| message.contains(failure)),
                "{message}"
            );
        }
    }

    #[test]
    fn a_host_that_may_not_be_fetched_from_is_named_with_the_setting() {
        let problem = Problem::from(SignedProblem::FetchNotPermitted("keys.example.com".to_owned()));
        assert_eq!(problem.reason(), "FetchNotPermitted");
        let message = problem.to_string();
        assert!(
            message.contains("keys.example.com") && message.contains("webhook.fetchHosts"),
            "{message}"
        );
    }
}
