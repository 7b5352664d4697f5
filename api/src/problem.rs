//! The one boundary where errors become answers: every error is a `Problem` with words for a campaign manager.
//!
//! An error is logged here, once, and nothing of its source is shown: no SQL, no path, no secret. What a problem says
//! comes from the catalogue of `domain::ErrorCode`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use domain::ErrorCode;
use domain::error_code::{Class, Explanation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limit;

/// The media type of a problem (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of another crate.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// What a person reads when something did not go well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable name, as a relative reference: `/problems/auth.wrong_credentials`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The stable code.
    #[schema(example = "auth.wrong_credentials")]
    pub code: String,
    /// What happened.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// More about this case.
    pub detail: Option<String>,
    /// What was not harmed.
    pub unharmed: String,
    /// What to do next.
    pub next: String,
    /// Names the request in our logs; null for a problem that stands in another object.
    pub request_id: Option<String>,
    /// Whether it may go away by itself.
    pub retryable: bool,
    /// The fields that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// A field that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Where it stands in the request, as a JSON pointer.
    #[schema(example = "/email")]
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldProblem {
    /// A problem with the field at this pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl From<FieldProblem> for Error {
    fn from(field: FieldProblem) -> Self {
        Self::Invalid { fields: vec![field] }
    }
}

impl Problem {
    /// The problem that the catalogue describes under a code.
    #[must_use]
    pub fn of(code: ErrorCode) -> Self {
        let Explanation { what, unharmed, next } = code.explain();
        Self {
            kind: format!("/problems/{code}"),
            code: code.code().to_owned(),
            title: what.to_owned(),
            status: status(code).as_u16(),
            detail: None,
            unharmed: unharmed.to_owned(),
            next: next.to_owned(),
            request_id: None,
            retryable: code.class() == Class::Transient,
            errors: Vec::new(),
        }
    }

    /// The same, with more about this case.
    #[must_use]
    pub fn detailed(self, detail: Option<impl Into<String>>) -> Self {
        Self { detail: detail.map(Into::into), ..self }
    }

    /// The problem of a code that stands in a row as text; an unknown text is an unexpected problem.
    #[must_use]
    pub fn recorded(code: &str, detail: Option<&str>) -> Self {
        Self::of(code.parse().unwrap_or(ErrorCode::Unexpected)).detailed(detail)
    }
}

/// Why a request is not answered as wished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused for a reason of the catalogue.
    #[error("refused: {code}")]
    Refused {
        /// The reason.
        code: ErrorCode,
        /// More about this case.
        detail: Option<String>,
    },
    /// Fields of the request are missing or wrong.
    #[error("invalid fields")]
    Invalid {
        /// Which.
        fields: Vec<FieldProblem>,
    },
    /// The request breaks a rule of HTTP, or of ours about it.
    #[error("refused with {status}: {detail}")]
    Protocol {
        /// The status that says so.
        status: StatusCode,
        /// What was broken.
        detail: String,
    },
    /// A limit is reached, for a while.
    #[error("refused for {wait:?}: {code}")]
    Limited {
        /// The reason.
        code: ErrorCode,
        /// Which limit, and when it is free again.
        detail: String,
        /// How long it holds.
        wait: Duration,
    },
    /// The control plane refused or failed.
    #[error("could not use the store")]
    Store(#[from] store::Error),
    /// The lake could not be read.
    #[error("could not read the lake")]
    Lake(#[from] lakehouse::Error),
    /// A secret could not be sealed.
    #[error("could not seal a secret")]
    Vault(#[from] keys::Error),
    /// What a person wanted did not reach its workflow: nothing of it happened.
    #[error("an update did not reach its workflow")]
    Unsent {
        /// What did not happen.
        unharmed: &'static str,
        /// Why.
        #[source]
        source: BoxedError,
    },
    /// What a person wanted was sent, and whether it is on record is not known.
    #[error("the answer to an update did not come")]
    Unanswered {
        /// Why.
        #[source]
        source: BoxedError,
    },
    /// The workflow engine can't be reached.
    #[error("could not {operation}")]
    Workflows {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxedError,
    },
    /// Something failed that has no name of its own.
    #[error("could not {operation}")]
    Internal {
        /// What was being done.
        operation: &'static str,
        /// Why.
        #[source]
        source: BoxedError,
    },
}

impl Error {
    /// There is no such thing, or it is not the caller's to see.
    pub const NOT_FOUND: Self = Self::refused(ErrorCode::NotFound);

    /// Refused for a reason of the catalogue.
    #[must_use]
    pub const fn refused(code: ErrorCode) -> Self {
        Self::Refused { code, detail: None }
    }

    /// Refused because of one field.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { fields: vec![FieldProblem::new(pointer, message)] }
    }

    /// Refused by a rule of HTTP.
    pub fn protocol(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::Protocol { status, detail: detail.into() }
    }

    /// Makes an unnamed failure out of any error.
    pub fn internal<E: Into<BoxedError>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Internal { operation, source: source.into() }
    }

    /// The problem that the caller reads.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused { code, detail } => Problem::of(*code).detailed(detail.as_deref()),
            Self::Limited { code, detail, .. } => Problem::of(*code).detailed(Some(detail.as_str())),
            Self::Invalid { fields } => Problem { errors: fields.clone(), ..Problem::of(ErrorCode::InvalidRequest) },
            Self::Protocol { status, detail } => protocol_problem(*status, detail),
            Self::Unsent { unharmed, .. } => Problem {
                unharmed: (*unharmed).to_owned(),
                next: "Try again in a moment.".to_owned(),
                ..Problem::of(ErrorCode::WorkflowsUnavailable)
            },
            Self::Unanswered { .. } => Problem {
                title: "We could not confirm in time that this is on record.".to_owned(),
                unharmed: "It is recorded once or not at all; nothing is done twice.".to_owned(),
                next: "Reload to see whether it stands; if it does not, try again.".to_owned(),
                ..Problem::of(ErrorCode::WorkflowsUnavailable)
            },
            Self::Store(store::Error::InvalidRule(reason)) => {
                Self::invalid("/settings", sentence(&reason.to_string())).problem()
            }
            Self::Store(error) => Problem::of(store_code(error)),
            Self::Lake(error) => Problem::of(error.code()),
            Self::Workflows { .. } => Problem::of(ErrorCode::WorkflowsUnavailable),
            Self::Vault(error) if error.is_transient() => Problem::of(ErrorCode::StorageUnavailable),
            Self::Vault(_) | Self::Internal { .. } => Problem::of(ErrorCode::Unexpected),
        }
    }
}

