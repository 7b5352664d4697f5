//! Whether the process lives, whether it can work, which version it is, and its metrics.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{BoxedError, chain};
use crate::telemetry;

const TAG: &str = "operations";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready)).routes(routes!(version)).routes(routes!(metrics))
}

/// Whether the process can work, and what keeps it from it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether all checks passed.
    pub ready: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// Whether one thing that is needed is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// What is needed: `postgres`, `temporal` or `lake`.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// What is wrong with it, in a few words; the log has the cause.
    pub detail: Option<&'static str>,
}

/// Which version runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// The version of the product.
    pub version: &'static str,
    /// The commit that it was built from; null where the build did not say.
    pub commit: Option<&'static str>,
}

/// Whether the process lives.
#[utoipa::path(get, path = "/livez", operation_id = "getLiveness", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn live() -> &'static str {
    "ok"
}

/// Whether the process can work.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "Something is down.")))]
async fn ready(State(app): State<App>) -> (StatusCode, axum::Json<Readiness>) {
    let (postgres, temporal, lake) = tokio::join!(app.store.ping(), app.engine.ping(), writable(&app));
    let checks = vec![
        check("postgres", "the database can't be reached", &postgres.map_err(Into::into)),
        check("temporal", "the workflow engine can't be reached", &temporal.map_err(Into::into)),
        check("lake", "the warehouse folder can't be written to", &lake),
    ];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Readiness { ready, checks }))
}

fn check(name: &'static str, trouble: &'static str, result: &Result<(), BoxedError>) -> Check {
    if let Err(error) = result {
        let error = chain(error.as_ref());
        tracing::warn!(check.name = name, %error, "not ready: {trouble}: {error}");
    }
    Check { name, ok: result.is_ok(), detail: result.is_err().then_some(trouble) }
}

/// Writes a file into the warehouse and removes it.
async fn writable(app: &App) -> Result<(), BoxedError> {
    let warehouse = app.settings.warehouse.strip_prefix("file://").unwrap_or(&app.settings.warehouse);
    let probe = std::path::Path::new(warehouse).join(format!(".probe-{}", uuid::Uuid::new_v4().simple()));
    tokio::fs::write(&probe, b"").await?;
    Ok(tokio::fs::remove_file(&probe).await?)
}

/// Which version runs.
#[utoipa::path(get, path = "/version", operation_id = "getVersion", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    responses((status = 200, body = Version)))]
async fn version() -> axum::Json<Version> {
    axum::Json(Version { version: env!("CARGO_PKG_VERSION"), commit: option_env!("CLP_COMMIT") })
}

/// The metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics() -> String {
    telemetry::render()
}
