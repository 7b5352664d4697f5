//! Onboardings: how far a new organisation has come on its way to a dashboard.
//!
//! The row is what the wizard shows. It is written by the workflow's steps and read by the API, so the wizard can be left
//! and resumed anywhere.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::{ConnectionId, OnboardingId, UserId};
use domain::{ErrorCode, Platform};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::convert::{error_code, json, parsed, parsed_option, to_json};
use crate::error::{Error, Result};
use crate::intent;
use crate::store::Tx;

/// How far an onboarding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// A person is to connect a platform.
    Connecting,
    /// The access is checked.
    Verifying,
    /// A person is to choose advertisers.
    ChoosingAccounts,
    /// Tables, rules and the schedule are made.
    Provisioning,
    /// The first days are read.
    FirstSlice,
    /// The dashboard has something to show; history is still read.
    Ready,
    /// All is there.
    Done,
    /// It ended early because something went wrong.
    Failed,
    /// A person ended it early.
    Cancelled,
}

impl State {
    /// Whether nothing further will happen.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Whether it made a dashboard: ingestion has taken over, and there is nothing to cancel or undo any more.
    #[must_use]
    pub const fn has_dashboard(self) -> bool {
        matches!(self, Self::FirstSlice | Self::Ready | Self::Done)
    }
}

/// A step of the wizard, in the order in which they are shown.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum StepKey {
    /// A person connects a platform.
    Connect,
    /// The access is checked.
    Verify,
    /// The advertisers are listed.
    Discover,
    /// A person chooses among them.
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

/// How far a step has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It has not begun.
    #[default]
    Waiting,
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It went wrong.
    Failed,
}

/// What is known of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// How far it has come.
    pub state: StepState,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// A sentence about it.
    pub detail: Option<String>,
    /// How much of it is done.
    pub done: Option<u32>,
    /// How much there is to do.
    pub total: Option<u32>,
}

/// An onboarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onboarding {
    /// Its id.
    pub id: OnboardingId,
    /// Who began it.
    pub user: UserId,
    /// The platform that was chosen.
    pub platform: Option<Platform>,
    /// The connection that is made.
    pub connection: Option<ConnectionId>,
    /// How far it has come.
    pub state: State,
    /// Its steps; one that is not here has not begun.
    pub steps: BTreeMap<StepKey, Step>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When the dashboard had something to show.
    pub dashboard_ready_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub closed_at: Option<DateTime<Utc>>,
    /// What is wrong, or why it ended early.
    pub error_code: Option<ErrorCode>,
    /// What the platform said about it.
    pub error_detail: Option<String>,
}

/// Starts the organisation's onboarding, with the intent to start its workflow; returns the open one when there is one,
/// and whether it is new.
///
/// # Errors
/// As any statement.
pub async fn start(tx: &mut Tx, user: UserId, at: DateTime<Utc>) -> Result<(Onboarding, bool)> {
    let (org, id) = (tx.org(), OnboardingId::new());
    let done = sqlx::query!(
        "INSERT INTO onboardings (org_id, id, user_id, state, started_at) VALUES ($1, $2, $3, 'connecting', $4)
         ON CONFLICT (org_id) WHERE state NOT IN ('done', 'failed', 'cancelled') DO NOTHING",
        org.uuid(),
        id.uuid(),
        user.uuid(),
        at,
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() > 0 {
        intent::create(tx, intent::Kind::Onboard, id.uuid(), at, at).await?;
        return Ok((fetch(tx, id).await?, true));
    }
    let row = onboardings!("WHERE state NOT IN ('done', 'failed', 'cancelled')").fetch_one(tx.conn()).await?;
    Ok((row.try_into()?, false))
}

/// One onboarding.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: OnboardingId) -> Result<Onboarding> {
    let row = onboardings!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "onboarding" })?.try_into()
}

/// The onboarding that made the organisation's dashboard; before there is one, the newest, if it ever began one.
///
/// # Errors
/// As any statement.
pub async fn latest(tx: &mut Tx) -> Result<Option<Onboarding>> {
    let row = onboardings!("ORDER BY state IN ('first_slice', 'ready', 'done') DESC, started_at DESC, id DESC LIMIT 1")
        .fetch_optional(tx.conn())
        .await?;
    row.map(Onboarding::try_from).transpose()
}

