//! One proposal, from waiting for an approver to a change that stands in the platform, verified.
//!
//! The order of its steps is the zero-wrong-write contract: decide → check drift → record the intent → send → look →
//! verified. An answer that got lost is settled by looking twice; the same value is sent again only after both looks
//! showed the value from before.

use std::error::Error;
use std::time::Duration;

use domain::ErrorCode;
use domain::ids::AttemptId;
use domain::write_back::State;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityExecutionError, ActivityOptions, WorkflowContext, WorkflowContextView, WorkflowResult, WorkflowTermination,
    workflows,
};

use crate::contract::write_back::{
    AttemptV1, BeginV1, BegunV1, CloseV1, DecideV1, DecidedV1, OpenedV1, RecordV1, SeenV1, SentV1, Verdict,
    WriteBackCalls, WriteBackV1,
};
use crate::options::{Urgency, detached};

const LIMIT: Duration = Duration::from_mins(3);
/// How often the same approved value may be sent when looking proved it absent.
const MOST_ATTEMPTS: u32 = 3;
/// The wait before looking again when the platform said done but still shows the value from before.
const PROPAGATION_SECONDS: u64 = 3;

/// The workflow.
#[workflow]
#[derive(Debug)]
pub struct WriteBack {
    input: WriteBackV1,
    opened: Option<OpenedV1>,
    verdict: Option<Verdict>,
    state: State,
}

#[workflow_methods]
impl WriteBack {
    /// Waits for nothing yet.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: WriteBackV1) -> Self {
        Self { input, opened: None, verdict: None, state: State::Proposed }
    }

    /// Carries the proposal to its end; returns the state that it ended in.
    #[run(name = "WriteBack")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<State> {
        let input = ctx.state(|s| s.input.clone());
        let opened = ctx.execute_activity(WriteBackCalls::open, input.clone(), options(&input)).await?;
        ctx.state_mut(|s| {
            s.state = opened.state;
            s.opened = Some(opened.clone());
        });
        let state = match opened.state {
            State::Proposed => wait_for_decision(ctx, &input, opened.expires_in_seconds).await?,
            other => other,
        };
        let state = if state.is_closed() { state } else { apply(ctx, &input).await? };
        ctx.state_mut(|s| s.state = state);
        // An approver's request is answered before the run ends.
        ctx.wait_condition(|_| ctx.all_handlers_finished()).await?;
        if state == State::Cancelled && ctx.cancellation_token().is_cancelled() {
            return Err(WorkflowTermination::cancelled());
        }
        Ok(state)
    }

    /// Where the proposal stands.
    #[query]
    pub fn state(&self, _ctx: &WorkflowContextView) -> State {
        self.state
    }

    /// Refuses a decision about another change, or a second one, before anything is recorded. One that comes before the
    /// proposal was read is let in: it waits inside.
    #[update_validator(decide)]
    fn validate_decide(
        &self,
        _ctx: &WorkflowContextView,
        decision: &DecideV1,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.objection(decision).map_or(Ok(()), |code| Err(code.code().into()))
    }

    /// A person decides. The answer comes after the decision is on record.
    #[update]
    pub async fn decide(
        ctx: &mut WorkflowContext<Self>,
        decision: DecideV1,
    ) -> Result<DecidedV1, Box<dyn Error + Send + Sync>> {
        let input = ctx.state(|s| s.input.clone());
        let verdict = decision.verdict;
        // A person can be faster than the first step.
        ctx.wait_condition(|s| s.opened.is_some()).await?;
        if let Some(code) = ctx.state(|s| s.objection(&decision)) {
            return Ok(DecidedV1::Refused { code });
        }
        let record = RecordV1 { org: input.org, proposal: input.proposal, decision };
        let answer = ctx.execute_activity(WriteBackCalls::record, record, options(&input)).await?;
        if let DecidedV1::Recorded { state } = answer {
            ctx.state_mut(|s| {
                s.verdict = Some(verdict);
                s.state = state;
            });
        }
        Ok(answer)
    }
}

impl WriteBack {
    /// Why a decision can't be taken, as far as is known.
    fn objection(&self, decision: &DecideV1) -> Option<ErrorCode> {
        let opened = self.opened.as_ref()?;
        if decision.change_hash != opened.change_hash {
            return Some(ErrorCode::ApprovalStale);
        }
        let withdraws = decision.verdict == Verdict::Cancel && self.verdict == Some(Verdict::Approve);
        let decided = self.verdict.is_some() && !withdraws;
        (decided || self.state.is_closed()).then_some(ErrorCode::AlreadyDecided)
    }
}

