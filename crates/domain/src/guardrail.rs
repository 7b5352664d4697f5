//! Guardrails: what forbids an approved change at the moment before it is sent.
//!
//! An approver said yes to a change as it looked then. Between that and the sending there may be an outage of hours, a
//! paused line or a stricter rule: each is looked at once more, and the change is then not sent.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::entity::EntityStatus;
use crate::error_code::ErrorCode;
use crate::flight::Flight;
use crate::money::Money;

/// How long after a proposal's time is up an approval given within it may still be carried out.
const GRACE: TimeDelta = TimeDelta::minutes(30);

/// An approved change and what is known of its line now.
#[derive(Debug, Clone, Copy)]
pub struct Approved<'a> {
    /// The value in force.
    pub before: Money,
    /// The value that is to be in force.
    pub after: Money,
    /// Until when the proposal could be decided.
    pub expires_at: DateTime<Utc>,
    /// The line's flight, where it is known.
    pub flight: Option<&'a Flight>,
    /// Whether the line would spend, as the platform says now.
    pub status: EntityStatus,
    /// The largest change that the rule allows now, as a share of `before`; `None` for a person's own proposal.
    pub max_step: Option<Decimal>,
}

impl Approved<'_> {
    /// Why the change may not be sent now.
    #[must_use]
    pub fn objection(&self, now: DateTime<Utc>) -> Option<ErrorCode> {
        if now > self.expires_at + GRACE {
            return Some(ErrorCode::TooLate);
        }
        let over = self.flight.is_some_and(|flight| flight.ends() <= now);
        if over || self.status != EntityStatus::Active {
            return Some(ErrorCode::LineStopped);
        }
        let crosses = |most: Decimal| {
            let (before, after) = (self.before.amount(), self.after.amount());
            // An amount is rounded down to what can be paid, which may go below the lower limit by that much.
            after > before + before * most || after < before - before * most - Decimal::ONE
        };
        self.max_step.is_some_and(crosses).then_some(ErrorCode::GuardrailCrossed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::DayRange;

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn eur(amount: i64) -> Money {
        Money::new(amount.into(), "EUR".parse().unwrap())
    }

    fn approved() -> Approved<'static> {
        Approved {
            before: eur(100),
            after: eur(150),
            expires_at: now() + TimeDelta::hours(1),
            flight: None,
            status: EntityStatus::Active,
            max_step: Some(Decimal::new(5, 1)),
        }
    }

    #[test]
    fn what_was_approved_and_still_holds_is_sent() {
        assert_eq!(approved().objection(now()), None);
        assert_eq!(Approved { max_step: None, after: eur(900), ..approved() }.objection(now()), None);
    }

    #[test]
    fn an_approval_does_not_outlive_its_proposal_by_much() {
        let expires_at = now() - GRACE;
        assert_eq!(Approved { expires_at, ..approved() }.objection(now()), None);
        let expires_at = expires_at - TimeDelta::seconds(1);
        assert_eq!(Approved { expires_at, ..approved() }.objection(now()), Some(ErrorCode::TooLate));
    }

    #[test]
    fn a_line_that_stopped_is_left_alone() {
        let paused = Approved { status: EntityStatus::Paused, ..approved() };
        assert_eq!(paused.objection(now()), Some(ErrorCode::LineStopped));
        let days = DayRange::ending("2026-11-20".parse().unwrap(), 5);
        let flight = Flight { days, zone: "Europe/Berlin".parse().unwrap(), budget: eur(1_000) };
        let over = Approved { flight: Some(&flight), ..approved() };
        assert_eq!(over.objection(now()), Some(ErrorCode::LineStopped));
        assert_eq!(over.objection(flight.ends() - TimeDelta::seconds(1)), None);
    }

    #[test]
    fn a_rule_that_became_stricter_holds_for_what_was_approved_before() {
        let stricter = Approved { max_step: Some(Decimal::new(2, 1)), ..approved() };
        assert_eq!(stricter.objection(now()), Some(ErrorCode::GuardrailCrossed));
    }
}
