use thiserror::Error;

/// Why a log cannot be read. Nothing is lost by it: the log is read from where it was as soon as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Problem {
    #[error(
        "the registry does not let this account read its log: renew the credentials in the Secret, or give the account the right to"
    )]
    Unauthorized,
    #[error("the registry has no such log: correct poll.url, or the organizations and repositories")]
    NotFound,
    /// With a word for what happened.
    #[error(
        "the registry's log cannot be reached ({0}): look at poll.url, the registry and the network to it; it is tried again"
    )]
    Unreachable(&'static str),
    #[error(
        "what the registry answers is no page of its log, or one larger than 8 MiB: correct poll.url, or look at the registry; it is tried again"
    )]
    Unreadable,
}

impl Problem {
    /// The word for a condition.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unauthorized => "PollUnauthorized",
            Self::NotFound => "PollNotFound",
            Self::Unreachable(_) => "PollUnreachable",
            Self::Unreadable => "PollUnreadable",
        }
    }
}
