//! Columns of Arrow batches, found by name and type, and the days in them.
//!
//! What is not as expected is an error, never a panic: files may have been written by another engine.

use arrow::array::{Array, ArrayRef, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use chrono::{Days, NaiveDate};
use domain::report::Measure;

use crate::error::{Error, Result};

/// The day as Arrow and Iceberg count it.
pub(crate) fn epoch_days(day: NaiveDate) -> i32 {
    i32::try_from((day - NaiveDate::default()).num_days()).unwrap_or(i32::MAX)
}

/// The day of a number of days since 1970.
pub(crate) fn day_of(days: i32) -> NaiveDate {
    let count = Days::new(u64::from(days.unsigned_abs()));
    let epoch = NaiveDate::default();
    if days < 0 { epoch.checked_sub_days(count) } else { epoch.checked_add_days(count) }.unwrap_or(NaiveDate::MAX)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::corrupt(format!("there is no column {name}")))
}

fn typed<'a, T: 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T> {
    let array = column(batch, name)?;
    let unexpected = || Error::corrupt(format!("column {name} is of type {}", array.data_type()));
    array.as_any().downcast_ref::<T>().ok_or_else(unexpected)
}

/// A column of text.
pub(crate) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    typed(batch, name)
}

/// A column of days.
pub(crate) fn days<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Date32Array> {
    typed(batch, name)
}

/// A column of whole numbers.
pub(crate) fn longs<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    typed(batch, name)
}

/// A measure's column.
pub(crate) enum MeasureColumn<'a> {
    Count(&'a Int64Array),
    Amount(&'a Decimal128Array),
}

impl<'a> MeasureColumn<'a> {
    pub(crate) fn of(batch: &'a RecordBatch, measure: Measure) -> Result<Self> {
        let name = measure.to_string();
        if measure.is_count() { longs(batch, &name).map(Self::Count) } else { typed(batch, &name).map(Self::Amount) }
    }

    /// Whether no row has a value.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            Self::Count(array) => array.null_count() == array.len(),
            Self::Amount(array) => array.null_count() == array.len(),
        }
    }

    /// The value of a row: a count, or an amount in billionths.
    pub(crate) fn value(&self, row: usize) -> Option<i128> {
        match self {
            Self::Count(array) => array.is_valid(row).then(|| i128::from(array.value(row))),
            Self::Amount(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
