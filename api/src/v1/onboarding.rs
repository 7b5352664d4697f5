//! The onboarding of an organisation: what drives the wizard.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{AccountId, ConnectionId};
use serde::{Deserialize, Serialize};
use store::onboarding as rows;
use store::{Tx, account, audit, connection, intent, pull};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflows::contract::onboarding::{ChooseAccountsV1, StepV1};
use workflows::{OnboardOrganization, queues};

use crate::app::App;
use crate::auth::Session;
use crate::extract::Body;
use crate::idempotency::Key;
use crate::problem::{Error, FieldProblem, Problem, Result};
use crate::v1::onboarding_steps;
use crate::wire::{AccountIdText, EmptyIn, Platform};
use crate::{starter, update};

const TAG: &str = "onboarding";
const MOST_ACCOUNTS: usize = 5_000;
/// How long an undo is waited for: it takes a moment, and the page looks again anyway.
const UNDONE_LOOKS: u32 = 40;
const UNDONE_WAIT: Duration = Duration::from_millis(100);

/// How often, and how far apart, a workflow is asked again that does not yet wait for what its row says it waits for.
const READY_LOOKS: u32 = 20;
const READY_WAIT: Duration = Duration::from_millis(100);

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(start, get)).routes(routes!(choose_accounts)).routes(routes!(cancel))
}

/// An onboarding under way, or over.
#[derive(Debug, Serialize, ToSchema)]
pub struct Onboarding {
    /// The id.
    pub id: String,
    /// How far it is. `ready`: the dashboard has data and history follows behind; `done`: history is complete.
    pub state: OnboardingState,
    /// The platform being connected; null before one was chosen.
    pub platform: Option<Platform>,
    /// The connection being made.
    pub connection_id: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When the dashboard had its first data.
    pub dashboard_ready_at: Option<DateTime<Utc>>,
    /// Whether it can still be cancelled.
    pub can_cancel: bool,
    /// What happens, in order.
    pub steps: Vec<OnboardingStep>,
    /// The advertisers that were found.
    pub accounts: Vec<OnboardingAccount>,
    /// What keeps it from going on.
    pub problem: Option<Problem>,
}

/// How far an onboarding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnboardingState {
    /// Waits for a person to connect a platform.
    Connecting,
    /// Checks the access and lists the advertisers.
    Verifying,
    /// Waits for a person to choose advertisers.
    ChoosingAccounts,
    /// Makes tables, rules and the schedule.
    Provisioning,
    /// The first reports are under way.
    FirstSlice,
    /// The dashboard has data; history follows behind.
    Ready,
    /// History is complete.
    Done,
    /// It ended early and what it had made is undone.
    Failed,
    /// A person cancelled it and what it had made is undone.
    Cancelled,
}

/// One step of an onboarding.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardingStep {
    /// Which.
    pub key: StepKey,
    /// What it does, in words.
    pub title: String,
    /// How far it is.
    pub state: StepState,
    /// More about it, in words.
    pub detail: Option<String>,
    /// How many of its parts are done.
    pub done: Option<i64>,
    /// How many parts it has.
    pub total: Option<i64>,
    /// How long it took, or is taking.
    pub seconds: Option<f64>,
}

/// The steps of an onboarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKey {
    /// A person grants access.
    Connect,
    /// The access is checked.
    Verify,
    /// The advertisers are listed.
    Discover,
    /// A person chooses advertisers.
    Choose,
    /// Tables and rules are made.
    Provision,
    /// The schedule is made.
    Schedule,
    /// The first days are read.
    FirstSlice,
    /// History is read.
    Backfill,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

/// An advertiser of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnboardingAccount {
    /// The id.
    pub id: String,
    /// The platform's own id.
    pub platform_id: String,
    /// What the platform calls it.
    pub name: String,
    /// What it belongs to: DV360's partner.
    pub parent_name: Option<String>,
    /// The currency that it spends in.
    pub currency: String,
    /// The zone in which its days lie.
    pub time_zone: String,
    /// Whether it can be read.
    pub status: AccountStatus,
    /// Whether its numbers are read.
    pub selected: bool,
    /// What is wrong with it.
    pub problem: Option<Problem>,
}

/// Whether an advertiser can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It can.
    Active,
    /// It can, and is paused in the platform.
    Paused,
    /// It was removed, or access to it was withdrawn.
    Gone,
}

/// The advertisers that a person chose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountsIn {
    /// Their ids; at least one.
    #[schema(min_items = 1, max_items = 5000, value_type = Vec<AccountIdText>)]
    pub account_ids: Vec<String>,
}

/// Begins the onboarding of the organisation, or returns the one under way.
#[utoipa::path(post, path = "/onboarding", operation_id = "startOnboarding", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = EmptyIn,
    responses((status = 201, body = Onboarding), (status = 200, body = Onboarding, description = "It had begun before.")))]
