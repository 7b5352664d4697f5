//! Pulls: reports on their way into the lake, as rows.
//!
//! Each step is guarded by the state that it starts from and says whether it took effect, so that a step that is killed
//! and repeated, or runs twice at once, happens once. Landing is part of [`crate::commit`].

mod list;
mod repair;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{ConnectionId, CycleId, PullId, ReportId};
use domain::pull::{DAYS_PER_PULL, Kind, Past, State, slices};
use domain::{DayRange, ErrorCode, Platform};
use serde_json::Value;

use crate::convert::{count, parsed, stored};
use crate::error::Result;
use crate::store::Tx;

pub use list::{fetch, list_failed, list_fetched, list_of_cycle, list_open, page};
pub use repair::{Hole, hold_planned, list_holes, refused_tickets, send_back, start_over};

/// A pull to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The connection to be asked.
    pub connection: ConnectionId,
    /// The report.
    pub report: ReportId,
    /// Why.
    pub kind: Kind,
    /// The days.
    pub days: DayRange,
    /// The platform's ids of the accounts; at least one.
    pub accounts: Vec<String>,
    /// Not to be requested before this moment.
    pub not_before: Option<DateTime<Utc>>,
}

/// A pull.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// Its id.
    pub id: PullId,
    /// The connection that is asked.
    pub connection: ConnectionId,
    /// Its platform.
    pub platform: Platform,
    /// The report.
    pub report: ReportId,
    /// Why.
    pub kind: Kind,
    /// The days.
    pub days: DayRange,
    /// The platform's ids of the accounts.
    pub accounts: Vec<String>,
    /// How far it has come.
    pub state: State,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// The platform's names for the report, once it was asked for.
    pub ticket: Option<Value>,
    /// When the platform was asked.
    pub requested_at: Option<DateTime<Utc>>,
    /// How often the platform was asked whether it is ready.
    pub polls: u32,
    /// When to ask again.
    pub next_poll_at: Option<DateTime<Utc>>,
    /// Not to be touched before this moment.
    pub not_before: Option<DateTime<Utc>>,
    /// How often a step failed for a reason that may pass.
    pub attempts: u32,
    /// When a report that it was answered with was last refused.
    pub refused_at: Option<DateTime<Utc>>,
    /// When its rows were staged.
    pub fetched_at: Option<DateTime<Utc>>,
    /// When the platform made the report.
    pub report_time: Option<DateTime<Utc>>,
    /// How many rows it has.
    pub rows: Option<u64>,
    /// Size of the staged files.
    pub bytes: Option<u64>,
    /// Whether it equalled what was there; known once it landed.
    pub unchanged: Option<bool>,
    /// The cycle that requested it or, once it is closed, the one that closed it.
    pub cycle: Option<CycleId>,
    /// When it landed or failed.
    pub closed_at: Option<DateTime<Utc>>,
    /// The last thing that went wrong.
    pub error_code: Option<ErrorCode>,
    /// What the platform said about it.
    pub error_detail: Option<String>,
}

/// A pull whose rows are staged.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// The pull.
    pub pull: Pull,
    /// What the lakehouse staged, as it described it.
    pub staged: Value,
}

/// What fetching a report brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Staging {
    /// What the lakehouse staged, as it describes it.
    pub staged: Value,
    /// How many rows.
    pub rows: u64,
    /// Size of the staged files.
    pub bytes: u64,
    /// When the platform made the report.
    pub report_time: Option<DateTime<Utc>>,
}

/// How many pulls of one kind are closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Landed.
    pub landed: u32,
    /// Failed.
    pub failed: u32,
    /// All.
    pub total: u32,
}

