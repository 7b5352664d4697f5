//! A pull on its way into the tables: what was asked, what was staged, what is to land.
//!
//! Plain data that the caller keeps between steps ([`StagedPull`] as JSON in the control plane).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{ConnectionId, OrgId, PullId};
use domain::report::{Definition, Measure};
use domain::{Currency, DayRange};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What one pull asked a platform for: rows outside of it are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullScope {
    /// The organisation.
    pub org: OrgId,
    /// The connection that was asked.
    pub connection: ConnectionId,
    /// The pull.
    pub pull: PullId,
    /// The report.
    pub definition: Definition,
    /// The accounts that were asked for, by the platform's ids, with the currency of their amounts.
    pub accounts: BTreeMap<String, Currency>,
    /// The days that were asked for.
    pub days: DayRange,
    /// When the platform was asked.
    pub requested_at: DateTime<Utc>,
}

/// One account's day of a pull; there is one for every account and day in scope, also those without rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedSlice {
    /// The platform's id of the account.
    pub account: String,
    /// The day.
    pub day: NaiveDate,
    /// How many rows it has.
    pub rows: u64,
    /// Equal for equal rows, whatever their order; see [`crate`] on what it is made of.
    pub content_hash: String,
    /// The impressions that the platform stated.
    pub impressions: i64,
    /// The media cost that the platform stated, in the account's currency.
    pub media_cost: Decimal,
}

/// How a measure's rows compare with the platform's own total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum TotalOutcome {
    /// They add up, to every digit that the total shows.
    Equal,
    /// They differ by no more than the rounding of the rows explains (half a unit of their last digit each).
    WithinRounding {
        /// Rows minus total.
        difference: Decimal,
    },
    /// They could not be compared.
    Skipped {
        /// Why not.
        why: String,
    },
}

/// The comparison of one measure with the platform's own total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalCheck {
    /// The measure.
    pub measure: Measure,
    /// How it went.
    #[serde(flatten)]
    pub outcome: TotalOutcome,
}

/// A pull whose rows are in data files that no table names yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedPull {
    /// The pull.
    pub pull: PullId,
    /// The data files, as Iceberg writes them in JSON.
    pub files: Vec<String>,
    /// The bronze table's columns by which the files were written, with their ids.
    pub columns: BTreeMap<String, i32>,
    /// Every account's every day.
    pub slices: Vec<StagedSlice>,
    /// All rows.
    pub rows: u64,
    /// Size of the data files.
    pub bytes: u64,
    /// Media cost that the platform stated, per currency.
    pub media_cost: BTreeMap<Currency, Decimal>,
    /// Cells whose value the platform kept to itself (`< 1000`).
    pub withheld_cells: u64,
    /// Cells with more digits than the lake holds; they are rounded in silver, and whole in bronze.
    pub rounded_cells: u64,
    /// When the platform made the report, if it said so.
    pub report_time: Option<DateTime<Utc>>,
    /// How the rows compare with the platform's own totals.
    pub totals: Vec<TotalCheck>,
}

/// A staged pull that is to be landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// What was asked.
    pub scope: PullScope,
    /// What came.
    pub staged: StagedPull,
    /// The accounts, by day, that this pull is the newest of and changes. With none, the pull is not landed at all.
    ///
    /// What it says of other accounts' days stays out of silver: another pull, newer or not yet landed, speaks for them.
    pub days: BTreeMap<NaiveDate, BTreeSet<String>>,
}

impl Landing {
    /// A pull that lands on all that it asked for.
    #[must_use]
    pub fn whole(scope: PullScope, staged: StagedPull) -> Self {
        let accounts: BTreeSet<String> = scope.accounts.keys().cloned().collect();
        let days = scope.days.days().map(|day| (day, accounts.clone())).collect();
        Self { scope, staged, days }
    }
}
