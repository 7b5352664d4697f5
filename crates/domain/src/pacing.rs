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

/// What was spent, as far as the platform says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// What it stated.
    pub stated: Money,
    /// On how many days it kept the spend to itself: then what it stated is a lower bound.
    pub withheld_days: u32,
}

impl Spend {
    /// Spend that was stated on every day.
    #[must_use]
    pub const fn whole(stated: Money) -> Self {
        Self { stated, withheld_days: 0 }
    }
}

/// How a flight is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pacing {
    /// What was spent up to `as_of`; a lower bound when there are withheld days.
    pub delivered: Money,
    /// On how many days up to `as_of` the platform kept the spend to itself.
    #[serde(default)]
    pub withheld_days: u32,
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
    /// Pacing of a flight that has spent `spend` by `as_of`.
    ///
    /// # Errors
    /// [`money::Error::CurrencyMismatch`] when the spend is not in the budget's currency; [`money::Error::Overflow`].
    pub fn of(flight: &Flight, spend: Spend, as_of: DateTime<Utc>) -> Result<Self, money::Error> {
        let Spend { stated: delivered, withheld_days } = spend;
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
        Ok(Self { delivered, withheld_days, expected, budget: flight.budget, index, required_daily, projected, as_of })
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

    fn spent(amount: i64) -> Spend {
        Spend::whole(eur(amount))
    }

    #[test]
    fn a_line_that_spent_what_was_planned_paces_at_one() {
        let flight = flight();
        let pacing = Pacing::of(&flight, spent(400), flight.zone.end_of("2026-11-04".parse().unwrap())).unwrap();
        assert_eq!(pacing.index, Some(Decimal::ONE));
        assert_eq!(pacing.required_daily, Some(eur(100)));
        assert_eq!(pacing.projected, Some(eur(1000)));
    }

    #[test]
    fn reporting_lag_is_not_under_delivery() {
        let flight = flight();
        let complete_to = flight.zone.end_of("2026-11-04".parse().unwrap());
        let by_data = Pacing::of(&flight, spent(400), complete_to).unwrap();
        let by_wall_clock = Pacing::of(&flight, spent(400), complete_to + chrono::Duration::hours(4)).unwrap();
        assert_eq!(by_data.index, Some(Decimal::ONE));
        assert!(by_wall_clock.index < by_data.index);
    }

    #[test]
    fn before_the_flight_there_is_no_index_and_after_it_no_daily_budget() {
        let flight = flight();
        let before = Pacing::of(&flight, spent(0), flight.begins()).unwrap();
        assert_eq!((before.index, before.projected), (None, None));
        let after = Pacing::of(&flight, spent(900), flight.ends()).unwrap();
        assert_eq!((after.required_daily, after.index), (None, Some(Decimal::new(9, 1))));
    }

    #[test]
    fn an_overspent_flight_needs_nothing_more() {
        let flight = flight();
        let pacing = Pacing::of(&flight, spent(1200), flight.zone.end_of("2026-11-08".parse().unwrap())).unwrap();
        assert_eq!(pacing.required_daily, Some(eur(0)));
    }

    #[test]
    fn pacing_of_before_days_were_withheld_still_reads() {
        let flight = flight();
        let pacing = Pacing::of(&flight, spent(400), flight.zone.end_of("2026-11-04".parse().unwrap())).unwrap();
        let mut written = serde_json::to_value(pacing).unwrap();
        written.as_object_mut().unwrap().remove("withheld_days");
        assert_eq!(serde_json::from_value::<Pacing>(written).unwrap(), pacing);
    }

    proptest! {
        #[test]
        fn spending_what_is_required_ends_on_or_just_under_budget(delivered in 0i64..1000, hours in 1i64..239) {
            let flight = flight();
            let as_of = flight.begins() + chrono::Duration::hours(hours);
            let pacing = Pacing::of(&flight, spent(delivered), as_of).unwrap();
            let rest = pacing.required_daily.unwrap().amount() * flight.days_left(as_of);
            let total = Decimal::from(delivered) + rest;
            // Rounding down to cents loses less than a cent per day left.
            prop_assert!(total <= flight.budget.amount());
            prop_assert!(flight.budget.amount() - total <= Decimal::new(1, 2) * (flight.days_left(as_of) + Decimal::ONE));
        }
    }
}
