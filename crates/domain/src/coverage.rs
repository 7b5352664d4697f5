//! Which days of an account are known, and up to when they are complete.
//!
//! Pacing is judged on whole days without a gap from the first day of a flight on. A missing day (history still on its
//! way) or a day whose late hours the platform has not reported yet would read as under-delivery, and a rule would raise
//! budgets for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, NaiveDate, Utc};

use crate::day::{DayRange, TimeZone};
use crate::finality::Finality;
use crate::flight::Flight;
use crate::platform::Platform;
use crate::rule::NotJudged;

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
        first.iter_days().take_while(|day| self.is_complete(*day, zone, lag)).last()
    }

    /// The days by which a flight is judged: from its first to the newest complete one, none of them missing.
    ///
    /// # Errors
    /// Why it can't be judged.
    pub fn judged_days(&self, flight: &Flight, lag: Duration) -> Result<DayRange, NotJudged> {
        let (first, last, zone) = (flight.days.first(), flight.days.last(), flight.zone);
        let newest = self.newest_report().ok_or(NotJudged::HistoryMissing)?;
        if newest < flight.begins() {
            return Err(NotJudged::OutsideFlight);
        }
        if newest < zone.end_of(first) + lag {
            return Err(NotJudged::NoCompleteDay);
        }
        let through = self.complete_through(first, zone, lag).map(|day| day.min(last));
        // Slices of history land in any order: what ends at a gap says how the line did then, not how it does.
        let known = through.filter(|day| self.newest_complete(flight.days, zone, lag) == Some(*day));
        known.and_then(|through| DayRange::new(first, through)).ok_or(NotJudged::HistoryMissing)
    }

    /// The unbroken run of complete days that ends with the newest of them, among some days or all.
    #[must_use]
    pub fn newest_run(&self, among: Option<DayRange>, zone: TimeZone, lag: Duration) -> Option<DayRange> {
        let all = DayRange::new(*self.days.keys().next()?, *self.days.keys().next_back()?)?;
        let among = among.unwrap_or(all);
        let last = self.newest_complete(among, zone, lag)?;
        let mut first = last;
        while let Some(before) =
            first.pred_opt().filter(|day| among.contains(*day) && self.is_complete(*day, zone, lag))
        {
            first = before;
        }
        DayRange::new(first, last)
    }

    fn newest_complete(&self, among: DayRange, zone: TimeZone, lag: Duration) -> Option<NaiveDate> {
        let known = self.days.range(among.first()..=among.last());
        known.map(|(day, _)| *day).rev().find(|day| self.is_complete(*day, zone, lag))
    }

    fn is_complete(&self, day: NaiveDate, zone: TimeZone, lag: Duration) -> bool {
        self.days.get(&day).is_some_and(|made| *made >= zone.end_of(day) + lag)
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
    use chrono::Days;
    use proptest::prelude::*;

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
        let run = |among| coverage.newest_run(among, TimeZone::UTC, LAG);
        assert_eq!(run(None), DayRange::new(day("2026-11-04"), day("2026-11-04")));
        let begun = DayRange::new(day("2026-10-30"), day("2026-11-03"));
        assert_eq!(run(begun), DayRange::new(day("2026-11-01"), day("2026-11-02")));
    }

    fn flight(first: &str, last: &str) -> Flight {
        let budget = crate::Money::zero("EUR".parse().unwrap());
        Flight { days: DayRange::new(day(first), day(last)).unwrap(), zone: TimeZone::UTC, budget }
    }

    #[test]
    fn a_flight_is_judged_by_all_its_complete_days_or_it_is_said_why_not() {
        let made = at("2026-11-06T12:00:00Z");
        let known = |days: &[&str]| Coverage::new(days.iter().map(|text| (day(text), made)));
        let all = known(&["2026-11-03", "2026-11-04", "2026-11-05", "2026-11-06"]);
        let judged = |coverage: &Coverage, first, last| coverage.judged_days(&flight(first, last), LAG);
        assert_eq!(judged(&all, "2026-11-03", "2026-11-30").map(DayRange::last), Ok(day("2026-11-05")));
        assert_eq!(judged(&all, "2026-11-03", "2026-11-04").map(DayRange::last), Ok(day("2026-11-04")));
        assert_eq!(judged(&all, "2026-11-02", "2026-11-30"), Err(NotJudged::HistoryMissing));
        assert_eq!(judged(&all, "2026-11-06", "2026-11-30"), Err(NotJudged::NoCompleteDay));
        assert_eq!(judged(&all, "2026-11-07", "2026-11-30"), Err(NotJudged::OutsideFlight));
        assert_eq!(judged(&Coverage::default(), "2026-11-03", "2026-11-30"), Err(NotJudged::HistoryMissing));
        let gap = known(&["2026-11-01", "2026-11-02", "2026-11-04", "2026-11-05"]);
        assert_eq!(judged(&gap, "2026-11-01", "2026-11-30"), Err(NotJudged::HistoryMissing));
    }

    /// Around the end of summer time, so that days of 23, 24 and 25 hours are among them.
    fn numbered(number: u64) -> NaiveDate {
        day("2026-10-20").checked_add_days(Days::new(number)).unwrap()
    }

    /// Days that are known, each with how many hours after its beginning its report was made.
    fn known() -> impl Strategy<Value = BTreeMap<u64, i64>> {
        prop::collection::btree_map(0u64..12, 20i64..34, 0..12)
    }

    proptest! {
        #[test]
        fn what_is_complete_is_the_longest_run_of_complete_days(
            known in known(), first in 0u64..12, lag in 0i64..6, zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Los_Angeles"])
        ) {
            let (zone, lag) = (zone.parse::<TimeZone>().unwrap(), Duration::hours(lag));
            let made = |number: &u64, hours: &i64| zone.start_of(numbered(*number)) + Duration::hours(*hours);
            let coverage = Coverage::new(known.iter().map(|(number, hours)| (numbered(*number), made(number, hours))));
            let is_complete = |number: u64| {
                known.get(&number).is_some_and(|hours| made(&number, hours) >= zone.end_of(numbered(number)) + lag)
            };
            match coverage.complete_through(numbered(first), zone, lag) {
                Some(last) => {
                    let count = (last - numbered(first)).num_days();
                    prop_assert!(count >= 0);
                    let end = first + count.unsigned_abs();
                    prop_assert!((first..=end).all(is_complete), "a gap before {last}");
                    prop_assert!(!is_complete(end + 1), "{last} is not the last");
                }
                None => prop_assert!(!is_complete(first)),
            }
        }

        #[test]
        fn a_later_report_never_takes_a_complete_day_away(known in known(), number in 0u64..12, later in 0i64..20) {
            let made = |number: u64, hours: i64| (numbered(number), TimeZone::UTC.start_of(numbered(number)) + Duration::hours(hours));
            let days = || known.iter().map(|(number, hours)| made(*number, *hours));
            let known_hours = known.get(&number).copied().unwrap_or_default();
            let (before, after) =
                (Coverage::new(days()), Coverage::new(days().chain([made(number, known_hours + later)])));
            for first in 0..12 {
                let through = |coverage: &Coverage| coverage.complete_through(numbered(first), TimeZone::UTC, LAG);
                prop_assert!(through(&after) >= through(&before));
            }
            prop_assert!(after.newest_report() >= before.newest_report());
        }

        #[test]
        fn a_day_that_is_not_known_has_no_finality(known in known(), number in 0u64..14) {
            let made = |number: &u64, hours: &i64| (numbered(*number), TimeZone::UTC.start_of(numbered(*number)) + Duration::hours(*hours));
            let coverage = Coverage::new(known.iter().map(|(number, hours)| made(number, hours)));
            let finality = coverage.finality(numbered(number), TimeZone::UTC, 7);
            prop_assert_eq!(finality.is_some(), known.contains_key(&number));
        }
    }
}
