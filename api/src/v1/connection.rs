//! Connections to platforms, and how well they do.

use std::collections::BTreeSet;

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ids::{AuditId, ConnectionId};
use domain::pull::{HISTORY_DAYS, Kind};
use domain::{DayRange, ErrorCode};
use serde::{Deserialize, Serialize};
use store::pull::Plan;
use store::{Tx, account, audit, connection, consent, intent, onboarding, pull, report, watermark};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id};
use crate::problem::{Error, Problem, Result};
use crate::v1::onboarding::{AccountsIn, OnboardingAccount, account_ids};
use crate::v1::overview::FreshnessState;
use crate::wire::{Items, Person, Platform};
use crate::{freshness, starter};

const TAG: &str = "connection";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(change_accounts))
}

/// An organisation's authorised link to a platform.
#[derive(Debug, Serialize, ToSchema)]
pub struct Connection {
    /// The id.
    pub id: String,
    /// The platform.
    pub platform: Platform,
    /// What it is called.
    pub title: String,
    /// How well it does.
    pub status: ConnectionStatus,
    /// Who has to do something; null when nobody has to.
    pub who_acts: Option<Actor>,
    /// Who granted the access.
    pub connected_by: Person,
    /// When.
    pub connected_at: DateTime<Utc>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// Up to when its numbers are complete.
    pub fresh_as_of: Option<DateTime<Utc>>,
    /// Its advertisers.
    pub accounts: Vec<OnboardingAccount>,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// What came of the newest attempt to reconnect it; null when there was none.
    pub reconnection: Option<Reconnection>,
}

/// An attempt to give a connection a new authorisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reconnection {
    /// How far it is.
    pub state: ReconnectionState,
    /// When the person came back from the platform's page.
    pub at: DateTime<Utc>,
    /// Why the connection was left as it was.
    pub problem: Option<Problem>,
}

/// How far an attempt to reconnect is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReconnectionState {
    /// The new authorisation is checked.
    Checking,
    /// It is in force, and what was missed is read.
    Done,
    /// It was refused; the connection was left as it was.
    Refused,
}

/// How well a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// All is well.
    Healthy,
    /// Its first numbers are being read.
    Syncing,
    /// Its numbers are older than they should be.
    Late,
    /// The platform's quota is used up for now.
    RateLimited,
    /// The authorisation expired or was revoked.
    NeedsReauth,
    /// The authorised user lacks a right.
    NeedsPermission,
    /// The platform has a problem on its side.
    PlatformOutage,
    /// Something else is wrong.
    Error,
}

/// Who has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Somebody of the organisation.
    You,
    /// We.
    Us,
    /// The platform.
    Platform,
}

