//! Invitations: a link by which a person joins the organisation, sent by mail or passed on by hand.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{InvitationId, OrgId, UserId};
use domain::{ErrorCode, Origin};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use store::invitation as rows;
use store::{Tx, organisation, user};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{self, Session, SetCookie};
use crate::extract::{self, Body, Id};
use crate::mail::Sent;
use crate::problem::{Error, FieldProblem, Result};
use crate::v1::role::is_role_name;
use crate::v1::session::{self, Me, is_name};
use crate::v1::{second_factor, terms};
use crate::wire::Items;
use crate::{password, token};

const TAG: &str = "invitation";
/// How long an invitation holds.
const LASTS: TimeDelta = TimeDelta::days(7);

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(withdraw))
        .routes(routes!(look))
        .routes(routes!(accept))
}

/// An invitation that waits for an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    /// The id.
    pub id: String,
    /// Who is invited.
    pub email: String,
    /// The name of the role that they will have.
    #[schema(example = "viewer")]
    pub role: String,
    /// What that role is called.
    #[schema(example = "Viewer")]
    pub role_title: String,
    /// The name of who invited them.
    pub invited_by: String,
    /// When it was sent, the last time.
    pub sent_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether its time is over.
    pub expired: bool,
    /// Whether a mail server took the mail; when not, it is to be sent again, or its link to be passed on by hand.
    pub mailed: bool,
}

/// Who is to be invited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationIn {
    /// Their e-mail address.
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    /// The name of the role that they will have.
    #[schema(example = "viewer")]
    pub role: String,
}

/// An invitation that was just sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// Its link, which is shown this once. Whoever has it can join.
    #[schema(format = "uri")]
    pub link: String,
    /// How the mail went.
    pub mail: MailState,
}

/// How a mail went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// A mail server took it.
    Sent,
    /// No mail server took it.
    Failed,
    /// This deployment sends no mail.
    Off,
}

/// What stands in an invitation's link after `#`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationLink {
    /// The link's secret.
    #[schema(value_type = String)]
    pub token: SecretString,
}

/// What an invitation is about, for who has its link.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationView {
    /// The name of the organisation.
    pub organisation: String,
    /// Who is invited.
    pub email: String,
    /// What the role is called.
    pub role_title: String,
    /// The name of who invited them.
    pub invited_by: String,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether who is invited has an account: then they accept with its password, otherwise they choose a password.
    pub has_account: bool,
}

/// Accepts an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptIn {
    /// The link's secret.
    #[schema(value_type = String)]
    pub token: SecretString,
    /// The password of the account that has the e-mail; not asked of who is signed in with it.
    #[schema(value_type = Option<String>, format = "password")]
    pub password: Option<SecretString>,
    /// A code of that account's second factor, where `auth.code_needed` asked for it.
    #[schema(value_type = Option<String>, example = "123456")]
    pub code: Option<SecretString>,
    /// Who joins, when the e-mail has no account.
    pub new: Option<NewPerson>,
}

/// A person who has no account yet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// Their name.
    #[schema(format = "line", max_length = 200)]
    pub name: String,
    /// At least 12 characters, and hard to guess.
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 200)]
    pub password: SecretString,
    /// The version of the terms that they agree to.
    #[schema(example = "1")]
    pub terms_version: String,
    /// The version of the privacy notice that they agree to.
    #[schema(example = "1")]
    pub privacy_version: String,
}

impl Invitation {
    fn new(row: rows::Invitation, now: DateTime<Utc>) -> Self {
        let rows::Invitation { id, email, role, role_title, inviter_name, created_at, expires_at, mailed_at } = row;
        Self {
            id: id.to_string(),
            email,
            role,
            role_title,
            invited_by: inviter_name,
            sent_at: created_at,
            expires_at,
            expired: expires_at <= now,
            mailed: mailed_at.is_some(),
        }
    }
}

/// The invitations that wait for an answer, newest first.
#[utoipa::path(get, path = "/invitations", operation_id = "listInvitations", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))), responses((status = 200, body = Items<Invitation>)))]
async fn list(State(app): State<App>, session: Session) -> Result<axum::Json<Items<Invitation>>> {
    let mut tx = session.begin(&app).await?;
    let now = app.now();
    let items = rows::list(&mut tx).await?.into_iter().map(|row| Invitation::new(row, now)).collect();
    Ok(axum::Json(Items { items }))
}

