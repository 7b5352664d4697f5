//! The OAuth endpoints: authorization with a consent page, tokens, revocation, user info.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::accounts::{ACCESS_TOKEN_SECONDS, Consent, Refusal, Tokens};
use super::caller::Caller;
use super::consent;
use super::error::ApiError;
use crate::state::Sandbox;

type Parameters = BTreeMap<String, String>;

/// The parameters of an authorization request that the consent page hands back.
const CARRIED: [&str; 10] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "prompt",
    "include_granted_scopes",
];

/// The routes of Google's account servers.
pub fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/o/oauth2/v2/auth", get(show_consent).post(decide))
        .route("/o/oauth2/auth", get(show_consent))
        .route("/token", post(token))
        .route("/o/oauth2/token", post(token))
        .route("/revoke", post(revoke))
        .route("/oauth2/v3/userinfo", get(user_info))
}

async fn show_consent(State(sandbox): State<Arc<Sandbox>>, Query(request): Query<Parameters>) -> Response {
    if let Err(refusal) = check(&sandbox, &request) {
        return refusal.into_response();
    }
    let fields: Vec<(String, String)> =
        CARRIED.iter().filter_map(|name| Some(((*name).to_owned(), request.get(*name)?.clone()))).collect();
    let hint = request.get("login_hint").map(String::as_str);
    let state = sandbox.lock();
    let mut users: Vec<_> = state.world.users.iter().collect();
    // Who sees most comes first, and is chosen unless the client hints at somebody else.
    users.sort_by_key(|(_, user)| std::cmp::Reverse(user.advertisers.len()));
    Html(consent::page(value(&request, "client_id"), value(&request, "scope"), users.into_iter(), hint, &fields))
        .into_response()
}

async fn decide(State(sandbox): State<Arc<Sandbox>>, Form(request): Form<Parameters>) -> Response {
    let mut back = match check(&sandbox, &request) {
        Ok(back) => back,
        Err(refusal) => return refusal.into_response(),
    };
    let account = value(&request, "account").to_owned();
    let allowed = value(&request, "decision") == "allow" && sandbox.lock().world.users.contains_key(&account);
    if allowed {
        let consent = Consent {
            email: account,
            client_id: value(&request, "client_id").to_owned(),
            scope: value(&request, "scope").to_owned(),
            redirect_uri: value(&request, "redirect_uri").to_owned(),
            challenge: request.get("code_challenge").cloned(),
            offline: value(&request, "access_type") == "offline",
            forced: value(&request, "prompt").split(' ').any(|prompt| prompt == "consent"),
        };
        let mut state = sandbox.lock();
        let code = state.accounts.issue_code(consent, sandbox.clock.now());
        state.note_accounts();
        back.query_pairs_mut().append_pair("code", &code).append_pair("scope", value(&request, "scope"));
    } else {
        back.query_pairs_mut().append_pair("error", "access_denied");
    }
    if let Some(state) = request.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(back.as_str()).into_response()
}

/// How an authorization request that is wrong is answered.
enum BadRequest {
    /// With a page: its code and a sentence.
    Page(&'static str, &'static str),
    /// By sending the person back to the client.
    SendBack(Url),
}

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        match self {
            Self::Page(code, reason) => (StatusCode::BAD_REQUEST, Html(consent::refusal(code, reason))).into_response(),
            Self::SendBack(back) => Redirect::to(back.as_str()).into_response(),
        }
    }
}

