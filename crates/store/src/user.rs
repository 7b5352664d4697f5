//! People, as far as signing in needs them. Their rows are reached through the database's own functions only.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ids::{OrgId, PasswordResetId, SessionId, UserId};

use crate::error::{Error, Result};
use crate::store::{Store, Tx};
use crate::token;

/// What is needed to check a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who would sign in.
    pub user: UserId,
    /// What they are called.
    pub name: String,
    /// The hash of their password.
    pub password_hash: String,
    /// The organisation that they would sign in to: the one that they joined first.
    pub org: OrgId,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("user", &self.user).field("org", &self.org).finish_non_exhaustive()
    }
}

/// Finds who has this e-mail, before any organisation is known.
///
/// # Errors
/// As any statement.
pub async fn sign_in_lookup(store: &Store, email: &str) -> Result<Option<SignIn>> {
    let row = sqlx::query!(
        r#"SELECT user_id AS "user_id!", user_name AS "user_name!", password_hash AS "password_hash!", org_id AS "org_id!"
           FROM sign_in_lookup($1)"#,
        email
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| SignIn {
        user: row.user_id.into(),
        name: row.user_name,
        password_hash: row.password_hash,
        org: row.org_id.into(),
    }))
}

/// A person, as far as somebody who knows their e-mail learns of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub user: UserId,
    /// What they are called.
    pub name: String,
}

/// Who has this e-mail, in whichever organisation, or in none any more.
///
/// # Errors
/// As any statement.
pub async fn find(store: &Store, email: &str) -> Result<Option<Known>> {
    let row = sqlx::query!(r#"SELECT user_id AS "user_id!", user_name AS "user_name!" FROM user_find($1)"#, email)
        .fetch_optional(store.pool())
        .await?;
    Ok(row.map(|row| Known { user: row.user_id.into(), name: row.user_name }))
}

/// Makes a person, who belongs to no organisation yet.
///
/// # Errors
/// [`Error::EmailTaken`]; then the transaction can only be undone.
pub async fn create(tx: &mut Tx, email: &str, name: &str, password_hash: &str, at: DateTime<Utc>) -> Result<UserId> {
    let user = UserId::new();
    let made = sqlx::query!(
        r#"SELECT user_create($1, $2, $3, $4, $5) AS "made!""#,
        user.uuid(),
        email,
        name,
        password_hash,
        at
    )
    .fetch_one(tx.conn())
    .await?;
    if !made.made {
        tx.give_up();
        return Err(Error::EmailTaken);
    }
    Ok(user)
}

/// The hash of a person's password.
///
/// # Errors
/// As any statement.
pub async fn password_hash(store: &Store, user: UserId) -> Result<Option<String>> {
    let row = sqlx::query!("SELECT user_password($1) AS hash", user.uuid()).fetch_one(store.pool()).await?;
    Ok(row.hash)
}

/// Gives a person another password. All their sessions end but `kept`, links of a forgotten password are of no use any
/// more, and every organisation's trail says that it happened.
///
/// # Errors
/// As any statement.
pub async fn set_password(
    store: &Store,
    user: UserId,
    password_hash: &str,
    kept: Option<SessionId>,
    at: DateTime<Utc>,
) -> Result<()> {
    let kept = kept.map(SessionId::uuid);
    sqlx::query!(
        r#"SELECT true AS "done!" FROM user_set_password($1, $2, $3, $4)"#,
        user.uuid(),
        password_hash,
        kept,
        at
    )
    .fetch_one(store.pool())
    .await?;
    Ok(())
}

/// Begins a reset of a forgotten password; `None` when nobody has the e-mail.
///
/// # Errors
/// As any statement.
pub async fn begin_reset(
    store: &Store,
    email: &str,
    secret: &str,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<Option<Known>> {
    let row = sqlx::query!(
        r#"SELECT user_id AS "user_id!", user_name AS "user_name!" FROM password_reset_begin($1, $2, $3, $4, $5)"#,
        email,
        PasswordResetId::new().uuid(),
        token::hash(secret),
        at,
        expires_at,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Known { user: row.user_id.into(), name: row.user_name }))
}

/// Uses the link of a forgotten password, once: who it was for.
///
/// # Errors
/// As any statement.
pub async fn use_reset(store: &Store, secret: &str, at: DateTime<Utc>) -> Result<Option<UserId>> {
    let row = sqlx::query!("SELECT password_reset_use($1, $2) AS user_id", token::hash(secret), at)
        .fetch_one(store.pool())
        .await?;
    Ok(row.user_id.map(UserId::from_uuid))
}
