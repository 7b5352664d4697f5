//! Who may do what, in one place. Every operation of the API's document names what it needs as `x-permission`:
//! `anybody`, `member` (whoever is signed in, and their programs), `person` (whoever is signed in, in a browser), or a
//! permission. What names nothing is refused to everybody.
//!
//! Handlers check no permissions; they look only at rows of the session's organisation.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response};
use axum::middleware::Next;
use axum::response::IntoResponse as _;
use domain::{ErrorCode, Permission};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

use crate::app::App;
use crate::auth::{Session, Via};
use crate::openapi;
use crate::problem::{Error, Result};

/// The member of an operation that says what it needs.
pub const EXTENSION: &str = "x-permission";

/// The route of the document itself, which is no operation in it.
pub const DOCUMENT: &str = "/api/v1/openapi.json";

/// The organisation that a browser's page is about. Its cookie is shared by all its pages: one that was loaded before the
/// person went on in another organisation must not act there.
pub const ORGANISATION: HeaderName = HeaderName::from_static("x-clp-organisation");

/// What an operation needs of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Anybody,
    /// That they belong to an organisation.
    Member,
    /// That they ask in a browser.
    Person,
    /// That they have this permission.
    Permission(Permission),
}

impl Need {
    /// What an operation says that it needs; `None` when it says nothing that is known.
    #[must_use]
    pub fn of(operation: &Operation) -> Option<Self> {
        let text = operation.extensions.as_ref()?.get(EXTENSION)?.as_str()?;
        match text {
            "anybody" => Some(Self::Anybody),
            "member" => Some(Self::Member),
            "person" => Some(Self::Person),
            text => text.parse().ok().map(Self::Permission),
        }
    }

    fn refusal(self, session: Option<&Session>) -> Option<Error> {
        match (self, session) {
            (Self::Anybody, _) | (Self::Member, Some(_)) => None,
            (_, None) => Some(Error::refused(ErrorCode::SignedOut)),
            (Self::Person, Some(session)) => session.browser().err(),
            (Self::Permission(needed), Some(session)) => {
                let has = match session.via {
                    Via::Browser(_) => format!("your role is `{}`", session.role),
                    Via::Key(_) => "this key, or the role of who made it, does not have it".to_owned(),
                };
                let detail = Some(format!("This needs the permission `{needed}`; {has}."));
                (!session.permissions.contains(&needed))
                    .then_some(Error::Refused { code: ErrorCode::NotAllowed, detail })
            }
        }
    }
}

/// What every operation needs, by route and method.
#[derive(Debug, Default)]
pub struct Needs(HashMap<String, HashMap<Method, Option<Need>>>);

impl Needs {
    /// Reads the operations from the document.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let mut needs: HashMap<String, HashMap<Method, Option<Need>>> = HashMap::new();
        for (method, path, operation) in openapi::all(document) {
            needs.entry(path.to_owned()).or_default().insert(method, Need::of(operation));
        }
        Self(needs)
    }

    /// What a request needs; `None` for one that nobody may send.
    #[must_use]
    pub fn find(&self, method: &Method, route: &str) -> Option<Need> {
        if route == DOCUMENT {
            return Some(Need::Anybody);
        }
        // A HEAD is answered by the GET of its route.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        // A method that the route does not have is refused further in, with the words for that.
        self.0.get(route)?.get(method).copied().unwrap_or(Some(Need::Anybody))
    }
}

/// Refuses who may not.
pub async fn permitted(State((app, needs)): State<(App, Arc<Needs>)>, request: Request, next: Next) -> Response<Body> {
    match check(&app, &needs, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn check(app: &App, needs: &Needs, request: Request) -> Result<Request> {
    let (mut parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some(need) = needs.find(&parts.method, &route) else {
        return Err(Error::refused(ErrorCode::NotFound));
    };
    let session = match need {
        Need::Anybody => None,
        Need::Member | Need::Person | Need::Permission(_) => Session::of(&mut parts, app).await?,
    };
    if let Some(error) = need.refusal(session.as_ref()) {
        return Err(error);
    }
    let meant = parts.headers.get(ORGANISATION).map(HeaderValue::as_bytes);
    if session.is_some_and(|session| meant.is_some_and(|meant| meant != session.org.to_string().as_bytes())) {
        return Err(Error::refused(ErrorCode::OtherOrganisation));
    }
    Ok(Request::from_parts(parts, body))
}
