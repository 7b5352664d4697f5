//! The evaluation of the rules that a person asked for; the same that ends a cycle.

use std::time::Duration;

use domain::ErrorCode;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{ActivityExecutionError, WorkflowContext, WorkflowResult, WorkflowTermination};

use crate::contract::rules::{CauseV1, EvaluateV1, EvaluatedV1, GiveUpV1, RuleCalls};
use crate::options::{Urgency, bounded, detached};

const LIMIT: Duration = Duration::from_mins(5);
const ATTEMPTS: u32 = 8;

/// The workflow.
#[workflow]
#[derive(Debug, Default)]
pub struct EvaluateRules;

#[workflow_methods]
impl EvaluateRules {
    /// Evaluates once.
    #[run(name = "EvaluateRules")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, input: EvaluateV1) -> WorkflowResult<EvaluatedV1> {
        let options = bounded(input.org, Urgency::Person, LIMIT, ATTEMPTS);
        let error = match ctx.execute_activity(RuleCalls::evaluate, input.clone(), options).await {
            Ok(evaluated) => return Ok(evaluated),
            Err(error) => error,
        };
        if let CauseV1::Person(decision) = input.cause {
            let give_up = GiveUpV1 { org: input.org, decision, code: ErrorCode::Unexpected };
            ctx.execute_activity(RuleCalls::give_up, give_up, detached(input.org, Urgency::Person, LIMIT)).await?;
        }
        Err(match error {
            ActivityExecutionError::Cancelled(_) => WorkflowTermination::cancelled(),
            other => other.into(),
        })
    }
}
