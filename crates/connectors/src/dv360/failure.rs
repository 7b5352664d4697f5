//! The one place where what Google answered, or did not, becomes an [`Error`].

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::access::dead_token;
use crate::error::{Error, Violation};
use crate::http::{Answer, Lost, Request, Subject};
use crate::quota::{Refusal, Scope};

/// How long to wait after a 429 that does not say: Google's quotas are per second or per minute.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(20);
/// How long to wait when the day's quota is used up. It comes back at midnight, Pacific time; refused calls count too.
const DAY_WAIT: Duration = Duration::from_hours(1);
/// No wait that an answer asks for is believed beyond this: one refused call an hour is cheap, and a wrong header
/// costs an hour at most.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Google's error body: `{"error": {...}}`.
#[derive(Debug, Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Fault,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault {
    message: String,
    status: String,
    details: Vec<Detail>,
    errors: Vec<Reason>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    reason: String,
    retry_delay: Option<String>,
    metadata: Metadata,
    field_violations: Vec<FieldViolation>,
}

/// What `google.rpc.ErrorInfo` says of a quota: its keys are written with underscores.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    quota_limit: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldViolation {
    field: String,
    description: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: String,
}

impl Fault {
    fn of(answer: &Answer) -> Self {
        let mut fault = serde_json::from_slice::<Body>(&answer.body).unwrap_or_default().error;
        if fault.message.is_empty() {
            fault.message = format!("HTTP {}", answer.status);
        }
        fault
    }

    fn has_reason(&self, wanted: &[&str]) -> bool {
        let details = self.details.iter().map(|detail| detail.reason.as_str());
        details.chain(self.errors.iter().map(|error| error.reason.as_str())).any(|reason| wanted.contains(&reason))
    }

    /// Old parts of Google's stack refuse for want of quota with a 403.
    fn is_rate_limit(&self) -> bool {
        self.has_reason(&["rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"])
    }

    /// How long to wait, as far as the body says: `google.rpc.RetryInfo`, else the name of the quota.
    fn wait(&self) -> Duration {
        let seconds =
            |delay: &str| delay.strip_suffix('s')?.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
        let stated = self.details.iter().find_map(|detail| detail.retry_delay.as_deref().and_then(seconds));
        stated.unwrap_or(if self.message.contains("per day") { DAY_WAIT } else { DEFAULT_WAIT })
    }

    /// The name of the limit that was reached: `Requests per minute per advertiser`, or in newer parts of Google's stack
    /// `DefaultRequestsPerMinutePerProjectPerUser`.
    fn limit(&self) -> Option<&str> {
        let told = self.details.iter().map(|detail| detail.metadata.quota_limit.as_str());
        let quoted = || self.message.split_once("limit '")?.1.split('\'').next();
        told.into_iter().find(|limit| !limit.is_empty()).or_else(quoted)
    }

    /// Whom the refusal concerns. One that does not name its limit is taken to be about the user: were it the project,
    /// the others' calls would be refused and tell.
    fn scope(&self, about_account: bool) -> Scope {
        let Some(limit) = self.limit() else { return Scope::User };
        let limit: String = limit.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        if limit.contains("peradvertiser") && about_account {
            Scope::Account
        } else if limit.contains("peruser") || limit.contains("peradvertiser") {
            Scope::User
        } else {
            Scope::Project
        }
    }

    fn violations(self) -> Vec<Violation> {
        let all = self.details.into_iter().flat_map(|detail| detail.field_violations);
        all.map(|FieldViolation { field, description }| Violation { field, description }).collect()
    }
}

/// What a refusal for want of quota said; `None` when the answer is none.
pub(super) fn throttling(answer: &Answer, request: &Request, now: DateTime<Utc>) -> Option<Refusal> {
    let fault = Fault::of(answer);
    let throttled = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => fault.is_rate_limit(),
        _ => false,
    };
    let retry_after = || wait(answer.retry_after.as_deref(), fault.wait(), now);
    throttled.then(|| Refusal { scope: fault.scope(request.call.account.is_some()), retry_after: retry_after() })
}

