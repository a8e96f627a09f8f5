//! What a polled source asks for: pure.

use std::time::Duration;

use http::Uri;
use jiff::SignedDuration;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::SecretString;
use thiserror::Error;

use crate::{
    crd::{self, EventSource, PollAuthenticationType, PollSecretRef, SourceFormat, parse_duration},
    poll::{Credentials, Log, Polled, Server},
    store::RegistryKey,
};

use super::{
    super::secrets::{SecretData, SecretProblem},
    decide::Problem,
};

/// The first round reads so much of what happened before.
const FIRST_REACH: SignedDuration = SignedDuration::from_hours(24);

/// Why a source cannot be polled. Quotes no value of a Secret.
#[derive(Debug, Error)]
pub enum PollProblem {
    #[error("sources of the format {0:?} cannot be polled, only those of Harbor and Quay: use webhook")]
    Format(SourceFormat),
    #[error("poll.url is https:// and a host, with a port and a path where it has them: correct it")]
    Url,
    #[error("poll.interval is a number and m, h or d, such as 1m")]
    Interval,
    #[error(
        "poll.organizations and poll.repositories say whose logs are asked for: name at least one for the format Quay, none for Harbor"
    )]
    Logs,
    #[error("poll.authentication of this type ({0:?}) needs the field of its name")]
    AuthenticationIncomplete(PollAuthenticationType),
    #[error(
        "the value under key {1} of the Secret {0} is no password or token: it is empty, or has characters that cannot be sent"
    )]
    Credentials(String, String),
    #[error("the value under key {1} of the Secret {0} is no certificate in PEM")]
    Certificate(String, String),
}

impl PollProblem {
    /// The word for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Format(_) => "FormatNotPolled",
            Self::Url => "InvalidPollURL",
            Self::Interval => "InvalidPollInterval",
            Self::Logs => "PollLogsMismatch",
            Self::AuthenticationIncomplete(_) => "AuthenticationIncomplete",
            Self::Credentials(..) => "InvalidCredentials",
            Self::Certificate(..) => "InvalidCertificateAuthority",
        }
    }
}

