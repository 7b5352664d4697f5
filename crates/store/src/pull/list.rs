//! Reading pulls.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{ConnectionId, CycleId, PullId};
use domain::pull::Kind;
use serde_json::Value;
use uuid::Uuid;

use super::{Fetched, Pull};
use crate::convert::{self, count, error_code, parsed};
use crate::error::{Error, Result};
use crate::page::{Page, Paged};
use crate::store::Tx;

/// The most open pulls that one look at an organisation reads; the rest is read by the next.
const OPEN_MOST: i64 = 1_000;

/// One pull.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: PullId) -> Result<Pull> {
    let row = pulls!("WHERE p.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "pull" })?.try_into()
}

/// The pulls that are not closed, of one connection or of all: what people wait for first, history last.
///
/// # Errors
/// As any statement.
pub async fn list_open(tx: &mut Tx, connection: Option<ConnectionId>) -> Result<Vec<Pull>> {
    let rows = pulls!(
        "WHERE p.state IN ('planned', 'requested', 'fetched') AND ($1::uuid IS NULL OR p.connection_id = $1)
         ORDER BY array_position(ARRAY['first_slice', 'manual', 'tick', 'lookback', 'backfill'], p.kind), p.planned_at, p.id
         LIMIT $2",
        connection.map(ConnectionId::uuid) as Option<Uuid>,
        OPEN_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Pull::try_from).collect()
}

/// The pulls whose rows are staged and have not landed, oldest request first.
///
/// # Errors
/// As any statement.
pub async fn list_fetched(tx: &mut Tx, limit: u32) -> Result<Vec<Fetched>> {
    let rows =
        pulls!("WHERE p.state = 'fetched' ORDER BY p.requested_at, p.id LIMIT $1", i64::from(limit).min(OPEN_MOST))
            .fetch_all(tx.conn())
            .await?;
    rows.into_iter().map(Fetched::try_from).collect()
}

/// The failed pulls of a kind whose days no other pull of that kind has read or is to read, the newest failure of each.
///
/// # Errors
/// As any statement.
pub async fn list_failed(tx: &mut Tx, connection: ConnectionId, kind: Kind) -> Result<Vec<Pull>> {
    let rows = pulls!(
        "WHERE p.connection_id = $1 AND p.kind = $2 AND p.state = 'failed' AND NOT EXISTS (
             SELECT FROM pulls o
             WHERE o.connection_id = p.connection_id AND o.report_id = p.report_id AND o.kind = p.kind
                   AND o.first_day = p.first_day AND o.last_day = p.last_day
                   AND (o.state <> 'failed' OR (o.closed_at, o.id) > (p.closed_at, p.id)))
         ORDER BY p.planned_at, p.id LIMIT $3",
        connection.uuid(),
        kind.to_string(),
        OPEN_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Pull::try_from).collect()
}

/// The pulls that a cycle requested or closed, in the order in which they were planned.
///
/// # Errors
/// As any statement.
pub async fn list_of_cycle(tx: &mut Tx, cycle: CycleId) -> Result<Vec<Pull>> {
    let rows = pulls!("WHERE p.cycle_id = $1 ORDER BY p.planned_at, p.id LIMIT $2", cycle.uuid(), OPEN_MOST)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter().map(Pull::try_from).collect()
}

/// A page of all pulls, newest first.
///
/// # Errors
/// As any statement.
pub async fn page(tx: &mut Tx, page: Page) -> Result<Paged<Pull>> {
    let rows = pulls!(
        "WHERE (p.planned_at, p.id) < ($1, $2) ORDER BY p.planned_at DESC, p.id DESC LIMIT $3",
        page.before_at(),
        page.before_id(),
        page.fetch()
    )
    .fetch_all(tx.conn())
    .await?;
    let pulls = rows.into_iter().map(Pull::try_from).collect::<Result<_>>()?;
    Ok(Paged::new(page, pulls, |pull: &Pull| (pull.planned_at, pull.id.uuid())))
}

// What was staged can be long: it is read only where it is used.
macro_rules! pulls {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT p.id, p.connection_id, c.platform, p.report_id, p.kind, p.first_day, p.last_day, p.accounts, p.state,
                    p.planned_at, p.ticket, p.requested_at, p.polls, p.next_poll_at, p.not_before, p.attempts,
                    p.refused_at, p.fetched_at, p.report_time, CASE WHEN p.state = 'fetched' THEN p.staged END AS staged, p.rows,
                    p.bytes, p.unchanged, p.cycle_id, p.closed_at, p.error_code, p.error_detail
             FROM pulls p JOIN connections c ON c.org_id = p.org_id AND c.id = p.connection_id "
                + $which
            $(, $argument)*
        )
    };
}
use pulls;

struct Row {
    id: Uuid,
    connection_id: Uuid,
    platform: String,
    report_id: Uuid,
    kind: String,
    first_day: NaiveDate,
    last_day: NaiveDate,
    accounts: Vec<String>,
    state: String,
    planned_at: DateTime<Utc>,
    ticket: Option<Value>,
    requested_at: Option<DateTime<Utc>>,
    polls: i32,
    next_poll_at: Option<DateTime<Utc>>,
    not_before: Option<DateTime<Utc>>,
    attempts: i32,
    refused_at: Option<DateTime<Utc>>,
    fetched_at: Option<DateTime<Utc>>,
    report_time: Option<DateTime<Utc>>,
    staged: Option<Value>,
    rows: Option<i64>,
    bytes: Option<i64>,
    unchanged: Option<bool>,
    cycle_id: Option<Uuid>,
    closed_at: Option<DateTime<Utc>>,
    error_code: Option<String>,
    error_detail: Option<String>,
}

impl TryFrom<Row> for Fetched {
    type Error = Error;

    fn try_from(mut row: Row) -> Result<Self> {
        let staged = row.staged.take().ok_or_else(|| Error::unreadable("staged", "it is empty"))?;
        Ok(Self { pull: row.try_into()?, staged })
    }
}

impl TryFrom<Row> for Pull {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            connection_id,
            platform,
            report_id,
            kind,
            first_day,
            last_day,
            accounts,
            state,
            planned_at,
            ticket,
            requested_at,
            polls,
            next_poll_at,
            not_before,
            attempts,
            refused_at,
            fetched_at,
            report_time,
            staged: _,
            rows,
            bytes,
            unchanged,
            cycle_id,
            closed_at,
            error_code: code,
            error_detail,
        } = row;
        Ok(Self {
            id: id.into(),
            connection: connection_id.into(),
            platform: parsed("platform", &platform)?,
            report: report_id.into(),
            kind: parsed("kind", &kind)?,
            days: convert::days(first_day, last_day)?,
            accounts,
            state: parsed("state", &state)?,
            planned_at,
            ticket,
            requested_at,
            polls: count("polls", polls)?,
            next_poll_at,
            not_before,
            attempts: count("attempts", attempts)?,
            refused_at,
            fetched_at,
            report_time,
            rows: rows.map(|rows| count("rows", rows)).transpose()?,
            bytes: bytes.map(|bytes| count("bytes", bytes)).transpose()?,
            unchanged,
            cycle: cycle_id.map(CycleId::from_uuid),
            closed_at,
            error_code: error_code(code.as_deref())?,
            error_detail,
        })
    }
}