/// Plans a pull; `None` when one of the same connection, report, kind and days is on its way already.
///
/// # Errors
/// [`crate::Error::Missing`] when there is no such connection or report.
pub async fn plan(tx: &mut Tx, plan: &Plan, at: DateTime<Utc>) -> Result<Option<PullId>> {
    let Plan { connection, report, kind, days, accounts, not_before } = plan;
    let (org, id) = (tx.org(), PullId::new());
    let done = sqlx::query!(
        "INSERT INTO pulls (org_id, id, connection_id, report_id, kind, first_day, last_day, accounts, state, planned_at, not_before)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'planned', $9, $10)
         ON CONFLICT (org_id, connection_id, report_id, kind, first_day, last_day)
             WHERE state IN ('planned', 'requested', 'fetched') DO NOTHING",
        org.uuid(),
        id.uuid(),
        connection.uuid(),
        report.uuid(),
        kind.to_string(),
        days.first(),
        days.last(),
        accounts,
        at,
        *not_before,
    )
    .execute(tx.conn())
    .await?;
    Ok((done.rows_affected() > 0).then_some(id))
}

/// Plans days of history, cut into pieces that a report makes quickly, newest first: each piece's pull, or `None` where one
/// is on its way already.
///
/// # Errors
/// As [`plan`].
pub async fn plan_history(tx: &mut Tx, whole: &Plan, at: DateTime<Utc>) -> Result<Vec<Option<PullId>>> {
    let mut pulls = Vec::new();
    for days in slices(whole.days, DAYS_PER_PULL) {
        pulls.push(plan(tx, &Plan { days, ..whole.clone() }, at).await?);
    }
    Ok(pulls)
}

/// What is known of a connection's earlier pulls of a report, by which the next ones are planned.
///
/// # Errors
/// As any statement.
pub async fn past(tx: &mut Tx, connection: ConnectionId, report: ReportId) -> Result<Past> {
    // Each part is one look into an index: there are years of ticks.
    let row = sqlx::query!(
        r#"SELECT (SELECT max(planned_at) FROM pulls WHERE connection_id = $1 AND report_id = $2 AND kind = 'tick') AS last_tick,
                  (SELECT max(planned_at) FROM pulls WHERE connection_id = $1 AND report_id = $2 AND kind = 'lookback')
                      AS last_lookback,
                  EXISTS (SELECT FROM pulls WHERE connection_id = $1 AND report_id = $2 AND kind = 'tick'
                          AND state IN ('planned', 'requested', 'fetched')) AS "tick_open!",
                  EXISTS (SELECT FROM pulls WHERE connection_id = $1 AND report_id = $2 AND kind = 'lookback'
                          AND state IN ('planned', 'requested', 'fetched')) AS "lookback_open!""#,
        connection.uuid(),
        report.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Past {
        last_tick: row.last_tick,
        last_lookback: row.last_lookback,
        tick_open: row.tick_open,
        lookback_open: row.lookback_open,
    })
}

/// The first day that the history of a connection and a report was ever planned to reach back to.
///
/// # Errors
/// As any statement.
pub async fn history_begins(tx: &mut Tx, connection: ConnectionId, report: ReportId) -> Result<Option<NaiveDate>> {
    let row = sqlx::query!(
        "SELECT min(first_day) AS first_day FROM pulls
         WHERE connection_id = $1 AND report_id = $2 AND kind IN ('first_slice', 'backfill')",
        connection.uuid(),
        report.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.first_day)
}

/// The ticket of the report that was last asked for of a connection and a definition: what the platform keeps of it is
/// used again.
///
/// # Errors
/// As any statement.
pub async fn newest_ticket(tx: &mut Tx, connection: ConnectionId, report: ReportId) -> Result<Option<Value>> {
    let row = sqlx::query!(
        r#"SELECT ticket AS "ticket!" FROM pulls
           WHERE connection_id = $1 AND report_id = $2 AND ticket IS NOT NULL
           ORDER BY requested_at DESC NULLS LAST, id DESC LIMIT 1"#,
        connection.uuid(),
        report.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| row.ticket))
}

