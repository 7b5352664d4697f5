//! Single sign-on: an organisation's identity provider, sign-ins under way there, and whom it means by its subjects.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ids::{OrgId, SsoSignInId, UserId};
use serde_json::json;

use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::role;
use crate::store::{Store, Tx};
use crate::token;

/// An identity provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its issuer: the address that its own document names.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// Our secret there, sealed.
    pub client_secret: Vec<u8>,
    /// The role of people whom it knows and who were not invited; `None` lets in members only.
    pub default_role: Option<String>,
    /// Whether everybody but admins has to sign in through it.
    pub required: bool,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The organisation's identity provider.
///
/// # Errors
/// As any statement.
pub async fn fetch(tx: &mut Tx) -> Result<Option<Provider>> {
    let found =
        sqlx::query_as!(Provider, "SELECT issuer, client_id, client_secret, default_role, required FROM sso_providers")
            .fetch_optional(tx.conn())
            .await?;
    Ok(found)
}

/// Gives the organisation an identity provider, in place of the one before. Whom that one meant is forgotten when the issuer
/// is another.
///
/// # Errors
/// [`Error::NotFound`] when there is no such role.
pub async fn set(tx: &mut Tx, provider: &Provider, by: UserId, at: DateTime<Utc>) -> Result<()> {
    if let Some(role) = &provider.default_role {
        role::fetch(tx, role).await?;
    }
    let (org, before) = (tx.org(), fetch(tx).await?);
    sqlx::query!(
        "INSERT INTO sso_providers (org_id, issuer, client_id, client_secret, default_role, required, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (org_id) DO UPDATE
         SET issuer = excluded.issuer, client_id = excluded.client_id, client_secret = excluded.client_secret,
             default_role = excluded.default_role, required = excluded.required, changed_at = excluded.changed_at",
        org.uuid(),
        provider.issuer,
        provider.client_id,
        provider.client_secret,
        provider.default_role,
        provider.required,
        at,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("DELETE FROM sso_identities WHERE issuer <> $1", provider.issuer).execute(tx.conn()).await?;
    record(tx, "sso.set", before.as_ref(), Some(provider), by, at).await
}

/// The organisation has no identity provider any more. Sessions that it vouched for end.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(tx: &mut Tx, by: UserId, at: DateTime<Utc>) -> Result<()> {
    let before = fetch(tx).await?.ok_or(Error::NotFound { noun: "identity provider" })?;
    sqlx::query!("DELETE FROM sso_identities").execute(tx.conn()).await?;
    sqlx::query!("DELETE FROM sso_providers").execute(tx.conn()).await?;
    sqlx::query!("DELETE FROM sessions WHERE bound").execute(tx.conn()).await?;
    record(tx, "sso.remove", Some(&before), None, by, at).await
}

/// The organisation with an identity provider that somebody with this e-mail joined first.
///
/// # Errors
/// As any statement.
pub async fn organisation_of(store: &Store, email: &str) -> Result<Option<OrgId>> {
    let row = sqlx::query!("SELECT sso_organisation($1) AS org_id", email).fetch_one(store.pool()).await?;
    Ok(row.org_id.map(OrgId::from_uuid))
}

/// Begins a sign-in at the provider; `state` is what its answer will name. Those that were never finished are cleared away.
///
/// # Errors
/// [`Error::Missing`] when the organisation has no provider.
pub async fn begin(tx: &mut Tx, state: &str, at: DateTime<Utc>, expires_at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!("DELETE FROM sso_sign_ins WHERE expires_at <= $1", at).execute(tx.conn()).await?;
    sqlx::query!(
        "INSERT INTO sso_sign_ins (org_id, id, state_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        org.uuid(),
        SsoSignInId::new().uuid(),
        token::hash(state),
        at,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The sign-in under way with this state, before its organisation is known.
///
/// # Errors
/// As any statement.
pub async fn lookup(store: &Store, state: &str, at: DateTime<Utc>) -> Result<Option<(OrgId, SsoSignInId)>> {
    let row = sqlx::query!(
        r#"SELECT org_id AS "org_id!", id AS "id!" FROM sso_sign_in_find($1, $2)"#,
        token::hash(state),
        at
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| (row.org_id.into(), row.id.into())))
}

/// Uses a sign-in, once.
///
/// # Errors
/// As any statement.
pub async fn take(tx: &mut Tx, id: SsoSignInId, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!("UPDATE sso_sign_ins SET used_at = $2 WHERE id = $1 AND used_at IS NULL", id.uuid(), at)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Whom the provider means by a subject.
///
/// # Errors
/// As any statement.
pub async fn identity(tx: &mut Tx, issuer: &str, subject: &str) -> Result<Option<UserId>> {
    let row = sqlx::query!("SELECT user_id FROM sso_identities WHERE issuer = $1 AND subject = $2", issuer, subject)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.map(|row| row.user_id.into()))
}

/// From now on the provider means this member by a subject.
///
/// # Errors
/// [`Error::Missing`] when the person is not a member.
pub async fn link(tx: &mut Tx, issuer: &str, subject: &str, user: UserId, at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO sso_identities (org_id, issuer, subject, user_id, linked_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (org_id, issuer, subject) DO NOTHING",
        org.uuid(),
        issuer,
        subject,
        user.uuid(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn record(
    tx: &mut Tx,
    action: &str,
    before: Option<&Provider>,
    after: Option<&Provider>,
    by: UserId,
    at: DateTime<Utc>,
) -> Result<()> {
    let settings = |provider: &Provider| {
        let Provider { issuer, client_id, client_secret: _, default_role, required } = provider;
        json!({"issuer": issuer, "client_id": client_id, "default_role": default_role, "required": required})
    };
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "organisation",
        subject_id: tx.org().uuid(),
        title: "Single sign-on".to_owned(),
        before: before.map(settings),
        after: after.map(settings),
    };
    audit::record(tx, &entry, at).await.map(drop)
}
