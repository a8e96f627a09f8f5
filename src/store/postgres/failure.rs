//! Why the database did not do what it was asked, in words that name no credentials and
//! repeat no text of the server.

use thiserror::Error;
use tokio_postgres::error::SqlState;

use super::session::IMPORTING;
use crate::store::StoreError;

#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{}", told(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("no connection was free in time")]
    NoConnection,
    #[error("the connection was not made in time")]
    Unreachable,
    #[error("{IMPORTING}")]
    Importing,
    #[error("the database did not answer in time")]
    TimedOut,
    #[error("the pool of connections is closed")]
    Closed,
    #[error("a row holds what this version cannot read: {0}")]
    Malformed(&'static str),
}

impl From<deadpool_postgres::PoolError> for Failure {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        use deadpool_postgres::{HookError, PoolError, TimeoutType};
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::Database(error)
            }
            PoolError::PostCreateHook(HookError::Message(_)) => Self::Importing,
            PoolError::Timeout(TimeoutType::Wait) => Self::NoConnection,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::NoRuntimeSpecified => Self::Unreachable,
            PoolError::Closed => Self::Closed,
        }
    }
}

impl Failure {
    pub(super) fn write(self) -> StoreError {
        match self {
            Self::Closed => StoreError::Closed,
            other => StoreError::Write(other.to_string()),
        }
    }

    pub(super) fn read(self) -> StoreError {
        match self {
            Self::Closed => StoreError::Closed,
            other => StoreError::Read(other.to_string()),
        }
    }

    pub(super) fn open(self) -> StoreError {
        StoreError::Open(self.to_string())
    }

    /// Whether it lies in what was written, so that other rows could be written.
    pub(super) fn is_of_the_data(&self) -> bool {
        match self {
            Self::Database(error) => match error.code() {
                // Values, constraints, limits, triggers.
                Some(code) => ["21", "22", "23", "44", "54", "P0"]
                    .iter()
                    .any(|class| code.code().starts_with(class)),
                // Values that cannot be sent never reach the server.
                None => !error.is_closed() && error.to_string().starts_with("error serializing"),
            },
            _ => false,
        }
    }

    pub(super) fn is_passing(&self) -> bool {
        !matches!(self, Self::Malformed(_)) && !self.is_of_the_data()
    }

    /// Two transactions were in each other's way: once more, and it may work.
    pub(super) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| {
            [
                SqlState::T_R_DEADLOCK_DETECTED,
                SqlState::T_R_SERIALIZATION_FAILURE,
            ]
            .contains(code)
        })
    }

    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Database(error) => error.code(),
            _ => None,
        }
    }
}

fn told(error: &tokio_postgres::Error) -> String {
    let Some(code) = error.code() else {
        // Of this side: a refused connection, a certificate, a value. Their source says more.
        return match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let words = match code.code() {
        "28000" | "28P01" => "it refuses the user or the password",
        "3D000" => "there is no such database",
        "42501" => "the user lacks a right",
        "53100" => "its disk is full",
        "53200" => "it is out of memory",
        "53300" => "it has no connection left",
        "55P03" => "a lock was not had in time",
        "57014" => "a statement took too long",
        "57P01" | "57P02" => "it is shutting down",
        "57P03" => "it is starting or stopping",
        "25006" => "it is read-only",
        _ => "the database refused",
    };
    format!("{words} (SQLSTATE {})", code.code())
}
