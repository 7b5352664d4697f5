//! Signing up, in and out, and who is signed in.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::ids::{OrgId, SessionId, UserId};
use domain::{Currency, ErrorCode, Permission, TimeZone};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::organisation::{self, SignUp};
use store::{Tx, audit, member, onboarding, proposal, user};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{self, Session, SetCookie};
use crate::extract::{self, Body, Id};
use crate::password;
use crate::problem::{Error, FieldProblem, Problem, Result};
use crate::v1::onboarding::Onboarding;
use crate::v1::{second_factor, terms};
use crate::wire::Items;

const TAG: &str = "session";
const LONGEST_NAME: usize = 200;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(sign_in, sign_out))
        .routes(routes!(list))
        .routes(routes!(revoke))
        .routes(routes!(organisations))
        .routes(routes!(switch))
        .routes(routes!(me))
}

/// A new organisation and its first person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUpIn {
    /// The person's e-mail address.
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    /// At least 12 characters, and hard to guess.
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 200)]
    pub password: SecretString,
    /// The person's name.
    #[schema(format = "line", max_length = 200)]
    pub name: String,
    /// The version of the terms that the person agrees to.
    #[schema(example = "1")]
    pub terms_version: String,
    /// The version of the privacy notice that the person agrees to.
    #[schema(example = "1")]
    pub privacy_version: String,
    /// The agency's name.
    #[schema(format = "line", max_length = 200)]
    pub organisation_name: String,
    /// The ISO 4217 code of the currency that the agency reports in.
    #[schema(example = "EUR")]
    pub reporting_currency: String,
    /// The IANA name of the agency's time zone.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
}

/// A person signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionIn {
    /// The e-mail address.
    #[schema(format = "email")]
    pub email: String,
    /// The password.
    #[schema(value_type = String, format = "password")]
    pub password: SecretString,
    /// A code of the second factor, or a recovery code, where `auth.code_needed` asked for it.
    #[schema(value_type = Option<String>, example = "123456")]
    pub code: Option<SecretString>,
}

/// Who is signed in, and what waits for them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The person.
    pub user: User,
    /// The organisation that the session is for.
    pub organisation: Organisation,
    /// The name of the person's role there.
    #[schema(example = "approver")]
    pub role: String,
    /// What the person may do there, by name.
    #[schema(example = json!(["delivery.read"]))]
    pub permissions: Vec<String>,
    /// Whether the person agreed to the terms and the privacy notice that hold now.
    pub agreed: bool,
    /// The onboarding of the organisation; null before it began.
    pub onboarding: Option<Onboarding>,
    /// Proposals that wait for an approver.
    pub open_proposals: i64,
    /// The platform's present moment: what a browser counts "3 minutes ago" from.
    pub now: DateTime<Utc>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// The id.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// The name.
    pub name: String,
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Organisation {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The currency that it reports in.
    pub reporting_currency: String,
    /// Its time zone.
    pub time_zone: String,
    /// Whether all changes are frozen.
    pub frozen: bool,
}

/// A browser in which the person is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionItem {
    /// The id.
    pub id: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An organisation that the person belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrganisationItem {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The name of the person's role there.
    pub role: String,
    /// Whether the session is for it.
    pub current: bool,
}

/// Another organisation to work in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchIn {
    /// Its id.
    pub organisation: String,
}