/// Nothing here is cancelled with the workflow: a change that may have been sent is followed to its end.
fn options(input: &WriteBackV1) -> ActivityOptions {
    detached(input.org, Urgency::WriteBack, LIMIT)
}

/// Until a decision is on record, the time is up, or the run is cancelled.
async fn wait_for_decision(
    ctx: &mut WorkflowContext<WriteBack>,
    input: &WriteBackV1,
    expires_in_seconds: u64,
) -> Result<State, ActivityExecutionError> {
    let unwanted = workflows::select! {
        decided = ctx.wait_condition(|s: &WriteBack| s.verdict.is_some()) => match decided {
            Ok(()) => None,
            Err(_) => Some(State::Cancelled),
        },
        _ = ctx.timer(Duration::from_secs(expires_in_seconds)) => Some(State::Expired),
    };
    match unwanted {
        None => Ok(ctx.state(|s| s.state)),
        // A decision that was recorded in the same moment stands: close returns the state that really holds.
        Some(state) => close(ctx, input, state).await,
    }
}

/// Sends the change until it stands, is refused, or is proved to be somebody else's business.
async fn apply(ctx: &mut WorkflowContext<WriteBack>, input: &WriteBackV1) -> Result<State, ActivityExecutionError> {
    for number in 1..=MOST_ATTEMPTS {
        let begin = BeginV1 { org: input.org, proposal: input.proposal, number };
        let attempt = match ctx.execute_activity(WriteBackCalls::begin, begin, options(input)).await? {
            BegunV1::Closed { state } => return Ok(state),
            BegunV1::Ready { attempt } => attempt,
        };
        let named = AttemptV1 { org: input.org, proposal: input.proposal, attempt, last_look: false };
        let seen = match ctx.execute_activity(WriteBackCalls::send, named.clone(), options(input)).await? {
            SentV1::Refused => return Ok(State::Failed),
            SentV1::Done => match look(ctx, input, attempt, false).await? {
                SeenV1::Before => settle(ctx, input, attempt, [PROPAGATION_SECONDS; 2]).await?,
                seen => seen,
            },
            SentV1::Unknown { settle_seconds, deadline_seconds } => {
                let rest = deadline_seconds.saturating_sub(settle_seconds).max(settle_seconds);
                settle(ctx, input, attempt, [settle_seconds, rest]).await?
            }
        };
        match seen {
            SeenV1::After => return Ok(State::Verified),
            SeenV1::Other => return Ok(State::Drifted),
            SeenV1::Before => {}
        }
    }
    close(ctx, input, State::Failed).await
}

/// Looks twice, after these seconds each: a change that stands is found early, and one that does not is believed to be
/// absent only when the request can no longer take effect.
async fn settle(
    ctx: &mut WorkflowContext<WriteBack>,
    input: &WriteBackV1,
    attempt: AttemptId,
    [first, last]: [u64; 2],
) -> Result<SeenV1, ActivityExecutionError> {
    let mut seen = SeenV1::Before;
    for (seconds, last_look) in [(first, false), (last, true)] {
        ctx.timer(
            temporalio_workflow::TimerOptions::builder(Duration::from_secs(seconds))
                .cancellation_token(temporalio_workflow::WorkflowCancellationToken::new())
                .build(),
        )
        .await;
        seen = look(ctx, input, attempt, last_look).await?;
        if seen != SeenV1::Before {
            break;
        }
    }
    Ok(seen)
}

async fn look(
    ctx: &mut WorkflowContext<WriteBack>,
    input: &WriteBackV1,
    attempt: AttemptId,
    last_look: bool,
) -> Result<SeenV1, ActivityExecutionError> {
    let named = AttemptV1 { org: input.org, proposal: input.proposal, attempt, last_look };
    ctx.execute_activity(WriteBackCalls::look, named, options(input)).await
}

async fn close(
    ctx: &mut WorkflowContext<WriteBack>,
    input: &WriteBackV1,
    state: State,
) -> Result<State, ActivityExecutionError> {
    let close = CloseV1 { org: input.org, proposal: input.proposal, state };
    ctx.execute_activity(WriteBackCalls::close, close, options(input)).await
}
