//! Restatements: a past day's figures change later. Written as further entries that add the
//! difference, each with the instant from which it shows.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{Device, Ledger, METRIC_COUNT, Metrics};

/// One restated (line item, day, device).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which line item.
    pub line_item_id: u64,
    /// Which of the advertiser's days.
    pub day: NaiveDate,
    /// Which device.
    pub device: Device,
    /// What was added; may be negative.
    pub difference: Metrics,
}

impl Ledger {
    /// Restates one day of one line item; returns what changed.
    pub fn restate_day(
        &mut self,
        line_item_id: u64,
        day: NaiveDate,
        factor_permille: i64,
        visible_from: i64,
    ) -> Vec<Change> {
        let Some(account) = self.accounts.get_mut(&line_item_id) else { return Vec::new() };
        let range = (day, Device::Desktop)..=(day, Device::Unknown);
        let sums: Vec<_> = account.sums.range(range).map(|(key, sum)| (key.1, *sum)).collect();
        let mut changes = Vec::new();
        for (device, sum) in sums {
            let difference = scale(&sum, factor_permille - 1_000);
            if difference.is_zero() {
                continue;
            }
            account.correct(day, device, difference, visible_from);
            *account.restated.entry((day, device)).or_default() += difference;
            changes.push(Change { line_item_id, day, device, difference });
        }
        changes
    }

    /// Takes back everything that was restated so far, to the last figure; returns what changed.
    pub fn take_back(&mut self, visible_from: i64) -> Vec<Change> {
        let mut changes = Vec::new();
        for (line_item_id, account) in &mut self.accounts {
            for ((day, device), restated) in std::mem::take(&mut account.restated) {
                let difference = Metrics::from_figures(restated.figures().map(|figure| -figure));
                if difference.is_zero() {
                    continue;
                }
                account.correct(day, device, difference, visible_from);
                changes.push(Change { line_item_id: *line_item_id, day, device, difference });
            }
        }
        changes
    }

    /// The latest `count` days up to `last_day` on which any of the line items delivered.
    #[must_use]
    pub fn latest_days(&self, line_item_ids: &[u64], last_day: NaiveDate, count: usize) -> Vec<NaiveDate> {
        let accounts = line_item_ids.iter().filter_map(|id| self.accounts.get(id));
        let days: BTreeSet<NaiveDate> = accounts
            .flat_map(|account| account.sums.iter())
            .filter(|((day, _), sum)| *day <= last_day && !sum.is_zero())
            .map(|((day, _), _)| *day)
            .collect();
        days.into_iter().rev().take(count).collect()
    }
}

fn scale(sum: &Metrics, permille: i64) -> Metrics {
    let mut scaled = [0; METRIC_COUNT];
    for (target, figure) in scaled.iter_mut().zip(sum.figures()) {
        *target = i64::try_from(i128::from(figure) * i128::from(permille) / 1_000).unwrap_or(0);
    }
    Metrics::from_figures(scaled)
}