/// Signs an organisation up and its first person in.
#[utoipa::path(post, path = "/sign-up", operation_id = "signUp", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = SignUpIn,
    responses((status = 201, body = Me), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn sign_up(
    State(app): State<App>,
    auth::From(origin): auth::From,
    Body(input): Body<SignUpIn>,
) -> Result<(StatusCode, SetCookie, axum::Json<Me>)> {
    let agreed = terms::Agreed::new(&app, &input.terms_version, &input.privacy_version)?;
    let (new, password) = check(input)?;
    let new = SignUp { password_hash: app.passwords.hash(password).await?, ..new };
    let mut tx = app.store.begin(OrgId::new()).await?;
    tx.set_origin(origin);
    let user = organisation::sign_up(&mut tx, &new, app.now()).await?;
    agreed.record(&mut tx, user, app.now()).await?;
    let token = auth::begin(&app, &mut tx, user).await?;
    tx.commit().await?;
    let session = begun(&app, &token).await?;
    let me = read(&app, &session).await?;
    Ok((StatusCode::CREATED, auth::cookie(&app, &token), axum::Json(me)))
}

/// Checks all fields, so that a form shows everything that is wrong at once.
fn check(input: SignUpIn) -> Result<(SignUp, SecretString)> {
    let SignUpIn { email, password, name, organisation_name, reporting_currency, time_zone, .. } = input;
    let email = extract::normal_email(&email);
    let weak = password::refusal(&password, "/password", &[&email, &name, &organisation_name]);
    let email = extract::email(&email);
    let name = extract::text("/name", &name, LONGEST_NAME, false);
    let organisation_name = extract::text("/organisation_name", &organisation_name, LONGEST_NAME, false);
    let (currency, zone) = (reporting_currency.parse::<Currency>().ok(), time_zone.parse::<TimeZone>().ok());
    let checks = [
        (email.is_ok(), "/email", "This must be an e-mail address."),
        (name.is_ok(), "/name", "This must have 1 to 200 characters."),
        (organisation_name.is_ok(), "/organisation_name", "This must have 1 to 200 characters."),
        (currency.is_some(), "/reporting_currency", "This must be the code of a currency, such as EUR."),
        (zone.is_some(), "/time_zone", "This must be the name of a time zone, such as Europe/Berlin."),
    ];
    let wrong = checks.into_iter().filter(|(right, ..)| !right);
    let fields = wrong.map(|(_, pointer, message)| FieldProblem::new(pointer, message));
    let fields: Vec<FieldProblem> = fields.chain(weak).collect();
    let (Ok(email), Some(reporting_currency), Some(time_zone), Ok(name), Ok(organisation_name), true) =
        (email, currency, zone, name, organisation_name, fields.is_empty())
    else {
        return Err(Error::Invalid { fields });
    };
    let password_hash = String::new();
    Ok((SignUp { email, name, password_hash, organisation_name, reporting_currency, time_zone }, password))
}

pub(crate) fn is_name(text: &str) -> bool {
    extract::text("", text, LONGEST_NAME, false).is_ok()
}

/// Signs a person in.
#[utoipa::path(post, path = "/session", operation_id = "signIn", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = SessionIn,
    responses((status = 200, body = Me), (status = 401, body = Problem, content_type = "application/problem+json")))]
async fn sign_in(
    State(app): State<App>,
    auth::From(origin): auth::From,
    Body(input): Body<SessionIn>,
) -> Result<(SetCookie, axum::Json<Me>)> {
    let SessionIn { email, password, code } = input;
    let email = extract::normal_email(&email);
    app.throttle.admit(&email)?;
    let found = user::sign_in_lookup(&app.store, &email).await?;
    let stored = found.as_ref().map(|found| found.password_hash.clone());
    let fits = app.passwords.verify(password, stored).await?;
    let found = found.filter(|_| fits).ok_or(Error::refused(ErrorCode::WrongCredentials))?;
    second_factor::ask(&app, found.user, code.as_ref()).await?;
    app.throttle.forgive(&email);
    let mut tx = app.store.begin(found.org).await?;
    tx.set_origin(origin);
    let token = auth::begin(&app, &mut tx, found.user).await?;
    record(&mut tx, found.user, &found.name, "session.sign_in", app.now()).await?;
    tx.commit().await?;
    let session = begun(&app, &token).await?;
    Ok((auth::cookie(&app, &token), axum::Json(read(&app, &session).await?)))
}

/// The session that has just begun, as the next request will see it.
pub(crate) async fn begun(app: &App, token: &SecretString) -> Result<Session> {
    Session::find(app, token.expose_secret()).await?.ok_or(Error::refused(ErrorCode::SignedOut))
}

/// Ends the session.
#[utoipa::path(delete, path = "/session", operation_id = "signOut", tag = TAG,
    extensions(("x-permission" = json!("person"))), responses((status = 204)))]
async fn sign_out(State(app): State<App>, session: Session) -> Result<(StatusCode, SetCookie)> {
    end(&app, &session).await?;
    Ok((StatusCode::NO_CONTENT, auth::no_cookie(&app)))
}

async fn end(app: &App, session: &Session) -> Result<()> {
    let mut tx = session.begin(app).await?;
    if store::session::delete(&mut tx, session.user, session.browser()?).await? {
        record(&mut tx, session.user, &session.name, "session.sign_out", app.now()).await?;
    }
    Ok(tx.commit().await?)
}

