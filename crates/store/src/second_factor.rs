//! Second factors: a person's authenticator, and the codes that stand in for it when it is lost.

use std::fmt;

use chrono::{DateTime, Utc};
use domain::ids::{OrgId, UserId};

use crate::convert::{count, stored};
use crate::error::Result;
use crate::store::{Store, Tx};
use crate::token;

/// Where a person's second factor is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The organisation in which they set it up.
    pub org: OrgId,
    /// Whether it is asked for.
    pub confirmed: bool,
}

/// A second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The authenticator's secret, sealed.
    pub secret: Vec<u8>,
    /// Since when it is asked for.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// How many recovery codes are left.
    pub codes_left: u32,
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor").field("confirmed_at", &self.confirmed_at).finish_non_exhaustive()
    }
}

/// Where a person's second factor is kept, before any organisation is known; `None` when they have none.
///
/// # Errors
/// As any statement.
pub async fn find(store: &Store, user: UserId) -> Result<Option<Kept>> {
    let row = sqlx::query!(
        r#"SELECT org_id AS "org_id!", confirmed AS "confirmed!" FROM second_factor_find($1)"#,
        user.uuid()
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| Kept { org: row.org_id.into(), confirmed: row.confirmed }))
}

/// Begins one, in place of one that was never confirmed.
///
/// # Errors
/// As any statement; one that is kept elsewhere or confirmed is in the way.
pub async fn begin(tx: &mut Tx, user: UserId, secret: &[u8], at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO second_factors (org_id, user_id, secret, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (org_id, user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at
         WHERE second_factors.confirmed_at IS NULL",
        org.uuid(),
        user.uuid(),
        secret,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A person's second factor, where it is kept in this organisation.
///
/// # Errors
/// As any statement.
pub async fn fetch(tx: &mut Tx, user: UserId) -> Result<Option<SecondFactor>> {
    let row = sqlx::query!(
        r#"SELECT secret, confirmed_at,
                  (SELECT count(*) FROM recovery_codes c WHERE c.user_id = $1 AND c.used_at IS NULL) AS "codes_left!"
           FROM second_factors WHERE user_id = $1"#,
        user.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let codes_left = count("codes_left", row.codes_left)?;
        Ok(SecondFactor { secret: row.secret, confirmed_at: row.confirmed_at, codes_left })
    })
    .transpose()
}

/// Takes the code of a step, once: false when that step's or a later one's was taken before.
///
/// # Errors
/// As any statement.
pub async fn take_step(tx: &mut Tx, user: UserId, step: u64) -> Result<bool> {
    let step: i64 = stored("last_step", step)?;
    let done = sqlx::query!(
        "UPDATE second_factors SET last_step = $2 WHERE user_id = $1 AND last_step < $2",
        user.uuid(),
        step
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes a recovery code, once.
///
/// # Errors
/// As any statement.
pub async fn take_code(tx: &mut Tx, user: UserId, code: &str, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL",
        user.uuid(),
        token::hash(code),
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// From now on it is asked for; these codes stand in for it, once each.
///
/// # Errors
/// As any statement.
pub async fn confirm(tx: &mut Tx, user: UserId, codes: &[String], at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!("UPDATE second_factors SET confirmed_at = $2 WHERE user_id = $1", user.uuid(), at)
        .execute(tx.conn())
        .await?;
    let hashes: Vec<Vec<u8>> = codes.iter().map(|code| token::hash(code)).collect();
    sqlx::query!(
        "INSERT INTO recovery_codes (org_id, user_id, code_hash) SELECT $1, $2, unnest($3::bytea[])",
        org.uuid(),
        user.uuid(),
        &hashes
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Removes it, with its codes.
///
/// # Errors
/// As any statement.
pub async fn delete(tx: &mut Tx, user: UserId) -> Result<()> {
    sqlx::query!("DELETE FROM second_factors WHERE user_id = $1", user.uuid()).execute(tx.conn()).await?;
    Ok(())
}
