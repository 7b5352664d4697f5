//! Connections to platforms, and how well they do.

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::ConnectionId;
use serde::{Deserialize, Serialize};
use store::{Tx, account, connection, watermark};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::Id;
use crate::freshness;
use crate::problem::{Error, Problem, Result};
use crate::v1::onboarding::OnboardingAccount;
use crate::v1::overview::FreshnessState;
use crate::wire::{Items, Person, Platform};

const TAG: &str = "connection";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
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
    responses((status = 200, body = Items<Connection>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Connection>>> {
    let mut tx = app.store.begin(session.org).await?;
    let mut items = Vec::new();
    for row in connection::list(&mut tx).await? {
        items.extend(read(&app, &mut tx, row).await?);
    }
    Ok(axum::Json(Items { items }))
}

/// One connection.
#[utoipa::path(get, path = "/connections/{id}", operation_id = "getConnection", tag = TAG,
    params(("id" = String, Path, description = "The connection.")), responses((status = 200, body = Connection)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<ConnectionId>) -> Result<axum::Json<Connection>> {
    let mut tx = app.store.begin(session.org).await?;
    let row = connection::fetch(&mut tx, id).await?;
    read(&app, &mut tx, row).await?.map(axum::Json).ok_or(Error::NOT_FOUND)
}

/// A connection with its advertisers; `None` for one that nobody has authorised yet.
async fn read(app: &App, tx: &mut Tx, row: connection::Connection) -> Result<Option<Connection>> {
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
    }))
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
