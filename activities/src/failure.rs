//! The one place where an error becomes a Temporal failure: tried again, or given up.

use domain::error_code::{Class, ErrorCode};
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// What can go wrong in a step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control plane.
    #[error("the control plane failed")]
    Store(#[from] store::Error),
    /// The lake.
    #[error("the lake failed")]
    Lake(#[from] lakehouse::Error),
    /// A platform.
    #[error("the platform failed")]
    Platform(#[from] connectors::Error),
    /// The platform refuses to say what came of a change. It is asked until it does: the change may stand.
    #[error("the outcome of a change can't be read")]
    Unsettled(#[source] connectors::Error),
    /// A secret could not be sealed or opened.
    #[error("a secret could not be used")]
    Vault(#[from] keys::Error),
    /// The workflow engine did not do what it was asked.
    #[error("can't {operation}")]
    Engine {
        /// What was asked.
        operation: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row that the step works on is not there.
    #[error("there is no such {what}")]
    Missing {
        /// What kind of row.
        what: &'static str,
    },
    /// What is on record contradicts itself.
    #[error("{what} can't be right: {why}")]
    Inconsistent {
        /// What.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// What the step works for has ended meanwhile; what the step had made is taken back.
    #[error("the {what} is over")]
    Over {
        /// What.
        what: &'static str,
    },
    /// A platform is not configured in this deployment.
    #[error("this deployment has no environment `{environment}`")]
    NoEnvironment {
        /// Its name.
        environment: String,
    },
    /// The tables changed under a commit again and again.
    #[error("the lake's tables changed {attempts} times while they were being written")]
    TooManyConflicts {
        /// How often it was tried.
        attempts: u32,
    },
}

impl Error {
    /// The stable code, with its texts for a person.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            // A statement that is refused for good is a mistake of ours, whatever the database's health.
            Self::Store(error) if !error.is_transient() => ErrorCode::Unexpected,
            Self::Vault(error) if error.is_transient() => ErrorCode::StorageUnavailable,
            Self::Store(_) | Self::Lake(_) | Self::TooManyConflicts { .. } => ErrorCode::StorageUnavailable,
            Self::Engine { .. } => ErrorCode::WorkflowsUnavailable,
            Self::Platform(error) | Self::Unsettled(error) => error.code(),
            Self::Over { .. } => ErrorCode::Conflict,
            Self::Vault(_) | Self::Missing { .. } | Self::Inconsistent { .. } | Self::NoEnvironment { .. } => {
                ErrorCode::Unexpected
            }
        }
    }

    /// Whether trying again without a change by a person is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Over { .. } | Self::Inconsistent { .. } | Self::NoEnvironment { .. } => true,
            Self::Vault(error) => !error.is_transient(),
            Self::Platform(error) => error.code().class() != Class::Transient,
            Self::Store(error) => !error.is_transient(),
            Self::Unsettled(_) | Self::Lake(_) | Self::Engine { .. } | Self::TooManyConflicts { .. } => false,
        }
    }
}

/// Turns a step's error into what Temporal does with it, and logs it once.
pub(crate) fn failure(error: Error) -> ActivityError {
    let (code, give_up) = (error.code(), error.is_final());
    let wait = match &error {
        Error::Platform(platform) => platform.retry_after(),
        _ => None,
    };
    if matches!(error, Error::Over { .. }) {
        tracing::info!(error.code = %code, "a step is not needed any more: {}", chain(&error));
    } else if give_up {
        tracing::error!(error.code = %code, "a step is given up: {}", chain(&error));
    } else {
        tracing::warn!(error.code = %code, "a step will be tried again: {}", chain(&error));
    }
    let builder = ApplicationFailure::builder(error).type_name(code.code().to_owned()).non_retryable(give_up);
    ActivityError::from(builder.maybe_next_retry_delay(wait).build())
}

/// The error with everything beneath it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
