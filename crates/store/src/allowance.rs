//! Allowances: how many connections an organisation may have, how many runs its people may ask for in an hour, and how many
//! rows of reports are read for it in a day.
//!
//! The first two are asked in the transaction that makes the thing, one transaction of an organisation after the other, so
//! that two requests can't both take what is left. Rows are counted when they have come: the report that goes beyond the
//! allowance still lands, and no other one is asked for before the next day.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{self, Actor};
use crate::convert::{count, stored};
use crate::error::Result;
use crate::organisation;
use crate::store::Tx;

/// The window in which runs are counted.
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// What an organisation may have and ask for; `None` is what the deployment allows everybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Connections that are not given up.
    pub connections: Option<u32>,
    /// Runs that people ask for, in an hour.
    pub runs_per_hour: Option<u32>,
    /// Rows of reports, in a day (UTC).
    pub rows_per_day: Option<u64>,
}

/// How much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Connections that are not given up.
    pub connections: u32,
    /// Runs that people asked for in the last hour.
    pub runs_in_the_last_hour: u32,
    /// Rows of reports that were read since midnight (UTC).
    pub rows_today: u64,
}

/// An allowance that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// How much it is.
    pub most: u64,
    /// When some of it is free again by itself; `None` when a person has to free it.
    pub free_at: Option<DateTime<Utc>>,
}

/// The organisation's own allowance.
///
/// # Errors
/// As any statement.
pub async fn fetch(tx: &mut Tx) -> Result<Allowance> {
    let row = sqlx::query!("SELECT connections, runs_per_hour, rows_per_day FROM allowances")
        .fetch_optional(tx.conn())
        .await?;
    let Some(row) = row else { return Ok(Allowance::default()) };
    Ok(Allowance {
        connections: row.connections.map(|most| count("connections", most)).transpose()?,
        runs_per_hour: row.runs_per_hour.map(|most| count("runs_per_hour", most)).transpose()?,
        rows_per_day: row.rows_per_day.map(|most| count("rows_per_day", most)).transpose()?,
    })
}

/// Sets the organisation's own allowance, as the deployment's operator.
///
/// # Errors
/// [`crate::Error::NotFound`] when there is no such organisation.
pub async fn set(tx: &mut Tx, allowance: Allowance, at: DateTime<Utc>) -> Result<()> {
    let organisation = organisation::fetch(tx).await?;
    let before = fetch(tx).await?;
    let connections: Option<i32> = allowance.connections.map(|most| stored("connections", most)).transpose()?;
    let runs_per_hour: Option<i32> = allowance.runs_per_hour.map(|most| stored("runs_per_hour", most)).transpose()?;
    let rows_per_day: Option<i64> = allowance.rows_per_day.map(|most| stored("rows_per_day", most)).transpose()?;
    sqlx::query!(
        "INSERT INTO allowances (org_id, connections, runs_per_hour, rows_per_day, changed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (org_id) DO UPDATE SET connections = $2, runs_per_hour = $3, rows_per_day = $4, changed_at = $5",
        organisation.id.uuid(),
        connections,
        runs_per_hour,
        rows_per_day,
        at,
    )
    .execute(tx.conn())
    .await?;
    let told = |Allowance { connections, runs_per_hour, rows_per_day }| {
        Some(json!({"connections": connections, "runs_per_hour": runs_per_hour, "rows_per_day": rows_per_day}))
    };
    let entry = audit::Entry {
        actor: Actor::System,
        action: "organisation.allowance".to_owned(),
        subject: "organisation",
        subject_id: organisation.id.uuid(),
        title: organisation.name,
        before: told(before),
        after: told(allowance),
    };
    audit::record(tx, &entry, at).await?;
    Ok(())
}

/// How much of its allowance the organisation uses.
///
/// # Errors
/// As any statement.
pub async fn used(tx: &mut Tx, at: DateTime<Utc>) -> Result<Used> {
    let row = sqlx::query!(
        r#"SELECT (SELECT count(*) FROM connections WHERE status <> 'removed') AS "connections!",
                  (SELECT count(*) FROM intents WHERE kind = 'ingest' AND created_at > $1) AS "runs!""#,
        at - HOUR,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Used {
        connections: count("connections", row.connections)?,
        runs_in_the_last_hour: count("intents", row.runs)?,
        rows_today: rows_today(tx, at).await?,
    })
}

/// Whether one more connection is allowed. Until the transaction ends nobody else is told so.
///
/// # Errors
/// As any statement.
pub async fn connection(tx: &mut Tx, usual: u32, at: DateTime<Utc>) -> Result<Result<(), UsedUp>> {
    one_at_a_time(tx).await?;
    let most = fetch(tx).await?.connections.unwrap_or(usual);
    let used = used(tx, at).await?.connections;
    Ok(if used < most { Ok(()) } else { Err(UsedUp { most: most.into(), free_at: None }) })
}

/// Whether one more run may be asked for now, or, when its request has come before, whether it was. Until the transaction
/// ends nobody else is told so.
///
/// # Errors
/// As any statement.
pub async fn run(tx: &mut Tx, usual: u32, subject: Uuid, at: DateTime<Utc>) -> Result<Result<(), UsedUp>> {
    one_at_a_time(tx).await?;
    let most = fetch(tx).await?.runs_per_hour.unwrap_or(usual);
    // The one that has to fall out of the hour before there is room.
    let row = sqlx::query!(
        "SELECT created_at FROM intents
         WHERE kind = 'ingest' AND created_at > $1
           AND NOT EXISTS (SELECT 1 FROM intents WHERE kind = 'ingest' AND subject_id = $2)
         ORDER BY created_at DESC OFFSET $3 LIMIT 1",
        at - HOUR,
        subject,
        i64::from(most) - 1,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(match row {
        None => Ok(()),
        Some(row) => Err(UsedUp { most: most.into(), free_at: Some(row.created_at + HOUR) }),
    })
}

/// Whether more reports may be asked for today.
///
/// # Errors
/// As any statement.
pub async fn rows(tx: &mut Tx, usual: u64, at: DateTime<Utc>) -> Result<Result<(), UsedUp>> {
    let most = fetch(tx).await?.rows_per_day.unwrap_or(usual);
    let used = rows_today(tx, at).await?;
    Ok(if used < most { Ok(()) } else { Err(UsedUp { most, free_at: Some(midnight(at) + DAY) }) })
}

async fn rows_today(tx: &mut Tx, at: DateTime<Utc>) -> Result<u64> {
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(rows), 0)::bigint AS "rows!" FROM pulls WHERE fetched_at >= $1"#,
        midnight(at)
    )
    .fetch_one(tx.conn())
    .await?;
    count("rows", row.rows)
}

fn midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(NaiveTime::MIN).and_utc()
}

async fn one_at_a_time(tx: &mut Tx) -> Result<()> {
    let name = format!("{}/allowance", tx.org());
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) AS locked", name).fetch_one(tx.conn()).await?;
    Ok(())
}
