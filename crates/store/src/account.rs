//! Accounts: the advertisers within a connection, which of them were chosen, and which are gone.

use chrono::{DateTime, Utc};
use domain::ids::{AccountId, ConnectionId};
use domain::{Currency, ErrorCode, TimeZone};
use uuid::Uuid;

use crate::connection::Problem;
use crate::convert::{error_code, parsed};
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most accounts that are read at once.
const LIST_MOST: i64 = 10_000;

/// Whether an account can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// It can be read and it can spend.
    Active,
    /// It can be read; it does not spend.
    Paused,
    /// It can't be read any more.
    Gone,
}

/// An account as a platform listed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The platform's own id.
    pub platform_id: String,
    /// What people call it.
    pub name: String,
    /// The platform's id of what it belongs to: DV360's partner.
    pub parent_id: Option<String>,
    /// What people call that.
    pub parent_name: Option<String>,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The zone of its days.
    pub time_zone: TimeZone,
    /// Whether it can be read.
    pub status: Status,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The connection through which it is reached.
    pub connection: ConnectionId,
    /// The platform's own id.
    pub platform_id: String,
    /// What people call it.
    pub name: String,
    /// The platform's id of what it belongs to.
    pub parent_id: Option<String>,
    /// What people call that.
    pub parent_name: Option<String>,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The zone of its days.
    pub time_zone: TimeZone,
    /// Whether it can be read.
    pub status: Status,
    /// Whether a person chose it.
    pub selected: bool,
    /// What is wrong with it, if anything is.
    pub problem: Option<Problem>,
    /// When its entities were last read.
    pub entities_read_at: Option<DateTime<Utc>>,
}

/// Keeps what a platform listed. Accounts that are known keep their id and whether they were chosen; one that was gone
/// and is listed again is restored. Accounts that are not listed stay as they are.
///
/// # Errors
/// As any statement.
pub async fn upsert_many(tx: &mut Tx, connection: ConnectionId, discovered: &[Discovered]) -> Result<()> {
    let ids: Vec<Uuid> = discovered.iter().map(|_| AccountId::new().uuid()).collect();
    let texts = |of: fn(&Discovered) -> String| discovered.iter().map(of).collect::<Vec<String>>();
    let optional = |of: fn(&Discovered) -> Option<String>| discovered.iter().map(of).collect::<Vec<_>>();
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO accounts (org_id, connection_id, id, platform_id, name, parent_id, parent_name, currency, time_zone, status)
         SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
         ON CONFLICT (org_id, connection_id, platform_id) DO UPDATE
         SET name = excluded.name, parent_id = excluded.parent_id, parent_name = excluded.parent_name,
             currency = excluded.currency, time_zone = excluded.time_zone, status = excluded.status,
             error_code = NULL, error_since = NULL",
        org.uuid(),
        connection.uuid(),
        &ids,
        &texts(|account| account.platform_id.clone()),
        &texts(|account| account.name.clone()),
        &optional(|account| account.parent_id.clone()) as &[Option<String>],
        &optional(|account| account.parent_name.clone()) as &[Option<String>],
        &texts(|account| account.currency.to_string()),
        &texts(|account| account.time_zone.to_string()),
        &texts(|account| account.status.to_string()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: AccountId) -> Result<Account> {
    let row = accounts!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "account" })?.try_into()
}

/// The accounts of one connection, or of all that are not given up, by name.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, connection: Option<ConnectionId>) -> Result<Vec<Account>> {
    let rows = accounts!(
        "WHERE connection_id = $1
            OR ($1 IS NULL AND connection_id IN (SELECT c.id FROM connections c WHERE c.status <> 'removed'))
         ORDER BY name, id LIMIT $2",
        connection.map(ConnectionId::uuid) as Option<Uuid>,
        LIST_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// The accounts of a connection that were chosen and can be read: those that reports are asked for.
///
/// # Errors
/// As any statement.
pub async fn list_readable(tx: &mut Tx, connection: ConnectionId) -> Result<Vec<Account>> {
    let rows = accounts!(
        "WHERE connection_id = $1 AND selected AND status <> 'gone' ORDER BY platform_id LIMIT $2",
        connection.uuid(),
        LIST_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Account::try_from).collect()
}

/// Makes exactly these accounts of the connection the chosen ones.
///
/// # Errors
/// [`Error::NotFound`] when one of them is not an account of this connection; then nothing is changed.
pub async fn select(tx: &mut Tx, connection: ConnectionId, chosen: &[AccountId]) -> Result<()> {
    let mut ids: Vec<Uuid> = chosen.iter().map(|id| id.uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    let known = sqlx::query!(
        r#"SELECT count(*) AS "count!" FROM accounts WHERE connection_id = $1 AND id = ANY($2)"#,
        connection.uuid(),
        &ids
    )
    .fetch_one(tx.conn())
    .await?;
    if usize::try_from(known.count).ok() != Some(ids.len()) {
        return Err(Error::NotFound { noun: "account" });
    }
    sqlx::query!(
        "UPDATE accounts SET selected = (id = ANY($2)) WHERE connection_id = $1 AND selected <> (id = ANY($2))",
        connection.uuid(),
        &ids
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records that an account can't be read any more, and says whether that is news.
///
/// # Errors
/// As any statement.
pub async fn mark_gone(tx: &mut Tx, id: AccountId, code: ErrorCode, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE accounts SET status = 'gone', error_code = $2, error_since = $3 WHERE id = $1 AND status <> 'gone'",
        id.uuid(),
        code.code(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Records that an account can be read again, and says whether that is news.
///
/// # Errors
/// As any statement.
pub async fn restore(tx: &mut Tx, id: AccountId) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE accounts SET status = 'active', error_code = NULL, error_since = NULL WHERE id = $1 AND status = 'gone'",
        id.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

macro_rules! accounts {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, connection_id, platform_id, name, parent_id, parent_name, currency, time_zone, status, selected,
                    error_code, error_since, entities_read_at
             FROM accounts "
                + $which
            $(, $argument)*
        )
    };
}
use accounts;

struct Row {
    id: Uuid,
    connection_id: Uuid,
    platform_id: String,
    name: String,
    parent_id: Option<String>,
    parent_name: Option<String>,
    currency: String,
    time_zone: String,
    status: String,
    selected: bool,
    error_code: Option<String>,
    error_since: Option<DateTime<Utc>>,
    entities_read_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            connection_id,
            platform_id,
            name,
            parent_id,
            parent_name,
            currency,
            time_zone,
            status,
            selected,
            error_code: code,
            error_since,
            entities_read_at,
        } = row;
        Ok(Self {
            id: id.into(),
            connection: connection_id.into(),
            platform_id,
            name,
            parent_id,
            parent_name,
            currency: parsed("currency", &currency)?,
            time_zone: parsed("time_zone", &time_zone)?,
            status: parsed("status", &status)?,
            selected,
            problem: error_code(code.as_deref())?.zip(error_since).map(|(code, since)| Problem {
                code,
                detail: None,
                since,
            }),
            entities_read_at,
        })
    }
}
