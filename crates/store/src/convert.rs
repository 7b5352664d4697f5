//! Between what PostgreSQL stores and what the domain says: texts, counts, amounts, days.

use std::str::FromStr;

use chrono::NaiveDate;
use domain::money::{Currency, Money};
use domain::{DayRange, ErrorCode};
use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{BoxedError, Error, Result};

/// Decimal places of every stored amount.
const AMOUNT_DIGITS: u32 = 9;

/// A stored text as the domain's type.
pub(crate) fn parsed<T>(column: &'static str, text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: Into<BoxedError>,
{
    text.parse().map_err(|error: T::Err| Error::unreadable(column, error))
}

/// A stored text that may be NULL as the domain's type.
pub(crate) fn parsed_option<T>(column: &'static str, text: Option<&str>) -> Result<Option<T>>
where
    T: FromStr,
    T::Err: Into<BoxedError>,
{
    text.map(|text| parsed(column, text)).transpose()
}

/// A stored error's code.
pub(crate) fn error_code(text: Option<&str>) -> Result<Option<ErrorCode>> {
    parsed_option("error_code", text)
}

/// A stored whole number as one that is never negative.
pub(crate) fn count<T, U>(column: &'static str, value: T) -> Result<U>
where
    U: TryFrom<T>,
    U::Error: Into<BoxedError>,
{
    U::try_from(value).map_err(|error| Error::unreadable(column, error))
}

/// A whole number as PostgreSQL stores it.
pub(crate) fn stored<T, U>(column: &'static str, value: T) -> Result<U>
where
    U: TryFrom<T>,
    U::Error: Into<BoxedError>,
{
    U::try_from(value).map_err(|error| Error::unstorable(column, error))
}

/// A stored JSON value as the type that wrote it.
pub(crate) fn json<T: DeserializeOwned>(column: &'static str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::unreadable(column, error))
}

/// A value as JSON, to be stored.
pub(crate) fn to_json<T: Serialize>(column: &'static str, value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::unstorable(column, error))
}

/// A stored amount, without the zeros that its column adds.
pub(crate) fn money(amount: Decimal, currency: Currency) -> Money {
    Money::new(amount.normalize(), currency)
}

/// An amount as it is stored; one that would lose a digit is refused.
pub(crate) fn amount(column: &'static str, amount: Decimal) -> Result<Decimal> {
    if amount.normalize().scale() > AMOUNT_DIGITS {
        return Err(Error::unstorable(column, "it has more than nine decimal places"));
    }
    Ok(amount)
}

/// Stored first and last days as a range.
pub(crate) fn days(first: NaiveDate, last: NaiveDate) -> Result<DayRange> {
    DayRange::new(first, last).ok_or_else(|| Error::unreadable("last_day", "it comes before the first day"))
}
