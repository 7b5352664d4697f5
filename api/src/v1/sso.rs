//! Single sign-on: an organisation's identity provider, and signing in through it.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use axum_extra::extract::CookieJar;
use chrono::TimeDelta;
use domain::ids::{OrgId, UserId};
use domain::{ErrorCode, Origin};
use keys::places;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::sso::{self as rows, Provider};
use store::{Tx, member, user};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{self, Session, named_cookie};
use crate::extract::{self, Body, Parameters};
use crate::oidc::{self, Person, Proof, Registration};
use crate::problem::{Error, Result, chain};
use crate::token;
use crate::v1::role::is_role_name;
use crate::v1::session::{is_name, record};

const TAG: &str = "single sign-on";
const CALLBACK: &str = "/api/v1/sso/callback";
/// Where a browser goes on after signing in, and after failing to.
const SIGNED_IN: &str = "/";
const SIGN_IN: &str = "/sign-in";
/// The cookie with the secret of a sign-in under way.
const COOKIE: &str = "clp_sso";
/// How long a person may take on the provider's page.
const LASTS: TimeDelta = TimeDelta::minutes(10);
const LONGEST: usize = 500;
/// A password hash that no password has: who comes from a provider has no password here until they reset it.
const NO_PASSWORD: &str = "none";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, set, remove)).routes(routes!(begin)).routes(routes!(answer))
}

/// The identity provider of an organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sso {
    /// The settings; null when there is no provider.
    pub provider: Option<SsoProvider>,
    /// What the provider has to be told as redirect URI.
    #[schema(format = "uri")]
    pub redirect_uri: String,
    /// Where people of this organisation begin to sign in through it.
    #[schema(format = "uri")]
    pub sign_in_url: String,
}

/// An identity provider, without our secret there.
#[derive(Debug, Serialize, ToSchema)]
pub struct SsoProvider {
    /// Its issuer.
    #[schema(format = "uri")]
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// The name of the role of people whom it knows and who were not invited; null lets in members only.
    pub default_role: Option<String>,
    /// Whether everybody but admins has to sign in through it.
    pub required: bool,
}

/// An identity provider to be used.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SsoIn {
    /// Its issuer, whose document is read now.
    #[schema(format = "uri", example = "https://login.agency.example")]
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// Our secret there; not needed when issuer and client stay as they are.
    #[schema(value_type = Option<String>, format = "password")]
    pub client_secret: Option<SecretString>,
    /// The name of the role of people whom it knows and who were not invited; null lets in members only.
    pub default_role: Option<String>,
    /// Whether everybody but admins has to sign in through it.
    pub required: bool,
}

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SsoBeginIn {
    /// The person's e-mail address.
    #[schema(format = "email")]
    pub email: Option<String>,
    /// The organisation, from its sign-in link.
    pub organisation: Option<String>,
}

/// Where a person signs in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SsoBegun {
    /// The provider's page; the browser goes there.
    #[schema(format = "uri")]
    pub redirect_url: String,
}

/// What a provider sends back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SsoAnswer {
    /// The code, when the person signed in.
    #[param(value_type = Option<String>)]
    pub code: Option<SecretString>,
    /// The state that was sent along.
    #[param(value_type = Option<String>)]
    pub state: Option<SecretString>,
}

fn redirect_uri(app: &App) -> String {
    format!("{}{CALLBACK}", app.settings.public_url)
}

/// How the organisation's people can sign in through a provider of their own.
#[utoipa::path(get, path = "/sso", operation_id = "getSso", tag = TAG,
    extensions(("x-permission" = json!("sign_in.manage"))), responses((status = 200, body = Sso)))]
async fn show(State(app): State<App>, session: Session) -> Result<axum::Json<Sso>> {
    let mut tx = session.begin(&app).await?;
    let provider = rows::fetch(&mut tx).await?.map(|provider| {
        let Provider { issuer, client_id, client_secret: _, default_role, required } = provider;
        SsoProvider { issuer, client_id, default_role, required }
    });
    let sign_in_url = format!("{}{SIGN_IN}?organisation={}", app.settings.public_url, session.org);
    Ok(axum::Json(Sso { provider, redirect_uri: redirect_uri(&app), sign_in_url }))
}

/// Gives the organisation an identity provider. Its document is read first: what can't be reached is not kept.
#[utoipa::path(put, path = "/sso", operation_id = "setSso", tag = TAG,
    extensions(("x-permission" = json!("sign_in.manage"))), request_body = SsoIn, responses((status = 204)))]
