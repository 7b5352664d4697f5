//! Quotas: how much of a platform's allowance is used. A quota belongs to a project or token of the deployment and is
//! shared by all organisations; it is taken in a short transaction of its own, and never waited for.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;

use crate::convert::stored;
use crate::error::Result;
use crate::store::Store;

/// A window of a quota: so much in so long, counted anew at every multiple of its length after its anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The quota's name, unique in the deployment: `dv360.reports.day`.
    pub name: String,
    /// A moment at which a window begins: a midnight of the platform's zone.
    pub anchor: DateTime<Utc>,
    /// How long a window is.
    pub length: Duration,
    /// How much may be taken in one.
    pub limit: u64,
}

impl Window {
    /// When the window that holds this moment begins and ends.
    fn span(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let length = self.length.num_milliseconds().max(1);
        let into = (now - self.anchor).num_milliseconds().rem_euclid(length);
        let begins = now - Duration::milliseconds(into);
        let begins = begins - Duration::nanoseconds(i64::from(begins.timestamp_subsec_nanos() % 1_000_000));
        (begins, begins + Duration::milliseconds(length))
    }
}

/// The answer to a wish for quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It is taken.
    Granted,
    /// Nothing was taken; it makes no sense to ask before this moment.
    Refused {
        /// When to ask again.
        until: DateTime<Utc>,
    },
}

/// Takes `cost` from every window, or from none.
///
/// # Errors
/// As any statement.
pub async fn take(store: &Store, windows: &[Window], cost: u64, now: DateTime<Utc>) -> Result<Grant> {
    // Always in the order of their names, so that no two callers wait for each other.
    let ordered: BTreeMap<&str, &Window> = windows.iter().map(|window| (window.name.as_str(), window)).collect();
    let mut tx = store.pool().begin().await?;
    for window in ordered.into_values() {
        if !take_one(&mut tx, window, cost, now).await? {
            let until = refused_until(&mut tx, window, now).await?;
            tx.rollback().await?;
            return Ok(Grant::Refused { until });
        }
    }
    tx.commit().await?;
    Ok(Grant::Granted)
}

/// Nothing of a quota is granted before a moment: the platform said so.
///
/// # Errors
/// As any statement.
pub async fn block(store: &Store, name: &str, until: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO quotas AS q (name, window_start, used, blocked_until) VALUES ($1, $2, 0, $3)
         ON CONFLICT (name) DO UPDATE SET blocked_until = greatest(q.blocked_until, excluded.blocked_until)",
        name,
        DateTime::UNIX_EPOCH,
        until,
    )
    .execute(store.pool())
    .await?;
    Ok(())
}

/// Of these quotas the one that stays closed the longest, with the moment at which it opens; `None` when all are open.
///
/// # Errors
/// As any statement.
pub async fn closed(store: &Store, names: &[String], now: DateTime<Utc>) -> Result<Option<(String, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"SELECT name, blocked_until AS "blocked_until!" FROM quotas WHERE name = ANY ($1) AND blocked_until > $2
           ORDER BY blocked_until DESC, name LIMIT 1"#,
        names,
        now,
    )
    .fetch_optional(store.pool())
    .await?;
    Ok(row.map(|row| (row.name, row.blocked_until)))
}

/// How much of a window is used.
///
/// # Errors
/// As any statement.
pub async fn used(store: &Store, window: &Window, now: DateTime<Utc>) -> Result<u64> {
    let (begins, _) = window.span(now);
    let row = sqlx::query!("SELECT used FROM quotas WHERE name = $1 AND window_start >= $2", window.name, begins)
        .fetch_optional(store.pool())
        .await?;
    row.map_or(Ok(0), |row| crate::convert::count("used", row.used))
}

/// One statement on one row: whoever comes second sees what the first has taken.
async fn take_one(conn: &mut PgConnection, window: &Window, cost: u64, now: DateTime<Utc>) -> Result<bool> {
    if cost > window.limit {
        return Ok(false);
    }
    let (begins, _) = window.span(now);
    let done = sqlx::query!(
        "INSERT INTO quotas AS q (name, window_start, used) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE
         SET used = CASE WHEN q.window_start < excluded.window_start THEN 0 ELSE q.used END + excluded.used,
             window_start = greatest(q.window_start, excluded.window_start)
         WHERE (q.blocked_until IS NULL OR q.blocked_until <= $4)
           AND CASE WHEN q.window_start < excluded.window_start THEN 0 ELSE q.used END + excluded.used <= $5",
        window.name,
        begins,
        stored::<u64, i64>("cost", cost)?,
        now,
        stored::<u64, i64>("limit", window.limit)?,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn refused_until(conn: &mut PgConnection, window: &Window, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let (_, ends) = window.span(now);
    let row = sqlx::query!("SELECT blocked_until FROM quotas WHERE name = $1 AND blocked_until > $2", window.name, now)
        .fetch_optional(conn)
        .await?;
    Ok(row.and_then(|row| row.blocked_until).unwrap_or(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_at_a_multiple_of_its_length_after_its_anchor() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let window =
            Window { name: "day".into(), anchor: at("2026-11-01T08:00:00Z"), length: Duration::days(1), limit: 1 };
        let day = (at("2026-11-20T08:00:00Z"), at("2026-11-21T08:00:00Z"));
        assert_eq!(window.span(at("2026-11-21T07:59:59.999999999Z")), day);
        assert_eq!(window.span(at("2026-11-20T08:00:00Z")), day);
        assert_eq!(window.span(at("2026-10-31T09:00:00Z")).0, at("2026-10-31T08:00:00Z"));
    }
}
