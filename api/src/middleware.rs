//! What happens around every request: ids, headers that keep browsers safe, limits, and problems written out.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use tower_http::request_id::RequestId;

use crate::app::App;
use crate::problem::{Error, PROBLEM_JSON, Problem};

/// The largest body that a request may have.
pub const MOST_BODY_BYTES: usize = 256 * 1024;
/// A request that takes longer is answered with a problem.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// The header that names a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CSRF_HEADER: &str = "x-requested-with";
const CSRF_VALUE: &str = "clp";
/// Mantine writes styles into the page; scripts, frames and everything else come from here or not at all.
const CONTENT_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; \
                              base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Whether requests with this method change nothing.
const fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Refuses what another site's form could have sent: no form can set this header, or the one that holds an API key (with
/// which no cookie counts).
pub async fn refuse_forged(request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    let header = headers.get(CSRF_HEADER).is_some_and(|value| value == CSRF_VALUE)
        || headers.contains_key(header::AUTHORIZATION);
    if header || is_safe(request.method()) {
        return next.run(request).await;
    }
    let detail = "The request has no header `X-Requested-With: clp`, so it could come from another site's form.";
    Error::protocol(StatusCode::FORBIDDEN, detail).into_response()
}

/// Ends a request that takes too long.
pub async fn limit_time(request: Request, next: Next) -> Response<Body> {
    let answered = tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        let detail = "The request took too long and was given up.";
        Error::protocol(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
    })
}

/// What a panic in a handler is answered with.
#[expect(clippy::needless_pass_by_value, reason = "the layer that calls it passes it so")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    tracing::error!(panic.message = text, "a handler panicked: {text}");
    Problem::of(domain::ErrorCode::Unexpected).into_response()
}

/// Adds the headers that keep browsers safe.
pub async fn secure(State(app): State<App>, request: Request, next: Next) -> Response<Body> {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "strict-origin-when-cross-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if app.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

/// Counts requests and their seconds by route and status.
pub async fn measure(request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().to_string();
    let begun = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [("method", method), ("route", route), ("status", status)];
    metrics::counter!("clp_http_requests_total", &labels).increment(1);
    metrics::histogram!("clp_http_request_seconds", &labels).record(begun.elapsed().as_secs_f64());
    response
}

/// Writes problems out, with the request's id; an error of the framework becomes a problem too.
pub async fn finish(request: Request, next: Next) -> Response<Body> {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).map(str::to_owned);
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| unnamed(&response));
    let Some(problem) = problem else { return response };
    let problem = Problem { request_id: id, ..problem };
    let json = serde_json::to_vec(&problem).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(header::CONTENT_LENGTH, json.len().into());
    *response.body_mut() = Body::from(json);
    response
}

/// The problem of an error that the framework answered by itself, such as a method that a route does not have.
fn unnamed(response: &Response<Body>) -> Option<Problem> {
    let status = response.status();
    let content = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if !(status.is_client_error() || status.is_server_error()) || content.contains("json") {
        return None;
    }
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => "This address does not know this method.",
        StatusCode::PAYLOAD_TOO_LARGE => "The request's body is too large.",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        _ => "The request was refused.",
    };
    Some(Error::protocol(status, detail).problem())
}