/// Invites a person. One who is invited already gets a new link; the one before is of no use any more.
#[utoipa::path(post, path = "/invitations", operation_id = "createInvitation", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    request_body = InvitationIn, responses((status = 201, body = NewInvitation)))]
async fn create(
    State(app): State<App>,
    session: Session,
    Body(input): Body<InvitationIn>,
) -> Result<(StatusCode, axum::Json<NewInvitation>)> {
    let email = extract::email(&input.email)?;
    if !is_role_name(&input.role) {
        return Err(Error::invalid("/role", "There is no such role."));
    }
    let (token, now) = (token::new()?, app.now());
    let new = rows::New {
        email: &email,
        role: &input.role,
        token: token.expose_secret(),
        by: session.user,
        expires_at: now + LASTS,
    };
    let mut tx = session.begin(&app).await?;
    let made = rows::create(&mut tx, &new, now).await.map_err(|error| match error {
        store::Error::NotFound { noun: "role" } => Error::invalid("/role", "There is no such role."),
        store::Error::AlreadyMember => Error::invalid("/email", "This person belongs to the organisation already."),
        other => other.into(),
    })?;
    let organisation = organisation::fetch(&mut tx).await?.name;
    tx.commit().await?;
    let link = format!("{}/invitation#{}", app.settings.public_url, token.expose_secret());
    let sent = app.mailer.send(&email, &subject(&organisation), text(&session.name, &organisation, &link)).await;
    let id = made.id;
    let mut invitation = Invitation::new(made, now);
    if sent == Sent::Yes {
        let mut tx = session.begin(&app).await?;
        rows::mailed(&mut tx, id, app.now()).await?;
        tx.commit().await?;
        invitation.mailed = true;
    }
    let mail = match sent {
        Sent::Yes => MailState::Sent,
        Sent::No => MailState::Failed,
        Sent::Off => MailState::Off,
    };
    Ok((StatusCode::CREATED, axum::Json(NewInvitation { invitation, link, mail })))
}

fn subject(organisation: &str) -> String {
    format!("Join {organisation} on the Campaign Lifecycle Platform")
}

fn text(inviter: &str, organisation: &str, link: &str) -> String {
    format!(
        "Hello,\n\n{inviter} invites you to join {organisation} on the Campaign Lifecycle Platform. Accept within 7 days:\n\n\
         {link}\n\nThe link is meant for you alone: whoever has it can join in your place. If you don't know {inviter}, \
         there is nothing to do.\n"
    )
}

/// Withdraws an invitation: its link is of no use any more.
#[utoipa::path(delete, path = "/invitations/{id}", operation_id = "withdrawInvitation", tag = TAG,
    extensions(("x-permission" = json!("members.manage"))),
    params(("id" = String, Path, description = "The invitation.")), responses((status = 204)))]
async fn withdraw(State(app): State<App>, session: Session, Id(id): Id<InvitationId>) -> Result<StatusCode> {
    let mut tx = session.begin(&app).await?;
    rows::withdraw(&mut tx, id, session.user, app.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an invitation is about, for who has its link.
#[utoipa::path(post, path = "/invitations/look", operation_id = "lookAtInvitation", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = InvitationLink, responses((status = 200, body = InvitationView)))]
async fn look(State(app): State<App>, Body(link): Body<InvitationLink>) -> Result<axum::Json<InvitationView>> {
    let (mut tx, row) = find(&app, &link.token).await?;
    let organisation = organisation::fetch(&mut tx).await?.name;
    drop(tx);
    let has_account = user::find(&app.store, &row.email).await?.is_some();
    let rows::Invitation { email, role_title, inviter_name, expires_at, .. } = row;
    let view = InvitationView { organisation, email, role_title, invited_by: inviter_name, expires_at, has_account };
    Ok(axum::Json(view))
}

/// Joins the organisation: as who is signed in with the invited e-mail, or as a new person. The browser goes on there.
#[utoipa::path(post, path = "/invitations/accept", operation_id = "acceptInvitation", tag = TAG,
    extensions(("x-permission" = json!("anybody"))), security(("csrf" = [])),
    request_body = AcceptIn, responses((status = 200, body = Me)))]
