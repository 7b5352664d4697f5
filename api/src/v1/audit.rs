//! The audit trail: who did what to what. Read only; it is written in the transactions that it tells of.

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ids::{ConnectionId, OnboardingId, OrgId, ProposalId, RuleId, UserId};
use serde::{Deserialize, Serialize};
use store::audit;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::Parameters;
use crate::paging;
use crate::problem::Result;
use crate::wire::Page;

const TAG: &str = "audit";
const LIST: &str = "audit";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// One line of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// The id.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: AuditActor,
    /// What was done, as a stable word.
    pub action: String,
    /// To what.
    pub subject: AuditSubject,
    /// How it was before.
    #[schema(value_type = Option<Object>)]
    pub before: Option<serde_json::Value>,
    /// How it was afterwards.
    #[schema(value_type = Option<Object>)]
    pub after: Option<serde_json::Value>,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditActor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Its name.
    pub name: String,
}

/// Kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    Person,
    /// A rule.
    Rule,
    /// The platform itself.
    System,
}

/// What something was done to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditSubject {
    /// What kind of thing.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
}

/// Where a page begins and how long it is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageFilter {
    /// Where the page begins: the `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// How many, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// The audit trail, newest first.
#[utoipa::path(get, path = "/audit", operation_id = "listAudit", tag = TAG,
    extensions(("x-permission" = json!("audit.read"))), params(PageFilter),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn list(
    State(app): State<App>,
    session: Session,
    Parameters(filter): Parameters<PageFilter>,
) -> Result<axum::Json<Page<AuditEntry>>> {
    let page = paging::page(LIST, filter.cursor.as_deref(), filter.limit)?;
    let mut tx = app.store.begin(session.org).await?;
    let lines = audit::page(&mut tx, page).await?;
    Ok(axum::Json(paging::answer(LIST, lines, AuditEntry::from)))
}

impl From<audit::Line> for AuditEntry {
    fn from(line: audit::Line) -> Self {
        let audit::Line { id, at, actor, actor_name, action, subject, subject_id, title, before, after } = line;
        Self {
            id: id.to_string(),
            at,
            actor: AuditActor { kind: actor.into(), name: actor_name.unwrap_or_else(|| unnamed(actor).to_owned()) },
            action,
            subject: AuditSubject { id: subject_text(&subject, subject_id), kind: subject, title },
            before,
            after,
        }
    }
}

impl From<audit::Actor> for ActorKind {
    fn from(actor: audit::Actor) -> Self {
        match actor {
            audit::Actor::Person(_) => Self::Person,
            audit::Actor::Rule(_) => Self::Rule,
            audit::Actor::System => Self::System,
        }
    }
}

/// What somebody is called who has no name any more.
pub(super) const fn unnamed(actor: audit::Actor) -> &'static str {
    match actor {
        audit::Actor::Person(_) => "A former member",
        audit::Actor::Rule(_) => "A former rule",
        audit::Actor::System => "The platform",
    }
}

/// The id of what something was done to, in the form that its own pages use.
fn subject_text(kind: &str, id: uuid::Uuid) -> String {
    match kind {
        "organisation" => OrgId::from_uuid(id).to_string(),
        "proposal" => ProposalId::from_uuid(id).to_string(),
        "rule" => RuleId::from_uuid(id).to_string(),
        "connection" => ConnectionId::from_uuid(id).to_string(),
        "user" => UserId::from_uuid(id).to_string(),
        "onboarding" => OnboardingId::from_uuid(id).to_string(),
        _ => id.to_string(),
    }
}
