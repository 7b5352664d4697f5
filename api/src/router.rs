//! The routes, and what happens around them.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use axum::{Json, Router};
use tower::ServiceBuilder;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::Span;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::authorise::Needs;
use crate::idempotency::Keyed;
use crate::middleware::{MOST_BODY_BYTES, REQUEST_ID};
use crate::{authorise, health, idempotency, limit, middleware, openapi, static_files, telemetry, v1};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(health::routes()).nest("/api/v1", v1::routes())
}

/// The API's document.
#[must_use]
pub fn document() -> OpenApi {
    openapi::document(routes().into_openapi())
}

/// The whole application: API, operations and the web application's files.
pub fn router(app: &App) -> Router {
    telemetry::start();
    let (routes, _) = routes().split_for_parts();
    let document = document();
    let keyed = Arc::new(Keyed::of(&document));
    let needs = Arc::new(Needs::of(&document));
    let served = Json(document);
    let inner = ServiceBuilder::new()
        .layer(from_fn(middleware::measure))
        // Answers are made anew for each request; files, further out, are worth a better compression.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn(middleware::refuse_forged))
        .layer(from_fn(middleware::limit_time))
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn_with_state((app.clone(), needs.clone()), limit::limited))
        .layer(from_fn_with_state((app.clone(), needs), authorise::permitted))
        .layer(from_fn_with_state((app.clone(), keyed), idempotency::once));
    let outer = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(app.clone(), middleware::secure))
        .layer(from_fn(middleware::finish))
        .layer(CatchPanicLayer::custom(middleware::panicked));
    routes
        .route(authorise::DOCUMENT, get(move || std::future::ready(served.clone())))
        .layer(inner)
        .with_state(app.clone())
        .fallback_service(static_files::router(&app.web))
        .layer(outer)
}

/// A request in the log: its address without what stands behind the question mark, which can hold a secret.
fn span<B>(request: &Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).unwrap_or_default();
    tracing::info_span!("request", request.id = id, http.method = %request.method(), http.path = request.uri().path())
}
