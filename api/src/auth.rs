//! Who asks: a browser whose cookie names its session, or a program with an API key.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::AppendHeaders;
use axum_extra::extract::CookieJar;
use chrono::TimeDelta;
use domain::ids::{ApiKeyId, OrgId, SessionId, UserId};
use domain::{ErrorCode, Origin, Permission, Role};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Tx, api_key, member, session, sso};

use crate::app::App;
use crate::limit;
use crate::problem::{Error, Result};
use crate::token;

/// The cookie that holds the session's token.
pub const COOKIE: &str = "clp_session";
/// How long a session lasts.
const LASTS: TimeDelta = TimeDelta::hours(12);

/// How every API key begins, so that one in the wrong place is recognised.
pub const KEY_BEGINNING: &str = "clp_";

/// How a person asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// In a browser, with this session.
    Browser(SessionId),
    /// By a program, with this key.
    Key(ApiKeyId),
}

/// Who asks: a person, signed in to an organisation, or a program in their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How they ask.
    pub via: Via,
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
    /// What may be done in the organisation.
    pub permissions: BTreeSet<Permission>,
    /// Whether it is for this organisation alone: the organisation's identity provider vouched for it, or a key was made in it.
    pub bound: bool,
    /// From where they ask.
    pub origin: Origin,
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
        let session = if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            Some(Self::of_key(app, value).await?)
        } else {
            let jar = CookieJar::from_headers(&parts.headers);
            let Some(cookie) = jar.get(COOKIE) else { return Ok(None) };
            Self::find(app, cookie.value()).await?
        };
        let Some(mut session) = session else { return Ok(None) };
        session.origin.address = limit::peer(parts, app.settings.limits.trusted_proxies);
        parts.extensions.insert(session.clone());
        Ok(Some(session))
    }

    /// The session of a token; `None` when there is none or it has ended.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn find(app: &App, token: &str) -> Result<Option<Self>> {
        let Some(found) = session::lookup(&app.store, token, app.now()).await? else { return Ok(None) };
        let session::SignedIn { session: id, user, email, name, org, role, permissions, bound } = found;
        Ok(Some(Self {
            via: Via::Browser(id),
            org,
            user,
            email,
            name,
            role,
            permissions,
            bound,
            origin: Origin::default(),
        }))
    }

    /// Whom an `Authorization: Bearer` header acts for. What is no key that holds is refused, whatever cookie comes along.
    async fn of_key(app: &App, value: &HeaderValue) -> Result<Self> {
        const UNUSABLE: Error = Error::refused(ErrorCode::KeyUnusable);
        let text = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(UNUSABLE)?;
        let secret = Some(text).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).ok_or(UNUSABLE)?.1.trim();
        if !secret.starts_with(KEY_BEGINNING) {
            return Err(UNUSABLE);
        }
        let now = app.now();
        let bearer = api_key::lookup(&app.store, secret, now).await?.ok_or(UNUSABLE)?;
        if bearer.is_news(now) {
            let mut tx = app.store.begin(bearer.org).await?;
            api_key::used(&mut tx, bearer.key, now).await?;
            tx.commit().await?;
        }
        let api_key::Bearer { key, user, email, name, org, role, permissions, last_used_at: _ } = bearer;
        Ok(Self {
            via: Via::Key(key),
            org,
            user,
            email,
            name,
            role,
            permissions,
            bound: true,
            origin: Origin { address: None, key: Some(key) },
        })
    }

    /// Whether they may do something.
    #[must_use]
    pub fn may(&self, what: Permission) -> bool {
        self.permissions.contains(&what)
    }

    /// A transaction of the organisation, which knows from where what is done in it is done.
    ///
    /// # Errors
    /// When the store can't be asked.
    pub async fn begin(&self, app: &App) -> Result<Tx> {
        let mut tx = app.store.begin(self.org).await?;
        tx.set_origin(self.origin);
        Ok(tx)
    }

    /// The session of the browser in which the person asks.
    ///
    /// # Errors
    /// [`ErrorCode::PersonNeeded`] for a program.
    pub fn browser(&self) -> Result<SessionId> {
        match self.via {
            Via::Browser(id) => Ok(id),
            Via::Key(_) => Err(Error::refused(ErrorCode::PersonNeeded)),
        }
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

/// Begins a session of a person who gave their password, within a transaction of their organisation; the token is what the
/// cookie will hold.
///
/// # Errors
/// [`ErrorCode::SsoNeeded`] when the organisation's people sign in through its identity provider; when the store can't keep
/// it.
pub async fn begin(app: &App, tx: &mut Tx, user: UserId) -> Result<SecretString> {
    let required = sso::fetch(tx).await?.is_some_and(|provider| provider.required);
    // Admins can get in when the provider is gone.
    if required && member::fetch(tx, user).await?.role != Role::Admin.to_string() {
        return Err(Error::refused(ErrorCode::SsoNeeded));
    }
    create(app, tx, user, false).await
}

/// Begins a session that the organisation's identity provider vouched for: it is for this organisation alone.
///
/// # Errors
/// When the store can't keep it.
pub async fn begin_bound(app: &App, tx: &mut Tx, user: UserId) -> Result<SecretString> {
    create(app, tx, user, true).await
}

async fn create(app: &App, tx: &mut Tx, user: UserId, bound: bool) -> Result<SecretString> {
    let (token, now) = (token::new()?, app.now());
    session::create(tx, user, token.expose_secret(), bound, now, now + LASTS).await?;
    Ok(token)
}

/// The header that gives a browser its session.
pub fn cookie(app: &App, token: &SecretString) -> SetCookie {
    AppendHeaders([named_cookie(app, COOKIE, token.expose_secret(), LASTS)])
}

/// The header that makes a browser forget its session.
pub fn no_cookie(app: &App) -> SetCookie {
    AppendHeaders([named_cookie(app, COOKIE, "", TimeDelta::zero())])
}

/// A header for an answer.
pub type SetCookie = AppendHeaders<[(HeaderName, String); 1]>;

/// A cookie's header. Scripts can't read it, other sites' forms don't send it, and through TLS it stays within TLS.
#[must_use]
pub fn named_cookie(app: &App, name: &str, value: &str, lasts: TimeDelta) -> (HeaderName, String) {
    let (secure, seconds) = (if app.is_https() { "; Secure" } else { "" }, lasts.num_seconds());
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    (header::SET_COOKIE, text)
}

/// From where somebody asks who is not signed in (yet).
#[derive(Debug, Clone, Copy)]
pub struct From(pub Origin);

impl FromRequestParts<App> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Self(Origin { address: limit::peer(parts, app.settings.limits.trusted_proxies), key: None }))
    }
}
