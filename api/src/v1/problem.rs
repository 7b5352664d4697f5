//! The catalogue of problems: what a code means, in the same words everywhere.

use axum::extract::Path;
use domain::ErrorCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::problem::{Error, Problem, Result};

const TAG: &str = "problem";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get))
}

/// The words for a code, for who has the code alone: an address can carry no more.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "getProblem", tag = TAG,
    extensions(("x-permission" = json!("member"))),
    params(("code" = String, Path, description = "The stable code.")), responses((status = 200, body = Problem)))]
async fn get(_: Session, Path(code): Path<String>) -> Result<axum::Json<Problem>> {
    let code: ErrorCode = code.parse().map_err(|_| Error::NOT_FOUND)?;
    Ok(axum::Json(Problem::of(code)))
}
