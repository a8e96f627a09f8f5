//! Why a cluster does not answer, as one word: never a remote server's text.

use std::{error::Error, io};

use super::guard::{ADDRESS_NOT_ALLOWED, is_address_not_allowed};

/// The word for a condition.
pub fn reason(error: &kube::Error) -> &'static str {
    if let kube::Error::Api(status) = error {
        return match status.code {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            429 => "Throttled",
            500.. => "ServerError",
            _ => "UnexpectedAnswer",
        };
    }
    if is_address_not_allowed(error) {
        return ADDRESS_NOT_ALLOWED;
    }
    causes(error).find_map(of_cause).unwrap_or("Unreachable")
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(match tls {
            rustls::Error::InvalidCertificate(_) => "CertificateInvalid",
            _ => "TLSFailed",
        });
    }
    let io = cause.downcast_ref::<io::Error>()?;
    match io.kind() {
        io::ErrorKind::ConnectionRefused => Some("ConnectionRefused"),
        io::ErrorKind::TimedOut => Some("Timeout"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => Some("ConnectionLost"),
        _ => None,
    }
}

/// The error and what caused it, also through the wrapper that `io::Error` is.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| inner as &(dyn Error + 'static));
        wrapped.or_else(|| error.source())
    })
    .take(16)
}
