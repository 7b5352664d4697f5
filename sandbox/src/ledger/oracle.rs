//! The ledger read directly, for tests that check the product. On purpose it sums the entries by
//! itself and shares nothing with the code that makes reports: a mistake there must not hide here.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Ledger, METRIC_COUNT, Metrics};

/// A line item's figures for one of the advertiser's days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayTotal {
    /// The sums.
    pub metrics: Metrics,
    /// One bit per figure of which a part was withheld by the source.
    pub withheld: u16,
}

/// The names of the figures, in the order of [`Metrics`].
pub const FIGURE_NAMES: [&str; METRIC_COUNT] = [
    "impressions",
    "clicks",
    "media_cost_micros",
    "revenue_micros",
    "conversions",
    "video_starts",
    "video_completes",
    "viewable",
    "measurable",
    "conversion_value_micros",
];

impl Ledger {
    /// What a report with that Report Time may show for a line item, day by day.
    #[must_use]
    pub fn day_totals(&self, line_item_id: u64, as_of: DateTime<Utc>) -> BTreeMap<NaiveDate, DayTotal> {
        let mut totals: BTreeMap<NaiveDate, DayTotal> = BTreeMap::new();
        if let Some(account) = self.accounts.get(&line_item_id) {
            for entry in account.entries.iter().filter(|entry| entry.visible_from <= as_of.timestamp()) {
                let total = totals.entry(entry.day).or_default();
                total.metrics += entry.metrics;
                total.withheld |= entry.withheld;
            }
        }
        if let Some(line) = self.bulk.get(&line_item_id) {
            line.visit(&(NaiveDate::MIN..=NaiveDate::MAX), as_of.timestamp(), &mut |entry| {
                totals.entry(entry.day).or_default().metrics += entry.metrics;
            });
        }
        totals.retain(|_, total| !total.metrics.is_zero() || total.withheld != 0);
        totals
    }
}
