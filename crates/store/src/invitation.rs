//! Invitations: a link by which a person joins an organisation. Of the link's secret a hash is kept.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ids::{InvitationId, OrgId, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::member::{self, Member};
use crate::role;
use crate::store::{Store, Tx};
use crate::token;

/// The most invitations that wait for an answer in an organisation.
pub const MOST_OPEN: i64 = 500;

/// An invitation that was not withdrawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Which one.
    pub id: InvitationId,
    /// Who is invited; not for logs.
    pub email: String,
    /// The name of the role that they will have.
    pub role: String,
    /// What people call that role; its name when it is no more.
    pub role_title: String,
    /// What who invited them is called.
    pub inviter_name: String,
    /// When it was sent, the last time.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When a mail server took the mail.
    pub mailed_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// An invitation that is to be made.
#[derive(Clone)]
pub struct New<'a> {
    /// Who is invited, in lower case.
    pub email: &'a str,
    /// The name of the role that they will have.
    pub role: &'a str,
    /// The link's secret.
    pub token: &'a str,
    /// Who invites.
    pub by: UserId,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for New<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("New").field("role", &self.role).field("by", &self.by).finish_non_exhaustive()
    }
}

/// Invites a person. An invitation that waits already is sent anew: its link before is of no use any more.
///
/// # Errors
/// [`Error::NotFound`] when there is no such role; [`Error::AlreadyMember`]; [`Error::TooMany`].
pub async fn create(tx: &mut Tx, new: &New<'_>, at: DateTime<Utc>) -> Result<Invitation> {
    role::fetch(tx, new.role).await?;
    if member::is_active(tx, new.email).await? {
        return Err(Error::AlreadyMember);
    }
    let open = sqlx::query!(
        r#"SELECT count(*) AS "count!" FROM invitations WHERE accepted_at IS NULL AND withdrawn_at IS NULL AND email <> $1"#,
        new.email
    )
    .fetch_one(tx.conn())
    .await?;
    if open.count >= MOST_OPEN {
        return Err(Error::TooMany { noun: "invitations" });
    }
    let org = tx.org();
    let row = sqlx::query!(
        "INSERT INTO invitations (org_id, id, email, role, token_hash, invited_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (org_id, email) WHERE accepted_at IS NULL AND withdrawn_at IS NULL DO UPDATE
         SET role = excluded.role, token_hash = excluded.token_hash, invited_by = excluded.invited_by,
             created_at = excluded.created_at, expires_at = excluded.expires_at, mailed_at = NULL
         RETURNING id",
        org.uuid(),
        InvitationId::new().uuid(),
        new.email,
        new.role,
        token::hash(new.token),
        new.by.uuid(),
        at,
        new.expires_at,
    )
    .fetch_one(tx.conn())
    .await?;
    let invitation = fetch(tx, row.id.into()).await?;
    record(tx, "invitation.send", &invitation, new.by, at).await?;
    Ok(invitation)
}

/// The invitations that wait for an answer, newest first; those whose time is over too.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<Invitation>> {
    let rows = invitations!("ORDER BY i.created_at DESC, i.id LIMIT $1", MOST_OPEN).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(Invitation::from).collect())
}

/// One that waits for an answer.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: InvitationId) -> Result<Invitation> {
    let row = invitations!("AND i.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    Ok(row.ok_or(Error::NotFound { noun: "invitation" })?.into())
}

/// Records that a mail server took the mail of an invitation.
///
/// # Errors
/// As any statement.
pub async fn mailed(tx: &mut Tx, id: InvitationId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!("UPDATE invitations SET mailed_at = $2 WHERE id = $1", id.uuid(), at).execute(tx.conn()).await?;
    Ok(())
}

/// Withdraws an invitation: its link is of no use any more.
///
/// # Errors
/// [`Error::NotFound`] when it does not wait for an answer.
pub async fn withdraw(tx: &mut Tx, id: InvitationId, by: UserId, at: DateTime<Utc>) -> Result<()> {
    let invitation = fetch(tx, id).await?;
    sqlx::query!("UPDATE invitations SET withdrawn_at = $2 WHERE id = $1", id.uuid(), at).execute(tx.conn()).await?;
    record(tx, "invitation.withdraw", &invitation, by, at).await
}

/// Finds the open invitation of a link, before its organisation is known.
///
/// # Errors
/// As any statement.
pub async fn lookup(store: &Store, secret: &str, at: DateTime<Utc>) -> Result<Option<(OrgId, InvitationId)>> {
    let row = sqlx::query!(
        r#"SELECT org_id AS "org_id!", id AS "id!" FROM invitation_find($1, $2)"#,
        token::hash(secret),
        at
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| (row.org_id.into(), row.id.into())))
}

/// Makes the person who was invited a member, once.
///
/// # Errors
/// [`Error::NotFound`] when it does not wait for an answer, or its role is no more.
pub async fn accept(tx: &mut Tx, id: InvitationId, user: UserId, name: &str, at: DateTime<Utc>) -> Result<Member> {
    let invitation = fetch(tx, id).await?;
    let done = sqlx::query!(
        "UPDATE invitations SET accepted_at = $2
         WHERE id = $1 AND accepted_at IS NULL AND withdrawn_at IS NULL AND expires_at > $2",
        id.uuid(),
        at
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 {
        return Err(Error::NotFound { noun: "invitation" });
    }
    member::add(tx, user, name, &invitation.role, user, at).await
}

/// The trail names roles, never e-mail addresses.
async fn record(tx: &mut Tx, action: &str, invitation: &Invitation, by: UserId, at: DateTime<Utc>) -> Result<()> {
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "invitation",
        subject_id: invitation.id.uuid(),
        title: invitation.role_title.clone(),
        before: None,
        after: Some(json!({"role": invitation.role, "expires_at": invitation.expires_at})),
    };
    audit::record(tx, &entry, at).await.map(drop)
}

macro_rules! invitations {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT i.id, i.email, i.role, coalesce(r.title, i.role) AS "role_title!", m.user_name, i.created_at,
                      i.expires_at, i.mailed_at
               FROM invitations i
               JOIN memberships m ON m.org_id = i.org_id AND m.user_id = i.invited_by
               LEFT JOIN roles r ON r.org_id = i.org_id AND r.name = i.role
               WHERE i.accepted_at IS NULL AND i.withdrawn_at IS NULL "#
                + $which
            $(, $argument)*
        )
    };
}
use invitations;

struct Row {
    id: Uuid,
    email: String,
    role: String,
    role_title: String,
    user_name: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    mailed_at: Option<DateTime<Utc>>,
}

impl From<Row> for Invitation {
    fn from(row: Row) -> Self {
        let Row { id, email, role, role_title, user_name, created_at, expires_at, mailed_at } = row;
        Self { id: id.into(), email, role, role_title, inviter_name: user_name, created_at, expires_at, mailed_at }
    }
}
