//! Keys of the deployment as a whole, wrapped. They belong to no organisation.

use chrono::{DateTime, Utc};

use crate::convert::stored;
use crate::data_key::{DataKey, Row};
use crate::error::Result;
use crate::store::Store;

/// All keys of a name, oldest first.
///
/// # Errors
/// As any statement.
pub async fn list(store: &Store, name: &str) -> Result<Vec<DataKey>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT version, wrapped, master, created_at, wrapped_at FROM deployment_keys WHERE name = $1 ORDER BY version",
        name,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter().map(DataKey::try_from).collect()
}

/// Makes a key; false when another one got its number first.
///
/// # Errors
/// As any statement.
pub async fn create(
    store: &Store,
    (name, version): (&str, u32),
    wrapped: &[u8],
    master: &str,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO deployment_keys (name, version, wrapped, master, created_at, wrapped_at)
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING",
        name,
        stored::<_, i32>("version", version)?,
        wrapped,
        master,
        at,
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the same key in another wrapping; false when it is not wrapped any more as it was when it was read.
///
/// # Errors
/// As any statement.
pub async fn rewrap(
    store: &Store,
    (name, before): (&str, &DataKey),
    wrapped: &[u8],
    master: &str,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE deployment_keys SET wrapped = $4, master = $5, wrapped_at = $6
         WHERE name = $1 AND version = $2 AND wrapped = $3",
        name,
        stored::<_, i32>("version", before.version)?,
        before.wrapped,
        wrapped,
        master,
        at,
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Removes the keys of a name before a version; says how many. What is encrypted with them can't be read any more.
///
/// # Errors
/// As any statement.
pub async fn remove_before(store: &Store, name: &str, version: u32) -> Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM deployment_keys k WHERE k.name = $1 AND k.version < $2
           AND k.version < (SELECT max(n.version) FROM deployment_keys n WHERE n.name = $1)",
        name,
        stored::<_, i32>("version", version)?,
    )
    .execute(store.pool())
    .await?;
    Ok(done.rows_affected())
}
