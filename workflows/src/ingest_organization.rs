//! One ingestion cycle: harvest what is ready, commit it, judge what changed, ask for what is due, end.
//!
//! Four activities, whatever the number of connections: the server, not the worker, is the limit, and each action is
//! paid for. No step waits for a platform's report; a report that is not ready is harvested by a later cycle. Once a day a
//! fifth tidies up the tables.

use std::time::Duration;

use domain::ErrorCode;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{ActivityExecutionError, WorkflowContext, WorkflowResult, WorkflowTermination};

use crate::contract::ingestion::{AbandonV1, CycleKind, CycleStepV1, HarvestV1, IngestV1, IngestedV1, IngestionCalls};
use crate::contract::rules::{CauseV1, EvaluateV1, RuleCalls};
use crate::options::{Urgency, bounded, detached};

/// Fetching and committing a day's reports takes seconds; a first history of a large agency takes minutes.
const LONG: Duration = Duration::from_mins(15);
const SHORT: Duration = Duration::from_mins(5);
/// A cycle that fails this often is given up: the next tick is a fresh start from the same rows.
const ATTEMPTS: u32 = 12;
/// Tidying up can wait for the next cycle.
const TIDY_ATTEMPTS: u32 = 3;

/// The workflow.
#[workflow]
#[derive(Debug, Default)]
pub struct IngestOrganization;

#[workflow_methods]
impl IngestOrganization {
    /// Runs the cycle.
    #[run(name = "IngestOrganization")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, input: IngestV1) -> WorkflowResult<IngestedV1> {
        let workflow_id = ctx.workflow_id().to_owned();
        match steps(ctx, &input, &workflow_id).await {
            Ok(ingested) => Ok(ingested),
            Err(error) => {
                let code = ErrorCode::Unexpected;
                let abandon = AbandonV1 { org: input.org, workflow_id, code };
                ctx.execute_activity(IngestionCalls::abandon, abandon, detached(input.org, urgency(&input), SHORT))
                    .await?;
                Err(match error {
                    ActivityExecutionError::Cancelled(_) => WorkflowTermination::cancelled(),
                    other => other.into(),
                })
            }
        }
    }
}

async fn steps(
    ctx: &mut WorkflowContext<IngestOrganization>,
    input: &IngestV1,
    workflow_id: &str,
) -> Result<IngestedV1, ActivityExecutionError> {
    let options = |limit| bounded(input.org, urgency(input), limit, ATTEMPTS);
    let harvest = HarvestV1 { org: input.org, kind: input.kind, workflow_id: workflow_id.to_owned() };
    let harvested = ctx.execute_activity(IngestionCalls::harvest, harvest, options(LONG)).await?;
    let mut step = CycleStepV1 { org: input.org, cycle: harvested.cycle, as_of: harvested.as_of, failure: None };
    let committed = ctx.execute_activity(IngestionCalls::commit, step.clone(), options(LONG)).await?;
    let mut evaluated = Ok(0);
    if committed.changed_days > 0 {
        let cause = CauseV1::Cycle(harvested.cycle);
        let evaluate = EvaluateV1 { org: input.org, cause, as_of: Some(harvested.as_of) };
        let judged = ctx.execute_activity(RuleCalls::evaluate, evaluate, options(SHORT)).await;
        evaluated = judged.map(|evaluated| evaluated.proposals);
    }
    if let Err(error) = evaluated {
        let is_cancelled = matches!(error, ActivityExecutionError::Cancelled(_));
        // Cycles begun before 27 November 2026 asked for nothing when the rules had failed. Remove after 2027-01.
        if is_cancelled || !ctx.patched("2026-11-request-after-failed-rules") {
            return Err(error);
        }
        // Rules that can't be judged don't keep the reports of the next cycle from being asked for.
        step.failure = Some(ErrorCode::Unexpected);
        evaluated = Err(error);
    }
    let requested = ctx.execute_activity(IngestionCalls::request, step.clone(), options(SHORT)).await?;
    if harvested.maintenance_due {
        let tidy = bounded(input.org, urgency(input), LONG, TIDY_ATTEMPTS);
        // The step itself tells its failure, and it is due again in the next cycle: this one has done its work.
        let _ = ctx.execute_activity(IngestionCalls::maintain, step, tidy).await;
    }
    Ok(IngestedV1 {
        cycle: harvested.cycle,
        landed: committed.landed,
        changed_days: committed.changed_days,
        proposals: evaluated?,
        requested: requested.requested,
    })
}

fn urgency(input: &IngestV1) -> Urgency {
    match input.kind {
        CycleKind::Manual | CycleKind::Onboarding => Urgency::Person,
        CycleKind::Scheduled | CycleKind::FollowUp => Urgency::Tick,
    }
}
