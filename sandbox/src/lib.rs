//! A faithful twin of outside systems for development and tests: Display & Video 360, Bid Manager
//! and Google's OAuth servers, with virtual time, restatements, quotas and a fault plan. It shares
//! no code with the rest of the workspace, so that it cannot share its mistakes either.
//!
//! Other platforms will get modules of their own beside `dv360` and `bid_manager`.

pub mod admin;
pub mod bid_manager;
pub mod clock;
pub mod document;
pub mod dv360;
pub mod faults;
pub mod google;
pub mod http;
pub mod journal;
pub mod ledger;
pub mod random;
pub mod record;
pub mod state;
pub mod world;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::response::IntoResponse;
use axum::{Router, middleware};
use tokio::net::TcpListener;

use google::ApiError;
use http::{Connection, CuttableListener};
pub use state::{Options, Sandbox, StartError};

/// All routes: the platforms', behind fault plan and record, and the admin API's beside them.
pub fn router(sandbox: &Arc<Sandbox>) -> Router {
    let platforms = google::oauth::routes()
        .merge(dv360::routes())
        .merge(bid_manager::routes())
        .fallback(|| async { ApiError::not_found().into_response() })
        .layer(middleware::from_fn_with_state(Arc::clone(sandbox), http::around_call));
    Router::new().nest("/admin/v1", admin::routes()).merge(platforms).with_state(Arc::clone(sandbox))
}

/// Serves the sandbox until `stop` is ready.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    sandbox: Arc<Sandbox>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = router(&sandbox).into_make_service_with_connect_info::<Connection>();
    axum::serve(CuttableListener(listener), service).with_graceful_shutdown(stop).await
}
