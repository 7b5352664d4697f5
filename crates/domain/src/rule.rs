//! Rules: what is watched, and what is suggested when it is off.
//!
//! One kind for now: pacing. A rule looks at a line's pacing by the data's own as-of and suggests the daily budget that
//! would bring it back to plan, within the rule's limits. It never changes anything itself.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::finality::Finality;
use crate::money::{self, Money};
use crate::pacing::Pacing;

/// The settings of a pacing rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacingRule {
    /// Below this index a line is behind. Exactly this index is still on pace.
    #[serde(with = "rust_decimal::serde::str")]
    pub behind_below: Decimal,
    /// Above this index a line is ahead. Exactly this index is still on pace.
    #[serde(with = "rust_decimal::serde::str")]
    pub ahead_above: Decimal,
    /// The largest change that may be suggested, as a share of the present daily budget: 0.5 allows ±50 %.
    #[serde(with = "rust_decimal::serde::str")]
    pub max_step: Decimal,
    /// Smaller changes than this share of the present daily budget are not worth an approver's time.
    #[serde(with = "rust_decimal::serde::str")]
    pub min_step: Decimal,
    /// How settled the newest complete day must be before the rule acts.
    pub needs: Finality,
}

impl Default for PacingRule {
    fn default() -> Self {
        Self {
            behind_below: Decimal::new(90, 2),
            ahead_above: Decimal::new(110, 2),
            max_step: Decimal::new(50, 2),
            min_step: Decimal::new(1, 2),
            needs: Finality::Intraday,
        }
    }
}

/// Settings that contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// The band is empty or negative.
    #[error("a line can't be behind below {behind_below} and ahead above {ahead_above}")]
    EmptyBand {
        /// The lower edge.
        behind_below: Decimal,
        /// The upper edge.
        ahead_above: Decimal,
    },
    /// A step outside (0, 1].
    #[error("the largest step must be above 0 and at most 1 (100 %), and not below the smallest")]
    Step,
}

/// What a rule found for one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Finding {
    /// Nothing to do.
    OnPace,
    /// The rule could not judge, and why.
    NotJudged {
        /// Why.
        reason: NotJudged,
    },
    /// The line is off pace and this daily budget would bring it back.
    Suggest {
        /// The daily budget now.
        before: Money,
        /// The daily budget suggested.
        after: Money,
        /// Whether the limit of the rule cut the change short.
        limited: bool,
    },
}

/// Why a rule could not judge a line.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NotJudged {
    /// The flight has not begun, or is over.
    OutsideFlight,
    /// The flight has begun, but its first day is not complete yet.
    NoCompleteDay,
    /// The line has no days with a budget of its own to be judged by.
    NoOwnBudget,
    /// The line has no daily budget to change.
    NoDailyBudget,
    /// The data is less settled than the rule needs.
    DataNotSettled,
    /// Not every day since the flight began has been read yet.
    HistoryMissing,
    /// The platform kept the spend of some days to itself: too little can't be told from untold.
    SpendWithheld,
    /// The spend is not in the currency of the budget.
    OtherCurrency,
}

impl PacingRule {
    /// Checks that the settings make sense.
    ///
    /// # Errors
    /// [`InvalidRule`] says which of them do not.
    pub fn validate(&self) -> Result<(), InvalidRule> {
        if self.behind_below < Decimal::ZERO || self.behind_below > self.ahead_above {
            let (behind_below, ahead_above) = (self.behind_below, self.ahead_above);
            return Err(InvalidRule::EmptyBand { behind_below, ahead_above });
        }
        let step_fits = self.max_step > Decimal::ZERO && self.max_step <= Decimal::ONE;
        if !step_fits || self.min_step < Decimal::ZERO || self.min_step > self.max_step {
            return Err(InvalidRule::Step);
        }
        Ok(())
    }

