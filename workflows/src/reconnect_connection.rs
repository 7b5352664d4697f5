//! A connection that is in use gets the authorisation that a person has just given.
//!
//! The one in force is replaced only after the new one is proved to reach the same advertisers: whatever goes wrong
//! before, the connection is left as it was, and the person is told on its page.

use std::time::Duration;

use domain::ErrorCode;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{ActivityExecutionError, WorkflowContext, WorkflowResult, WorkflowTermination};

use crate::contract::connection::{ConnectionCalls, GiveUpReconnectV1, ReconnectV1, ReconnectedV1};
use crate::contract::onboarding::StepV1;
use crate::options::{Urgency, detached, patient, reason};

const LIMIT: Duration = Duration::from_mins(3);
/// A code is good for minutes, what it is exchanged for lasts: an outage is waited for.
const PATIENCE: Duration = Duration::from_hours(12);

/// The workflow.
#[workflow]
#[derive(Debug, Default)]
pub struct ReconnectConnection;

#[workflow_methods]
impl ReconnectConnection {
    /// Renews the authorisation, or leaves it as it was.
    #[run(name = "ReconnectConnection")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, input: ReconnectV1) -> WorkflowResult<ReconnectedV1> {
        let error = match steps(ctx, &input).await {
            Ok(reconnected) => return Ok(reconnected),
            Err(error) => error,
        };
        let (code, ended) = match error {
            ActivityExecutionError::Cancelled(_) => (ErrorCode::ConsentExpired, WorkflowTermination::cancelled()),
            other => (reason(&other), other.into()),
        };
        let give_up = GiveUpReconnectV1 { org: input.org, consent: input.consent, code };
        ctx.execute_activity(ConnectionCalls::give_up, give_up, detached(input.org, Urgency::Person, LIMIT)).await?;
        Err(ended)
    }
}

async fn steps(
    ctx: &mut WorkflowContext<ReconnectConnection>,
    input: &ReconnectV1,
) -> Result<ReconnectedV1, ActivityExecutionError> {
    let options = || patient(input.org, Urgency::Person, LIMIT, PATIENCE);
    let exchanged = ctx.execute_activity(ConnectionCalls::exchange, input.clone(), options()).await?;
    if let StepV1::NeedsPerson { code } = exchanged {
        return Ok(ReconnectedV1 { refused: Some(code), pulls: 0 });
    }
    Ok(match ctx.execute_activity(ConnectionCalls::adopt, input.clone(), options()).await? {
        StepV1::NeedsPerson { code } => ReconnectedV1 { refused: Some(code), pulls: 0 },
        StepV1::Done { count } => ReconnectedV1 { refused: None, pulls: count },
    })
}
