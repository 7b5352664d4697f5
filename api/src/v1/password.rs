//! Passwords: changed by who knows the old one, or by who gets a mail.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use domain::ErrorCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use store::user;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{self, Body};
use crate::password;
use crate::problem::{Error, Result, chain};
use crate::token;

const TAG: &str = "password";
/// How long a link of a forgotten password holds.
const LASTS: TimeDelta = TimeDelta::hours(1);

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(change)).routes(routes!(forgotten)).routes(routes!(reset))
}

/// Another password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordIn {
    /// The password until now.
    #[schema(value_type = String, format = "password")]
    pub current: SecretString,
    /// The password from now on: at least 12 characters, and hard to guess.
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 200)]
    pub new: SecretString,
}

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgottenIn {
    /// The e-mail address of the account.
    #[schema(format = "email", max_length = 254)]
    pub email: String,
}

/// A new password in place of a forgotten one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetIn {
    /// What stands in the link after `#`.
    #[schema(value_type = String)]
    pub token: SecretString,
    /// The password from now on: at least 12 characters, and hard to guess.
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 200)]
    pub password: SecretString,
}

/// Changes the password of who is signed in. All their other browsers are signed out, in every organisation.
#[utoipa::path(put, path = "/password", operation_id = "changePassword", tag = TAG,
    extensions(("x-permission" = json!("person"))), request_body = PasswordIn, responses((status = 204)))]
async fn change(State(app): State<App>, session: Session, Body(input): Body<PasswordIn>) -> Result<StatusCode> {
    let PasswordIn { current, new } = input;
    is_right(&app, &session, current, "/current").await?;
    if let Some(weak) = password::refusal(&new, "/new", &[&session.email, &session.name]) {
        return Err(weak.into());
    }
    let hash = app.passwords.hash(new).await?;
    user::set_password(&app.store, session.user, &hash, Some(session.browser()?), app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a password that is not the person's own; guessing is held back.
pub(crate) async fn is_right(app: &App, session: &Session, given: SecretString, pointer: &str) -> Result<()> {
    app.throttle.admit(&session.email)?;
    let stored = user::password_hash(&app.store, session.user).await?;
    if !app.passwords.verify(given, stored).await? {
        return Err(Error::invalid(pointer, "This is not your password."));
    }
    app.throttle.forgive(&session.email);
    Ok(())
}

/// Sends a link for a new password, if the e-mail has an account here. The answer is the same if it has none.
#[utoipa::path(post, path = "/password/forgotten", operation_id = "forgetPassword", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = ForgottenIn, responses((status = 202, description = "A mail is on its way, if there is such an account.")))]
async fn forgotten(State(app): State<App>, Body(input): Body<ForgottenIn>) -> Result<StatusCode> {
    let email = extract::email(&input.email)?;
    app.forgotten.admit(&email)?;
    // Answered before it is known whether there is an account: how long it takes would tell.
    tokio::spawn(async move {
        if let Err(error) = send(&app, &email).await {
            tracing::warn!(error = %chain(&error), "the link of a forgotten password was not made: {}", chain(&error));
        }
    });
    Ok(StatusCode::ACCEPTED)
}

async fn send(app: &App, email: &str) -> Result<()> {
    let (token, now) = (token::new()?, app.now());
    let Some(known) = user::begin_reset(&app.store, email, token.expose_secret(), now, now + LASTS).await? else {
        return Ok(());
    };
    let text = format!(
        "Hello {},\n\nsomebody, probably you, asked for a new password for this e-mail address. Choose one here within an \
         hour:\n\n{}/password-reset#{}\n\nIf it was not you, there is nothing to do: your password is still the old one.\n",
        known.name,
        app.settings.public_url,
        token.expose_secret(),
    );
    app.mailer.send(email, "A new password for the Campaign Lifecycle Platform", text).await;
    Ok(())
}

/// Gives the person whom a link was sent to a new password. All their browsers are signed out.
#[utoipa::path(post, path = "/password/reset", operation_id = "resetPassword", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = ResetIn, responses((status = 204)))]
async fn reset(State(app): State<App>, Body(input): Body<ResetIn>) -> Result<StatusCode> {
    let ResetIn { token, password } = input;
    if let Some(weak) = password::refusal(&password, "/password", &[]) {
        return Err(weak.into());
    }
    let hash = app.passwords.hash(password).await?;
    let user = user::use_reset(&app.store, token.expose_secret(), app.now()).await?;
    let user = user.ok_or(Error::refused(ErrorCode::ResetUnusable))?;
    user::set_password(&app.store, user, &hash, None, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
