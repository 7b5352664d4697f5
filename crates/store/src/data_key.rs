//! The organisations' data keys, wrapped. This crate can't unwrap them.
//!
//! Who seals with a key holds its row until the end of the transaction that stores what was sealed; who removes a key locks
//! the row first, so that none is removed while something sealed with it is on its way.

use chrono::{DateTime, Utc};
use domain::ids::OrgId;

use crate::convert::{count, stored};
use crate::error::Result;
use crate::store::{Store, Tx};

/// A wrapped data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Its number in the organisation.
    pub version: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// The master key that wrapped it.
    pub master: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was wrapped as it is.
    pub wrapped_at: DateTime<Utc>,
}

/// The key that seals, held so that it is not removed before the transaction ends; `None` before the first.
///
/// # Errors
/// As any statement.
pub async fn hold_newest(tx: &mut Tx) -> Result<Option<DataKey>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT version, wrapped, master, created_at, wrapped_at FROM data_keys
         ORDER BY version DESC LIMIT 1 FOR KEY SHARE"
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(DataKey::try_from).transpose()
}

/// One key; `None` when there is none of that number.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut Tx, version: u32) -> Result<Option<DataKey>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT version, wrapped, master, created_at, wrapped_at FROM data_keys WHERE version = $1",
        number(version)?,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(DataKey::try_from).transpose()
}

/// All keys, oldest first.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx) -> Result<Vec<DataKey>> {
    let rows =
        sqlx::query_as!(Row, "SELECT version, wrapped, master, created_at, wrapped_at FROM data_keys ORDER BY version")
            .fetch_all(tx.conn())
            .await?;
    rows.into_iter().map(DataKey::try_from).collect()
}

/// Makes a key; false when another one got its number first.
///
/// # Errors
/// As any statement.
pub async fn create(tx: &mut Tx, version: u32, wrapped: &[u8], master: &str, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO data_keys (org_id, version, wrapped, master, created_at, wrapped_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT DO NOTHING",
        tx.org().uuid(),
        number(version)?,
        wrapped,
        master,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the same key in another wrapping; false when it is not wrapped any more as it was when it was read.
///
/// # Errors
/// As any statement.
pub async fn rewrap(tx: &mut Tx, before: &DataKey, wrapped: &[u8], master: &str, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE data_keys SET wrapped = $3, master = $4, wrapped_at = $5 WHERE version = $1 AND wrapped = $2",
        number(before.version)?,
        before.wrapped,
        wrapped,
        master,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Locks the keys before the newest one, for who removes them: waits for transactions that seal with one of them.
///
/// # Errors
/// As any statement.
pub async fn lock_older(tx: &mut Tx) -> Result<Vec<u32>> {
    let rows = sqlx::query!(
        "SELECT version FROM data_keys k
         WHERE version < (SELECT max(version) FROM data_keys n WHERE n.org_id = k.org_id) ORDER BY version FOR UPDATE"
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| count("version", row.version)).collect()
}

/// Removes a key for good.
///
/// # Errors
/// As any statement.
pub async fn remove(tx: &mut Tx, version: u32) -> Result<()> {
    sqlx::query!("DELETE FROM data_keys WHERE version = $1", number(version)?).execute(tx.conn()).await?;
    Ok(())
}

/// The organisations that have keys or secrets.
///
/// # Errors
/// As any statement.
pub async fn organisations(store: &Store) -> Result<Vec<OrgId>> {
    let rows =
        sqlx::query!(r#"SELECT org_id AS "org_id!" FROM organisations_with_secrets()"#).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|row| row.org_id.into()).collect())
}

fn number(version: u32) -> Result<i32> {
    stored("version", version)
}

pub(crate) struct Row {
    pub(crate) version: i32,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) master: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) wrapped_at: DateTime<Utc>,
}

impl TryFrom<Row> for DataKey {
    type Error = crate::error::Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { version, wrapped, master, created_at, wrapped_at } = row;
        Ok(Self { version: count("version", version)?, wrapped, master, created_at, wrapped_at })
    }
}
