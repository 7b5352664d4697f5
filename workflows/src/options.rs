//! How long activities may take and how they are tried again.
//!
//! Every activity can be killed at any line: a heartbeat that stays away for a few seconds moves it to another worker.

use std::time::Duration;

use temporalio_common::error::{ActivityExecutionError, IncomingError};
use temporalio_common::{ActivityCloseTimeouts, Priority, RetryPolicy};
use temporalio_workflow::{ActivityOptions, WorkflowCancellationToken};

use domain::ErrorCode;
use domain::ids::OrgId;

/// How long a heartbeat may stay away before the activity is taken to be dead, while a person waits for it.
const QUICK_HEARTBEAT: Duration = Duration::from_secs(5);
/// The same where nobody waits: each heartbeat is an action that is paid for.
const SLOW_HEARTBEAT: Duration = Duration::from_secs(20);

/// What is done first when workers are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A change that a person approved.
    WriteBack = 1,
    /// A person waits.
    Person = 2,
    /// The schedule's work.
    Tick = 3,
}

/// Options of an activity of `org` that may take `limit` per attempt and is tried again until it succeeds.
#[must_use]
pub fn steady(org: OrgId, urgency: Urgency, limit: Duration) -> ActivityOptions {
    bounded(org, urgency, limit, 0)
}

/// As [`steady`], but given up after `attempts` attempts (0: never).
#[must_use]
pub fn bounded(org: OrgId, urgency: Urgency, limit: Duration, attempts: u32) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(limit)
        .heartbeat_timeout(heartbeat_timeout(urgency))
        .retry_policy(retry(attempts))
        .priority(priority(org, urgency))
        .build()
}

/// As [`steady`], but given up `patience` after it was asked for: long enough for an outage of hours to pass.
#[must_use]
pub fn patient(org: OrgId, urgency: Urgency, limit: Duration, patience: Duration) -> ActivityOptions {
    let timeouts =
        ActivityCloseTimeouts::ScheduleAndStartToClose { schedule_to_close: patience, start_to_close: limit };
    ActivityOptions::with_close_timeouts(timeouts)
        .heartbeat_timeout(heartbeat_timeout(urgency))
        .retry_policy(retry(0))
        .priority(priority(org, urgency))
        .build()
}

/// As [`steady`], and not cancelled with the workflow: for what has to be finished or undone.
#[must_use]
pub fn detached(org: OrgId, urgency: Urgency, limit: Duration) -> ActivityOptions {
    ActivityOptions::with_start_to_close_timeout(limit)
        .heartbeat_timeout(heartbeat_timeout(urgency))
        .retry_policy(retry(0))
        .priority(priority(org, urgency))
        .cancellation_token(WorkflowCancellationToken::new())
        .build()
}

const fn heartbeat_timeout(urgency: Urgency) -> Duration {
    match urgency {
        Urgency::WriteBack | Urgency::Person => QUICK_HEARTBEAT,
        Urgency::Tick => SLOW_HEARTBEAT,
    }
}

/// Why an activity was given up: the code that its failure carries, wherever it stands.
#[must_use]
pub fn reason(error: &ActivityExecutionError) -> ErrorCode {
    let mut next = error.reason();
    while let Some(cause) = next {
        if let IncomingError::Application(failure) = cause
            && let Some(code) = failure.type_name().and_then(|name| name.parse().ok())
        {
            return code;
        }
        next = cause.cause();
    }
    ErrorCode::Unexpected
}

fn retry(attempts: u32) -> RetryPolicy {
    RetryPolicy::builder()
        .initial_interval(Duration::from_millis(500))
        .backoff_coefficient(2.0)
        .maximum_interval(Duration::from_secs(30))
        .maximum_attempts(attempts)
        .build()
}

fn priority(org: OrgId, urgency: Urgency) -> Priority {
    Priority::builder().priority_key(urgency as u32).fairness_key(org.to_string()).build()
}