/// Checks an authorization request; on success, where to send the person back to. A request whose
/// client or address is wrong gets a page, every other fault goes back to the client.
fn check(sandbox: &Sandbox, request: &Parameters) -> Result<Url, BadRequest> {
    if value(request, "client_id") != sandbox.options.client_id {
        return Err(BadRequest::Page("invalid_client", "The OAuth client was not found."));
    }
    let back = Url::parse(value(request, "redirect_uri")).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(back) = back else {
        return Err(BadRequest::Page("invalid_request", "Missing or invalid parameter: redirect_uri"));
    };
    let fault = if value(request, "response_type") != "code" {
        Some("unsupported_response_type")
    } else if value(request, "scope").is_empty() {
        Some("invalid_scope")
    } else if request.contains_key("code_challenge") && value(request, "code_challenge_method") != "S256" {
        Some("invalid_request")
    } else {
        None
    };
    let Some(fault) = fault else { return Ok(back) };
    let mut back = back;
    back.query_pairs_mut().append_pair("error", fault);
    if let Some(state) = request.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Err(BadRequest::SendBack(back))
}

async fn token(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap, Form(request): Form<Parameters>) -> Response {
    let (client_id, secret) = basic(&headers)
        .unwrap_or_else(|| (value(&request, "client_id").to_owned(), value(&request, "client_secret").to_owned()));
    if client_id != sandbox.options.client_id {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", "The OAuth client was not found.");
    }
    if secret != sandbox.options.client_secret {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", "Unauthorized");
    }
    let now = sandbox.clock.now();
    let mut state = sandbox.lock();
    let accounts = &mut state.accounts;
    let outcome = match value(&request, "grant_type") {
        "authorization_code" => {
            let verifier = request.get("code_verifier").map(String::as_str);
            accounts.exchange(value(&request, "code"), &client_id, value(&request, "redirect_uri"), verifier, now)
        }
        "refresh_token" => accounts.refresh(value(&request, "refresh_token"), &client_id, now),
        _ => {
            let reason = "Invalid grant_type";
            return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type", reason);
        }
    };
    state.note_accounts();
    match outcome {
        Ok(tokens) => (no_store(), Json(token_body(&tokens))).into_response(),
        Err(refusal) => refuse(StatusCode::BAD_REQUEST, "invalid_grant", reason(refusal)),
    }
}

async fn revoke(State(sandbox): State<Arc<Sandbox>>, Query(query): Query<Parameters>, body: String) -> Response {
    let form: Parameters = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let token = form.get("token").or_else(|| query.get("token")).cloned().unwrap_or_default();
    let mut state = sandbox.lock();
    let revoked = state.accounts.revoke(&token);
    state.note_accounts();
    if revoked {
        Json(json!({})).into_response()
    } else {
        refuse(StatusCode::BAD_REQUEST, "invalid_token", "Token expired or revoked")
    }
}

async fn user_info(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap, uri: Uri) -> Result<Json<Value>, ApiError> {
    let caller = Caller::authenticate(&sandbox, &headers, &uri, &[])?;
    let state = sandbox.lock();
    let name = state.world.users.get(&caller.email).map(|user| user.name.clone()).unwrap_or_default();
    let subject = crate::random::text_hash(&caller.email).to_string();
    Ok(Json(json!({"sub": subject, "email": caller.email, "email_verified": true, "name": name})))
}

fn token_body(tokens: &Tokens) -> Value {
    let mut body = json!({
        "access_token": tokens.access,
        "expires_in": ACCESS_TOKEN_SECONDS,
        "scope": tokens.scope,
        "token_type": "Bearer",
    });
    if let (Some(refresh), Some(body)) = (&tokens.refresh, body.as_object_mut()) {
        body.insert("refresh_token".to_owned(), json!(refresh));
    }
    body
}

fn reason(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Code => "Malformed auth code.",
        Refusal::Verifier => "Invalid code verifier.",
        Refusal::RefreshToken => "Token has been expired or revoked.",
    }
}

fn refuse(status: StatusCode, error: &str, description: &str) -> Response {
    (status, no_store(), Json(json!({"error": error, "error_description": description}))).into_response()
}

fn no_store() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-cache, no-store, max-age=0, must-revalidate")]
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn value<'a>(request: &'a Parameters, name: &str) -> &'a str {
    request.get(name).map(String::as_str).unwrap_or_default()
}