async fn set(State(app): State<App>, session: Session, Body(input): Body<SsoIn>) -> Result<StatusCode> {
    let SsoIn { issuer, client_id, client_secret, default_role, required } = input;
    let (issuer, client_id) = (issuer.trim().to_owned(), client_id.trim().to_owned());
    if default_role.as_deref().is_some_and(|role| !is_role_name(role)) {
        return Err(Error::invalid("/default_role", "There is no such role."));
    }
    if client_id.is_empty() || client_id.len() > LONGEST || client_id.chars().any(char::is_control) {
        return Err(Error::invalid("/client_id", "This must be the id that the provider gave this client."));
    }
    if issuer.len() > LONGEST
        || issuer.chars().any(char::is_control)
        || !issuer.parse().is_ok_and(|url| app.outbound.may_ask(&url))
    {
        return Err(Error::invalid("/issuer", "This must be a public address that begins with https://."));
    }
    let known = oidc::discover(&app.outbound, &issuer).await;
    known.map_err(|error| {
        tracing::info!(error = %chain(&*error), "an identity provider's document could not be used: {}", chain(&*error));
        let message = "No OpenID Connect document of this issuer can be read there. The issuer is the address that the \
                       provider's own document names, to the letter.";
        Error::invalid("/issuer", message)
    })?;
    let mut tx = session.begin(&app).await?;
    let before = rows::fetch(&mut tx).await?;
    let before = before.filter(|before| before.issuer == issuer && before.client_id == client_id);
    let client_secret = match (client_secret.filter(|secret| !secret.expose_secret().is_empty()), before) {
        (Some(secret), _) => app.vault.seal(&mut tx, &places::sso_secret(session.org), &secret).await?,
        (None, Some(before)) => before.client_secret,
        (None, None) => return Err(Error::invalid("/client_secret", "This is needed for a new provider.")),
    };
    let provider = Provider { issuer, client_id, client_secret, default_role, required };
    rows::set(&mut tx, &provider, session.user, app.now()).await.map_err(|error| match error {
        store::Error::NotFound { noun: "role" } => Error::invalid("/default_role", "There is no such role."),
        other => other.into(),
    })?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The organisation's people sign in with passwords only. Whom the provider vouched for is signed out.
#[utoipa::path(delete, path = "/sso", operation_id = "removeSso", tag = TAG,
    extensions(("x-permission" = json!("sign_in.manage"))), responses((status = 204)))]
async fn remove(State(app): State<App>, session: Session) -> Result<StatusCode> {
    let mut tx = session.begin(&app).await?;
    rows::delete(&mut tx, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to sign in through the provider of the organisation that somebody with this e-mail joined first, or of the one
/// that a sign-in link names. The browser is given a cookie that its way back is known by.
#[utoipa::path(post, path = "/sso/begin", operation_id = "beginSso", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = SsoBeginIn, responses((status = 200, body = SsoBegun)))]
async fn begin(
    State(app): State<App>,
    Body(input): Body<SsoBeginIn>,
) -> Result<(AppendHeaders<[(HeaderName, String); 1]>, axum::Json<SsoBegun>)> {
    const UNKNOWN: Error = Error::refused(ErrorCode::SsoUnknown);
    let org = match input {
        SsoBeginIn { organisation: Some(organisation), .. } => organisation.parse::<OrgId>().ok(),
        SsoBeginIn { email: Some(email), .. } => rows::organisation_of(&app.store, &extract::email(&email)?).await?,
        SsoBeginIn { .. } => return Err(Error::invalid("/email", "This is needed.")),
    };
    let mut tx = app.store.begin(org.ok_or(UNKNOWN)?).await?;
    let provider = rows::fetch(&mut tx).await?.ok_or(UNKNOWN)?;
    let (secret, redirect_uri) = (token::new()?, redirect_uri(&app));
    let proof = Proof::of(&secret);
    let page = oidc::page(&app.outbound, registration(&provider, &redirect_uri), &proof).await;
    let page = page.map_err(|error| failed(&*error))?;
    rows::begin(&mut tx, &proof.state, app.now(), app.now() + LASTS).await?;
    tx.commit().await?;
    let cookie = AppendHeaders([named_cookie(&app, COOKIE, secret.expose_secret(), LASTS)]);
    Ok((cookie, axum::Json(SsoBegun { redirect_url: page.into() })))
}

fn registration<'a>(provider: &'a Provider, redirect_uri: &'a str) -> Registration<'a> {
    Registration { issuer: &provider.issuer, client_id: &provider.client_id, redirect_uri }
}

/// What went wrong at a provider is for the log: the person can only try again or ask their admin.
fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::warn!(error = %chain(error), "an identity provider could not be used: {}", chain(error));
    Error::refused(ErrorCode::SsoFailed)
}

/// Where a provider's page sends the browser back to: signed in, or back to the sign-in page with what went wrong.
#[utoipa::path(get, path = "/sso/callback", operation_id = "answerSso", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(()),
    params(SsoAnswer), responses((status = 303, description = "To the application, or to the sign-in page.")))]
