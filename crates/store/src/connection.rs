//! Connections: an organisation's authorised links to platforms, with their sealed credentials.
//!
//! Credentials come and go as sealed bytes; this crate can't open them.

use chrono::{DateTime, Utc};
use domain::ids::{ConnectionId, UserId};
use domain::{ErrorCode, Platform};
use uuid::Uuid;

use crate::convert::{error_code, parsed};
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most connections that an organisation's list has.
const LIST_MOST: i64 = 200;

/// Whether a connection can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// Nobody has authorised it yet.
    New,
    /// It can be used.
    Healthy,
    /// A person must authorise it again.
    NeedsReauth,
    /// A person must be given rights in the platform.
    NeedsPermission,
    /// It is given up; its history stays.
    Removed,
}

/// Why something does not work, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub code: ErrorCode,
    /// What the platform said.
    pub detail: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A connection, without its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// The platform.
    pub platform: Platform,
    /// The name of the deployment's endpoints: `dv360.live`.
    pub environment: String,
    /// What people call it.
    pub title: String,
    /// Whether it can be used.
    pub status: Status,
    /// What the authorisation covers.
    pub scopes: Vec<String>,
    /// Who authorised it.
    pub connected_by: Option<UserId>,
    /// Their name.
    pub connected_by_name: Option<String>,
    /// When.
    pub connected_at: Option<DateTime<Utc>>,
    /// What is wrong with it, if anything is.
    pub problem: Option<Problem>,
    /// When its row was made.
    pub created_at: DateTime<Utc>,
}

/// A connection to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The platform.
    pub platform: Platform,
    /// The name of the deployment's endpoints.
    pub environment: String,
    /// What people will call it.
    pub title: String,
}

/// What a person's consent led to.
#[derive(Clone)]
pub struct Authorisation {
    /// The sealed credentials.
    pub credentials: Vec<u8>,
    /// What they cover.
    pub scopes: Vec<String>,
    /// Who consented.
    pub by: UserId,
}

impl std::fmt::Debug for Authorisation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorisation").field("scopes", &self.scopes).field("by", &self.by).finish_non_exhaustive()
    }
}

/// Makes a connection that nobody has authorised yet.
///
/// # Errors
/// As any statement.
pub async fn create(tx: &mut Tx, new: &New, at: DateTime<Utc>) -> Result<ConnectionId> {
    let New { platform, environment, title } = new;
    let (org, id) = (tx.org(), ConnectionId::new());
    sqlx::query!(
        "INSERT INTO connections (org_id, id, platform, environment, title, status, created_at)
         VALUES ($1, $2, $3, $4, $5, 'new', $6)",
        org.uuid(),
        id.uuid(),
        platform.to_string(),
        environment,
        title,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// One connection.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: ConnectionId) -> Result<Connection> {
    let row = connections!("WHERE c.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "connection" })?.try_into()
}

/// The connections that are not given up, oldest first.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<Connection>> {
    let rows = connections!("WHERE c.status <> 'removed' ORDER BY c.created_at, c.id LIMIT $1", LIST_MOST)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter().map(Connection::try_from).collect()
}

/// The sealed credentials; `None` before the first consent. They and the key that opens them stay until the transaction ends.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn credentials(tx: &mut Tx, id: ConnectionId) -> Result<Option<Vec<u8>>> {
    let row = sqlx::query!("SELECT credentials FROM connections WHERE id = $1 FOR SHARE", id.uuid())
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.ok_or(Error::NotFound { noun: "connection" })?.credentials)
}

/// Waits until no other transaction holds this lock, and holds it until the end of this one: refresh tokens that are
/// renewed by two at once die.
///
/// # Errors
/// As any statement.
pub async fn refresh_lock(tx: &mut Tx, id: ConnectionId) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS locked", id.to_string())
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

