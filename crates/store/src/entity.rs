//! Campaigns, orders and lines as last read from the platforms.

use chrono::{DateTime, NaiveDate, Utc};
use domain::entity::{Entity, Level};
use domain::ids::{AccountId, ConnectionId, EntityId};
use domain::{Currency, EntityKey, Flight, Money, Platform, TimeZone, money};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::convert::{self, parsed};
use crate::error::{Error, Result};
use crate::store::Tx;

/// The most entities that a slice of a list has.
pub const SLICE_MOST: u32 = 1_000;

/// The most lines and orders of one campaign that are read.
const CAMPAIGN_MOST: i64 = 5_000;

/// An entity with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub id: EntityId,
    /// The connection through which it is reached.
    pub connection: ConnectionId,
    /// The platform.
    pub platform: Platform,
    /// The account that it belongs to.
    pub account: AccountId,
    /// The platform's id of that account.
    pub account_platform_id: String,
    /// What people call that account.
    pub account_name: String,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The zone of its days.
    pub time_zone: TimeZone,
    /// What the platform said of it.
    pub entity: Entity,
    /// When the platform said so.
    pub read_at: DateTime<Utc>,
}

impl Known {
    /// Its name in a change.
    #[must_use]
    pub fn key(&self) -> EntityKey {
        EntityKey {
            connection: self.connection,
            account: self.account,
            level: self.entity.level,
            platform_id: self.entity.platform_id.clone(),
        }
    }
}

/// Keeps what a platform said of an account's entities. Known ones keep their id; an older reading never replaces a
/// newer one.
///
/// # Errors
/// [`Error::NotFound`] when there is no such account; [`Error::Money`] when a budget is not in the account's currency.
pub async fn upsert_many(tx: &mut Tx, account: AccountId, entities: &[Entity], read_at: DateTime<Utc>) -> Result<()> {
    let owner = crate::account::fetch(tx, account).await?;
    let columns = Columns::of(entities, owner.currency)?;
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO entities (org_id, account_id, connection_id, currency, read_at, id, level, platform_id, parent_id,
                               campaign_id, name, status, first_day, last_day, budget, daily_budget)
         SELECT $1, $2, $3, $4, $5, * FROM unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                               $12::text[], $13::date[], $14::date[], $15::numeric[], $16::numeric[])
         ON CONFLICT (org_id, account_id, level, platform_id) DO UPDATE
         SET currency = excluded.currency, read_at = excluded.read_at, parent_id = excluded.parent_id,
             campaign_id = excluded.campaign_id, name = excluded.name, status = excluded.status,
             first_day = excluded.first_day, last_day = excluded.last_day, budget = excluded.budget,
             daily_budget = excluded.daily_budget
         WHERE entities.read_at <= excluded.read_at",
        org.uuid(),
        account.uuid(),
        owner.connection.uuid(),
        owner.currency.code(),
        read_at,
        &columns.ids,
        &columns.levels,
        &columns.platform_ids,
        &columns.parent_ids as &[Option<String>],
        &columns.campaign_ids,
        &columns.names,
        &columns.statuses,
        &columns.first_days as &[Option<NaiveDate>],
        &columns.last_days as &[Option<NaiveDate>],
        &columns.budgets as &[Option<Decimal>],
        &columns.daily_budgets as &[Option<Decimal>],
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "UPDATE accounts SET entities_read_at = greatest(entities_read_at, $2) WHERE id = $1",
        account.uuid(),
        read_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Archives what a complete reading at `read_at` did not list any more, and says how many that were.
