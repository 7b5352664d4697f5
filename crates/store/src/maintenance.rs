//! Maintenance of the lake: when an organisation's tables were last tidied up, and what must be left alone then.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::ids::PullId;

use crate::error::Result;
use crate::store::Tx;

/// The most pulls that wait to be landed at once. Those whose files are there already come first.
const OPEN_MOST: i64 = 100_000;

/// When the tables were last tidied up; for an organisation whose never were, when it signed up.
///
/// # Errors
/// As any statement.
pub async fn last(tx: &mut Tx) -> Result<DateTime<Utc>> {
    let row = sqlx::query!(
        r#"SELECT coalesce(m.done_at, o.created_at) AS "last!"
           FROM organisations o LEFT JOIN lake_maintenance m ON m.org_id = o.org_id"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.last)
}

/// Notes that the tables were tidied up.
///
/// # Errors
/// As any statement.
pub async fn record(tx: &mut Tx, at: DateTime<Utc>) -> Result<()> {
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO lake_maintenance AS m (org_id, done_at) VALUES ($1, $2)
         ON CONFLICT (org_id) DO UPDATE SET done_at = greatest(m.done_at, excluded.done_at)",
        org.uuid(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The pulls that are not closed: what is staged of them is still needed, though no table names it.
///
/// # Errors
/// As any statement.
pub async fn open_pulls(tx: &mut Tx) -> Result<BTreeSet<PullId>> {
    let rows = sqlx::query!(
        "SELECT id FROM pulls WHERE state IN ('planned', 'requested', 'fetched')
         ORDER BY fetched_at NULLS LAST, id LIMIT $1",
        OPEN_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}
