//! How generated line items deliver: hour by hour under the terms that stand when the hour begins.
//! An hour is decided once and never again, so a change of terms acts from the next hour on.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::{Device, Entry, LAG_SECONDS, Ledger, Metrics};
use crate::random::{mix, share, within};

/// Share of a day's budget that each local hour takes, in permille; they add up to 1000.
const HOUR_PERMILLE: [i64; 24] =
    [18, 12, 9, 8, 9, 14, 24, 36, 44, 48, 50, 52, 55, 54, 52, 52, 54, 58, 64, 70, 74, 68, 47, 28];

/// The local hour at which the platform restates an older day by itself.
const SELF_RESTATE_HOUR: u32 = 4;

/// How many days back it then reaches.
const SELF_RESTATE_DAYS: u64 = 3;

/// What a line item is like; not visible on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Traits {
    /// Price of a thousand impressions, in micros.
    pub cpm_micros: i64,
    /// Clicks per 100,000 impressions.
    pub clicks_per_100k: i64,
    /// Conversions per 10,000 clicks, in hundredths of a conversion each.
    pub conversions_per_10k_clicks: i64,
    /// Value of one conversion, in micros.
    pub conversion_value_micros: i64,
    /// What is added to the media cost, in permille.
    pub markup_permille: i64,
    /// Whether the ads are videos.
    pub video: bool,
}

/// The terms under which a line item delivers in one hour.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Which line item.
    pub line_item_id: u64,
    /// The advertiser's time zone.
    pub zone: Tz,
    /// Whether it and everything above it is active.
    pub delivering: bool,
    /// First and last day, in the advertiser's time zone.
    pub flight: RangeInclusive<NaiveDate>,
    /// The most it may spend in a day.
    pub daily_max_micros: i64,
    /// The most it may spend at all.
    pub budget_micros: i64,
    /// What it is like.
    pub traits: Traits,
}

impl Ledger {
    /// Decides every hour that has begun by `now`.
    pub fn advance(&mut self, now: DateTime<Utc>, terms: &[Terms]) {
        let last_hour = now.timestamp().div_euclid(3_600);
        for hour in self.undecided_hour..=last_hour {
            let mut local_hours: BTreeMap<&'static str, Option<(NaiveDate, u32)>> = BTreeMap::new();
            for line in terms {
                let local = local_hours.entry(line.zone.name()).or_insert_with(|| local_hour(hour, line.zone));
                let Some((day, local_hour)) = *local else { continue };
                self.deliver_hour(hour, day, local_hour, line);
                if local_hour == SELF_RESTATE_HOUR {
                    self.restate_by_chance(line.line_item_id, day, hour * 3_600);
                }
            }
        }
        self.undecided_hour = self.undecided_hour.max(last_hour + 1);
    }

    fn deliver_hour(&mut self, hour: i64, day: NaiveDate, local_hour: u32, line: &Terms) {
        if !line.delivering || !line.flight.contains(&day) {
            return;
        }
        let account = self.accounts.entry(line.line_item_id).or_default();
        let left_micros = line.budget_micros - account.spent_micros;
        let chance = mix(&[self.seed, line.line_item_id, hour.unsigned_abs()]);
        let weight = HOUR_PERMILLE.get(local_hour as usize).copied().unwrap_or(0);
        let wanted_micros = line.daily_max_micros * weight / 1_000 * within(chance, 940, 1_000) / 1_000;
        let spend_micros = wanted_micros.min(left_micros);
        for (device, permille) in Device::GENERATED.into_iter().zip([380_i64, 500, 120]) {
            let chance = mix(&[chance, permille.unsigned_abs()]);
            let metrics = line.traits.deliver(spend_micros * permille / 1_000, chance);
            if metrics.impressions > 0 {
                account.append(Entry {
                    day,
                    hour: u8::try_from(local_hour).ok(),
                    device,
                    visible_from: (hour + 1) * 3_600 + LAG_SECONDS,
                    metrics,
                    withheld: 0,
                    texts: None,
                });
            }
        }
    }