/// All connections of the organisation.
#[utoipa::path(get, path = "/connections", operation_id = "listConnections", tag = TAG,
    extensions(("x-permission" = json!("connections.read"))),
    responses((status = 200, body = Items<Connection>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Connection>>> {
    let mut tx = session.begin(&app).await?;
    let mut items = Vec::new();
    for row in connection::list(&mut tx).await? {
        items.extend(read(&app, &mut tx, row.id).await?);
    }
    Ok(axum::Json(Items { items }))
}

/// One connection.
#[utoipa::path(get, path = "/connections/{id}", operation_id = "getConnection", tag = TAG,
    extensions(("x-permission" = json!("connections.read"))),
    params(("id" = String, Path, description = "The connection.")), responses((status = 200, body = Connection)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<ConnectionId>) -> Result<axum::Json<Connection>> {
    let mut tx = session.begin(&app).await?;
    read(&app, &mut tx, id).await?.map(axum::Json).ok_or(Error::NOT_FOUND)
}

/// Changes which advertisers are read. The history of those that are new is read; what was read of the others stays.
#[utoipa::path(put, path = "/connections/{id}/accounts", operation_id = "changeAccounts", tag = TAG,
    extensions(("x-permission" = json!("connections.manage"))),
    params(("id" = String, Path, description = "The connection."),
           ("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = AccountsIn, responses((status = 200, body = Connection)))]
async fn change_accounts(
    State(app): State<App>,
    session: Session,
    Id(id): Id<ConnectionId>,
    Body(input): Body<AccountsIn>,
) -> Result<axum::Json<Connection>> {
    let (chosen, now) = (account_ids(&input)?, app.now());
    let mut tx = session.begin(&app).await?;
    let row = connection::fetch(&mut tx, id).await?;
    let in_use = onboarding::latest(&mut tx).await?.is_some_and(|known| known.state.has_dashboard());
    if !in_use || matches!(row.status, connection::Status::New | connection::Status::Removed) {
        return Err(refused("This connection is being set up, or was given up: go on in the setup."));
    }
    let before = selected(&mut tx, id).await?;
    account::select(&mut tx, id, &chosen).await?;
    let after = selected(&mut tx, id).await?;
    let ids = |accounts: &[account::Account]| accounts.iter().map(|account| account.id).collect::<BTreeSet<_>>();
    let (were, are) = (ids(&before), ids(&after));
    let new: Vec<_> = after.into_iter().filter(|account| !were.contains(&account.id)).collect();
    if were != are {
        plan_history(&mut tx, &row, &new, now).await?;
        record_choice(&mut tx, &session, &row, [were.len(), are.len()], now).await?;
    }
    let seen = read(&app, &mut tx, row.id).await?.ok_or(Error::NOT_FOUND)?;
    let cycle = intent::create(&mut tx, intent::Kind::Ingest, AuditId::new().uuid(), now, now).await?;
    tx.commit().await?;
    starter::start_at_once(&app, cycle).await;
    Ok(axum::Json(seen))
}

fn refused(detail: &str) -> Error {
    Error::Refused { code: ErrorCode::Conflict, detail: Some(detail.to_owned()) }
}

async fn selected(tx: &mut Tx, id: ConnectionId) -> Result<Vec<account::Account>> {
    let accounts = account::list(tx, Some(id)).await?;
    Ok(accounts.into_iter().filter(|account| account.selected).collect())
}

/// Plans to read the history of advertisers that are new.
async fn plan_history(
    tx: &mut Tx,
    row: &connection::Connection,
    new: &[account::Account],
    now: DateTime<Utc>,
) -> Result<()> {
    let Some(today) = new.iter().map(|account| account.time_zone.day_at(now)).max() else { return Ok(()) };
    let accounts: Vec<String> = new.iter().map(|account| account.platform_id.clone()).collect();
    for definition in report::list(tx, row.platform).await? {
        let (report, days, accounts) = (definition.id, DayRange::ending(today, HISTORY_DAYS), accounts.clone());
        let history = Plan { connection: row.id, report, kind: Kind::Manual, days, accounts, not_before: None };
        if pull::plan_history(tx, &history, now).await?.contains(&None) {
            let detail = "The history of the advertisers chosen last is still on its way: try again in some minutes.";
            return Err(refused(detail));
        }
    }
    Ok(())
}

async fn record_choice(
    tx: &mut Tx,
    session: &Session,
    row: &connection::Connection,
    [before, after]: [usize; 2],
    at: DateTime<Utc>,
) -> Result<()> {
    let entry = audit::Entry {
        actor: audit::Actor::Person(session.user),
        action: "connection.choose_accounts".to_owned(),
        subject: "connection",
        subject_id: row.id.uuid(),
        title: row.title.clone(),
        before: Some(serde_json::json!({"advertisers": before})),
        after: Some(serde_json::json!({"advertisers": after})),
    };
    audit::record(tx, &entry, at).await?;
    Ok(())
}

/// A connection with its advertisers; `None` for one that nobody has authorised yet.
async fn read(app: &App, tx: &mut Tx, id: ConnectionId) -> Result<Option<Connection>> {
    // First how reconnecting went, then the connection: one that is told as done has its new authorisation.
    let reconnection = consent::newest_reconnect(tx, id).await?.and_then(reconnection);
    let row = connection::fetch(tx, id).await?;
    let Some(connected_at) = row.connected_at else { return Ok(None) };
    let accounts = account::list(tx, Some(row.id)).await?;
    let fresh_as_of = watermark::complete_to(&watermark::freshness(tx, Some(row.id)).await?);
    let freshness = freshness::state(fresh_as_of, app.now(), app.settings.tick_seconds);
    let (status, who_acts) = judge(row.status, row.problem.as_ref().map(|problem| problem.code), freshness);
    let connection::Connection {
        id,
        platform,
        environment: _,
        title,
        status: _,
        scopes,
        connected_by: _,
        connected_by_name,
        connected_at: _,
        problem,
        created_at: _,
    } = row;
    Ok(Some(Connection {
        id: id.to_string(),
        platform: platform.into(),
        title,
        status,
        who_acts,
        connected_by: Person { name: connected_by_name.unwrap_or_else(|| "A former member".to_owned()) },
        connected_at,
        scopes,
        fresh_as_of,
        accounts: accounts.into_iter().map(Into::into).collect(),
        problem: problem.map(|problem| Problem::of(problem.code).detailed(problem.detail)),
        reconnection,
    }))
}

fn reconnection(row: consent::Consent) -> Option<Reconnection> {
    let state = match (row.closed_at, row.error_code) {
        (None, _) => ReconnectionState::Checking,
        (Some(_), None) => ReconnectionState::Done,
        (Some(_), Some(_)) => ReconnectionState::Refused,
    };
    let problem = row.error_code.map(|code| Problem::of(code).detailed(row.error_detail));
    Some(Reconnection { state, at: row.answered_at?, problem })
}

/// How well a connection does, and who has to do something about it.
fn judge(
    status: connection::Status,
    problem: Option<ErrorCode>,
    freshness: FreshnessState,
) -> (ConnectionStatus, Option<Actor>) {
    use connection::Status as Stored;
    match (status, problem) {
        (Stored::NeedsReauth, _) | (Stored::New | Stored::Removed, None) => {
            (ConnectionStatus::NeedsReauth, Some(Actor::You))
        }
        (Stored::NeedsPermission, _) => (ConnectionStatus::NeedsPermission, Some(Actor::You)),
        (_, Some(ErrorCode::RateLimited)) => (ConnectionStatus::RateLimited, Some(Actor::Platform)),
        (_, Some(ErrorCode::PlatformUnavailable | ErrorCode::PlatformTimeout | ErrorCode::UnreadableAnswer)) => {
            (ConnectionStatus::PlatformOutage, Some(Actor::Platform))
        }
        (_, Some(_)) => (ConnectionStatus::Error, Some(Actor::Us)),
        (Stored::Healthy, None) => match freshness {
            FreshnessState::Fresh => (ConnectionStatus::Healthy, None),
            FreshnessState::None => (ConnectionStatus::Syncing, None),
            FreshnessState::Late | FreshnessState::Stale => (ConnectionStatus::Late, Some(Actor::Us)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_the_one_who_has_to_act() {
        let healthy = |problem, freshness| judge(connection::Status::Healthy, problem, freshness);
        assert_eq!(healthy(None, FreshnessState::Fresh), (ConnectionStatus::Healthy, None));
        assert_eq!(healthy(None, FreshnessState::Stale), (ConnectionStatus::Late, Some(Actor::Us)));
        let limited = healthy(Some(ErrorCode::RateLimited), FreshnessState::Fresh);
        assert_eq!(limited, (ConnectionStatus::RateLimited, Some(Actor::Platform)));
        let dead = judge(connection::Status::NeedsReauth, Some(ErrorCode::TokenDead), FreshnessState::Late);
        assert_eq!(dead, (ConnectionStatus::NeedsReauth, Some(Actor::You)));
    }
}