/// Keeps the credentials that a consent brought: the connection can be used.
///
/// # Errors
/// [`Error::NotFound`], also for a connection that was given up.
pub async fn authorise(tx: &mut Tx, id: ConnectionId, authorisation: &Authorisation, at: DateTime<Utc>) -> Result<()> {
    let Authorisation { credentials, scopes, by } = authorisation;
    let done = sqlx::query!(
        "UPDATE connections
         SET credentials = $2, scopes = $3, connected_by = $4, connected_at = $5, status = 'healthy',
             error_code = NULL, error_detail = NULL, error_since = NULL
         WHERE id = $1 AND status <> 'removed'",
        id.uuid(),
        credentials,
        scopes,
        by.uuid(),
        at,
    )
    .execute(tx.conn())
    .await?;
    found(done.rows_affected())
}

/// Keeps credentials that the platform renewed.
///
/// # Errors
/// [`Error::NotFound`], also for a connection that was given up.
pub async fn replace_credentials(tx: &mut Tx, id: ConnectionId, sealed: &[u8]) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE connections SET credentials = $2 WHERE id = $1 AND status <> 'removed'",
        id.uuid(),
        sealed
    )
    .execute(tx.conn())
    .await?;
    found(done.rows_affected())
}

/// Records that something is wrong, and since when; a connection that only a person can mend gets a status that says so.
///
/// # Errors
/// As any statement.
pub async fn mark_problem(
    tx: &mut Tx,
    id: ConnectionId,
    code: ErrorCode,
    detail: Option<&str>,
    at: DateTime<Utc>,
) -> Result<()> {
    let status = match code {
        ErrorCode::TokenDead => Some(Status::NeedsReauth),
        ErrorCode::PermissionMissing | ErrorCode::NoAccounts => Some(Status::NeedsPermission),
        _ => None,
    };
    sqlx::query!(
        "UPDATE connections
         SET status = coalesce($2, status), error_detail = $4,
             error_since = CASE WHEN error_code = $3 THEN error_since ELSE $5 END, error_code = $3
         WHERE id = $1 AND status <> 'removed'",
        id.uuid(),
        status.map(|status| status.to_string()),
        code.code(),
        detail,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records that the connection was used successfully, and says whether it had a problem until now.
///
/// # Errors
/// As any statement.
pub async fn mark_healthy(tx: &mut Tx, id: ConnectionId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE connections SET status = 'healthy', error_code = NULL, error_detail = NULL, error_since = NULL
         WHERE id = $1 AND credentials IS NOT NULL AND status <> 'removed'
           AND (status <> 'healthy' OR error_code IS NOT NULL)",
        id.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Gives a connection up and forgets its credentials. Its history stays.
///
/// # Errors
/// As any statement.
pub async fn remove(tx: &mut Tx, id: ConnectionId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE connections SET status = 'removed', credentials = NULL WHERE id = $1 AND status <> 'removed'",
        id.uuid()
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

fn found(rows: u64) -> Result<()> {
    if rows == 0 { Err(Error::NotFound { noun: "connection" }) } else { Ok(()) }
}

macro_rules! connections {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT c.id, c.platform, c.environment, c.title, c.status, c.scopes, c.connected_by,
                      m.user_name AS "connected_by_name?", c.connected_at, c.error_code, c.error_detail, c.error_since,
                      c.created_at
               FROM connections c
               LEFT JOIN memberships m ON m.org_id = c.org_id AND m.user_id = c.connected_by "#
                + $which
            $(, $argument)*
        )
    };
}
use connections;

struct Row {
    id: Uuid,
    platform: String,
    environment: String,
    title: String,
    status: String,
    scopes: Vec<String>,
    connected_by: Option<Uuid>,
    connected_by_name: Option<String>,
    connected_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_detail: Option<String>,
    error_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Connection {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            platform,
            environment,
            title,
            status,
            scopes,
            connected_by,
            connected_by_name,
            connected_at,
            error_code: code,
            error_detail,
            error_since,
            created_at,
        } = row;
        Ok(Self {
            id: id.into(),
            platform: parsed("platform", &platform)?,
            environment,
            title,
            status: parsed("status", &status)?,
            scopes,
            connected_by: connected_by.map(UserId::from_uuid),
            connected_by_name,
            connected_at,
            problem: error_code(code.as_deref())?.zip(error_since).map(|(code, since)| Problem {
                code,
                detail: error_detail,
                since,
            }),
            created_at,
        })
    }
}
