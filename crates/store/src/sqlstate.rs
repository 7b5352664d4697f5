//! The one place where PostgreSQL's SQLSTATE codes are read.

use std::panic::Location;

use crate::error::Error;

const FOREIGN_KEY_VIOLATION: &str = "23503";

impl From<sqlx::Error> for Error {
    /// Sorts a failed statement by what can be done about it, and keeps the place of the `?` that it came through.
    #[track_caller]
    fn from(source: sqlx::Error) -> Self {
        let at = Location::caller();
        match sqlstate(&source).as_deref() {
            Some(FOREIGN_KEY_VIOLATION) => Self::Missing { at, source },
            Some(code) if is_contention(code) => Self::Contended { at, source },
            Some(code) if is_outage(code) => Self::Unavailable { at, source },
            None if is_connection_trouble(&source) => Self::Unavailable { at, source },
            Some(_) | None => Self::Database { at, source },
        }
    }
}

/// What a failed COMMIT means: an answer of the server says that nothing happened, silence says nothing.
#[track_caller]
pub(crate) fn commit_error(source: sqlx::Error) -> Error {
    match sqlstate(&source) {
        Some(code) if !is_outage(&code) => source.into(),
        Some(_) | None => Error::OutcomeUnknown(source),
    }
}

/// What a failed check before COMMIT means: the transaction had failed already.
#[track_caller]
pub(crate) fn abandoned_or(source: sqlx::Error) -> Error {
    const IN_FAILED_TRANSACTION: &str = "25P02";
    match sqlstate(&source).as_deref() {
        Some(IN_FAILED_TRANSACTION) => Error::Abandoned,
        Some(_) | None => source.into(),
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Serialization failure, deadlock, lock not available.
fn is_contention(code: &str) -> bool {
    matches!(code, "40001" | "40P01" | "55P03")
}

/// Connection exceptions, insufficient resources, the statement timeout, and the server's shutdowns.
fn is_outage(code: &str) -> bool {
    code == "57014" || ["08", "53", "57P0"].iter().any(|class| code.starts_with(class))
}

fn is_connection_trouble(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}
