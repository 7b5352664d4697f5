//! API keys: with them programs ask in the name of the person who made them, and may do no more than both may.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Permission;
use domain::ids::{ApiKeyId, OrgId, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::role;
use crate::store::{Store, Tx};
use crate::token;

/// The most keys that an organisation has at a time.
pub const MOST: i64 = 100;
/// The most keys that are listed, with those that hold no more.
const LIST_MOST: i64 = 500;
/// How exactly it is known when a key was last used: a write per request would cost more than it tells.
const USED_WITHIN: TimeDelta = TimeDelta::minutes(1);

/// A key as its organisation sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which one.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// How its secret begins.
    pub beginning: String,
    /// What it may do, as far as its maker may.
    pub permissions: BTreeSet<Permission>,
    /// Who made it.
    pub made_by: UserId,
    /// What they are called.
    pub maker_name: String,
    /// Whether they still belong to the organisation; when not, the key holds no more.
    pub maker_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// When it was last used, within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that is to be made.
#[derive(Clone)]
pub struct New<'a> {
    /// What people will call it.
    pub name: &'a str,
    /// How its secret begins.
    pub beginning: &'a str,
    /// The secret, of which a hash is kept.
    pub token: &'a str,
    /// What it may do.
    pub permissions: &'a BTreeSet<Permission>,
    /// Who makes it.
    pub by: UserId,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for New<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("New").field("name", &self.name).field("by", &self.by).finish_non_exhaustive()
    }
}

/// Who a key acts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The key.
    pub key: ApiKeyId,
    /// Who made it.
    pub user: UserId,
    /// Their e-mail.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// The organisation.
    pub org: OrgId,
    /// The name of their role there.
    pub role: String,
    /// What both the key and the role allow.
    pub permissions: BTreeSet<Permission>,
    /// When the key was last used before, as far as that is known.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Bearer {
    /// Whether this use is to be recorded.
    #[must_use]
    pub fn is_news(&self, at: DateTime<Utc>) -> bool {
        self.last_used_at.is_none_or(|last| at - last >= USED_WITHIN)
    }
}

/// Makes a key.
///
/// # Errors
/// [`Error::TooMany`]; [`Error::Missing`] when the person is not a member.
pub async fn create(tx: &mut Tx, new: &New<'_>, at: DateTime<Utc>) -> Result<ApiKey> {
    let (org, id) = (tx.org(), ApiKeyId::new());
    let holding =
        sqlx::query!(r#"SELECT count(*) AS "count!" FROM api_keys WHERE revoked_at IS NULL AND expires_at > $1"#, at)
            .fetch_one(tx.conn())
            .await?;
    if holding.count >= MOST {
        return Err(Error::TooMany { noun: "API keys" });
    }
    sqlx::query!(
        "INSERT INTO api_keys (org_id, id, name, beginning, token_hash, permissions, made_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        org.uuid(),
        id.uuid(),
        new.name,
        new.beginning,
        token::hash(new.token),
        &role::texts(new.permissions),
        new.by.uuid(),
        at,
        new.expires_at,
    )
    .execute(tx.conn())
    .await?;
    let key = fetch(tx, id).await?;
    record(tx, "api_key.create", &key, new.by, at).await?;
    Ok(key)
}

/// The keys, newest first, with those that hold no more.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<ApiKey>> {
    let rows = keys!("ORDER BY k.created_at DESC, k.id LIMIT $1", LIST_MOST).fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(ApiKey::from).collect())
}

/// One key.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: ApiKeyId) -> Result<ApiKey> {
    let row = keys!("WHERE k.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    Ok(row.ok_or(Error::NotFound { noun: "API key" })?.into())
}

/// Revokes a key, from its next request on. Revoking it twice changes nothing.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(tx: &mut Tx, id: ApiKeyId, by: UserId, at: DateTime<Utc>) -> Result<()> {
    let key = fetch(tx, id).await?;
    let done = sqlx::query!("UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id.uuid(), at)
        .execute(tx.conn())
        .await?;
    if done.rows_affected() > 0 {
        record(tx, "api_key.revoke", &key, by, at).await?;
    }
    Ok(())
}

/// Finds whom a secret acts for, before any organisation is known; `None` when it is no key, or one that holds no more.
///
/// # Errors
/// As any statement.
pub async fn lookup(store: &Store, secret: &str, at: DateTime<Utc>) -> Result<Option<Bearer>> {
    let row = sqlx::query!(
        r#"SELECT key_id AS "key_id!", user_id AS "user_id!", org_id AS "org_id!", email AS "email!",
                  user_name AS "user_name!", role AS "role!", permissions AS "permissions!", last_used_at
           FROM api_key_find($1, $2)"#,
        token::hash(secret),
        at
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Bearer {
        key: row.key_id.into(),
        user: row.user_id.into(),
        email: row.email,
        name: row.user_name,
        org: row.org_id.into(),
        role: row.role,
        permissions: role::permissions(&row.permissions),
        last_used_at: row.last_used_at,
    }))
}

/// Records that a key was used.
///
/// # Errors
/// As any statement.
pub async fn used(tx: &mut Tx, id: ApiKeyId, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        id.uuid(),
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn record(tx: &mut Tx, action: &str, key: &ApiKey, by: UserId, at: DateTime<Utc>) -> Result<()> {
    let entry = audit::Entry {
        actor: Actor::Person(by),
        action: action.to_owned(),
        subject: "api_key",
        subject_id: key.id.uuid(),
        title: key.name.clone(),
        before: None,
        after: Some(json!({
            "beginning": key.beginning,
            "permissions": role::texts(&key.permissions),
            "expires_at": key.expires_at,
        })),
    };
    audit::record(tx, &entry, at).await.map(drop)
}

macro_rules! keys {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT k.id, k.name, k.beginning, k.permissions, k.made_by, m.user_name, m.deactivated_at, k.created_at,
                    k.expires_at, k.last_used_at, k.revoked_at
             FROM api_keys k JOIN memberships m ON m.org_id = k.org_id AND m.user_id = k.made_by "
                + $which
            $(, $argument)*
        )
    };
}
use keys;

struct Row {
    id: Uuid,
    name: String,
    beginning: String,
    permissions: Vec<String>,
    made_by: Uuid,
    user_name: String,
    deactivated_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            beginning: row.beginning,
            permissions: role::permissions(&row.permissions),
            made_by: row.made_by.into(),
            maker_name: row.user_name,
            maker_active: row.deactivated_at.is_none(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}
