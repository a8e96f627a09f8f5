//! Until when credentials are good, as far as they say so themselves.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::ExposeSecret;
use serde::Deserialize;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::Credentials;

/// However long credentials live, this long before their end it is time to renew them.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Credentials that live for hours only are renewed by something, late in their life.
const LAST_PART: i32 = 10;

/// From when and until when credentials are good. Said by themselves and not proven: for hints only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from: Option<Timestamp>,
    pub until: Timestamp,
}

impl Validity {
    /// Whether the last tenth of their life, or the last week if that is shorter, has begun.
    #[must_use]
    pub fn is_near_end(&self, now: Timestamp) -> bool {
        let soon = match self.from {
            Some(from) => (self.until.duration_since(from) / LAST_PART).min(SOON),
            None => SOON,
        };
        self.until.duration_since(now) < soon
    }
}

/// `exp`, `iat` and `nbf` of a JSON Web Token (RFC 7519, section 4.1), or the dates of the client certificate.
pub(super) fn validity(credentials: &Credentials) -> Option<Validity> {
    match credentials {
        Credentials::Token(token) => of_token(token.expose_secret()),
        Credentials::ClientCertificate { certificate, .. } => {
            let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
            let (_, certificate) = X509Certificate::from_der(&der).ok()?;
            let validity = certificate.validity();
            Some(Validity {
                from: Timestamp::from_second(validity.not_before.timestamp()).ok(),
                until: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
            })
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
}

fn of_token(token: &str) -> Option<Validity> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let Claims { exp, iat, nbf } = serde_json::from_slice(&claims).ok()?;
    Some(Validity {
        from: iat.or(nbf).and_then(|second| Timestamp::from_second(second).ok()),
        until: Timestamp::from_second(exp).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Credentials {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
        Credentials::Token(format!("e30.{claims}.c2ln").into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_says_from_when_and_until_when() {
        let given = validity(&token(r#"{"iat":1000,"exp":4600,"sub":"reader"}"#)).unwrap();
        assert_eq!((given.from, given.until), (Some(at(1000)), at(4600)));
        for silent in [r#"{"iat":1000}"#, r#"{"exp":"soon"}"#, "no JSON"] {
            assert_eq!(validity(&token(silent)), None, "{silent}");
        }
        for opaque in ["", "abc", "a.b.c", "é.é.é"] {
            assert_eq!(of_token(opaque), None, "{opaque}");
        }
    }

    #[test]
    fn a_client_certificate_says_it_too() {
        let issued = rcgen::generate_simple_self_signed(["reader".to_owned()]).unwrap();
        let credentials = Credentials::ClientCertificate {
            certificate: issued.cert.pem(),
            key: issued.signing_key.serialize_pem().into(),
        };
        assert!(validity(&credentials).unwrap().until > at(4_000_000_000));
    }

    #[test]
    fn the_end_is_near_in_the_last_week_or_tenth() {
        let day = 24 * 3600;
        for (life, left, expected) in [
            (365 * day, 8 * day, false),
            (365 * day, 6 * day, true),
            (3600, 600, false),
            (3600, 300, true),
            (3600, -1, true),
        ] {
            let validity = Validity {
                from: Some(at(0)),
                until: at(life),
            };
            assert_eq!(validity.is_near_end(at(life - left)), expected, "{life} {left}");
        }
    }
}