/// What the store's refusals and failures are called outside.
const fn store_code(error: &store::Error) -> ErrorCode {
    use store::Error as E;
    match error {
        E::NotFound { .. } | E::Missing { .. } => ErrorCode::NotFound,
        E::EmailTaken => ErrorCode::EmailTaken,
        E::AlreadyDecided => ErrorCode::AlreadyDecided,
        E::ApprovalStale => ErrorCode::ApprovalStale,
        E::OwnProposal => ErrorCode::OwnProposal,
        E::ProposalExpired => ErrorCode::ProposalExpired,
        E::Frozen => ErrorCode::Frozen,
        E::LastAdmin => ErrorCode::LastAdmin,
        E::RoleInUse | E::AdminRole => ErrorCode::RoleInUse,
        E::Forbidden(_) | E::Conflict { .. } | E::TooMany { .. } | E::AlreadyMember => ErrorCode::Conflict,
        error if error.is_transient() => ErrorCode::StorageUnavailable,
        _ => ErrorCode::Unexpected,
    }
}

/// A library's message as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn protocol_problem(status: StatusCode, detail: &str) -> Problem {
    let code = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ErrorCode::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::TooManyRequests,
        status if status.is_server_error() => ErrorCode::Unexpected,
        _ => ErrorCode::InvalidRequest,
    };
    Problem { status: status.as_u16(), ..Problem::of(code) }.detailed(Some(detail))
}

/// The status of an answer that consists of a problem with this code.
const fn status(code: ErrorCode) -> StatusCode {
    use ErrorCode as E;
    match code {
        E::WrongCredentials | E::SignedOut | E::KeyUnusable | E::CodeNeeded | E::WrongCode | E::SsoNeeded => {
            StatusCode::UNAUTHORIZED
        }
        E::IdempotencyKeyMissing => StatusCode::BAD_REQUEST,
        E::SessionBound
        | E::SsoStranger
        | E::NotAllowed
        | E::PersonNeeded
        | E::PermissionMissing
        | E::ScopesMissing
        | E::ConsentDenied
        | E::OwnProposal => StatusCode::FORBIDDEN,
        E::NotFound | E::SsoUnknown => StatusCode::NOT_FOUND,
        E::SsoExpired | E::InvitationUnusable | E::ResetUnusable => StatusCode::GONE,
        E::EmailTaken
        | E::Conflict
        | E::ConnectionsUsedUp
        | E::InProgress
        | E::TermsChanged
        | E::SecondFactorSet
        | E::OtherOrganisation
        | E::LastAdmin
        | E::RoleInUse
        | E::ConsentExpired
        | E::TokenDead
        | E::OtherAccount
        | E::NoAccounts
        | E::AccountGone
        | E::ApprovalStale
        | E::AlreadyDecided
        | E::ProposalExpired
        | E::Drifted
        | E::NotApplied
        | E::TooLate
        | E::LineStopped
        | E::GuardrailCrossed
        | E::LineGone
        | E::Frozen => StatusCode::CONFLICT,
        E::InvalidRequest | E::IdempotencyKeyReused | E::PlatformRejected => StatusCode::UNPROCESSABLE_ENTITY,
        E::TooManyRequests | E::RunsUsedUp | E::RowsUsedUp => StatusCode::TOO_MANY_REQUESTS,
        E::Unexpected => StatusCode::INTERNAL_SERVER_ERROR,
        E::SsoFailed
        | E::UnreadableAnswer
        | E::ReportFailed
        | E::ReportMissingColumn
        | E::ReportGarbledRow
        | E::ReportNullKey
        | E::ReportDuplicateKey
        | E::ReportTruncated
        | E::ReportTotalsDiffer => StatusCode::BAD_GATEWAY,
        E::StorageUnavailable | E::WorkflowsUnavailable | E::RateLimited | E::PlatformUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        E::PlatformTimeout | E::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl IntoResponse for Problem {
    /// The answer carries the problem; `middleware::finish` writes it with the request's id.
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response<Body> {
        let problem = self.problem();
        if problem.status >= 500 {
            let code = &problem.code;
            tracing::warn!(problem.code = %code, error = %chain(&self), "answered with {code}: {}", chain(&self));
        }
        let mut response = problem.into_response();
        if let Self::Limited { wait, .. } = self {
            response.headers_mut().insert(header::RETRY_AFTER, limit::whole_seconds(wait).into());
        }
        response
    }
}

/// An error with its sources, as one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
