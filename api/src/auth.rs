//! Sessions: a cookie that names a signed-in browser, and who that is.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use axum::response::AppendHeaders;
use axum_extra::extract::CookieJar;
use chrono::TimeDelta;
use domain::ids::{OrgId, SessionId, UserId};
use domain::{ErrorCode, Permission};
use secrecy::{ExposeSecret as _, SecretString};
use store::Tx;
use store::session;

use crate::app::App;
use crate::problem::{Error, Result};
use crate::token;

/// The cookie that holds the session's token.
pub const COOKIE: &str = "clp_session";
/// How long a session lasts.
const LASTS: TimeDelta = TimeDelta::hours(12);

/// Who asks: a person, signed in to an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// The organisation whose data they may see.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// The person's e-mail address.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// The name of the person's role in the organisation.
    pub role: String,
    /// What the person may do in the organisation.
    pub permissions: BTreeSet<Permission>,
}

impl Session {
    /// Who this request comes from; `None` for a browser that is not signed in.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn of(parts: &mut Parts, app: &App) -> Result<Option<Self>> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(Some(known.clone()));
        }
        let jar = CookieJar::from_headers(&parts.headers);
        let Some(cookie) = jar.get(COOKIE) else { return Ok(None) };
        let Some(session) = Self::find(app, cookie.value()).await? else { return Ok(None) };
        parts.extensions.insert(session.clone());
        Ok(Some(session))
    }

    /// The session of a token; `None` when there is none or it has ended.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn find(app: &App, token: &str) -> Result<Option<Self>> {
        let Some(found) = session::lookup(&app.store, token, app.now()).await? else { return Ok(None) };
        let session::SignedIn { session: id, user, email, name, org, role, permissions } = found;
        Ok(Some(Self { id, org, user, email, name, role, permissions }))
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        Self::of(parts, app).await?.ok_or(Error::refused(ErrorCode::SignedOut))
    }
}

impl OptionalFromRequestParts<App> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>> {
        Self::of(parts, app).await
    }
}

/// Begins a session of a person, within a transaction of their organisation; the token is what the cookie will hold.
///
/// # Errors
/// When the store can't keep it.
pub async fn begin(app: &App, tx: &mut Tx, user: UserId) -> Result<SecretString> {
    let (token, now) = (token::new()?, app.now());
    session::create(tx, user, token.expose_secret(), now, now + LASTS).await?;
    Ok(token)
}

/// The header that gives a browser its session.
pub fn cookie(app: &App, token: &SecretString) -> SetCookie {
    set_cookie(app, token.expose_secret(), LASTS.num_seconds())
}

/// The header that makes a browser forget its session.
pub fn no_cookie(app: &App) -> SetCookie {
    set_cookie(app, "", 0)
}

/// A header for an answer.
pub type SetCookie = AppendHeaders<[(HeaderName, String); 1]>;

/// Scripts can't read it, other sites' forms don't send it, and through TLS it stays within TLS.
fn set_cookie(app: &App, value: &str, seconds: i64) -> SetCookie {
    let secure = if app.is_https() { "; Secure" } else { "" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    AppendHeaders([(header::SET_COOKIE, text)])
}
