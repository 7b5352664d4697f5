//! How each step is done: one file per noun. Activities call, convert and return; they are idempotent, because each can
//! be killed at any line and run again.

#![expect(missing_docs, missing_debug_implementations, reason = "the macros' own items can't have either")]
#![expect(clippy::missing_errors_doc, reason = "an activity's errors are told in its contract, not per function")]

pub mod connection;
mod context;
mod failure;
mod gates;
mod heartbeat;
pub mod ingestion;
pub mod onboarding;
mod ports;
pub mod rules;
pub mod schedule;
pub mod write_back;

use std::sync::Arc;

use temporalio_sdk::WorkerOptions;
use workflows::{EvaluateRules, IngestOrganization, OnboardOrganization, ReconnectConnection, WriteBack, queues};

pub use context::Context;
pub use failure::Error;

/// The worker of onboarding, ingestion and rules.
///
/// # Errors
/// When a workflow is registered twice.
pub fn cycles(context: &Arc<Context>) -> Result<WorkerOptions, Box<dyn std::error::Error + Send + Sync>> {
    Ok(WorkerOptions::new(queues::CYCLES)
        .register_workflow::<OnboardOrganization>()?
        .register_workflow::<IngestOrganization>()?
        .register_workflow::<EvaluateRules>()?
        .register_workflow::<ReconnectConnection>()?
        .register_activities(onboarding::OnboardingActivities(Arc::clone(context)))
        .register_activities(connection::ConnectionActivities(Arc::clone(context)))
        .register_activities(ingestion::IngestionActivities(Arc::clone(context)))
        .register_activities(rules::RuleActivities(Arc::clone(context)))
        .build())
}

/// The worker of write-backs.
///
/// # Errors
/// When a workflow is registered twice.
pub fn write_backs(context: &Arc<Context>) -> Result<WorkerOptions, Box<dyn std::error::Error + Send + Sync>> {
    Ok(WorkerOptions::new(queues::WRITE_BACKS)
        .register_workflow::<WriteBack>()?
        .register_activities(write_back::WriteBackActivities(Arc::clone(context)))
        .build())
}
