//! Answers to requests that carried an Idempotency-Key, so that a repeated request gets the same answer.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// A request that has had no answer for so long was killed: the next one with its key does the work.
const ABANDONED_AFTER: Duration = Duration::seconds(120);

/// What is known of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is new: do it, then call [`finish`].
    Fresh,
    /// It was answered: answer the same.
    Replay {
        /// The HTTP status.
        status: u16,
        /// The body, where there was one.
        body: Option<Value>,
    },
    /// It is being worked on.
    InFlight,
    /// Another request had this key.
    Mismatch,
}

/// Begins a request. Two of the same key that come at once are told apart by the database.
///
/// # Errors
/// As any statement.
pub async fn begin(tx: &mut Tx, key: &str, request_hash: &[u8], at: DateTime<Utc>) -> Result<Begun> {
    let org = tx.org();
    let done = sqlx::query!(
        "INSERT INTO idempotency AS i (org_id, key, request_hash, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (org_id, key) DO UPDATE SET created_at = excluded.created_at
         WHERE i.status IS NULL AND i.request_hash = excluded.request_hash AND i.created_at < $5",
        org.uuid(),
        key,
        request_hash,
        at,
        at - ABANDONED_AFTER,
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() > 0 {
        return Ok(Begun::Fresh);
    }
    let row = sqlx::query!("SELECT request_hash, status, body FROM idempotency WHERE key = $1", key)
        .fetch_one(tx.conn())
        .await?;
    if row.request_hash != request_hash {
        return Ok(Begun::Mismatch);
    }
    row.status.map_or(Ok(Begun::InFlight), |status| {
        Ok(Begun::Replay { status: crate::convert::count("status", status)?, body: row.body })
    })
}

/// Keeps the answer to a request that was begun.
///
/// # Errors
/// [`Error::NotFound`] when it was not begun.
pub async fn finish(tx: &mut Tx, key: &str, status: u16, body: Option<&Value>) -> Result<()> {
    let done = sqlx::query!(
        "UPDATE idempotency SET status = $2, body = $3 WHERE key = $1",
        key,
        crate::convert::stored::<u16, i16>("status", status)?,
        body,
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 { Err(Error::NotFound { noun: "request" }) } else { Ok(()) }
}

/// Forgets a request that failed without an effect, so that it may come again.
///
/// # Errors
/// As any statement.
pub async fn forget(tx: &mut Tx, key: &str) -> Result<()> {
    sqlx::query!("DELETE FROM idempotency WHERE key = $1 AND status IS NULL", key).execute(tx.conn()).await?;
    Ok(())
}

/// Forgets answers, of all organisations, that nobody will ask for again, and says how many.
///
/// # Errors
/// As any statement.
pub async fn forget_before(store: &Store, at: DateTime<Utc>, limit: u32) -> Result<u64> {
    let most = i32::try_from(limit).unwrap_or(i32::MAX);
    let row =
        sqlx::query!(r#"SELECT idempotency_forget($1, $2) AS "forgotten!""#, at, most).fetch_one(store.pool()).await?;
    crate::convert::count("forgotten", row.forgotten)
}