/// The browsers in which the person is signed in to this organisation.
#[utoipa::path(get, path = "/sessions", operation_id = "listSessions", tag = TAG,
    extensions(("x-permission" = json!("person"))), responses((status = 200, body = Items<SessionItem>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<SessionItem>>> {
    let mut tx = session.begin(&app).await?;
    let (rows, current) = (store::session::list(&mut tx, session.user, app.now()).await?, session.browser()?);
    let items = rows.into_iter().map(|row| SessionItem {
        id: row.id.to_string(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        current: row.id == current,
    });
    Ok(axum::Json(Items { items: items.collect() }))
}

/// Signs one of the person's browsers out, from its next request on.
#[utoipa::path(delete, path = "/sessions/{id}", operation_id = "revokeSession", tag = TAG,
    extensions(("x-permission" = json!("person"))),
    params(("id" = String, Path, description = "The session.")), responses((status = 204)))]
async fn revoke(State(app): State<App>, session: Session, Id(id): Id<SessionId>) -> Result<StatusCode> {
    let mut tx = session.begin(&app).await?;
    if !store::session::delete(&mut tx, session.user, id).await? {
        return Err(Error::refused(ErrorCode::NotFound));
    }
    record(&mut tx, session.user, &session.name, "session.revoke", app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The organisations that the person belongs to.
#[utoipa::path(get, path = "/organisations", operation_id = "listOrganisations", tag = TAG,
    extensions(("x-permission" = json!("person"))), responses((status = 200, body = Items<OrganisationItem>)))]
async fn organisations(State(app): State<App>, session: Session) -> Result<axum::Json<Items<OrganisationItem>>> {
    let mut rows = member::organisations_of(&app.store, session.user).await?;
    // Who is vouched for here alone learns nothing of elsewhere.
    rows.retain(|row| !session.bound || row.org == session.org);
    let items = rows.into_iter().map(|row| OrganisationItem {
        id: row.org.to_string(),
        name: row.name,
        role: row.role,
        current: row.org == session.org,
    });
    Ok(axum::Json(Items { items: items.collect() }))
}

/// Goes on in another organisation that the person belongs to: a new session there takes the place of this one.
#[utoipa::path(put, path = "/session/organisation", operation_id = "switchOrganisation", tag = TAG,
    extensions(("x-permission" = json!("person"))), request_body = SwitchIn, responses((status = 200, body = Me)))]
async fn switch(
    State(app): State<App>,
    session: Session,
    Body(input): Body<SwitchIn>,
) -> Result<(SetCookie, axum::Json<Me>)> {
    if session.bound {
        return Err(Error::refused(ErrorCode::SessionBound));
    }
    let wanted = input.organisation.parse::<OrgId>().ok();
    let known = member::organisations_of(&app.store, session.user).await?;
    let there = known.into_iter().find(|known| Some(known.org) == wanted);
    let there = there.ok_or(Error::refused(ErrorCode::NotFound))?;
    let mut tx = app.store.begin(there.org).await?;
    tx.set_origin(session.origin);
    let token = auth::begin(&app, &mut tx, session.user).await?;
    record(&mut tx, session.user, &session.name, "session.sign_in", app.now()).await?;
    tx.commit().await?;
    // Whatever becomes of the old session, the new one holds.
    end(&app, &session).await?;
    let begun = begun(&app, &token).await?;
    Ok((auth::cookie(&app, &token), axum::Json(read(&app, &begun).await?)))
}

pub(crate) async fn record(tx: &mut Tx, user: UserId, name: &str, action: &str, at: DateTime<Utc>) -> Result<()> {
    let entry = audit::Entry {
        actor: audit::Actor::Person(user),
        action: action.to_owned(),
        subject: "user",
        subject_id: user.uuid(),
        title: name.to_owned(),
        before: None,
        after: None,
    };
    audit::record(tx, &entry, at).await?;
    Ok(())
}

/// Who is signed in.
#[utoipa::path(get, path = "/me", operation_id = "getMe", tag = TAG,
    extensions(("x-permission" = json!("member"))), responses((status = 200, body = Me)))]
async fn me(State(app): State<App>, session: Session) -> Result<axum::Json<Me>> {
    Ok(axum::Json(read(&app, &session).await?))
}

/// Who is signed in, and what waits for them.
pub(crate) async fn read(app: &App, session: &Session) -> Result<Me> {
    let mut tx = session.begin(app).await?;
    let organisation = organisation::fetch(&mut tx).await?;
    let onboarding = match onboarding::latest(&mut tx).await? {
        Some(row) => Some(Onboarding::read(&mut tx, row, app.now()).await?),
        None => None,
    };
    let open = proposal::count_open(&mut tx).await?;
    let agreed = terms::Agreed::now(app).is_given(&mut tx, session.user).await?;
    Ok(Me {
        user: User { id: session.user.to_string(), email: session.email.clone(), name: session.name.clone() },
        organisation: organisation.into(),
        role: session.role.clone(),
        permissions: session.permissions.iter().map(Permission::to_string).collect(),
        agreed,
        onboarding,
        open_proposals: i64::try_from(open).unwrap_or(i64::MAX),
        now: app.now(),
    })
}

impl From<organisation::Organisation> for Organisation {
    fn from(row: organisation::Organisation) -> Self {
        let organisation::Organisation { id, name, reporting_currency, time_zone, frozen, created_at: _ } = row;
        Self {
            id: id.to_string(),
            name,
            reporting_currency: reporting_currency.to_string(),
            time_zone: time_zone.to_string(),
            frozen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let input = SignUpIn {
            email: "ana".to_owned(),
            password: "short".into(),
            name: " ".to_owned(),
            terms_version: "1".to_owned(),
            privacy_version: "1".to_owned(),
            organisation_name: "Agency".to_owned(),
            reporting_currency: "EURO".to_owned(),
            time_zone: "Berlin".to_owned(),
        };
        let Err(Error::Invalid { fields }) = check(input) else { panic!("this must not pass") };
        let pointers: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/email", "/name", "/reporting_currency", "/time_zone", "/password"]);
    }
}
