use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use thiserror::Error;

use crate::store::StoreError;

use super::MAX_BODY_BYTES;

/// Seconds a sender is told to wait when its delivery cannot be taken now.
const RETRY_AFTER: &str = "5";
/// The same where it came too soon: at least one a second is taken.
const RETRY_AFTER_RATE: &str = "1";
/// The same where room has to be made first, or keys to be fetched.
const RETRY_AFTER_LONG: &str = "60";

/// Why a delivery was not taken. Nothing of the request is in it.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("no such source")]
    UnknownPath,
    /// With what `WWW-Authenticate` asks for.
    #[error("the credentials are not accepted")]
    Unauthorized(Option<&'static str>),
    /// What would tell could not be fetched.
    #[error("the credentials cannot be checked now")]
    KeysUnavailable,
    #[error("send the body without compression")]
    Compressed,
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("the registry delivers more quickly than its rate limit allows")]
    RateLimited,
    #[error("too many deliveries are under way")]
    TooMany,
    /// The same before it is known who sends this one.
    #[error("too many deliveries are under way")]
    TooManyUnproven,
    #[error("the event store cannot take the events now")]
    Store(#[source] StoreError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::KeysUnavailable | Self::TooMany | Self::TooManyUnproven | Self::Store(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::KeysUnavailable
            | Self::Store(StoreError::LowSpace { .. } | StoreError::QuotaExceeded { .. }) => {
                Some(RETRY_AFTER_LONG)
            }
            Self::RateLimited => Some(RETRY_AFTER_RATE),
            Self::TooMany | Self::TooManyUnproven | Self::Store(_) => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// For metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::UnknownPath => "UnknownPath",
            Self::Unauthorized(_) => "Unauthorized",
            Self::KeysUnavailable => "KeysUnavailable",
            Self::Compressed => "Compressed",
            Self::TooLarge => "TooLarge",
            Self::TooSlow => "TooSlow",
            Self::Broken => "Broken",
            Self::RateLimited => "RateLimited",
            Self::TooMany | Self::TooManyUnproven => "TooMany",
            Self::Store(error) => error.reason(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = (self.status(), self.to_string());
        match (self.retry_after(), self) {
            (Some(seconds), _) => ([(header::RETRY_AFTER, seconds)], body).into_response(),
            (None, Self::Unauthorized(Some(challenge))) => {
                ([(header::WWW_AUTHENTICATE, challenge)], body).into_response()
            }
            _ => body.into_response(),
        }
    }
}
