//! What can go wrong with a platform, sorted by how it is to be met.
//!
//! The caller decides by variant (try later, stop and tell a person, read back) and shows [`Error::code`]. No variant
//! carries a token, a client secret or a signed URL.

use std::fmt;
use std::time::Duration;

use domain::ErrorCode;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What lies beneath an error.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A field of a request that the platform refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path.
    pub field: String,
    /// What is wrong with it, in the platform's words.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

/// Why a platform could not be asked, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A quota is used up, ours or the platform's: nothing was done; ask again after the time given.
    #[error("a quota is used up for another {} s", retry_after.as_secs())]
    RateLimited {
        /// When to ask again.
        retry_after: Duration,
        /// The account concerned, if the quota is one of its own.
        account: Option<String>,
    },
    /// It goes away by itself: ask again later.
    #[error("the platform is not to be had right now: {detail}")]
    Transient {
        /// What a person reads.
        code: ErrorCode,
        /// What happened, for a log.
        detail: String,
        /// The account concerned, if it is one.
        account: Option<String>,
        /// What lies beneath.
        #[source]
        source: Option<Source>,
    },
    /// It stays until a person changes something: asking again is no use.
    #[error("the platform does not let us: {detail}")]
    Configuration {
        /// What a person reads.
        code: ErrorCode,
        /// What happened, for a log.
        detail: String,
        /// The account concerned, if it is one.
        account: Option<String>,
    },
    /// The request is refused as wrong; the same request will be refused again. Nothing was changed.
    #[error("the request is refused: {message}")]
    Rejected {
        /// What a person reads.
        code: ErrorCode,
        /// The platform's own words.
        message: String,
        /// The fields that it named.
        violations: Vec<Violation>,
        /// The account concerned, if it is one.
        account: Option<String>,
    },
    /// A change may or may not have been made: its answer was lost. Only reading back can tell; never send it again
    /// before.
    #[error("the answer to a change was lost: {detail}")]
    UnknownOutcome {
        /// What happened, for a log.
        detail: String,
        /// The account concerned, if it is one.
        account: Option<String>,
        /// What lies beneath.
        #[source]
        source: Option<Source>,
    },
    /// The platform's answer is not in the documented form. Nothing of it was used.
    #[error("the platform's answer can't be read: {detail}")]
    Unreadable {
        /// What is wrong with it.
        detail: String,
        /// The account concerned, if it is one.
        account: Option<String>,
        /// What lies beneath.
        #[source]
        source: Option<Source>,
    },
    /// A report can't be used. Rows that were streamed before are to be thrown away.
    #[error("the report can't be used: {detail}")]
    Report {
        /// What a person reads.
        code: ErrorCode,
        /// What is wrong with it, with the row's number or the column's name.
        detail: String,
    },
    /// The keeper of tokens or of quotas failed, on our side.
    #[error("our own {what} can't be reached")]
    Storage {
        /// Which store.
        what: &'static str,
        /// What lies beneath.
        #[source]
        source: Source,
    },
    /// No connector can be made on this machine.
    #[error("no HTTPS client can be made")]
    Setup {
        /// What lies beneath.
        #[source]
        source: Source,
    },
}

impl Error {
    /// The stable code, with its texts for a person.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::Transient { code, .. }
            | Self::Configuration { code, .. }
            | Self::Rejected { code, .. }
            | Self::Report { code, .. } => *code,
            Self::UnknownOutcome { .. } => ErrorCode::OutcomeUnknown,
            Self::Unreadable { .. } => ErrorCode::UnreadableAnswer,
            Self::Storage { .. } => ErrorCode::StorageUnavailable,
            Self::Setup { .. } => ErrorCode::Unexpected,
        }
    }

    /// The platform's id of the account that the error concerns, when it concerns one and not the whole connection.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::RateLimited { account, .. }
            | Self::Transient { account, .. }
            | Self::Configuration { account, .. }
            | Self::Rejected { account, .. }
            | Self::UnknownOutcome { account, .. }
            | Self::Unreadable { account, .. } => account.as_deref(),
            Self::Report { .. } | Self::Storage { .. } | Self::Setup { .. } => None,
        }
    }

    /// When to ask again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// A request that the platform would refuse, or that must never be made: it was not sent.
    pub(crate) fn not_sent(why: impl fmt::Display, account: Option<String>) -> Self {
        Self::rejected(format!("not sent: {why}"), account)
    }

    pub(crate) const fn rejected(message: String, account: Option<String>) -> Self {
        Self::Rejected { code: ErrorCode::PlatformRejected, message, violations: Vec::new(), account }
    }

    /// An answer that is not in the documented form.
    pub(crate) fn unreadable(detail: impl Into<String>, account: Option<String>) -> Self {
        Self::Unreadable { detail: detail.into(), account, source: None }
    }
}