async fn start(
    State(app): State<App>,
    session: Session,
    _: Body<EmptyIn>,
) -> Result<(StatusCode, axum::Json<Onboarding>)> {
    let now = app.now();
    let mut tx = session.begin(&app).await?;
    if rows::latest(&mut tx).await?.is_some_and(|known| known.state == rows::State::Done) {
        let detail = "This organisation is set up already: its connection is on the Connections page.".to_owned();
        return Err(Error::Refused { code: ErrorCode::Conflict, detail: Some(detail) });
    }
    let (row, new) = rows::start(&mut tx, session.user, now).await?;
    // The row came with its intent; the same kind and subject name the same intent.
    let intent = intent::create(&mut tx, intent::Kind::Onboard, row.id.uuid(), now, now).await?;
    let onboarding = Onboarding::read(&mut tx, row, now).await?;
    tx.commit().await?;
    if !new {
        return Ok((StatusCode::OK, axum::Json(onboarding)));
    }
    starter::start_at_once(&app, intent).await;
    Ok((StatusCode::CREATED, axum::Json(onboarding)))
}

/// The newest onboarding of the organisation.
#[utoipa::path(get, path = "/onboarding", operation_id = "getOnboarding", tag = TAG,
    extensions(("x-permission" = json!("connections.read"))),
    responses((status = 200, body = Onboarding),
              (status = 404, body = Problem, content_type = "application/problem+json", description = "None has begun.")))]
async fn get(State(app): State<App>, session: Session) -> Result<axum::Json<Onboarding>> {
    let mut tx = session.begin(&app).await?;
    let row = rows::latest(&mut tx).await?.ok_or(Error::NOT_FOUND)?;
    Ok(axum::Json(Onboarding::read(&mut tx, row, app.now()).await?))
}

/// Chooses the advertisers whose numbers are read.
#[utoipa::path(put, path = "/onboarding/accounts", operation_id = "chooseAccounts", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = AccountsIn, responses((status = 200, body = Onboarding)))]
async fn choose_accounts(
    State(app): State<App>,
    session: Session,
    key: Option<Extension<Key>>,
    Body(input): Body<AccountsIn>,
) -> Result<axum::Json<Onboarding>> {
    let accounts = account_ids(&input)?;
    let row = open(&app, &session, |state| state == rows::State::ChoosingAccounts).await?;
    let unharmed = "Your choice was not recorded and nothing was read.";
    let id = queues::onboarding(session.org, row.id);
    let found = update::find::<OnboardOrganization>(&app, id, unharmed).await?;
    let choice = ChooseAccountsV1 { by: session.user, accounts };
    let name = key.map_or_else(|| uuid::Uuid::new_v4().to_string(), |Extension(Key(key))| key);
    let mut looks = READY_LOOKS;
    let step = loop {
        match found.update(OnboardOrganization::choose_accounts, choice.clone(), format!("choose-{name}")).await {
            // The page shows the choice a moment before the workflow knows that it waits for one.
            Err(Error::Refused { code: ErrorCode::Conflict, .. }) if looks > 0 => looks -= 1,
            step => break step?,
        }
        tokio::time::sleep(READY_WAIT).await;
        open(&app, &session, |state| state == rows::State::ChoosingAccounts).await?;
    };
    match step {
        StepV1::Done { .. } => get(State(app), session).await,
        StepV1::NeedsPerson { code } => Err(Error::refused(code)),
    }
}

/// The ids that a choice names, or which of them are none.
pub(super) fn account_ids(input: &AccountsIn) -> Result<Vec<AccountId>> {
    if !(1..=MOST_ACCOUNTS).contains(&input.account_ids.len()) {
        return Err(Error::invalid("/account_ids", format!("Choose 1 to {MOST_ACCOUNTS} advertisers.")));
    }
    let (mut ids, mut wrong) = (Vec::new(), Vec::new());
    for (index, text) in input.account_ids.iter().enumerate() {
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(_) => wrong.push(format!("/account_ids/{index}")),
        }
    }
    if wrong.is_empty() {
        return Ok(ids);
    }
    let field = |pointer| FieldProblem::new(pointer, "This is not the id of an advertiser.");
    Err(Error::Invalid { fields: wrong.into_iter().map(field).collect() })
}

/// The onboarding under way, in a state in which the request makes sense.
async fn open(app: &App, session: &Session, fits: impl Fn(rows::State) -> bool) -> Result<rows::Onboarding> {
    let mut tx = session.begin(app).await?;
    let row = rows::latest(&mut tx).await?.ok_or(Error::NOT_FOUND)?;
    if fits(row.state) { Ok(row) } else { Err(Error::refused(ErrorCode::Conflict)) }
}

