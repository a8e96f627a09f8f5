//! Why a request failed, by a closed list of words. The texts of errors are no
//! safe alternative: the other side writes names into its certificates, bodies and
//! status messages.

use std::{error::Error, io, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use rustls::CertificateError;

use super::{ADDRESS_NOT_ALLOWED, AddressNotAllowed, NameNotResolved};

/// The reason of a condition or a metric for an error of a guarded client or
/// connector. `ConnectionFailed` where nothing closer is known.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> &'static str {
    sources(error)
        .find_map(reason_of_one)
        .unwrap_or("ConnectionFailed")
}

fn reason_of_one(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if error.is::<AddressNotAllowed>() {
        return Some(ADDRESS_NOT_ALLOWED);
    }
    if error.is::<NameNotResolved>() {
        return Some("NameNotResolved");
    }
    if let Some(kube::Error::Api(status)) = error.downcast_ref() {
        return Some(StatusCode::from_u16(status.code).map_or("RequestRefused", reason_of_code));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(match error {
            rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => "CertificateExpired",
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => "CertificateNameMismatch",
            rustls::Error::InvalidCertificate(_) => "CertificateNotTrusted",
            _ => "TLSFailed",
        });
    }
    let error = error.downcast_ref::<io::Error>()?;
    match error.kind() {
        io::ErrorKind::TimedOut => Some("TimedOut"),
        io::ErrorKind::ConnectionRefused => Some("ConnectionRefused"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some("Unreachable"),
        _ => None,
    }
}

/// The same for an answer that is no success.
#[must_use]
pub fn reason_of_code(code: StatusCode) -> &'static str {
    match code {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        code if code.is_server_error() => "ServerError",
        _ => "RequestRefused",
    }
}

/// How long an answer asks to be left alone, in seconds; API servers send no dates.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// An error and all it goes back to.
fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // Its own `source` leaves out what it wraps.
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
