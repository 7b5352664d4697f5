//! Campaigns and lines: the unified hierarchy over all platforms.

use serde::{Deserialize, Serialize};

use crate::flight::Flight;
use crate::ids::{AccountId, ConnectionId};
use crate::money::Money;

/// A level of the unified hierarchy below the account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// A campaign.
    Campaign,
    /// What holds the budget of a group of lines: DV360's insertion order.
    Order,
    /// What buys: DV360's line item.
    Line,
}

/// Whether the platform would spend on an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EntityStatus {
    /// It delivers when its dates and budget allow.
    Active,
    /// A person or a rule stopped it.
    Paused,
    /// It was never started.
    Draft,
    /// It is over and can't come back.
    Archived,
}

/// Names one entity of one platform account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityKey {
    /// The connection through which it is reached.
    pub connection: ConnectionId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its level.
    pub level: Level,
    /// The platform's own id.
    pub platform_id: String,
}

/// An entity as the platform described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// The platform's own id.
    pub platform_id: String,
    /// The platform's id of the entity above: a campaign's is `None`.
    pub parent_id: Option<String>,
    /// The platform's id of the campaign that it belongs to; a campaign's own id for a campaign.
    pub campaign_id: String,
    /// Its level.
    pub level: Level,
    /// What people called it.
    pub name: String,
    /// Whether it would spend.
    pub status: EntityStatus,
    /// Its budget over its days, where it has both.
    pub flight: Option<Flight>,
    /// The most that it may spend in a day, where such a limit is set.
    pub daily_budget: Option<Money>,
}

/// A setting of an entity that a change can name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    /// The most that a line may spend in a day.
    DailyBudget,
}
