//! The advertising platforms that the product speaks to.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::money::Currency;

/// Currencies that Google bills in whole units, whatever ISO 4217 says of their decimal places. One too many here does no
/// harm: a whole amount is also a multiple of a hundredth.
const BILLED_IN_WHOLE_UNITS: [&str; 10] = ["CLP", "COP", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"];

/// A demand-side platform.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Platform {
    /// Google's Display & Video 360.
    Dv360,
}

impl Platform {
    /// The name that people know it by.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Dv360 => "Display & Video 360",
        }
    }

    /// The smallest amount of a currency that the platform can be told. It rounds a budget to a multiple of it in silence,
    /// and a change that comes back rounded looks like somebody else's.
    #[must_use]
    pub fn billable_unit(self, currency: Currency) -> Decimal {
        match self {
            Self::Dv360 if currency.minor_digits() == 0 || BILLED_IN_WHOLE_UNITS.contains(&currency.code()) => {
                Decimal::ONE
            }
            Self::Dv360 => Decimal::new(1, 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_s_smallest_amount_is_not_the_currency_s() {
        let unit = |code: &str| Platform::Dv360.billable_unit(code.parse().unwrap()).to_string();
        assert_eq!(["EUR", "JPY", "HUF", "KWD"].map(unit), ["0.01", "1", "1", "0.01"]);
    }
}