/// Where the credentials are.
pub fn credentials_ref(poll: &crd::Poll) -> Result<&PollSecretRef, Problem> {
    let crd::PollAuthentication {
        r#type,
        basic,
        bearer,
    } = &poll.authentication;
    let found = match r#type {
        PollAuthenticationType::Basic => basic.as_ref().map(|basic| &basic.secret_ref),
        PollAuthenticationType::Bearer => bearer.as_ref().map(|bearer| &bearer.secret_ref),
    };
    Ok(found.ok_or(PollProblem::AuthenticationIncomplete(*r#type))?)
}

/// Whose the source is, and how long its events are kept.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub registry: &'a RegistryKey,
    pub retention: SignedDuration,
}

/// What to ask for, given the Secret with the credentials and the one with the certificates.
pub fn polled(
    owner: Owner<'_>,
    source: &EventSource,
    poll: &crd::Poll,
    secret: &SecretData,
    authority: Option<&SecretData>,
) -> Result<Polled, Problem> {
    let interval = parse_duration(&poll.interval).ok_or(PollProblem::Interval)?;
    let roots = match (&poll.ca_secret_ref, authority) {
        (Some(reference), Some(data)) => Some(certificates(reference, data)?),
        _ => None,
    };
    Ok(Polled {
        registry: owner.registry.clone(),
        source: source.name.clone(),
        logs: logs(source.format, poll)?,
        server: Server {
            url: url(&poll.url)?,
            credentials: credentials(poll, secret)?,
            roots,
        },
        interval: Duration::from_secs(interval.as_secs().unsigned_abs()),
        reach: FIRST_REACH.min(owner.retention),
    })
}

fn url(text: &str) -> Result<Uri, PollProblem> {
    let url: Uri = text.parse().map_err(|_| PollProblem::Url)?;
    let is_plain = url.scheme_str() == Some("https")
        && url.query().is_none()
        && url
            .authority()
            .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if is_plain { Ok(url) } else { Err(PollProblem::Url) }
}

fn logs(format: SourceFormat, poll: &crd::Poll) -> Result<Vec<Log>, PollProblem> {
    let organizations = poll.organizations.iter().cloned().map(Log::QuayOrganization);
    let repositories = poll.repositories.iter().cloned().map(Log::QuayRepository);
    let named: Vec<Log> = organizations.chain(repositories).collect();
    match format {
        SourceFormat::Harbor if named.is_empty() => Ok(vec![Log::Harbor]),
        SourceFormat::Quay if !named.is_empty() => Ok(named),
        SourceFormat::Harbor | SourceFormat::Quay => Err(PollProblem::Logs),
        other => Err(PollProblem::Format(other)),
    }
}

fn credentials(poll: &crd::Poll, data: &SecretData) -> Result<Credentials, Problem> {
    let reference = credentials_ref(poll)?;
    let invalid = || PollProblem::Credentials(reference.name.clone(), reference.key.clone());
    let text = std::str::from_utf8(value(reference, data)?)
        .map(str::trim)
        .ok()
        .filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
        .ok_or_else(invalid)?;
    if let (PollAuthenticationType::Basic, Some(basic)) =
        (poll.authentication.r#type, &poll.authentication.basic)
    {
        return Ok(Credentials::Basic {
            username: basic.username.clone(),
            password: SecretString::from(text),
        });
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Credentials::Bearer(SecretString::from(text)))
    } else {
        Err(invalid().into())
    }
}

fn certificates(reference: &PollSecretRef, data: &SecretData) -> Result<Vec<Vec<u8>>, Problem> {
    let pem = value(reference, data)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    let invalid = || PollProblem::Certificate(reference.name.clone(), reference.key.clone());
    let found = found.ok_or_else(invalid)?;
    Ok(found.iter().map(|certificate| certificate.to_vec()).collect())
}

fn value<'a>(reference: &PollSecretRef, data: &'a SecretData) -> Result<&'a [u8], Problem> {
    let missing = || SecretProblem::KeyMissing(reference.name.clone(), reference.key.clone());
    Ok(data.get(&reference.key).ok_or_else(missing)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source(format: &str, poll: &Value) -> EventSource {
        serde_json::from_value(json!({"name": "log", "format": format, "poll": poll})).unwrap()
    }

    fn read(format: &str, change: Value) -> Result<Polled, &'static str> {
        let mut poll = json!({
            "url": "https://registry.example.com:8443/registry",
            "authentication": {"type": "Bearer", "bearer": {"secretRef": {"name": "log", "key": "token"}}},
        });
        if let (Some(poll), Value::Object(change)) = (poll.as_object_mut(), change) {
            poll.extend(change);
        }
        let source = source(format, &poll);
        let secret = SecretData::of([
            ("token", "a-token\n".as_bytes()),
            ("empty", b" "),
            ("two", b"two words"),
        ]);
        let registry = RegistryKey {
            namespace: "team".to_owned(),
            name: "registry".to_owned(),
            uid: "1".to_owned(),
        };
        let owner = Owner {
            registry: &registry,
            retention: SignedDuration::from_hours(2),
        };
        let poll = source.poll.as_ref().unwrap();
        polled(owner, &source, poll, &secret, Some(&secret)).map_err(|problem| problem.reason())
    }

    fn bearer(key: &str) -> Value {
        json!({"authentication": {"type": "Bearer", "bearer": {"secretRef": {"name": "log", "key": key}}}})
    }

    #[test]
    fn a_source_says_which_logs_are_asked_for_and_by_whom() {
        let harbor = read("Harbor", json!({})).unwrap();
        assert_eq!(harbor.logs, [Log::Harbor]);
        assert_eq!(
            (harbor.interval, harbor.reach),
            (Duration::from_mins(1), SignedDuration::from_hours(2))
        );
        let bearer = Credentials::Bearer(SecretString::from("a-token"));
        assert_eq!(harbor.server.credentials, bearer);

        let basic = json!({"interval": "2h", "authentication": {"type": "Basic",
            "basic": {"username": "robot$a", "secretRef": {"name": "log", "key": "two"}}}});
        let harbor = read("Harbor", basic).unwrap();
        assert_eq!(harbor.interval, Duration::from_hours(2));
        let basic = Credentials::Basic {
            username: "robot$a".to_owned(),
            password: SecretString::from("two words"),
        };
        assert_eq!(harbor.server.credentials, basic);

        let quay = read(
            "Quay",
            json!({"organizations": ["acme"], "repositories": ["team/app"]}),
        )
        .unwrap();
        let expected = [
            Log::QuayOrganization("acme".to_owned()),
            Log::QuayRepository("team/app".to_owned()),
        ];
        assert_eq!(quay.logs, expected);
    }

    #[test]
    fn what_cannot_be_polled_is_refused_by_name() {
        for (format, change, reason) in [
            ("Zot", json!({}), "FormatNotPolled"),
            ("Quay", json!({}), "PollLogsMismatch"),
            ("Harbor", json!({"organizations": ["acme"]}), "PollLogsMismatch"),
            ("Harbor", json!({"interval": "1s"}), "InvalidPollInterval"),
            (
                "Harbor",
                json!({"url": "http://registry.example.com"}),
                "InvalidPollURL",
            ),
            (
                "Harbor",
                json!({"url": "https://a:b@registry.example.com"}),
                "InvalidPollURL",
            ),
            (
                "Harbor",
                json!({"url": "https://registry.example.com/?a"}),
                "InvalidPollURL",
            ),
            ("Harbor", json!({"url": "registry.example.com"}), "InvalidPollURL"),
            (
                "Harbor",
                json!({"authentication": {"type": "Basic"}}),
                "AuthenticationIncomplete",
            ),
            ("Harbor", bearer("missing"), "KeyMissing"),
            ("Harbor", bearer("empty"), "InvalidCredentials"),
            ("Harbor", bearer("two"), "InvalidCredentials"),
            (
                "Harbor",
                json!({"caSecretRef": {"name": "log", "key": "token"}}),
                "InvalidCertificateAuthority",
            ),
        ] {
            assert_eq!(read(format, change.clone()), Err(reason), "{format} {change}");
        }
    }
}
