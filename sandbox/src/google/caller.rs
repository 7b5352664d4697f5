//! Who makes an API call, read from its access token.

use axum::http::{HeaderMap, Uri, header};

use super::error::ApiError;
use crate::state::Sandbox;

/// The scope of the Display & Video 360 API.
pub const DISPLAY_VIDEO: &str = "https://www.googleapis.com/auth/display-video";

/// The scope of the Bid Manager API; Display & Video 360 accepts it too.
pub const BID_MANAGER: &str = "https://www.googleapis.com/auth/doubleclickbidmanager";

/// The person and the project behind a call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person's e-mail address.
    pub email: String,
    /// The OAuth client, to which quotas belong.
    pub project: String,
    scope: String,
}

impl Caller {
    /// The caller, if the token is valid and was granted one of the scopes.
    ///
    /// # Errors
    /// 401 without a valid token, 403 without the scope.
    pub fn authenticate(sandbox: &Sandbox, headers: &HeaderMap, uri: &Uri, scopes: &[&str]) -> Result<Self, ApiError> {
        let caller = Self::peek(sandbox, headers, uri).ok_or_else(ApiError::unauthenticated)?;
        if scopes.is_empty() || caller.scope.split(' ').any(|scope| scopes.contains(&scope)) {
            Ok(caller)
        } else {
            Err(ApiError::scope_missing())
        }
    }

    /// The caller, whatever the scopes.
    #[must_use]
    pub fn peek(sandbox: &Sandbox, headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        let token = access_token(headers, uri)?;
        let state = sandbox.lock();
        let grant = state.accounts.grant(&token, sandbox.clock.now())?;
        Some(Self { email: grant.email.clone(), project: grant.client_id.clone(), scope: grant.scope.clone() })
    }
}

fn access_token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return value.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned);
    }
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.into_iter().find(|(name, _)| name == "access_token").map(|(_, value)| value.into_owned())
}