async fn answer(
    State(app): State<App>,
    jar: CookieJar,
    auth::From(origin): auth::From,
    Parameters(answer): Parameters<SsoAnswer>,
) -> Response {
    let secret = jar.get(COOKIE).map(|cookie| SecretString::from(cookie.value()));
    let mut response = match take(&app, secret, answer, origin).await {
        Ok(token) => (auth::cookie(&app, &token), Redirect::to(SIGNED_IN)).into_response(),
        Err(error) => {
            let code = error.problem().code;
            tracing::info!(problem.code = %code, error = %chain(&error), "a single sign-on led to {code}");
            Redirect::to(&format!("{SIGN_IN}?problem={code}")).into_response()
        }
    };
    let (name, value) = named_cookie(&app, COOKIE, "", TimeDelta::zero());
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().append(name, value);
    }
    response
}

async fn take(app: &App, secret: Option<SecretString>, answer: SsoAnswer, origin: Origin) -> Result<SecretString> {
    const EXPIRED: Error = Error::refused(ErrorCode::SsoExpired);
    let (secret, state) = (secret.ok_or(EXPIRED)?, answer.state.ok_or(EXPIRED)?);
    let proof = Proof::of(&secret);
    if proof.state != state.expose_secret() {
        return Err(EXPIRED);
    }
    let (org, id) = rows::lookup(&app.store, &proof.state, app.now()).await?.ok_or(EXPIRED)?;
    let mut tx = app.store.begin(org).await?;
    if !rows::take(&mut tx, id, app.now()).await? {
        return Err(EXPIRED);
    }
    let provider = rows::fetch(&mut tx).await?.ok_or(EXPIRED)?;
    let ours = app.vault.open(&mut tx, &places::sso_secret(org), &provider.client_secret).await?;
    tx.commit().await?;
    let code = answer.code.ok_or(Error::refused(ErrorCode::SsoFailed))?;
    let redirect_uri = redirect_uri(app);
    let person = oidc::exchange(&app.outbound, registration(&provider, &redirect_uri), &ours, &code, &proof).await;
    let person = person.map_err(|error| failed(&*error))?;
    let mut tx = app.store.begin(org).await?;
    tx.set_origin(origin);
    let (user, name) = member_of(app, &mut tx, &provider, person).await?;
    let token = auth::begin_bound(app, &mut tx, user).await?;
    record(&mut tx, user, &name, "session.sign_in_sso", app.now()).await?;
    tx.commit().await?;
    Ok(token)
}

/// The active member whom the provider means: known by the subject, or by the e-mail the first time; a new one, where the
/// organisation lets them in.
async fn member_of(app: &App, tx: &mut Tx, provider: &Provider, person: Person) -> Result<(UserId, String)> {
    const STRANGER: Error = Error::refused(ErrorCode::SsoStranger);
    let Person { subject, email, name } = person;
    let linked = rows::identity(tx, &provider.issuer, &subject).await?;
    let known = match linked {
        Some(user) => Some(user),
        None => user::find(&app.store, &email).await?.map(|known| known.user),
    };
    let now = app.now();
    let found = match known {
        Some(user) => match member::fetch(tx, user).await {
            Ok(member) => Some(member),
            Err(store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let member = match (found, &provider.default_role) {
        (Some(member), _) => member,
        (None, None) => return Err(STRANGER),
        (None, Some(role)) => {
            let name = name.filter(|name| is_name(name)).unwrap_or_else(|| email.clone());
            let user = match known {
                Some(user) => user,
                None => user::create(tx, &email, &name, NO_PASSWORD, now).await?,
            };
            member::add(tx, user, &name, role, user, now).await?
        }
    };
    if member.deactivated_at.is_some() {
        return Err(STRANGER);
    }
    rows::link(tx, &provider.issuer, &subject, member.user, now).await?;
    Ok((member.user, member.name))
}
