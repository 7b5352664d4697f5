//! Members: who belongs to the organisation, and what they may do.

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ids::UserId;
use serde::{Deserialize, Serialize};
use store::member as rows;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id};
use crate::problem::Result;
use crate::wire::Items;

const TAG: &str = "member";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(update))
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    /// The person's id.
    pub id: String,
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// The name of their role.
    #[schema(example = "approver")]
    pub role: String,
    /// When they joined.
    pub joined_at: DateTime<Utc>,
    /// Whether they may sign in to this organisation.
    pub active: bool,
    /// Whether this is who asks.
    pub is_you: bool,
}

/// Changes of a member; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPatch {
    /// The name of another role. It holds from their next request on.
    pub role: Option<String>,
    /// False keeps them out at once and ends their sessions here.
    pub active: Option<bool>,
}

impl Member {
    fn new(row: rows::Member, session: &Session) -> Self {
        let rows::Member { user, name, email, role, joined_at, deactivated_at } = row;
        Self {
            id: user.to_string(),
            name,
            email,
            role,
            joined_at,
            active: deactivated_at.is_none(),
            is_you: user == session.user,
        }
    }
}

/// Everybody who belongs to the organisation, or did.
#[utoipa::path(get, path = "/members", operation_id = "listMembers", tag = TAG,
    extensions(("x-permission" = json!("members.read"))), responses((status = 200, body = Items<Member>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Member>>> {
    let mut tx = session.begin(&app).await?;
    let rows = rows::list(&mut tx).await?;
    Ok(axum::Json(Items { items: rows.into_iter().map(|row| Member::new(row, &session)).collect() }))
}

/// Gives a member another role, keeps them out, or lets them in again.
#[utoipa::path(patch, path = "/members/{id}", operation_id = "updateMember", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    params(("id" = String, Path, description = "The member.")),
    request_body = MemberPatch, responses((status = 200, body = Member)))]
async fn update(
    State(app): State<App>,
    session: Session,
    Id(id): Id<UserId>,
    Body(patch): Body<MemberPatch>,
) -> Result<axum::Json<Member>> {
    let MemberPatch { role, active } = patch;
    let (by, now) = (session.user, app.now());
    let mut tx = session.begin(&app).await?;
    if let Some(role) = role {
        rows::set_role(&mut tx, id, &role, by, now).await?;
    }
    if let Some(active) = active {
        rows::set_active(&mut tx, id, active, by, now).await?;
    }
    let member = rows::fetch(&mut tx, id).await?;
    tx.commit().await?;
    Ok(axum::Json(Member::new(member, &session)))
}
