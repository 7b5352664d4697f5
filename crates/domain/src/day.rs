//! Account-local days and the instants at which they begin and end.
//!
//! A day is the account's own day. It begins at the first instant that the account's clocks show its date, which is not
//! always midnight (some zones skip it when clocks go forward), and has 23, 24 or 25 hours.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, Duration, NaiveDate, NaiveTime, TimeZone as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How far a local midnight that does not exist is searched forward: longer than any clock change on record.
const LONGEST_GAP_MINUTES: i64 = 26 * 60;

/// An IANA time zone, written as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(chrono_tz::Tz);

/// The text is not the name of an IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an IANA time zone")]
pub struct UnknownTimeZone {
    name: String,
}

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::Tz::UTC);

    /// The name, such as `Europe/Berlin`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The date that clocks in this zone show at an instant.
    #[must_use]
    pub fn day_at(self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.0).date_naive()
    }

    /// The first instant of a day in this zone.
    #[must_use]
    pub fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..=LONGEST_GAP_MINUTES)
            .filter_map(|minutes| midnight.checked_add_signed(Duration::minutes(minutes)))
            .find_map(|local| self.0.from_local_datetime(&local).earliest())
            .map_or_else(|| Utc.from_utc_datetime(&midnight), |local| local.with_timezone(&Utc))
    }

    /// The first instant after a day in this zone.
    #[must_use]
    pub fn end_of(self, day: NaiveDate) -> DateTime<Utc> {
        self.start_of(day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        text.parse().map(Self).map_err(|_| UnknownTimeZone { name: text.chars().take(64).collect() })
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Days from a first to a last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DayRange {
    first: NaiveDate,
    last: NaiveDate,
}

impl DayRange {
    /// The days from `first` to `last`; `None` when the last comes before the first.
    #[must_use]
    pub fn new(first: NaiveDate, last: NaiveDate) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The `count` days that end with `last` (at least one).
    #[must_use]
    pub fn ending(last: NaiveDate, count: u32) -> Self {
        let back = Days::new(u64::from(count.max(1) - 1));
        Self { first: last.checked_sub_days(back).unwrap_or(NaiveDate::MIN), last }
    }

    /// The first day.
    #[must_use]
    pub const fn first(self) -> NaiveDate {
        self.first
    }

    /// The last day.
    #[must_use]
    pub const fn last(self) -> NaiveDate {
        self.last
    }

    /// How many days.
    #[must_use]
    pub fn len(self) -> i64 {
        (self.last - self.first).num_days() + 1
    }

    /// Always false: a range has at least one day.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Whether the day lies within.
    #[must_use]
    pub fn contains(self, day: NaiveDate) -> bool {
        self.first <= day && day <= self.last
    }

    /// Every day, first to last.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }
}

impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_has_23_or_25_hours_when_the_clocks_change() {
        let berlin = zone("Europe/Berlin");
        let hours = |d: &str| (berlin.end_of(day(d)) - berlin.start_of(day(d))).num_hours();
        assert_eq!((hours("2026-03-29"), hours("2026-10-25"), hours("2026-11-21")), (23, 25, 24));
    }

    #[test]
    fn a_day_without_a_midnight_begins_at_its_first_instant() {
        // Clocks in Beirut went from 23:59:59 to 01:00:00 on this night.
        let start = zone("Asia/Beirut").start_of(day("2022-03-27"));
        assert_eq!(start.to_rfc3339(), "2022-03-26T22:00:00+00:00");
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_empty_and_breaks_nothing() {
        // Samoa moved across the date line and had no 30 December 2011.
        let apia = zone("Pacific/Apia");
        assert_eq!(apia.start_of(day("2011-12-30")), apia.start_of(day("2011-12-31")));
    }

    #[test]
    fn a_range_counts_both_of_its_ends() {
        let range = DayRange::ending(day("2026-11-21"), 7);
        assert_eq!((range.first(), range.len()), (day("2026-11-15"), 7));
        assert_eq!(range.days().count(), 7);
        assert_eq!(DayRange::new(day("2026-11-22"), day("2026-11-21")), None);
    }

    proptest! {
        #[test]
        fn every_instant_lies_within_its_own_day(seconds in 1_262_304_000i64..1_893_456_000, index in 0usize..6) {
            let names = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia"];
            let zone = zone(names[index]);
            let instant = Utc.timestamp_opt(seconds, 0).unwrap();
            let day = zone.day_at(instant);
            prop_assert!(zone.start_of(day) <= instant && instant < zone.end_of(day));
        }
    }
}