/// Leaves accounts out of a planned pull: they can't be read any more.
///
/// # Errors
/// As any statement.
pub async fn narrow(tx: &mut Tx, id: PullId, accounts: &[String]) -> Result<bool> {
    let done = sqlx::query!("UPDATE pulls SET accounts = $2 WHERE id = $1 AND state = 'planned'", id.uuid(), accounts)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Planned → requested: the platform was asked and named the report.
///
/// # Errors
/// As any statement.
pub async fn mark_requested(
    tx: &mut Tx,
    id: PullId,
    ticket: &Value,
    next_poll_at: DateTime<Utc>,
    cycle: Option<CycleId>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls
         SET state = 'requested', ticket = $2, requested_at = $3, next_poll_at = $4, not_before = NULL,
             cycle_id = coalesce($5, cycle_id), error_code = NULL, error_detail = NULL
         WHERE id = $1 AND state = 'planned'",
        id.uuid(),
        ticket,
        at,
        next_poll_at,
        cycle.map(CycleId::uuid),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Still requested: the platform was asked whether the report is ready, and it is not.
///
/// # Errors
/// As any statement.
pub async fn mark_polled(tx: &mut Tx, id: PullId, next_poll_at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls SET polls = polls + 1, next_poll_at = $2 WHERE id = $1 AND state = 'requested'",
        id.uuid(),
        next_poll_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Leaves a pull where it is until a moment; with a code, because a step of it failed for a reason that may pass.
///
/// # Errors
/// As any statement.
pub async fn postpone(tx: &mut Tx, id: PullId, not_before: DateTime<Utc>, code: Option<ErrorCode>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls SET not_before = $2, error_code = $3, attempts = attempts + ($3::text IS NOT NULL)::int
         WHERE id = $1 AND state IN ('planned', 'requested', 'fetched')",
        id.uuid(),
        not_before,
        code.map(ErrorCode::code),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Requested → fetched: its rows are in files that no table names yet.
///
/// # Errors
/// As any statement.
pub async fn mark_fetched(tx: &mut Tx, id: PullId, staging: &Staging, at: DateTime<Utc>) -> Result<bool> {
    let Staging { staged, rows, bytes, report_time } = staging;
    let done = sqlx::query!(
        "UPDATE pulls
         SET state = 'fetched', staged = $2, rows = $3, bytes = $4, report_time = $5, fetched_at = $6, not_before = NULL,
             error_code = NULL, error_detail = NULL
         WHERE id = $1 AND state = 'requested'",
        id.uuid(),
        staged,
        stored::<_, i64>("rows", *rows)?,
        stored::<_, i64>("bytes", *bytes)?,
        *report_time,
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Any open state → failed.
///
/// # Errors
/// As any statement.
pub async fn fail(
    tx: &mut Tx,
    id: PullId,
    code: ErrorCode,
    detail: Option<&str>,
    cycle: Option<CycleId>,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls
         SET state = 'failed', staged = NULL, error_code = $2, error_detail = $3, cycle_id = coalesce($4, cycle_id), closed_at = $5
         WHERE id = $1 AND state IN ('planned', 'requested', 'fetched')",
        id.uuid(),
        code.code(),
        detail,
        cycle.map(CycleId::uuid),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Fails every open pull of a connection that is given up, and says how many that were.
///
/// # Errors
/// As any statement.
pub async fn fail_open(tx: &mut Tx, connection: ConnectionId, code: ErrorCode, at: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "UPDATE pulls SET state = 'failed', staged = NULL, error_code = $2, closed_at = $3
         WHERE connection_id = $1 AND state IN ('planned', 'requested', 'fetched')",
        connection.uuid(),
        code.code(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// How far a connection's pulls have come, by kind. Ticks and lookbacks come for ever and are left out.
///
/// # Errors
/// As any statement.
pub async fn progress(tx: &mut Tx, connection: ConnectionId) -> Result<BTreeMap<Kind, Progress>> {
    let rows = sqlx::query!(
        r#"SELECT kind, count(*) FILTER (WHERE state = 'landed') AS "landed!",
                  count(*) FILTER (WHERE state = 'failed') AS "failed!", count(*) AS "total!"
           FROM pulls WHERE connection_id = $1 AND kind IN ('first_slice', 'backfill', 'manual') GROUP BY kind"#,
        connection.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let progress = Progress {
                landed: count("landed", row.landed)?,
                failed: count("failed", row.failed)?,
                total: count("total", row.total)?,
            };
            Ok((parsed("kind", &row.kind)?, progress))
        })
        .collect()
}
