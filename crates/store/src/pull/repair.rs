//! What heals: reports that are asked for anew without the one that was refused, and history that was given up.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{ConnectionId, PullId, ReportId};
use domain::pull::Kind;
use domain::{DayRange, ErrorCode};
use serde_json::Value;

use crate::convert::{self, parsed};
use crate::error::Result;
use crate::store::Tx;

/// The most refused reports of the same days that are remembered; older ones are gone from the platform's newest page.
const REFUSED_MOST: i64 = 100;

/// History that was given up and is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Why it was read.
    pub kind: Kind,
    /// The days.
    pub days: DayRange,
}

/// Requested → planned again: the report is of no use, and another one is to be asked for.
///
/// # Errors
/// As any statement.
pub async fn start_over(
    tx: &mut Tx,
    id: PullId,
    not_before: DateTime<Utc>,
    code: ErrorCode,
    at: DateTime<Utc>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls
         SET state = 'planned', refused_at = $4, refused_tickets = refused_tickets || jsonb_build_array(ticket),
             ticket = NULL, requested_at = NULL, next_poll_at = NULL, polls = 0, not_before = $2,
             error_code = $3, attempts = attempts + 1
         WHERE id = $1 AND state = 'requested'",
        id.uuid(),
        not_before,
        code.code(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Fetched → planned again: what is staged of it can't be landed. `refused_at` says when the report itself turned out to be
/// of no use; `None` leaves it as an answer, for files that were lost.
///
/// # Errors
/// As any statement.
pub async fn send_back(
    tx: &mut Tx,
    id: PullId,
    not_before: DateTime<Utc>,
    code: ErrorCode,
    detail: Option<&str>,
    refused_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE pulls
         SET state = 'planned', refused_at = coalesce($5, refused_at),
             refused_tickets = CASE WHEN $5::timestamptz IS NULL THEN refused_tickets
                                    ELSE refused_tickets || jsonb_build_array(ticket) END,
             ticket = NULL, requested_at = NULL, next_poll_at = NULL, polls = 0, staged = NULL, rows = NULL, bytes = NULL,
             report_time = NULL, fetched_at = NULL, not_before = $2, error_code = $3, error_detail = $4,
             attempts = attempts + 1
         WHERE id = $1 AND state = 'fetched'",
        id.uuid(),
        not_before,
        code.code(),
        detail,
        refused_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The tickets of reports of these days that were of no use to a pull: they don't answer another one either.
///
/// # Errors
/// As any statement.
pub async fn refused_tickets(
    tx: &mut Tx,
    connection: ConnectionId,
    report: ReportId,
    days: DayRange,
) -> Result<Vec<Value>> {
    let rows = sqlx::query!(
        r#"SELECT refused.ticket AS "ticket!"
           FROM pulls p
           CROSS JOIN LATERAL jsonb_array_elements(
               p.refused_tickets || CASE WHEN p.state = 'failed' THEN jsonb_build_array(p.ticket) ELSE '[]' END
           ) WITH ORDINALITY AS refused (ticket, nth)
           WHERE p.connection_id = $1 AND p.report_id = $2 AND p.first_day = $3 AND p.last_day = $4
             AND (p.state = 'failed' OR p.refused_at IS NOT NULL)
           ORDER BY p.planned_at DESC, refused.nth LIMIT $5"#,
        connection.uuid(),
        report.uuid(),
        days.first(),
        days.last(),
        REFUSED_MOST,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.ticket).filter(|ticket| !ticket.is_null()).collect())
}

/// Leaves a connection's planned pulls until a moment: what stopped one request would stop the next one too.
///
/// # Errors
/// As any statement.
pub async fn hold_planned(tx: &mut Tx, connection: ConnectionId, until: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "UPDATE pulls SET not_before = $2
         WHERE connection_id = $1 AND state = 'planned' AND (not_before IS NULL OR not_before < $2)",
        connection.uuid(),
        until,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// History of a connection's report that was given up before a moment and of which a day of one of these accounts never
/// came, newest days first.
///
/// # Errors
/// As any statement.
pub async fn list_holes(
    tx: &mut Tx,
    connection: ConnectionId,
    report: ReportId,
    accounts: &[String],
    given_up_before: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Hole>> {
    let rows = sqlx::query!(
        r#"SELECT kind, first_day, last_day FROM (
               SELECT DISTINCT ON (kind, first_day, last_day) kind, first_day, last_day, accounts, state, closed_at
               FROM pulls WHERE connection_id = $1 AND report_id = $2 AND kind IN ('first_slice', 'backfill')
               ORDER BY kind, first_day, last_day, planned_at DESC, id DESC
           ) newest
           WHERE state = 'failed' AND closed_at <= $4 AND EXISTS (
               SELECT FROM generate_series(0, newest.last_day - newest.first_day) AS days (nth),
                   unnest(newest.accounts) AS covered (account)
               WHERE covered.account = ANY ($3) AND NOT EXISTS (
                   SELECT FROM watermarks w WHERE w.connection_id = $1 AND w.report_id = $2
                     AND w.account = covered.account AND w.day = newest.first_day + days.nth))
           ORDER BY last_day DESC, kind LIMIT $5"#,
        connection.uuid(),
        report.uuid(),
        accounts,
        given_up_before,
        i64::from(limit),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(|row| hole(&row.kind, row.first_day, row.last_day)).collect()
}

fn hole(kind: &str, first: NaiveDate, last: NaiveDate) -> Result<Hole> {
    Ok(Hole { kind: parsed("kind", kind)?, days: convert::days(first, last)? })
}