    /// One line and day in five is corrected three days later, as filtering of invalid traffic does.
    fn restate_by_chance(&mut self, line_item_id: u64, today: NaiveDate, visible_from: i64) {
        let Some(day) = today.checked_sub_days(Days::new(SELF_RESTATE_DAYS)) else { return };
        let number = u64::from(day.to_epoch_days().unsigned_abs());
        let chance = mix(&[self.seed, line_item_id, number, 0x5E1F]);
        if chance.is_multiple_of(5) {
            let factor_permille = within(chance / 5, 975, 1_010);
            self.restate_day(line_item_id, day, factor_permille, visible_from);
        }
    }
}

impl Traits {
    /// What an amount of money buys.
    #[must_use]
    pub fn deliver(&self, spend_micros: i64, chance: u64) -> Metrics {
        if spend_micros <= 0 || self.cpm_micros <= 0 {
            return Metrics::default();
        }
        let impressions = spend_micros * 1_000 / self.cpm_micros;
        let media_cost_micros = impressions * self.cpm_micros / 1_000;
        let clicks = share(impressions, self.clicks_per_100k, 100_000, chance >> 3);
        let conversions_centi = share(clicks, self.conversions_per_10k_clicks * 100, 10_000, chance >> 5);
        let measurable = share(impressions, 950, 1_000, chance >> 7);
        let video_starts = if self.video { share(impressions, 930, 1_000, chance >> 9) } else { 0 };
        Metrics {
            impressions,
            clicks,
            media_cost_micros,
            revenue_micros: media_cost_micros + media_cost_micros * self.markup_permille / 1_000,
            conversions_centi,
            video_starts,
            video_completes: share(video_starts, 610, 1_000, chance >> 11),
            viewable: share(measurable, 640, 1_000, chance >> 13),
            measurable,
            conversion_value_micros: conversions_centi * self.conversion_value_micros / 100,
        }
    }
}

/// A line item of the bulk advertiser: its delivery is a pure function, so that millions of rows
/// cost no memory. It spends the same under all terms and is never restated.
#[derive(Debug, Clone, Copy)]
pub struct BulkLine {
    /// The world's seed.
    pub seed: u64,
    /// Its place among the bulk line items.
    pub index: u64,
    /// The first day with delivery.
    pub first_day: NaiveDate,
    /// The last day with delivery.
    pub last_day: NaiveDate,
    /// What it is like.
    pub traits: Traits,
}

impl BulkLine {
    /// Shows the visible entries; a day is visible as soon as it is over, in UTC.
    pub fn visit(&self, days: &RangeInclusive<NaiveDate>, as_of: i64, show: &mut dyn FnMut(&Entry)) {
        let mut day = self.first_day.max(*days.start());
        let last = self.last_day.min(*days.end());
        while day <= last {
            let number = i64::from(day.to_epoch_days());
            let visible_from = (number + 1) * 86_400;
            if visible_from > as_of {
                return;
            }
            for device in Device::GENERATED {
                let chance = mix(&[self.seed, self.index, number.unsigned_abs(), device as u64]);
                let metrics = self.traits.deliver(within(chance, 4_000_000, 40_000_000), chance);
                show(&Entry { day, hour: None, device, visible_from, metrics, withheld: 0, texts: None });
            }
            let Some(next) = day.succ_opt() else { return };
            day = next;
        }
    }
}

/// The advertiser's own day and hour at the beginning of a Unix hour.
fn local_hour(unix_hour: i64, zone: Tz) -> Option<(NaiveDate, u32)> {
    let local = zone.timestamp_opt(unix_hour * 3_600, 0).single()?;
    Some((local.date_naive(), local.hour()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hours_of_a_day_take_the_whole_day() {
        assert_eq!(HOUR_PERMILLE.iter().sum::<i64>(), 1_000);
    }

    #[test]
    fn money_buys_whole_impressions_and_never_costs_more() {
        let traits = Traits {
            cpm_micros: 3_210_000,
            clicks_per_100k: 180,
            conversions_per_10k_clicks: 240,
            conversion_value_micros: 30_000_000,
            markup_permille: 80,
            video: true,
        };
        for chance in 0..200 {
            let got = traits.deliver(1_000_000 + within(mix(&[chance]), 0, 9_000_000), mix(&[chance]));
            assert!(got.clicks <= got.impressions && got.viewable <= got.measurable);
            assert!(got.measurable <= got.impressions && got.video_completes <= got.video_starts);
            assert!(got.media_cost_micros <= 10_000_000);
        }
        assert!(traits.deliver(-5, 1).is_zero());
    }
}
