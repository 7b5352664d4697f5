//! Which days of an account are known, and up to when they are complete.
//!
//! Pacing is judged on whole days without a gap from the first day of a flight on. A missing day (history still on its
//! way) or a day whose late hours the platform has not reported yet would read as under-delivery, and a rule would raise
//! budgets for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};

use crate::day::TimeZone;
use crate::finality::Finality;
use crate::platform::Platform;

/// How long after the end of a day a platform's report of it has all its hours.
#[must_use]
pub const fn reporting_lag(platform: Platform) -> Duration {
    match platform {
        // Spend arrives within a few hours; the documents promise no figure, so the margin is generous.
        Platform::Dv360 => Duration::hours(4),
    }
}

/// What is known of one account's days: when the report that each day came from was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    days: BTreeMap<NaiveDate, DateTime<Utc>>,
}

impl Coverage {
    /// Coverage by days and the moments at which their reports were made.
    #[must_use]
    pub fn new(days: impl IntoIterator<Item = (NaiveDate, DateTime<Utc>)>) -> Self {
        Self { days: days.into_iter().collect() }
    }

    /// The last day of the unbroken run of complete days that begins with `first`; `None` when `first` itself is
    /// missing or not complete.
    #[must_use]
    pub fn complete_through(&self, first: NaiveDate, zone: TimeZone, lag: Duration) -> Option<NaiveDate> {
        first
            .iter_days()
            .take_while(|day| self.days.get(day).is_some_and(|made| *made >= zone.end_of(*day) + lag))
            .last()
    }

    /// How settled a day is, on a platform that restates for `final_after_days` days; `None` for an unknown day.
    #[must_use]
    pub fn finality(&self, day: NaiveDate, zone: TimeZone, final_after_days: u32) -> Option<Finality> {
        self.days.get(&day).map(|made| Finality::of(day, zone, *made, final_after_days))
    }

    /// When the newest report was made.
    #[must_use]
    pub fn newest_report(&self) -> Option<DateTime<Utc>> {
        self.days.values().max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const LAG: Duration = Duration::hours(4);

    #[test]
    fn a_day_is_complete_when_its_report_was_made_late_enough() {
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        let covered = |made: &str| Coverage::new([(day("2026-11-20"), at(made))]);
        let through = |made| covered(made).complete_through(day("2026-11-20"), berlin, LAG);
        assert_eq!(through("2026-11-21T02:59:59Z"), None);
        assert_eq!(through("2026-11-21T03:00:00Z"), Some(day("2026-11-20")));
    }

    #[test]
    fn a_gap_ends_what_is_complete() {
        let made = at("2026-11-30T00:00:00Z");
        let days = ["2026-11-01", "2026-11-02", "2026-11-04"].map(|text| (day(text), made));
        let coverage = Coverage::new(days);
        let through = |first| coverage.complete_through(day(first), TimeZone::UTC, LAG);
        assert_eq!(through("2026-11-01"), Some(day("2026-11-02")));
        assert_eq!(through("2026-11-04"), Some(day("2026-11-04")));
        assert_eq!(through("2026-10-31"), None);
        assert_eq!(coverage.newest_report(), Some(made));
    }
}
