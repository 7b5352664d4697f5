//! Watermarks: up to when each account's day is complete, by which pull, and how settled it is.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{AccountId, ConnectionId, PullId, ReportId};
use domain::{DayRange, Finality, Platform};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::convert::{self, count, parsed, stored};
use crate::error::{Error, Result};
use crate::store::{Store, Tx};

/// The most watermarks that an organisation has: some thousand accounts with a year of days each.
const ALL_MOST: i64 = 1_000_000;

/// The most accounts whose freshness is read at once.
const ACCOUNTS_MOST: i64 = 10_000;

/// Up to when one account's day is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The connection.
    pub connection: ConnectionId,
    /// The report.
    pub report: ReportId,
    /// The platform's id of the account.
    pub account: String,
    /// The day, the account's own.
    pub day: NaiveDate,
    /// The moment up to which its numbers are complete.
    pub as_of: DateTime<Utc>,
    /// When the pull was requested: the newer request is the newer truth.
    pub requested_at: DateTime<Utc>,
    /// How settled it is.
    pub finality: Finality,
    /// The pull that its numbers come from.
    pub pull: PullId,
    /// How many rows it has.
    pub rows: u64,
    /// The day's media cost, in the account's currency.
    pub media_cost: Decimal,
    /// Equal for equal rows.
    pub content_hash: String,
}

/// How fresh a chosen account's numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// The connection.
    pub connection: ConnectionId,
    /// The account.
    pub account: AccountId,
    /// The platform's id of it.
    pub account_platform_id: String,
    /// Its newest day; `None` before anything landed.
    pub newest: Option<Newest>,
}

/// The newest day that an account has numbers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// The day.
    pub day: NaiveDate,
    /// The moment up to which its numbers are complete.
    pub as_of: DateTime<Utc>,
    /// How settled it is.
    pub finality: Finality,
    /// The pull that its numbers come from.
    pub pull: PullId,
}

/// The moment up to which all of these accounts are complete: the oldest of their newest. Accounts without any numbers
/// yet don't count; `None` when none has any.
#[must_use]
pub fn complete_to<'a>(accounts: impl IntoIterator<Item = &'a Freshness>) -> Option<DateTime<Utc>> {
    accounts.into_iter().filter_map(|account| account.newest.map(|newest| newest.as_of)).min()
}

/// The watermarks of some accounts' days, by account and day.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut Tx,
    connection: ConnectionId,
    report: ReportId,
    accounts: &[String],
    days: DayRange,
) -> Result<Vec<Watermark>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT connection_id, report_id, account, day, as_of, requested_at, finality, pull_id, rows, media_cost, content_hash
         FROM watermarks
         WHERE connection_id = $1 AND report_id = $2 AND account = ANY($3) AND day BETWEEN $4 AND $5
         ORDER BY account, day LIMIT $6",
        connection.uuid(),
        report.uuid(),
        accounts,
        days.first(),
        days.last(),
        // A mark that is not read would let an older pull come over a newer one: the limit is out of reach.
        ALL_MOST,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Watermark::try_from).collect()
}

/// Whether anything of a connection has landed.
///
/// # Errors
/// As any statement.
pub async fn any(tx: &mut Tx, connection: ConnectionId) -> Result<bool> {
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM watermarks WHERE connection_id = $1) AS "any!""#,
        connection.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.any)
}

/// Every watermark of the organisation, by connection, report, account and day: what the rules judge by.
///
/// # Errors
/// As any statement.
pub async fn all(tx: &mut Tx) -> Result<Vec<Watermark>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT connection_id, report_id, account, day, as_of, requested_at, finality, pull_id, rows, media_cost, content_hash
         FROM watermarks ORDER BY connection_id, report_id, account, day LIMIT $1",
        ALL_MOST,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Watermark::try_from).collect()
}

/// How fresh every chosen account's numbers are that can be read, of one connection or of all.
///
/// # Errors
/// As any statement.
pub async fn freshness(tx: &mut Tx, connection: Option<ConnectionId>) -> Result<Vec<Freshness>> {
    let rows = sqlx::query!(
        r#"SELECT a.connection_id, a.id, a.platform_id, w.day AS "day?", w.as_of AS "as_of?", w.finality AS "finality?",
                  w.pull_id AS "pull_id?"
           FROM accounts a
           JOIN connections c ON c.org_id = a.org_id AND c.id = a.connection_id
           LEFT JOIN LATERAL (
               SELECT * FROM watermarks w
               WHERE w.org_id = a.org_id AND w.connection_id = a.connection_id AND w.account = a.platform_id
               ORDER BY w.as_of DESC, w.day DESC LIMIT 1
           ) w ON true
           WHERE a.selected AND a.status <> 'gone' AND c.status <> 'removed' AND ($1::uuid IS NULL OR a.connection_id = $1)
           ORDER BY a.id LIMIT $2"#,
        connection.map(ConnectionId::uuid) as Option<Uuid>,
        ACCOUNTS_MOST,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let newest = match (row.day, row.as_of, row.finality, row.pull_id) {
                (Some(day), Some(as_of), Some(finality), Some(pull)) => {
                    Some(Newest { day, as_of, finality: parsed("finality", &finality)?, pull: pull.into() })
                }
                _ => None,
            };
            let (connection, account) = (row.connection_id.into(), row.id.into());
            Ok(Freshness { connection, account, account_platform_id: row.platform_id, newest })
        })
        .collect()
}

