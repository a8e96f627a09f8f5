//! Messages that a notification topic signs ("Verifying the signatures of Amazon SNS messages" and "Amazon SNS message
//! and JSON formats" in the developer guide of Amazon SNS).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::certificate::{Certificate, SignatureAlgorithm};
use crate::receive::{
    refusal::Refusal,
    remote::{CertificateUnavailable, Certificates, Fetcher},
};

/// Whose messages are taken, and how their signatures are checked.
#[derive(Debug)]
pub struct TopicRules {
    /// Names of the topics.
    pub arns: Vec<String>,
    pub certificates: TopicCertificates,
    /// Opens the addresses by which a topic is told that it may send.
    pub fetcher: Fetcher,
}

#[derive(Debug)]
pub enum TopicCertificates {
    Given(Vec<Certificate>),
    /// Those that the messages name.
    Named(Arc<Certificates>),
}

/// What a topic said by a message that it signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::receive) enum Heard {
    Notification,
    /// It asked whether it may send, and was told so.
    Confirmed,
    /// It asks for an address to be opened, and nobody did.
    Asks,
}

/// What of a body is read before it is known who sent it. What a format reads of it (`Type`, `TopicArn`, `Message`) is
/// signed.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    r#type: String,
    message_id: String,
    topic_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(rename = "SubscribeURL", skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<String>,
}

impl TopicRules {
    /// Of a body that one of the topics signed, what was looked at: further fields of it are not signed. A topic that
    /// asks whether it may send is told so, where its address may be opened.
    pub(super) async fn hear(&self, body: &[u8]) -> Result<(Bytes, Heard), Refusal> {
        let envelope = self.verify(body).await?;
        let heard = match envelope.r#type.as_str() {
            "Notification" => Heard::Notification,
            "SubscriptionConfirmation" if self.confirm(&envelope).await => Heard::Confirmed,
            // A confirmation of its end asks to undo it.
            _ => Heard::Asks,
        };
        let body = serde_json::to_vec(&envelope).map_err(|_| Refusal::Unauthorized(None))?;
        Ok((body.into(), heard))
    }

    async fn verify(&self, body: &[u8]) -> Result<Envelope, Refusal> {
        let refused = || Refusal::Unauthorized(None);
        // A list of values would be read as an envelope too.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let envelope: Envelope = is_object
            .then(|| serde_json::from_slice(body).ok())
            .flatten()
            .ok_or_else(refused)?;
        if !self.arns.contains(&envelope.topic_arn) {
            return Err(refused());
        }
        let algorithm = match envelope.signature_version.as_str() {
            "1" => SignatureAlgorithm::RsaSha1,
            "2" => SignatureAlgorithm::RsaSha256,
            _ => return Err(refused()),
        };
        let signature = STANDARD.decode(&envelope.signature).map_err(|_| refused())?;
        let text = envelope.signed_text().ok_or_else(refused)?;
        let now = Timestamp::now();
        let is_signed_by =
            |certificate: &Certificate| certificate.signed(algorithm, text.as_bytes(), &signature, now);
        let is_signed = match &self.certificates {
            TopicCertificates::Given(certificates) => certificates.iter().any(is_signed_by),
            TopicCertificates::Named(certificates) => {
                let url = certificate_url(&envelope).ok_or_else(refused)?;
                match certificates.at(&url).await {
                    Ok(certificate) => is_signed_by(&certificate),
                    Err(CertificateUnavailable::Refused) => false,
                    Err(CertificateUnavailable::Unknown) => return Err(Refusal::KeysUnavailable),
                }
            }
        };
        if is_signed { Ok(envelope) } else { Err(refused()) }
    }

    /// Whether the topic was told that it may send.
    async fn confirm(&self, envelope: &Envelope) -> bool {
        let url = envelope.subscribe_url.as_deref();
        let url = url.and_then(|url| at_topic(envelope, url));
        let Some(url) = url.filter(|url| self.fetcher.permits(url)) else {
            return false;
        };
        match self.fetcher.get(&url).await {
            Ok(_) => {
                info!(host = url.host(), "a topic was told that it may send");
                true
            }
            Err(error) => {
                let reason = error.reason();
                warn!(
                    host = url.host(),
                    reason, "failed to tell a topic that it may send"
                );
                false
            }
        }
    }
}

impl Envelope {
    /// What is signed; nothing where a field of it is missing.
    fn signed_text(&self) -> Option<String> {
        let (subscribe_url, subject, token) = match self.r#type.as_str() {
            "Notification" => (None, self.subject.as_deref(), None),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => (
                Some(self.subscribe_url.as_deref()?),
                None,
                Some(self.token.as_deref()?),
            ),
            _ => return None,
        };
        let fields = [
            ("Message", Some(self.message.as_str())),
            ("MessageId", Some(self.message_id.as_str())),
            ("SubscribeURL", subscribe_url),
            ("Subject", subject),
            ("Timestamp", Some(self.timestamp.as_str())),
            ("Token", token),
            ("TopicArn", Some(self.topic_arn.as_str())),
            ("Type", Some(self.r#type.as_str())),
        ];
        let lines = fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}\n{value}\n")));
        Some(lines.collect())
    }
}

/// The host of a topic's region, by its name: `arn:<partition>:sns:<region>:<account>:<topic>`.
#[must_use]
pub fn topic_host(arn: &str) -> Option<String> {
    let mut parts = arn.split(':');
    let (Some("arn"), Some(partition), Some("sns"), Some(region)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let domain = if partition == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Some(format!("sns.{region}.{domain}"))
}

/// An address at the topic's own host, by https, without port and user.
fn at_topic(envelope: &Envelope, url: &str) -> Option<Uri> {
    let url: Uri = url.parse().ok()?;
    let is_there = url.scheme() == Some(&http::uri::Scheme::HTTPS)
        && url.authority().map(http::uri::Authority::as_str) == topic_host(&envelope.topic_arn).as_deref();
    is_there.then_some(url)
}

/// Where the certificate is: a file of the service, whose name nobody else chooses.
fn certificate_url(envelope: &Envelope) -> Option<Uri> {
    let url = at_topic(envelope, &envelope.signing_cert_url)?;
    let name = url
        .path()
        .strip_prefix("/SimpleNotificationService-")?
        .strip_suffix(".pem")?;
    let is_plain = url.query().is_none() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_plain && (1..=64).contains(&name.len())).then_some(url)
}