    /// Judges one line. `settled` is the finality of the newest day that the pacing includes, `unit` the smallest amount
    /// that the platform can be told.
    ///
    /// # Errors
    /// [`money::Error`] when the daily budget is not in the flight's currency, or overflows.
    pub fn judge(
        &self,
        pacing: &Pacing,
        daily: Option<Money>,
        settled: Finality,
        unit: Decimal,
    ) -> Result<Finding, money::Error> {
        let not_judged = |reason| Ok(Finding::NotJudged { reason });
        let (Some(index), Some(required)) = (pacing.index, pacing.required_daily) else {
            return not_judged(NotJudged::OutsideFlight);
        };
        if pacing.withheld_days > 0 {
            return not_judged(NotJudged::SpendWithheld);
        }
        let Some(before) = daily.filter(|budget| budget.amount() > Decimal::ZERO) else {
            return not_judged(NotJudged::NoDailyBudget);
        };
        if settled < self.needs {
            return not_judged(NotJudged::DataNotSettled);
        }
        if index >= self.behind_below && index <= self.ahead_above {
            return Ok(Finding::OnPace);
        }
        before.checked_sub(required)?;
        let lowest = before.amount() * (Decimal::ONE - self.max_step);
        let highest = before.amount() * (Decimal::ONE + self.max_step);
        let amount = required.amount().clamp(lowest, highest);
        let limited = amount != required.amount();
        let after = Money::new(amount, before.currency()).floor_to(unit);
        let change = (after.amount() - before.amount()).abs();
        if change < before.amount() * self.min_step || after == before {
            return Ok(Finding::OnPace);
        }
        Ok(Finding::Suggest { before, after, limited })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eur(text: &str) -> Money {
        Money::new(text.parse().unwrap(), "EUR".parse().unwrap())
    }

    fn pacing(index: &str, required: &str) -> Pacing {
        Pacing {
            delivered: eur("400"),
            withheld_days: 0,
            expected: eur("500"),
            budget: eur("1000"),
            index: Some(index.parse().unwrap()),
            required_daily: Some(eur(required)),
            projected: Some(eur("800")),
            as_of: "2026-11-05T00:00:00Z".parse().unwrap(),
        }
    }

    fn cent() -> Decimal {
        Decimal::new(1, 2)
    }

    fn judge(index: &str, required: &str) -> Finding {
        PacingRule::default().judge(&pacing(index, required), Some(eur("100")), Finality::Provisional, cent()).unwrap()
    }

    #[test]
    fn exactly_at_a_threshold_a_line_is_still_on_pace() {
        assert_eq!(judge("0.9", "120"), Finding::OnPace);
        assert_eq!(judge("1.1", "80"), Finding::OnPace);
        assert!(matches!(judge("0.8999", "120"), Finding::Suggest { .. }));
        assert!(matches!(judge("1.1001", "80"), Finding::Suggest { .. }));
    }

    #[test]
    fn a_line_behind_gets_what_it_needs_up_to_the_limit() {
        let suggest = |after, limited| Finding::Suggest { before: eur("100"), after: eur(after), limited };
        assert_eq!(judge("0.8", "120"), suggest("120", false));
        assert_eq!(judge("0.2", "320"), suggest("150.00", true));
        assert_eq!(judge("1.4", "20"), suggest("50.00", true));
    }

    #[test]
    fn a_rule_refuses_to_act_on_less_settled_data_than_it_needs() {
        let rule = PacingRule { needs: Finality::Provisional, ..PacingRule::default() };
        let finding = rule.judge(&pacing("0.5", "150"), Some(eur("100")), Finality::Intraday, cent()).unwrap();
        assert_eq!(finding, Finding::NotJudged { reason: NotJudged::DataNotSettled });
    }

    #[test]
    fn a_daily_budget_in_another_currency_is_an_error() {
        let dollars = Money::new(Decimal::from(100), "USD".parse().unwrap());
        assert!(PacingRule::default().judge(&pacing("0.5", "150"), Some(dollars), Finality::Final, cent()).is_err());
    }

    #[test]
    fn spend_that_is_kept_back_is_not_under_delivery() {
        let pacing = Pacing { withheld_days: 1, ..pacing("0.5", "150") };
        let finding = PacingRule::default().judge(&pacing, Some(eur("100")), Finality::Final, cent()).unwrap();
        assert_eq!(finding, Finding::NotJudged { reason: NotJudged::SpendWithheld });
    }

    #[test]
    fn forints_are_suggested_in_whole_units_as_the_platform_bills_them() {
        let huf = |text: &str| Money::new(text.parse().unwrap(), "HUF".parse().unwrap());
        let pacing = Pacing {
            delivered: huf("40000"),
            expected: huf("50000"),
            budget: huf("100000"),
            required_daily: Some(huf("10257.77")),
            projected: None,
            ..pacing("0.8", "1")
        };
        let unit = crate::Platform::Dv360.billable_unit("HUF".parse().unwrap());
        let finding = PacingRule::default().judge(&pacing, Some(huf("9000")), Finality::Final, unit).unwrap();
        assert_eq!(finding, Finding::Suggest { before: huf("9000"), after: huf("10257"), limited: false });
    }

    #[test]
    fn settings_that_contradict_themselves_are_refused() {
        let empty = PacingRule { behind_below: Decimal::from(2), ..PacingRule::default() };
        assert!(matches!(empty.validate(), Err(InvalidRule::EmptyBand { .. })));
        let step = PacingRule { max_step: Decimal::from(2), ..PacingRule::default() };
        assert_eq!(step.validate(), Err(InvalidRule::Step));
        assert_eq!(PacingRule::default().validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn a_suggestion_stays_within_the_step(required in 0i64..100_000, index in 0i64..30_000, daily in 1i64..100_000) {
            let rule = PacingRule::default();
            let pacing = Pacing {
                index: Some(Decimal::new(index, 4)),
                required_daily: Some(Money::new(Decimal::new(required, 2), "EUR".parse().unwrap())),
                ..pacing("1", "1")
            };
            let before = Money::new(Decimal::new(daily, 2), "EUR".parse().unwrap());
            if let Finding::Suggest { after, .. } = rule.judge(&pacing, Some(before), Finality::Final, cent()).unwrap() {
                let step = (after.amount() - before.amount()).abs();
                // Rounding down to cents may go a cent below the lower limit.
                prop_assert!(step <= before.amount() * rule.max_step + Decimal::new(1, 2));
                prop_assert!(after != before);
            }
        }
    }
}
