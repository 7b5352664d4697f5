//! How long activities may take and how they are tried again.
//!
//! Every activity can be killed at any line: a heartbeat that stays away for a few seconds moves it to another worker.

use std::time::Duration;

use temporalio_common::{Priority, RetryPolicy};
use temporalio_workflow::{ActivityOptions, WorkflowCancellationToken};

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
