//! The Bid Manager API, version 2: saved queries, their runs, and the CSV files that they produce.

pub mod csv;
pub mod dates;
pub mod names;
pub mod params;
pub mod plan;
pub mod queries;
pub mod reports;
pub mod storage;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub use reports::Queries;

use crate::state::Sandbox;

/// The routes of the API and of the storage that its reports are downloaded from.
pub fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/v2/queries", get(queries::list).post(queries::create))
        .route("/v2/queries/{query}", get(queries::get).delete(queries::delete).post(queries::run))
        .route("/v2/queries/{query}/reports", get(reports::list))
        .route("/v2/queries/{query}/reports/{report}", get(reports::get))
        .route("/storage/{query}/{file}", get(storage::download))
}
