//! The web application's files, from a folder: `CLP_WEB_DIR`, or `web/dist` below the working directory.
//!
//! Addresses of screens are not files: they get the application, which knows them. Files in `assets/` have their hash
//! in their name and never change.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use tower_http::services::{ServeDir, ServeFile};

use crate::problem::Error;

const DEFAULT_FOLDER: &str = "web/dist";

/// Where the files are.
pub fn folder() -> PathBuf {
    std::env::var_os("CLP_WEB_DIR").map_or_else(|| PathBuf::from(DEFAULT_FOLDER), PathBuf::from)
}

/// Serves the files; `/api` has no files.
pub fn router(folder: &Path) -> Router {
    let files = ServeDir::new(folder).fallback(ServeFile::new(folder.join("index.html")));
    Router::new().fallback_service(files).layer(from_fn(cache)).layer(from_fn(keep_api_out))
}

async fn keep_api_out(request: Request, next: Next) -> Response<Body> {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return Error::protocol(StatusCode::NOT_FOUND, "There is nothing at this address.").into_response();
    }
    next.run(request).await
}

/// Files with their hash in their name are kept; everything else is asked about each time.
async fn cache(request: Request, next: Next) -> Response<Body> {
    let hashed = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let html = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/html");
    if hashed && html {
        // A file of an earlier version is gone: the page must not be taken for it.
        return Error::protocol(StatusCode::NOT_FOUND, "This file belongs to another version.").into_response();
    }
    let value =
        if hashed && response.status().is_success() { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    response
}