/// Holds an onboarding until the end of the transaction, and says how far it has come: a step that makes something and
/// the undo exclude each other.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn hold(tx: &mut Tx, id: OnboardingId) -> Result<State> {
    let row = sqlx::query!("SELECT state FROM onboardings WHERE id = $1 FOR UPDATE", id.uuid())
        .fetch_optional(tx.conn())
        .await?;
    parsed("state", &row.ok_or(Error::NotFound { noun: "onboarding" })?.state)
}

/// Moves an open onboarding to another open state and notes when the dashboard first had something to show. False when
/// it is closed.
///
/// # Errors
/// As any statement.
pub async fn advance(tx: &mut Tx, id: OnboardingId, state: State, at: DateTime<Utc>) -> Result<bool> {
    let ready_at = (state == State::Ready).then_some(at);
    let done = sqlx::query!(
        "UPDATE onboardings SET state = $2, dashboard_ready_at = coalesce(dashboard_ready_at, $3)
         WHERE id = $1 AND state NOT IN ('done', 'failed', 'cancelled') AND NOT $4",
        id.uuid(),
        state.to_string(),
        ready_at,
        state.is_closed(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Names the platform and the connection that an open onboarding makes.
///
/// # Errors
/// [`Error::Missing`] when there is no such connection.
pub async fn set_connection(
    tx: &mut Tx,
    id: OnboardingId,
    platform: Platform,
    connection: ConnectionId,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE onboardings SET platform = $2, connection_id = $3
         WHERE id = $1 AND state NOT IN ('done', 'failed', 'cancelled')",
        id.uuid(),
        platform.to_string(),
        connection.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Replaces what is known of a step.
///
/// # Errors
/// As any statement.
pub async fn set_step(tx: &mut Tx, id: OnboardingId, key: StepKey, step: &Step) -> Result<()> {
    sqlx::query!(
        "UPDATE onboardings SET steps = steps || jsonb_build_object($2::text, $3::jsonb) WHERE id = $1",
        id.uuid(),
        key.to_string(),
        to_json("steps", step)?,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says what a person has to mend, or that nothing is wrong any more.
///
/// # Errors
/// As any statement.
pub async fn set_problem(tx: &mut Tx, id: OnboardingId, code: Option<ErrorCode>, detail: Option<&str>) -> Result<()> {
    sqlx::query!(
        "UPDATE onboardings SET error_code = $2, error_detail = $3
         WHERE id = $1 AND state NOT IN ('done', 'failed', 'cancelled')",
        id.uuid(),
        code.map(ErrorCode::code),
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends an onboarding: done, failed or cancelled. False when it had ended before, or the state is not an end.
///
/// # Errors
/// As any statement.
pub async fn close(
    tx: &mut Tx,
    id: OnboardingId,
    state: State,
    code: Option<ErrorCode>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE onboardings
         SET state = $2, closed_at = $3, error_detail = CASE WHEN error_code = $4 THEN error_detail END, error_code = $4
         WHERE id = $1 AND state NOT IN ('done', 'failed', 'cancelled') AND $5",
        id.uuid(),
        state.to_string(),
        at,
        code.map(ErrorCode::code),
        state.is_closed(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

macro_rules! onboardings {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, user_id, platform, connection_id, state, steps, started_at, dashboard_ready_at, closed_at, error_code,
                    error_detail
             FROM onboardings "
                + $which
            $(, $argument)*
        )
    };
}
use onboardings;

struct Row {
    id: Uuid,
    user_id: Uuid,
    platform: Option<String>,
    connection_id: Option<Uuid>,
    state: String,
    steps: Value,
    started_at: DateTime<Utc>,
    dashboard_ready_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_detail: Option<String>,
}

impl TryFrom<Row> for Onboarding {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            user_id,
            platform,
            connection_id,
            state,
            steps,
            started_at,
            dashboard_ready_at,
            closed_at,
            error_code: code,
            error_detail,
        } = row;
        Ok(Self {
            id: id.into(),
            user: user_id.into(),
            platform: parsed_option("platform", platform.as_deref())?,
            connection: connection_id.map(ConnectionId::from_uuid),
            state: parsed("state", &state)?,
            steps: json("steps", steps)?,
            started_at,
            dashboard_ready_at,
            closed_at,
            error_code: error_code(code.as_deref())?,
            error_detail,
        })
    }
}
