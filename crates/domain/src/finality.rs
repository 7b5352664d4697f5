//! How settled a day's numbers are.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::day::TimeZone;

/// How settled a day's numbers are. The order is the order in which a day passes through them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Finality {
    /// The day was not over, in the account's own zone, when the platform made the report.
    Intraday,
    /// The day is over, but the platform may still restate it.
    Provisional,
    /// The platform's restatement window is past.
    Final,
}

impl Finality {
    /// The class of a day in a report made at `as_of`, on a platform that restates for `final_after_days` days.
    #[must_use]
    pub fn of(day: NaiveDate, zone: TimeZone, as_of: DateTime<Utc>, final_after_days: u32) -> Self {
        let end = zone.end_of(day);
        if as_of < end {
            Self::Intraday
        } else if as_of < end + Duration::days(i64::from(final_after_days)) {
            Self::Provisional
        } else {
            Self::Final
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn today_is_never_final_and_ends_with_the_account_s_own_midnight() {
        let tokyo: TimeZone = "Asia/Tokyo".parse().unwrap();
        let day: NaiveDate = "2026-11-20".parse().unwrap();
        let at = |text: &str| Finality::of(day, tokyo, text.parse().unwrap(), 7);
        assert_eq!(at("2026-11-20T14:59:59Z"), Finality::Intraday);
        assert_eq!(at("2026-11-20T15:00:00Z"), Finality::Provisional);
        assert_eq!(at("2026-11-27T14:59:59Z"), Finality::Provisional);
        assert_eq!(at("2026-11-27T15:00:00Z"), Finality::Final);
        assert!(Finality::Intraday < Finality::Provisional && Finality::Provisional < Finality::Final);
    }
}
