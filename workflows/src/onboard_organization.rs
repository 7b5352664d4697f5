//! From a signed-up organisation to its first reports under way.
//!
//! The wizard's answers are updates; its progress is a query. A step that a person can mend (a consent that expired, a
//! user without rights) leads back to waiting for that person. The workflow ends when ingestion has taken over: no
//! workflow waits for a platform's report, and the onboarding's row becomes `ready` in the commit that lands the first
//! slice. Cancelling it, or a step that fails for good, undoes what was made.

use std::error::Error;
use std::time::Duration;

use domain::ErrorCode;
use domain::ids::ConnectionId;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{
    ActivityExecutionError, ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
    WorkflowTermination,
};

use crate::contract::onboarding::{
    ChooseAccountsV1, ConnectV1, ConsentAnsweredV1, OnboardV1, OnboardedV1, OnboardingCalls, ProgressV1, ProvisionV1,
    SelectV1, StepV1, UndoV1,
};
use crate::options::{Urgency, detached, patient, reason};

const LIMIT: Duration = Duration::from_mins(3);
/// A step that fails for so long for reasons that pass is given up and undone. Undoing gives the authorisation back, which
/// costs a person the whole way again: an outage of a night's length must not come to that.
const PATIENCE: Duration = Duration::from_hours(12);
/// More advertisers than any agency has; a longer list is a mistake.
const MOST_ACCOUNTS: usize = 5_000;

/// The workflow.
#[workflow]
#[derive(Debug)]
pub struct OnboardOrganization {
    input: OnboardV1,
    progress: ProgressV1,
    answered: Option<ConsentAnsweredV1>,
    connection: Option<ConnectionId>,
    choice: Option<ChooseAccountsV1>,
}

#[workflow_methods]
impl OnboardOrganization {
    /// Waits for a consent.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: OnboardV1) -> Self {
        Self { input, progress: ProgressV1::Connecting, answered: None, connection: None, choice: None }
    }

    /// Carries the onboarding to the point where ingestion takes over.
    #[run(name = "OnboardOrganization")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<OnboardedV1> {
        let input = ctx.state(|s| s.input.clone());
        let error = match steps(ctx, &input).await {
            Ok(onboarded) => {
                ctx.state_mut(|s| s.progress = ProgressV1::HandedOver);
                ctx.wait_condition(|_| ctx.all_handlers_finished()).await?;
                return Ok(onboarded);
            }
            Err(error) => error,
        };
        let code = match &error {
            Stop::Cancelled => None,
            Stop::Failed(error) => Some(reason(error)),
        };
        let connection = ctx.state(|s| s.connection);
        let undo = UndoV1 { org: input.org, onboarding: input.onboarding, connection, code };
        ctx.execute_activity(OnboardingCalls::undo, undo, detached(input.org, Urgency::Person, LIMIT)).await?;
        ctx.state_mut(|s| s.progress = ProgressV1::Undone);
        Err(match error {
            Stop::Cancelled => WorkflowTermination::cancelled(),
            Stop::Failed(error) => (*error).into(),
        })
    }

    /// Where it stands.
    #[query]
    pub fn progress(&self, _ctx: &WorkflowContextView) -> ProgressV1 {
        self.progress
    }

    /// A consent is taken while one is waited for.
    #[update_validator(consent_answered)]
    fn validate_consent_answered(
        &self,
        _ctx: &WorkflowContextView,
        _answer: &ConsentAnsweredV1,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self.progress {
            ProgressV1::Connecting if self.answered.is_none() => Ok(()),
            _ => Err(ErrorCode::Conflict.code().into()),
        }
    }

    /// A person came back from the platform's consent page.
    #[update]
    pub fn consent_answered(&mut self, _ctx: &mut SyncWorkflowContext<Self>, answer: ConsentAnsweredV1) {
        self.connection = Some(answer.connection);
        self.answered = Some(answer);
        self.progress = ProgressV1::Verifying;
    }

    /// A choice names at least one advertiser, while a choice is waited for.
    #[update_validator(choose_accounts)]
    fn validate_choose_accounts(
        &self,
        _ctx: &WorkflowContextView,
        choice: &ChooseAccountsV1,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        if choice.accounts.is_empty() || choice.accounts.len() > MOST_ACCOUNTS {
            return Err(ErrorCode::InvalidRequest.code().into());
        }
        match self.progress {
            ProgressV1::ChoosingAccounts if self.choice.is_none() => Ok(()),
            _ => Err(ErrorCode::Conflict.code().into()),
        }
    }

    /// A person chose advertisers. The answer says whether the choice can be used.
    #[update]
    pub async fn choose_accounts(
        ctx: &mut WorkflowContext<Self>,
        choice: ChooseAccountsV1,
    ) -> Result<StepV1, Box<dyn Error + Send + Sync>> {
        let (input, connection) = ctx.state(|s| (s.input.clone(), s.connection));
        let Some(connection) = connection else {
            return Err(ErrorCode::Conflict.code().into());
        };
        let select = SelectV1 { org: input.org, onboarding: input.onboarding, connection, choice: choice.clone() };
        let step = ctx.execute_activity(OnboardingCalls::select, select, options(&input)).await?;
        if matches!(step, StepV1::Done { .. }) {
            ctx.state_mut(|s| s.choice = Some(choice));
        }
        Ok(step)
    }
}

