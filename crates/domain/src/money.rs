//! Exact amounts in one currency. Floats never hold money.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Millionths of a unit in one unit: Google's wire unit for money.
const MICROS_SCALE: u32 = 6;

/// An ISO 4217 currency, written as its three letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal places an amount that can be paid has: 2 for EUR, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(2, u32::from)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        iso_currency::Currency::from_code(text)
            .map(Self)
            .ok_or_else(|| Error::UnknownCurrency { code: text.chars().take(8).collect() })
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What can go wrong with amounts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two amounts of different currencies met; they are never summed without a named rate.
    #[error("{left} and {right} can't be added: they need an exchange rate")]
    CurrencyMismatch {
        /// The currency of the first amount.
        left: Currency,
        /// The currency of the second.
        right: Currency,
    },
    /// The result has more digits than an amount can hold.
    #[error("the amount is too large")]
    Overflow,
    /// The text is not an ISO 4217 code.
    #[error("`{code}` is not an ISO 4217 currency code")]
    UnknownCurrency {
        /// The text (its first characters).
        code: String,
    },
}

/// An exact amount in one currency. On the wire `{"amount": "12.34", "currency": "EUR"}`: the amount is a string,
/// because JavaScript loses integers above 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    #[serde(with = "rust_decimal::serde::str")]
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// An amount in units of the currency.
    #[must_use]
    pub const fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in this currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::ZERO, currency }
    }

    /// An amount in millionths of a unit, the wire unit of Google's platforms.
    #[must_use]
    pub fn from_micros(micros: i64, currency: Currency) -> Self {
        Self { amount: Decimal::new(micros, MICROS_SCALE).normalize(), currency }
    }

    /// The amount in millionths of a unit; digits below a millionth are cut off.
    ///
    /// # Errors
    /// [`Error::Overflow`] when the number does not fit 64 bits.
    pub fn to_micros(self) -> Result<i64, Error> {
        let scaled = self.amount.checked_mul(Decimal::from(1_000_000)).ok_or(Error::Overflow)?;
        i64::try_from(scaled.trunc()).map_err(|_| Error::Overflow)
    }

    /// The amount in units of the currency.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Adds two amounts of the same currency.
    ///
    /// # Errors
    /// [`Error::CurrencyMismatch`] when the currencies differ, [`Error::Overflow`] when the sum is too large.
    pub fn checked_add(self, other: Self) -> Result<Self, Error> {
        self.same_currency(other)?;
        let amount = self.amount.checked_add(other.amount).ok_or(Error::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// Takes an amount of the same currency away.
    ///
    /// # Errors
    /// As [`Money::checked_add`].
    pub fn checked_sub(self, other: Self) -> Result<Self, Error> {
        self.same_currency(other)?;
        let amount = self.amount.checked_sub(other.amount).ok_or(Error::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The amount times a factor.
    ///
    /// # Errors
    /// [`Error::Overflow`] when the product is too large.
    pub fn checked_mul(self, factor: Decimal) -> Result<Self, Error> {
        let amount = self.amount.checked_mul(factor).ok_or(Error::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The amount rounded down (towards zero) to what can be paid in its currency: a budget is never rounded up.
    #[must_use]
    pub fn floor_to_minor(self) -> Self {
        let amount = self.amount.round_dp_with_strategy(self.currency.minor_digits(), RoundingStrategy::ToZero);
        Self { amount, ..self }
    }

    /// The amount rounded down (towards zero) to a multiple of a unit, such as the smallest that a platform can bill.
    #[must_use]
    pub fn floor_to(self, unit: Decimal) -> Self {
        let rest = self.amount.checked_rem(unit).unwrap_or_default();
        Self { amount: self.amount - rest, ..self }
    }

    /// Whether the amount is a multiple of a unit.
    #[must_use]
    pub fn is_multiple_of(self, unit: Decimal) -> bool {
        self.amount.checked_rem(unit).is_some_and(|rest| rest.is_zero())
    }

    fn same_currency(self, other: Self) -> Result<(), Error> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(Error::CurrencyMismatch { left: self.currency, right: other.currency })
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.normalize(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn eur(text: &str) -> Money {
        Money::new(text.parse().unwrap(), "EUR".parse().unwrap())
    }

    #[test]
    fn euros_and_dollars_are_not_added() {
        let usd: Currency = "USD".parse().unwrap();
        let error = eur("1").checked_add(Money::zero(usd)).unwrap_err();
        assert_eq!(error.to_string(), "EUR and USD can't be added: they need an exchange rate");
    }

    #[test]
    fn an_amount_travels_as_a_string() {
        let json = serde_json::to_string(&eur("12345678901234567.89")).unwrap();
        assert_eq!(json, r#"{"amount":"12345678901234567.89","currency":"EUR"}"#);
        assert!(serde_json::from_str::<Money>(r#"{"amount":"1","currency":"EURO"}"#).is_err());
    }

    #[test]
    fn a_budget_is_rounded_down_to_what_its_currency_can_pay() {
        let jpy = Money::new("1420.9".parse().unwrap(), "JPY".parse().unwrap());
        assert_eq!(jpy.floor_to_minor().to_string(), "1420 JPY");
        assert_eq!(eur("14.209").floor_to_minor().to_string(), "14.2 EUR");
        let kwd = Money::new("1.23456".parse().unwrap(), "KWD".parse().unwrap());
        assert_eq!(kwd.floor_to_minor().to_string(), "1.234 KWD");
    }

    #[test]
    fn an_amount_is_rounded_down_to_what_a_platform_can_bill() {
        let huf = Money::new("1420.96".parse().unwrap(), "HUF".parse().unwrap());
        assert_eq!(huf.floor_to(Decimal::ONE).to_string(), "1420 HUF");
        assert!(!huf.is_multiple_of(Decimal::ONE) && huf.floor_to(Decimal::ONE).is_multiple_of(Decimal::ONE));
        let kwd = Money::new("1.239".parse().unwrap(), "KWD".parse().unwrap());
        assert_eq!(kwd.floor_to(Decimal::new(1, 2)).to_string(), "1.23 KWD");
        assert_eq!(kwd.floor_to(Decimal::ZERO), kwd);
    }

    proptest! {
        #[test]
        fn micros_read_back_exactly(micros in any::<i64>()) {
            let currency: Currency = "USD".parse().unwrap();
            prop_assert_eq!(Money::from_micros(micros, currency).to_micros(), Ok(micros));
        }

        #[test]
        fn adding_then_subtracting_changes_nothing(a in any::<i64>(), b in any::<i64>()) {
            let currency: Currency = "EUR".parse().unwrap();
            let (a, b) = (Money::from_micros(a, currency), Money::from_micros(b, currency));
            prop_assert_eq!(a.checked_add(b).unwrap().checked_sub(b).unwrap().to_micros(), a.to_micros());
        }

        #[test]
        fn rounding_to_minor_units_never_adds_money(micros in 0i64..=i64::MAX) {
            for code in ["EUR", "JPY", "KWD"] {
                let amount = Money::from_micros(micros, code.parse().unwrap());
                prop_assert!(amount.floor_to_minor().amount() <= amount.amount());
            }
        }
    }
}
