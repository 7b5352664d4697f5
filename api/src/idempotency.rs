//! Requests that carry an `Idempotency-Key`: each is done once, and a repeated one gets the first one's answer.
//!
//! Which operations take a key is read from the API's document, so that the two can't differ. An answer is kept unless
//! the failure was ours: then nothing is kept and the same request may come again. Consents take a key and need none:
//! each makes a fresh one, and its address holds a secret that is not to be stored.

use std::collections::HashMap;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use domain::ErrorCode;
use domain::ids::OrgId;
use sha2::{Digest as _, Sha256};
use store::idempotency::{self, Begun};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr, Required};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Session;
use crate::middleware::MOST_BODY_BYTES;
use crate::openapi;
use crate::problem::{Error, Problem, Result, chain};

/// The header.
pub const HEADER: &str = "Idempotency-Key";
/// Keys have at most so many characters.
pub const LONGEST_KEY: usize = 200;
/// Which characters they have.
pub const KEY_PATTERN: &str = "^[!-~]+$";
/// Operations that are safe to repeat as they are.
const FREELY_REPEATED: [&str; 2] = ["startConsent", "reconnectConnection"];

/// What an operation does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is done once for each key, and needs one.
    Needed,
    /// It is done once for each key.
    Taken,
    /// It is done anew each time.
    Ignored,
}

/// Which operations take a key, by method and route.
#[derive(Debug, Default)]
pub struct Keyed(HashMap<(Method, String), Use>);

impl Keyed {
    /// Reads the operations from the document.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let keyed = openapi::all(document)
            .filter_map(|(method, path, operation)| Some(((method, path.to_owned()), use_of_key(operation)?)));
        Self(keyed.collect())
    }

    fn find(&self, parts: &Parts) -> Option<Use> {
        let route = parts.extensions.get::<MatchedPath>()?.as_str();
        self.0.get(&(parts.method.clone(), route.to_owned())).copied()
    }
}

fn use_of_key(operation: &Operation) -> Option<Use> {
    let parameters = operation.parameters.as_ref()?.iter().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let mut headers = parameters.filter(|parameter| matches!(parameter.parameter_in, ParameterIn::Header));
    let key = headers.find(|parameter| parameter.name.eq_ignore_ascii_case(HEADER))?;
    let freely_repeated = operation.operation_id.as_deref().is_some_and(|id| FREELY_REPEATED.contains(&id));
    Some(match key.required {
        _ if freely_repeated => Use::Ignored,
        Required::True => Use::Needed,
        Required::False => Use::Taken,
    })
}

/// The key of a request, for handlers that pass it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub String);

impl Key {
    /// The id of what this request makes. It derives from the key, so that a request that was done and not answered makes
    /// the same thing when it comes again, however late.
    #[must_use]
    pub fn subject(&self, org: OrgId) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(org.uuid().as_bytes());
        hash.update(self.0.as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// Does each keyed request once.
pub async fn once(
    State((app, keyed)): State<(App, std::sync::Arc<Keyed>)>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let Some(used) = keyed.find(&parts) else { return next.run(Request::from_parts(parts, body)).await };
    let key = match key(&parts, used == Use::Needed) {
        Ok(Some(key)) if used != Use::Ignored => key,
        Ok(_) => return next.run(Request::from_parts(parts, body)).await,
        Err(error) => return error.into_response(),
    };
    match begin(&app, &mut parts, body, &key).await {
        Ok(Turn::Work { session, body }) => {
            parts.extensions.insert(Key(key.clone()));
            let response = next.run(Request::from_parts(parts, body)).await;
            finish(&app, &session, &key, response).await
        }
        Ok(Turn::Answered(response)) => response,
        Err(error) => error.into_response(),
    }
}

fn key(parts: &Parts, needed: bool) -> Result<Option<String>> {
    let text = parts.headers.get(HEADER).map(|value| value.to_str().unwrap_or_default().trim());
    match text {
        Some(text) if (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(text.to_owned()))
        }
        Some(_) => {
            let detail =
                format!("The header {HEADER} must have 1 to {LONGEST_KEY} characters, all of ASCII, no space.");
            Err(Error::protocol(StatusCode::BAD_REQUEST, detail))
        }
        None if needed => Err(Error::refused(ErrorCode::IdempotencyKeyMissing)),
        None => Ok(None),
    }
}

enum Turn {
    Work { session: Session, body: Body },
    Answered(Response<Body>),
}

async fn begin(app: &App, parts: &mut Parts, body: Body, key: &str) -> Result<Turn> {
    let session = Session::of(parts, app).await?.ok_or(Error::refused(ErrorCode::SignedOut))?;
    let too_large =
        |_| Error::protocol(StatusCode::PAYLOAD_TOO_LARGE, "The request's body is too large, or broke off.");
    let bytes = to_bytes(body, MOST_BODY_BYTES).await.map_err(too_large)?;
    let hash = fingerprint(parts, &session, &bytes);
    let mut tx = app.store.begin(session.org).await?;
    let begun = idempotency::begin(&mut tx, key, &hash, app.now()).await?;
    tx.commit().await?;
    match begun {
        Begun::Fresh => Ok(Turn::Work { session, body: Body::from(bytes) }),
        Begun::Replay { status, body } => Ok(Turn::Answered(replay(status, body))),
        Begun::InFlight => Err(Error::refused(ErrorCode::InProgress)),
        Begun::Mismatch => Err(Error::refused(ErrorCode::IdempotencyKeyReused)),
    }
}

/// What makes two requests the same: who asks for what, with which content.
fn fingerprint(parts: &Parts, session: &Session, body: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in
        [session.user.to_string().as_bytes(), parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), body]
    {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn replay(status: u16, body: Option<serde_json::Value>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Some(body) = body else { return status.into_response() };
    if status.is_client_error()
        && let Ok(problem) = serde_json::from_value::<Problem>(body.clone())
    {
        return problem.into_response();
    }
    (status, Json(body)).into_response()
}

/// Keeps the answer, or forgets the request when the failure was ours. An answer that can't be kept is given all the
/// same: what was done is done.
async fn finish(app: &App, session: &Session, key: &str, response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let status = parts.status;
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let json = match parts.extensions.get::<Problem>() {
        Some(problem) => serde_json::to_value(problem).ok(),
        None => serde_json::from_slice(&bytes).ok(),
    };
    if let Err(error) = keep(app, session, key, status, json).await {
        let error = chain(&error);
        tracing::warn!(org.id = %session.org, %error, "an answer to a request of {} was not kept: {error}", session.org);
    }
    Response::from_parts(parts, Body::from(bytes))
}

async fn keep(
    app: &App,
    session: &Session,
    key: &str,
    status: StatusCode,
    body: Option<serde_json::Value>,
) -> Result<()> {
    let mut tx = app.store.begin(session.org).await?;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        idempotency::forget(&mut tx, key).await?;
    } else {
        idempotency::finish(&mut tx, key, status.as_u16(), body.as_ref()).await?;
    }
    Ok(tx.commit().await?)
}