/// Per platform, up to when the connection that is furthest behind is complete, across all organisations. Connections that
/// a person has to mend first don't count.
///
/// # Errors
/// As any statement.
pub async fn platforms_complete_to(store: &Store) -> Result<Vec<(Platform, DateTime<Utc>)>> {
    let rows = sqlx::query!(r#"SELECT platform AS "platform!", complete_to FROM platforms_complete_to()"#)
        .fetch_all(store.pool())
        .await?;
    let known = rows.into_iter().filter_map(|row| Some((row.platform, row.complete_to?)));
    known.map(|(platform, complete_to): (String, _)| Ok((parsed("platform", &platform)?, complete_to))).collect()
}

/// The pulls that the chosen accounts' newest numbers come from: what a decision is based on.
///
/// # Errors
/// As any statement.
pub async fn newest_pulls(tx: &mut Tx) -> Result<Vec<PullId>> {
    let rows = sqlx::query!(
        "SELECT DISTINCT pull_id FROM (
             SELECT DISTINCT ON (w.connection_id, w.report_id, w.account) w.pull_id
             FROM watermarks w
             JOIN accounts a ON a.org_id = w.org_id AND a.connection_id = w.connection_id AND a.platform_id = w.account
             WHERE a.selected
             ORDER BY w.connection_id, w.report_id, w.account, w.requested_at DESC, w.as_of DESC
         ) newest ORDER BY pull_id LIMIT $1",
        ACCOUNTS_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.pull_id.into()).collect())
}

/// Sets watermarks, each only if it is newer than the one that is there, and says how many were set.
pub(crate) async fn advance(tx: &mut Tx, watermarks: &[Watermark]) -> Result<u64> {
    let columns = Columns::of(newest_each(watermarks))?;
    let org = tx.org();
    let done = sqlx::query!(
        "INSERT INTO watermarks AS w (org_id, connection_id, report_id, account, day, as_of, requested_at, finality, pull_id,
                                      rows, media_cost, content_hash)
         SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::date[], $6::timestamptz[], $7::timestamptz[],
                                  $8::text[], $9::uuid[], $10::bigint[], $11::numeric[], $12::text[])
         ON CONFLICT (org_id, connection_id, report_id, account, day) DO UPDATE
         SET as_of = excluded.as_of, requested_at = excluded.requested_at, finality = excluded.finality,
             pull_id = excluded.pull_id, rows = excluded.rows, media_cost = excluded.media_cost,
             content_hash = excluded.content_hash
         WHERE (w.requested_at, w.as_of) < (excluded.requested_at, excluded.as_of)",
        org.uuid(),
        &columns.connections,
        &columns.reports,
        &columns.accounts,
        &columns.days,
        &columns.as_ofs,
        &columns.requested_ats,
        &columns.finalities,
        &columns.pulls,
        &columns.rows,
        &columns.media_costs,
        &columns.content_hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Two pulls of one commit may cover the same day: the newer one counts. In a fixed order, so that no two commits lock
/// each other out.
fn newest_each(watermarks: &[Watermark]) -> impl Iterator<Item = &Watermark> {
    let mut newest: BTreeMap<_, &Watermark> = BTreeMap::new();
    for watermark in watermarks {
        let key = (watermark.connection, watermark.report, &watermark.account, watermark.day);
        let kept = newest.entry(key).or_insert(watermark);
        if (kept.requested_at, kept.as_of) < (watermark.requested_at, watermark.as_of) {
            *kept = watermark;
        }
    }
    newest.into_values()
}

/// Watermarks turned into columns, for one statement.
#[derive(Default)]
struct Columns {
    connections: Vec<Uuid>,
    reports: Vec<Uuid>,
    accounts: Vec<String>,
    days: Vec<NaiveDate>,
    as_ofs: Vec<DateTime<Utc>>,
    requested_ats: Vec<DateTime<Utc>>,
    finalities: Vec<String>,
    pulls: Vec<Uuid>,
    rows: Vec<i64>,
    media_costs: Vec<Decimal>,
    content_hashes: Vec<String>,
}

impl Columns {
    fn of<'a>(watermarks: impl Iterator<Item = &'a Watermark>) -> Result<Self> {
        let mut columns = Self::default();
        for watermark in watermarks {
            columns.push(watermark)?;
        }
        Ok(columns)
    }

    fn push(&mut self, watermark: &Watermark) -> Result<()> {
        let Watermark {
            connection,
            report,
            account,
            day,
            as_of,
            requested_at,
            finality,
            pull,
            rows,
            media_cost,
            content_hash,
        } = watermark;
        self.connections.push(connection.uuid());
        self.reports.push(report.uuid());
        self.accounts.push(account.clone());
        self.days.push(*day);
        self.as_ofs.push(*as_of);
        self.requested_ats.push(*requested_at);
        self.finalities.push(finality.to_string());
        self.pulls.push(pull.uuid());
        self.rows.push(stored("rows", *rows)?);
        self.media_costs.push(convert::amount("media_cost", *media_cost)?);
        self.content_hashes.push(content_hash.clone());
        Ok(())
    }
}

struct Row {
    connection_id: Uuid,
    report_id: Uuid,
    account: String,
    day: NaiveDate,
    as_of: DateTime<Utc>,
    requested_at: DateTime<Utc>,
    finality: String,
    pull_id: Uuid,
    rows: i64,
    media_cost: Decimal,
    content_hash: String,
}

impl TryFrom<Row> for Watermark {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            connection_id,
            report_id,
            account,
            day,
            as_of,
            requested_at,
            finality,
            pull_id,
            rows,
            media_cost,
            content_hash,
        } = row;
        Ok(Self {
            connection: connection_id.into(),
            report: report_id.into(),
            account,
            day,
            as_of,
            requested_at,
            finality: parsed("finality", &finality)?,
            pull: pull_id.into(),
            rows: count("rows", rows)?,
            media_cost: media_cost.normalize(),
            content_hash,
        })
    }
}
