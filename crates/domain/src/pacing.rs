//! Pacing: what was delivered against what was expected by the data's own as-of.
//!
//! "By now" is the moment up to which the data is complete, never the wall clock: four hours of reporting lag would read
//! as under-delivery, and a rule would raise budgets.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::flight::Flight;
use crate::money::{self, Money};

/// Decimal places kept in a pacing index.
const INDEX_DIGITS: u32 = 4;

/// How a flight is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pacing {
    /// What was spent up to `as_of`.
    pub delivered: Money,
    /// What should have been spent up to `as_of`.
    pub expected: Money,
    /// The whole flight's budget.
    pub budget: Money,
    /// delivered ÷ expected, to four places; `None` before anything is expected.
    pub index: Option<Decimal>,
    /// What has to be spent per day from `as_of` on to end on budget, never below zero; `None` after the end.
    pub required_daily: Option<Money>,
    /// What the flight ends at if it goes on as it did so far; `None` before anything is expected.
    pub projected: Option<Money>,
    /// The moment up to which the data is complete.
    pub as_of: DateTime<Utc>,
}

impl Pacing {
    /// Pacing of a flight that has spent `delivered` by `as_of`.
    ///
    /// # Errors
    /// [`money::Error::CurrencyMismatch`] when the spend is not in the budget's currency; [`money::Error::Overflow`].
    pub fn of(flight: &Flight, delivered: Money, as_of: DateTime<Utc>) -> Result<Self, money::Error> {
        let expected = flight.expected(as_of)?;
        let left = flight.budget.checked_sub(delivered)?;
        let index = ratio(delivered.amount(), expected.amount());
        let days_left = flight.days_left(as_of);
        let required_daily = (!days_left.is_zero()).then(|| {
            let daily = left.amount().max(Decimal::ZERO) / days_left;
            Money::new(daily, flight.budget.currency()).floor_to_minor()
        });
        let projected = delivered
            .amount()
            .checked_div(flight.elapsed(as_of))
            .map(|amount| Money::new(amount, flight.budget.currency()).floor_to_minor());
        Ok(Self { delivered, expected, budget: flight.budget, index, required_daily, projected, as_of })
    }
}

fn ratio(delivered: Decimal, expected: Decimal) -> Option<Decimal> {
    delivered.checked_div(expected).map(|index| index.round_dp(INDEX_DIGITS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::day::DayRange;

    fn flight() -> Flight {
        Flight {
            days: DayRange::new("2026-11-01".parse().unwrap(), "2026-11-10".parse().unwrap()).unwrap(),
            zone: "Asia/Tokyo".parse().unwrap(),
            budget: Money::new(Decimal::from(1000), "EUR".parse().unwrap()),
        }
    }

    fn eur(amount: i64) -> Money {
        Money::new(Decimal::from(amount), "EUR".parse().unwrap())
    }

    #[test]
    fn a_line_that_spent_what_was_planned_paces_at_one() {
        let flight = flight();
        let pacing = Pacing::of(&flight, eur(400), flight.zone.end_of("2026-11-04".parse().unwrap())).unwrap();
        assert_eq!(pacing.index, Some(Decimal::ONE));
        assert_eq!(pacing.required_daily, Some(eur(100)));
        assert_eq!(pacing.projected, Some(eur(1000)));
    }

    #[test]
    fn reporting_lag_is_not_under_delivery() {
        let flight = flight();
        let complete_to = flight.zone.end_of("2026-11-04".parse().unwrap());
        let by_data = Pacing::of(&flight, eur(400), complete_to).unwrap();
        let by_wall_clock = Pacing::of(&flight, eur(400), complete_to + chrono::Duration::hours(4)).unwrap();
        assert_eq!(by_data.index, Some(Decimal::ONE));
        assert!(by_wall_clock.index < by_data.index);
    }

    #[test]
    fn before_the_flight_there_is_no_index_and_after_it_no_daily_budget() {
        let flight = flight();
        let before = Pacing::of(&flight, eur(0), flight.begins()).unwrap();
        assert_eq!((before.index, before.projected), (None, None));
        let after = Pacing::of(&flight, eur(900), flight.ends()).unwrap();
        assert_eq!((after.required_daily, after.index), (None, Some(Decimal::new(9, 1))));
    }

    #[test]
    fn an_overspent_flight_needs_nothing_more() {
        let flight = flight();
        let pacing = Pacing::of(&flight, eur(1200), flight.zone.end_of("2026-11-08".parse().unwrap())).unwrap();
        assert_eq!(pacing.required_daily, Some(eur(0)));
    }

    proptest! {
        #[test]
        fn spending_what_is_required_ends_on_or_just_under_budget(spent in 0i64..1000, hours in 1i64..239) {
            let flight = flight();
            let as_of = flight.begins() + chrono::Duration::hours(hours);
            let pacing = Pacing::of(&flight, eur(spent), as_of).unwrap();
            let rest = pacing.required_daily.unwrap().amount() * flight.days_left(as_of);
            let total = Decimal::from(spent) + rest;
            // Rounding down to cents loses less than a cent per day left.
            prop_assert!(total <= flight.budget.amount());
            prop_assert!(flight.budget.amount() - total <= Decimal::new(1, 2) * (flight.days_left(as_of) + Decimal::ONE));
        }
    }
}