/// Cancels the onboarding; what it had made is undone.
#[utoipa::path(post, path = "/onboarding/cancel", operation_id = "cancelOnboarding", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    responses((status = 200, body = Onboarding)))]
async fn cancel(State(app): State<App>, session: Session) -> Result<axum::Json<Onboarding>> {
    let row = open(&app, &session, onboarding_steps::can_cancel).await?;
    let unharmed = "Nothing was cancelled; the onboarding goes on.";
    let id = queues::onboarding(session.org, row.id);
    update::find::<OnboardOrganization>(&app, id, unharmed).await?.cancel("a person cancelled the onboarding").await?;
    record_cancel(&app, &session, &row).await?;
    for _ in 0..UNDONE_LOOKS {
        let mut tx = session.begin(&app).await?;
        if rows::fetch(&mut tx, row.id).await?.state.is_closed() {
            remove_unauthorised(&mut tx, row.connection).await?;
            tx.commit().await?;
            break;
        }
        drop(tx);
        tokio::time::sleep(UNDONE_WAIT).await;
    }
    get(State(app), session).await
}

/// The engine has taken the request: who made it is on record, whatever the undo still takes.
async fn record_cancel(app: &App, session: &Session, row: &rows::Onboarding) -> Result<()> {
    let mut tx = session.begin(app).await?;
    let entry = audit::Entry {
        actor: audit::Actor::Person(session.user),
        action: "onboarding.cancel".to_owned(),
        subject: "onboarding",
        subject_id: row.id.uuid(),
        title: row.platform.map_or("Setup", domain::Platform::title).to_owned(),
        before: Some(serde_json::json!({"state": row.state.to_string()})),
        after: None,
    };
    audit::record(&mut tx, &entry, app.now()).await?;
    Ok(tx.commit().await?)
}

/// A connection that nobody authorised yet is unknown to the workflow, which undoes what it made itself.
async fn remove_unauthorised(tx: &mut Tx, id: Option<ConnectionId>) -> Result<()> {
    if let Some(id) = id
        && connection::fetch(tx, id).await?.status == connection::Status::New
    {
        connection::remove(tx, id).await?;
    }
    Ok(())
}

impl Onboarding {
    /// An onboarding with its steps and the advertisers that were found.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn read(tx: &mut Tx, row: rows::Onboarding, now: DateTime<Utc>) -> Result<Self> {
        let (accounts, progress) = match row.connection {
            Some(id) => (account::list(tx, Some(id)).await?, pull::progress(tx, id).await?),
            None => (Vec::new(), BTreeMap::new()),
        };
        let steps = onboarding_steps::steps(&row, &progress, now);
        let rows::Onboarding {
            id,
            user: _,
            platform,
            connection,
            state,
            steps: _,
            started_at,
            dashboard_ready_at,
            closed_at: _,
            error_code,
            error_detail,
        } = row;
        Ok(Self {
            id: id.to_string(),
            state: state.into(),
            platform: platform.map(Into::into),
            connection_id: connection.map(|id| id.to_string()),
            started_at,
            dashboard_ready_at,
            can_cancel: onboarding_steps::can_cancel(state),
            steps,
            accounts: accounts.into_iter().map(Into::into).collect(),
            problem: error_code.map(|code| Problem::of(code).detailed(error_detail)),
        })
    }
}

impl From<rows::State> for OnboardingState {
    fn from(state: rows::State) -> Self {
        match state {
            rows::State::Connecting => Self::Connecting,
            rows::State::Verifying => Self::Verifying,
            rows::State::ChoosingAccounts => Self::ChoosingAccounts,
            rows::State::Provisioning => Self::Provisioning,
            rows::State::FirstSlice => Self::FirstSlice,
            rows::State::Ready => Self::Ready,
            rows::State::Done => Self::Done,
            rows::State::Failed => Self::Failed,
            rows::State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<account::Account> for OnboardingAccount {
    fn from(row: account::Account) -> Self {
        let account::Account {
            id,
            connection: _,
            platform_id,
            name,
            parent_id: _,
            parent_name,
            currency,
            time_zone,
            status,
            selected,
            problem,
            entities_read_at: _,
        } = row;
        let status = match status {
            account::Status::Active => AccountStatus::Active,
            account::Status::Paused => AccountStatus::Paused,
            account::Status::Gone => AccountStatus::Gone,
        };
        Self {
            id: id.to_string(),
            platform_id,
            name,
            parent_name,
            currency: currency.to_string(),
            time_zone: time_zone.to_string(),
            status,
            selected,
            problem: problem.map(|problem| Problem::of(problem.code).detailed(problem.detail)),
        }
    }
}