async fn accept(
    State(app): State<App>,
    session: Option<Session>,
    auth::From(origin): auth::From,
    Body(input): Body<AcceptIn>,
) -> Result<(SetCookie, axum::Json<Me>)> {
    let (tx, row) = find(&app, &input.token).await?;
    let org = tx.org();
    drop(tx);
    let known = user::find(&app.store, &row.email).await?;
    let user = match (known, input.new) {
        (Some(known), _) => {
            let is_them = session.is_some_and(|session| session.user == known.user && !session.bound);
            if !is_them {
                is_password_of(&app, &row.email, known.user, (input.password, input.code)).await?;
            }
            let mut tx = app.store.begin(org).await?;
            tx.set_origin(origin);
            join(&app, &mut tx, row.id, known.user, &known.name).await?;
            tx.commit().await?;
            known.user
        }
        (None, Some(new)) => create_and_join(&app, (org, origin), row, new).await?,
        (None, None) => return Err(Error::invalid("/new", "This is needed: the e-mail has no account yet.")),
    };
    let mut tx = app.store.begin(org).await?;
    let token = auth::begin(&app, &mut tx, user).await?;
    tx.commit().await?;
    let begun = session::begun(&app, &token).await?;
    Ok((auth::cookie(&app, &token), axum::Json(session::read(&app, &begun).await?)))
}

/// Refuses who does not know the password of the invited account; guessing is held back as it is when signing in.
async fn is_password_of(
    app: &App,
    email: &str,
    user: UserId,
    (password, code): (Option<SecretString>, Option<SecretString>),
) -> Result<()> {
    let password = password.ok_or_else(|| Error::invalid("/password", "This is needed: the e-mail has an account."))?;
    app.throttle.admit(email)?;
    let stored = user::password_hash(&app.store, user).await?;
    if !app.passwords.verify(password, stored).await? {
        return Err(Error::refused(ErrorCode::WrongCredentials));
    }
    second_factor::ask(app, user, code.as_ref()).await?;
    app.throttle.forgive(email);
    Ok(())
}

async fn create_and_join(
    app: &App,
    (org, origin): (OrgId, Origin),
    row: rows::Invitation,
    new: NewPerson,
) -> Result<UserId> {
    let NewPerson { name, password, terms_version, privacy_version } = new;
    let agreed = terms::Agreed::new(app, &terms_version, &privacy_version)?;
    let name = name.trim();
    let unnamed = (!is_name(name)).then(|| FieldProblem::new("/new/name", "This must have 1 to 200 characters."));
    let weak = password::refusal(&password, "/new/password", &[&row.email, name]);
    let fields: Vec<FieldProblem> = unnamed.into_iter().chain(weak).collect();
    if !fields.is_empty() {
        return Err(Error::Invalid { fields });
    }
    let hash = app.passwords.hash(password).await?;
    let mut tx = app.store.begin(org).await?;
    tx.set_origin(origin);
    let user = user::create(&mut tx, &row.email, name, &hash, app.now()).await?;
    join(app, &mut tx, row.id, user, name).await?;
    agreed.record(&mut tx, user, app.now()).await?;
    tx.commit().await?;
    Ok(user)
}

async fn join(app: &App, tx: &mut Tx, id: InvitationId, user: UserId, name: &str) -> Result<()> {
    let joined = rows::accept(tx, id, user, name, app.now()).await;
    joined.map(drop).map_err(|error| match error {
        store::Error::NotFound { .. } => Error::refused(ErrorCode::InvitationUnusable),
        other => other.into(),
    })
}

/// The open invitation of a link, with a transaction of its organisation.
async fn find(app: &App, token: &SecretString) -> Result<(Tx, rows::Invitation)> {
    const UNUSABLE: Error = Error::refused(ErrorCode::InvitationUnusable);
    let (org, id) = rows::lookup(&app.store, token.expose_secret(), app.now()).await?.ok_or(UNUSABLE)?;
    let mut tx = app.store.begin(org).await?;
    let row = rows::fetch(&mut tx, id).await?;
    Ok((tx, row))
}
