use std::time::Duration;

use thiserror::Error;

use crate::cluster::wire::{Failure, Malformed};

/// What stopped a request or a stream. Never holds text of the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StreamError {
    #[error("failed to connect to the API server")]
    Unreachable { reason: &'static str },
    #[error("the API server did not answer in time")]
    NoAnswer,
    #[error("the API server did not accept the credentials")]
    Unauthorized,
    #[error("the credentials do not allow to read this kind")]
    Forbidden,
    #[error("the API server does not serve this kind")]
    NotServed,
    #[error("the API server does not speak the format asked for")]
    NotAcceptable,
    #[error("the API server refused the request as invalid")]
    Rejected,
    #[error("the version asked for is no longer kept")]
    Expired,
    #[error("the API server asks to come back later")]
    Throttled { retry_after: Option<Duration> },
    #[error("the API server failed with code {code}")]
    ServerError {
        code: u16,
        retry_after: Option<Duration>,
    },
    #[error("the API server answered with the unexpected code {code}")]
    Unexpected { code: u16 },
    #[error("the stream broke off")]
    Broken,
    #[error("the stream fell silent")]
    Silent,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("an object is larger than the limit")]
    FrameTooLarge,
    #[error("the list is larger than the limit")]
    ListTooLarge,
    #[error("the list takes longer than the limit")]
    ListTooSlow,
    #[error("the initial list has no end")]
    NoListEnd,
    #[error("the cluster's memory budget is used up")]
    BudgetExceeded,
}

impl StreamError {
    /// A word for conditions, metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { reason } => reason,
            Self::NoAnswer => "TimedOut",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotServed => "NotServed",
            Self::NotAcceptable => "NotAcceptable",
            Self::Rejected => "RequestRefused",
            Self::Expired => "Expired",
            Self::Throttled { .. } => "TooManyRequests",
            Self::ServerError { .. } => "ServerError",
            Self::Unexpected { .. } => "UnexpectedAnswer",
            Self::Broken => "ConnectionBroken",
            Self::Silent => "ConnectionSilent",
            Self::Malformed(Malformed) => "Malformed",
            Self::FrameTooLarge => "ObjectTooLarge",
            Self::ListTooLarge => "ListTooLarge",
            Self::ListTooSlow => "ListTooSlow",
            Self::NoListEnd => "NoListEnd",
            Self::BudgetExceeded => "MemoryBudgetExceeded",
        }
    }

    /// What an HTTP status, or the code of an `ERROR` frame, means here.
    pub(super) fn from_code(code: u16, retry_after: Option<Duration>) -> Self {
        match code {
            400 | 422 => Self::Rejected,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 405 => Self::NotServed,
            406 | 415 => Self::NotAcceptable,
            410 => Self::Expired,
            429 => Self::Throttled { retry_after },
            500..=599 => Self::ServerError { code, retry_after },
            code => Self::Unexpected { code },
        }
    }
}

impl From<Failure> for StreamError {
    fn from(failure: Failure) -> Self {
        Self::from_code(failure.code, failure.retry_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_to_do() {
        let later = Some(Duration::from_secs(7));
        assert_eq!(StreamError::from_code(410, None), StreamError::Expired);
        assert_eq!(
            StreamError::from_code(429, later),
            StreamError::Throttled { retry_after: later }
        );
        assert_eq!(StreamError::from_code(503, later).reason(), "ServerError");
        assert_eq!(StreamError::from_code(302, None).reason(), "UnexpectedAnswer");
    }
}