///
/// # Errors
/// As any statement.
pub async fn archive_unlisted(tx: &mut Tx, account: AccountId, read_at: DateTime<Utc>) -> Result<u64> {
    let done = sqlx::query!(
        "UPDATE entities SET status = 'archived' WHERE account_id = $1 AND read_at < $2 AND status <> 'archived'",
        account.uuid(),
        read_at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Keeps a daily budget that was just read from the platform.
///
/// # Errors
/// As any statement; [`Error::Money`] when it is not in the entity's currency.
pub async fn update_daily_budget(tx: &mut Tx, id: EntityId, live: Money, read_at: DateTime<Utc>) -> Result<()> {
    let known = fetch(tx, id).await?;
    sqlx::query!(
        "UPDATE entities SET daily_budget = $2, read_at = $3 WHERE id = $1 AND read_at <= $3",
        id.uuid(),
        amount_in(known.currency, live)?,
        read_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One entity.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: EntityId) -> Result<Known> {
    let row = entities!("WHERE e.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "entity" })?.try_into()
}

/// A slice of the entities of one level in the accounts that were chosen, in the order of their ids. Archived ones are
/// left out unless they are asked for. The next slice begins after the last id; one that is not full is the last.
///
/// # Errors
/// As any statement.
pub async fn list(
    tx: &mut Tx,
    level: Level,
    archived: bool,
    after: Option<EntityId>,
    limit: u32,
) -> Result<Vec<Known>> {
    let rows = entities!(
        "WHERE e.level = $1 AND ($2 OR e.status <> 'archived') AND e.id > $3
           AND a.selected AND c.status <> 'removed' ORDER BY e.id LIMIT $4",
        level.to_string(),
        archived,
        after.map_or_else(Uuid::nil, EntityId::uuid),
        i64::from(limit.min(SLICE_MOST))
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Known::try_from).collect()
}

/// The orders and lines of a campaign, by name.
///
/// # Errors
/// As any statement.
pub async fn list_of_campaign(tx: &mut Tx, campaign: &Known) -> Result<Vec<Known>> {
    let rows = entities!(
        "WHERE e.account_id = $1 AND e.campaign_id = $2 AND e.level <> 'campaign' ORDER BY e.name, e.id LIMIT $3",
        campaign.account.uuid(),
        campaign.entity.platform_id,
        CAMPAIGN_MOST
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Known::try_from).collect()
}

/// The first day of the earliest flight of a connection's chosen accounts that is running on a day; `None` when no line
/// has one.
///
/// # Errors
/// As any statement.
pub async fn earliest_running_day(
    tx: &mut Tx,
    connection: ConnectionId,
    today: NaiveDate,
) -> Result<Option<NaiveDate>> {
    let row = sqlx::query!(
        "SELECT min(e.first_day) AS first_day
         FROM entities e JOIN accounts a ON a.org_id = e.org_id AND a.id = e.account_id
         WHERE e.connection_id = $1 AND e.level = 'line' AND e.status = 'active' AND e.budget IS NOT NULL
           AND e.first_day <= $2 AND e.last_day >= $2 AND a.selected AND a.status <> 'gone'",
        connection.uuid(),
        today,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.first_day)
}

/// An amount that must be in the account's currency, as it is stored.
fn amount_in(currency: Currency, money: Money) -> Result<Decimal> {
    if money.currency() != currency {
        return Err(money::Error::CurrencyMismatch { left: currency, right: money.currency() }.into());
    }
    convert::amount("budget", money.amount())
}

/// Entities turned into columns, for one statement.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    levels: Vec<String>,
    platform_ids: Vec<String>,
    parent_ids: Vec<Option<String>>,
    campaign_ids: Vec<String>,
    names: Vec<String>,
    statuses: Vec<String>,
    first_days: Vec<Option<NaiveDate>>,
    last_days: Vec<Option<NaiveDate>>,
    budgets: Vec<Option<Decimal>>,
    daily_budgets: Vec<Option<Decimal>>,
}

impl Columns {
    fn of(entities: &[Entity], currency: Currency) -> Result<Self> {
        let mut columns = Self::default();
        for entity in entities {
            columns.push(entity, currency)?;
        }
        Ok(columns)
    }

    fn push(&mut self, entity: &Entity, currency: Currency) -> Result<()> {
        let Entity { platform_id, parent_id, campaign_id, level, name, status, flight, daily_budget } = entity;
        self.ids.push(EntityId::new().uuid());
        self.levels.push(level.to_string());
        self.platform_ids.push(platform_id.clone());
        self.parent_ids.push(parent_id.clone());
        self.campaign_ids.push(campaign_id.clone());
        self.names.push(name.clone());
        self.statuses.push(status.to_string());
        self.first_days.push(flight.map(|flight| flight.days.first()));
        self.last_days.push(flight.map(|flight| flight.days.last()));
        self.budgets.push(flight.map(|flight| amount_in(currency, flight.budget)).transpose()?);
        self.daily_budgets.push(daily_budget.map(|daily| amount_in(currency, daily)).transpose()?);
        Ok(())
    }
}

macro_rules! entities {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT e.id, e.connection_id, c.platform, e.account_id, a.platform_id AS account_platform_id,
                    a.name AS account_name, e.currency, a.time_zone, e.level, e.platform_id, e.parent_id, e.campaign_id,
                    e.name, e.status, e.first_day, e.last_day, e.budget, e.daily_budget, e.read_at
             FROM entities e
             JOIN accounts a ON a.org_id = e.org_id AND a.id = e.account_id
             JOIN connections c ON c.org_id = e.org_id AND c.id = e.connection_id "
                + $which
            $(, $argument)*
        )
    };
}
use entities;

struct Row {
    id: Uuid,
    connection_id: Uuid,
    platform: String,
    account_id: Uuid,
    account_platform_id: String,
    account_name: String,
    currency: String,
    time_zone: String,
    level: String,
    platform_id: String,
    parent_id: Option<String>,
    campaign_id: String,
    name: String,
    status: String,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
    budget: Option<Decimal>,
    daily_budget: Option<Decimal>,
    read_at: DateTime<Utc>,
}

impl TryFrom<Row> for Known {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            connection_id,
            platform,
            account_id,
            account_platform_id,
            account_name,
            currency,
            time_zone,
            level,
            platform_id,
            parent_id,
            campaign_id,
            name,
            status,
            first_day,
            last_day,
            budget,
            daily_budget,
            read_at,
        } = row;
        let currency = parsed("currency", &currency)?;
        let zone = parsed("time_zone", &time_zone)?;
        let flight = match (first_day, last_day, budget) {
            (Some(first), Some(last), Some(budget)) => {
                Some(Flight { days: convert::days(first, last)?, zone, budget: convert::money(budget, currency) })
            }
            _ => None,
        };
        Ok(Self {
            id: id.into(),
            connection: connection_id.into(),
            platform: parsed("platform", &platform)?,
            account: account_id.into(),
            account_platform_id,
            account_name,
            currency,
            time_zone: zone,
            entity: Entity {
                platform_id,
                parent_id,
                campaign_id,
                level: parsed("level", &level)?,
                name,
                status: parsed("status", &status)?,
                flight,
                daily_budget: daily_budget.map(|amount| convert::money(amount, currency)),
            },
            read_at,
        })
    }
}
