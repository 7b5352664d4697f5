//! Sessions: signed-in browsers. A session's token is kept as its SHA-256 only.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::Permission;
use domain::ids::{OrgId, SessionId, UserId};

use crate::error::Result;
use crate::role;
use crate::store::{Store, Tx};
use crate::token;

/// The most sessions that are listed.
const LIST_MOST: i64 = 200;

/// Who a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: SessionId,
    /// Who signed in.
    pub user: UserId,
    /// Their e-mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// The organisation that they signed in to.
    pub org: OrgId,
    /// The name of their role there.
    pub role: String,
    /// What they may do there.
    pub permissions: BTreeSet<Permission>,
    /// Whether the session is for this organisation alone: its identity provider vouched for it.
    pub bound: bool,
}

/// Begins a session of a member of the organisation, and clears away this person's sessions that have ended. A bound one is
/// for this organisation alone.
///
/// # Errors
/// [`crate::Error::Missing`] when the person is not a member.
pub async fn create(
    tx: &mut Tx,
    user: UserId,
    token: &str,
    bound: bool,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<SessionId> {
    let (org, id) = (tx.org(), SessionId::new());
    sqlx::query!("DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2", user.uuid(), at)
        .execute(tx.conn())
        .await?;
    sqlx::query!(
        "INSERT INTO sessions (id, token_hash, user_id, org_id, created_at, expires_at, bound)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id.uuid(),
        token::hash(token),
        user.uuid(),
        org.uuid(),
        at,
        expires_at,
        bound,
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// Finds the session of a token, before any organisation is known; `None` when there is none or it has ended.
///
/// # Errors
/// As any statement.
pub async fn lookup(store: &Store, token: &str, at: DateTime<Utc>) -> Result<Option<SignedIn>> {
    let row = sqlx::query!(
        r#"SELECT session_id AS "session_id!", user_id AS "user_id!", org_id AS "org_id!", email AS "email!",
                  user_name AS "user_name!", role AS "role!", permissions AS "permissions!",
                  bound AS "bound!"
           FROM session_who($1, $2)"#,
        token::hash(token),
        at
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| SignedIn {
        session: row.session_id.into(),
        user: row.user_id.into(),
        email: row.email,
        name: row.user_name,
        org: row.org_id.into(),
        role: row.role,
        permissions: role::permissions(&row.permissions),
        bound: row.bound,
    }))
}

/// A session as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which one.
    pub id: SessionId,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A person's sessions in the organisation that have not ended, newest first.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, user: UserId, at: DateTime<Utc>) -> Result<Vec<Listed>> {
    let rows = sqlx::query!(
        "SELECT id, created_at, expires_at FROM sessions WHERE user_id = $1 AND expires_at > $2
         ORDER BY created_at DESC, id LIMIT $3",
        user.uuid(),
        at,
        LIST_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    let listed = rows.into_iter().map(|row| Listed {
        id: row.id.into(),
        created_at: row.created_at,
        expires_at: row.expires_at,
    });
    Ok(listed.collect())
}

/// Ends a session of a person; says whether there was one.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool> {
    let done = sqlx::query!("DELETE FROM sessions WHERE id = $1 AND user_id = $2", id.uuid(), user.uuid())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}
