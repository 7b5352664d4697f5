//! A budget over a range of days.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::day::{DayRange, TimeZone};
use crate::money::{self, Money};

/// A budget over days of the account, both ends included, delivered evenly over real time (a day of 25 hours gets
/// 25 hours' worth).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The days of the flight.
    pub days: DayRange,
    /// The account's zone, in which those days lie.
    pub zone: TimeZone,
    /// What is to be spent over the whole flight.
    pub budget: Money,
}

impl Flight {
    /// The first instant of the flight.
    #[must_use]
    pub fn begins(&self) -> DateTime<Utc> {
        self.zone.start_of(self.days.first())
    }

    /// The first instant after the flight.
    #[must_use]
    pub fn ends(&self) -> DateTime<Utc> {
        self.zone.end_of(self.days.last())
    }

    /// How much of the flight lies before an instant, from 0 to 1.
    #[must_use]
    pub fn elapsed(&self, as_of: DateTime<Utc>) -> Decimal {
        let total = (self.ends() - self.begins()).num_seconds();
        let gone = (as_of.clamp(self.begins(), self.ends()) - self.begins()).num_seconds();
        Decimal::from(gone).checked_div(Decimal::from(total)).unwrap_or(Decimal::ONE)
    }

    /// How many days of the flight lie after an instant; a fraction within a day, 0 after the end.
    #[must_use]
    pub fn days_left(&self, as_of: DateTime<Utc>) -> Decimal {
        let left = (self.ends() - as_of.clamp(self.begins(), self.ends())).num_seconds();
        Decimal::from(left) / Decimal::from(86_400)
    }

    /// What should have been spent by an instant: budget × elapsed.
    ///
    /// # Errors
    /// [`money::Error::Overflow`] when the product has too many digits.
    pub fn expected(&self, as_of: DateTime<Utc>) -> Result<Money, money::Error> {
        self.budget.checked_mul(self.elapsed(as_of))
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use proptest::prelude::*;

    use super::*;

    fn flight(first: &str, last: &str, zone: &str) -> Flight {
        Flight {
            days: DayRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap(),
            zone: zone.parse().unwrap(),
            budget: Money::new(Decimal::from(1000), "EUR".parse().unwrap()),
        }
    }

    #[test]
    fn the_last_day_belongs_to_the_flight() {
        let flight = flight("2026-11-01", "2026-11-10", "Europe/Berlin");
        assert_eq!(flight.expected(flight.ends()).unwrap(), flight.budget);
        assert_eq!(flight.ends().to_rfc3339(), "2026-11-10T23:00:00+00:00");
        assert_eq!(flight.days_left(flight.ends() - Duration::days(1)), Decimal::ONE);
    }

    #[test]
    fn half_of_a_flight_across_the_clock_change_is_half_of_its_hours() {
        let flight = flight("2026-10-25", "2026-10-25", "Europe/Berlin");
        let middle = flight.begins() + Duration::minutes(25 * 30);
        assert_eq!(flight.elapsed(middle), Decimal::new(5, 1));
    }

    proptest! {
        #[test]
        fn what_is_expected_only_grows_and_stays_within_the_budget(a in -100i64..2000, b in -100i64..2000) {
            let flight = flight("2026-10-01", "2026-11-21", "America/New_York");
            let (early, late) = (a.min(b), a.max(b));
            let at = |hours| flight.expected(flight.begins() + Duration::hours(hours)).unwrap().amount();
            prop_assert!(at(early) <= at(late));
            prop_assert!(at(early) >= Decimal::ZERO && at(late) <= flight.budget.amount());
        }
    }
}
