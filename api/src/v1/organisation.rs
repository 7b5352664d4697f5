//! The organisation's own settings: the switch that freezes all changes.

use axum::extract::State;
use serde::Deserialize;
use store::organisation;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{self, Body};
use crate::problem::{Problem, Result};
use crate::v1::session::Organisation;

const TAG: &str = "organisation";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(freeze))
}

/// Whether changes are frozen, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeIn {
    /// True: nothing is sent to a platform any more. False: approved changes are sent again.
    pub frozen: bool,
    /// Why; it is kept in the audit trail.
    #[schema(format = "text", max_length = 500)]
    pub reason: String,
}

/// Freezes all changes of the organisation, or lifts the freeze.
#[utoipa::path(put, path = "/organisation/freeze", operation_id = "setFreeze", tag = TAG,
    extensions(("x-permission" = json!("changes.freeze"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = FreezeIn,
    responses((status = 200, body = Organisation),
              (status = 403, body = Problem, content_type = "application/problem+json", description = "The role does not allow it.")))]
async fn freeze(
    State(app): State<App>,
    session: Session,
    Body(input): Body<FreezeIn>,
) -> Result<axum::Json<Organisation>> {
    let FreezeIn { frozen, reason } = input;
    let reason = extract::reason(&reason)?;
    let mut tx = session.begin(&app).await?;
    organisation::set_frozen(&mut tx, frozen, session.user, Some(&reason), app.now()).await?;
    let row = organisation::fetch(&mut tx).await?;
    tx.commit().await?;
    Ok(axum::Json(row.into()))
}