/// What a refusal for want of quota means for the caller.
pub(super) fn rate_limited(refusal: Refusal, request: &Request) -> Error {
    let account = if refusal.scope == Scope::Account { request.account() } else { None };
    Error::RateLimited { retry_after: refusal.retry_after, account }
}

/// What an answer that is neither a success nor a refusal for want of quota means.
pub(super) fn refusal(answer: &Answer, request: &Request) -> Error {
    let fault = Fault::of(answer);
    match answer.status {
        StatusCode::UNAUTHORIZED => dead_token("a renewed access token was refused"),
        StatusCode::FORBIDDEN => forbidden(&fault, request),
        StatusCode::NOT_FOUND if request.subject == Subject::Account => account_gone(&fault, request),
        StatusCode::NOT_FOUND if request.subject == Subject::Item => rejected(ErrorCode::LineGone, fault, request),
        StatusCode::CONFLICT if fault.status != "ALREADY_EXISTS" => {
            transient(ErrorCode::PlatformUnavailable, fault.message, request)
        }
        code if code.is_server_error() || code == StatusCode::REQUEST_TIMEOUT || code.as_u16() == 499 => {
            server_error(code, fault.message, request)
        }
        code if code.is_client_error() => rejected(ErrorCode::PlatformRejected, fault, request),
        code => unreadable(format!("unexpected HTTP {code}"), request, None),
    }
}

fn rejected(code: ErrorCode, fault: Fault, request: &Request) -> Error {
    let (message, account) = (fault.message.clone(), request.account());
    Error::Rejected { code, message, violations: fault.violations(), account }
}

/// What an answer that never came, or not whole, means.
pub(super) fn lost(lost: Box<Lost>, request: &Request) -> Error {
    let (detail, account) = (lost.what.to_owned(), request.account());
    if request.is_write() && lost.may_have_been_sent {
        return Error::UnknownOutcome { detail, account, source: Some(lost) };
    }
    let code = if lost.timed_out { ErrorCode::PlatformTimeout } else { ErrorCode::PlatformUnavailable };
    Error::Transient { code, detail, account, source: Some(lost) }
}

/// A success whose body is not in the documented form: for a change, the outcome is unknown.
pub(super) fn unreadable(detail: String, request: &Request, source: Option<crate::Source>) -> Error {
    let account = request.account();
    if request.is_write() {
        Error::UnknownOutcome { detail, account, source }
    } else {
        Error::Unreadable { detail, account, source }
    }
}

/// How long a refused caller is to wait by a header's seconds or date.
pub(super) fn wait(retry_after: Option<&str>, otherwise: Duration, now: DateTime<Utc>) -> Duration {
    let seconds = retry_after.and_then(|text| text.trim().parse().ok().map(Duration::from_secs));
    let date = || {
        let date = DateTime::parse_from_rfc2822(retry_after?.trim()).ok()?;
        (date.with_timezone(&Utc) - now).to_std().ok()
    };
    seconds.or_else(date).unwrap_or(otherwise).clamp(Duration::from_secs(1), LONGEST_WAIT)
}

/// What may not be read is gone for us; what may be read but not changed is a missing right.
fn forbidden(fault: &Fault, request: &Request) -> Error {
    let scope = fault.has_reason(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"]);
    if scope || request.subject == Subject::User {
        let detail = fault.message.clone();
        return Error::Configuration { code: ErrorCode::PermissionMissing, detail, account: None };
    }
    if request.is_write() {
        let detail = fault.message.clone();
        return Error::Configuration { code: ErrorCode::PermissionMissing, detail, account: request.account() };
    }
    account_gone(fault, request)
}

fn account_gone(fault: &Fault, request: &Request) -> Error {
    Error::Configuration { code: ErrorCode::AccountGone, detail: fault.message.clone(), account: request.account() }
}

fn server_error(status: StatusCode, message: String, request: &Request) -> Error {
    if request.is_write() {
        return Error::UnknownOutcome { detail: message, account: request.account(), source: None };
    }
    match status {
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => {
            transient(ErrorCode::PlatformTimeout, message, request)
        }
        _ => transient(ErrorCode::PlatformUnavailable, message, request),
    }
}

fn transient(code: ErrorCode, detail: String, request: &Request) -> Error {
    Error::Transient { code, detail, account: request.account(), source: None }
}
