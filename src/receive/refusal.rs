use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use thiserror::Error;

use crate::store::StoreError;

use super::MAX_BODY_BYTES;

/// Seconds a sender is told to wait when its delivery cannot be taken now.
const RETRY_AFTER: &str = "5";

/// Why a delivery was not taken. Nothing of the request is in it.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("no such source")]
    UnknownPath,
    #[error("the token is not accepted")]
    Unauthorized,
    #[error("send the body without compression")]
    Compressed,
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    TooLarge,
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("too many deliveries are under way")]
    TooMany,
    #[error("the event store cannot take the events now")]
    Store(#[source] StoreError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::TooMany | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::UnknownPath => "UnknownPath",
            Self::Unauthorized => "Unauthorized",
            Self::Compressed => "Compressed",
            Self::TooLarge => "TooLarge",
            Self::TooSlow => "TooSlow",
            Self::Broken => "Broken",
            Self::TooMany => "TooMany",
            Self::Store(_) => "StoreUnavailable",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = (self.status(), self.to_string());
        match self {
            Self::TooMany | Self::Store(_) => ([(header::RETRY_AFTER, RETRY_AFTER)], body).into_response(),
            Self::Unauthorized => ([(header::WWW_AUTHENTICATE, "Bearer")], body).into_response(),
            _ => body.into_response(),
        }
    }
}