/// Why an onboarding does not go on.
enum Stop {
    Cancelled,
    Failed(Box<ActivityExecutionError>),
}

impl From<ActivityExecutionError> for Stop {
    fn from(error: ActivityExecutionError) -> Self {
        match error {
            ActivityExecutionError::Cancelled(_) => Self::Cancelled,
            other => Self::Failed(Box::new(other)),
        }
    }
}

fn options(input: &OnboardV1) -> ActivityOptions {
    patient(input.org, Urgency::Person, LIMIT, PATIENCE)
}

async fn steps(ctx: &mut WorkflowContext<OnboardOrganization>, input: &OnboardV1) -> Result<OnboardedV1, Stop> {
    let connection = connect(ctx, input).await?;
    ctx.state_mut(|s| s.progress = ProgressV1::ChoosingAccounts);
    ctx.wait_condition(|s: &OnboardOrganization| s.choice.is_some()).await.map_err(|_| Stop::Cancelled)?;
    let chosen = ctx.state(|s| s.choice.as_ref().map_or(0, |choice| choice.accounts.len()));
    ctx.state_mut(|s| s.progress = ProgressV1::Provisioning);
    let provision = ProvisionV1 { org: input.org, onboarding: input.onboarding, connection };
    let provisioned = ctx.execute_activity(OnboardingCalls::provision, provision.clone(), options(input)).await?;
    ctx.execute_activity(OnboardingCalls::schedule, provision, options(input)).await?;
    Ok(OnboardedV1 { connection, accounts: u32::try_from(chosen).unwrap_or(u32::MAX), pulls: provisioned.pulls })
}

/// Waits for consents until one leads to a connection that can see advertisers.
async fn connect(ctx: &mut WorkflowContext<OnboardOrganization>, input: &OnboardV1) -> Result<ConnectionId, Stop> {
    loop {
        ctx.wait_condition(|s: &OnboardOrganization| s.answered.is_some()).await.map_err(|_| Stop::Cancelled)?;
        let Some(answer) = ctx.state_mut(|s| s.answered.take()) else { continue };
        let step = ConnectV1 {
            org: input.org,
            onboarding: input.onboarding,
            consent: answer.consent,
            connection: answer.connection,
        };
        if let StepV1::Done { .. } = try_connection(ctx, input, step).await? {
            return Ok(answer.connection);
        }
        // The onboarding's row tells the person what is missing; they connect again.
        ctx.state_mut(|s| s.progress = ProgressV1::Connecting);
    }
}

async fn try_connection(
    ctx: &mut WorkflowContext<OnboardOrganization>,
    input: &OnboardV1,
    step: ConnectV1,
) -> Result<StepV1, ActivityExecutionError> {
    let exchanged = ctx.execute_activity(OnboardingCalls::exchange, step.clone(), options(input)).await?;
    if let StepV1::NeedsPerson { .. } = exchanged {
        return Ok(exchanged);
    }
    let verified = ctx.execute_activity(OnboardingCalls::verify, step.clone(), options(input)).await?;
    if let StepV1::NeedsPerson { .. } = verified {
        return Ok(verified);
    }
    ctx.execute_activity(OnboardingCalls::discover, step, options(input)).await
}
