//! The checks that every row passes before it is staged, and the sums that are kept of them.
//!
//! One bad row refuses the whole report: no row is dropped in silence. Duplicate keys are not looked for here but when a
//! day is landed, one day at a time, so that memory stays bounded.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use domain::report::{Measure, RowBatch};
use domain::{Currency, ErrorCode};
use rust_decimal::Decimal;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::error::{Error, Rejection, Result};
use crate::mapping::Mapping;
use crate::number::{self, Cell, ONE};
use crate::pull::{PullScope, StagedSlice};

/// What is known of one account's day.
#[derive(Debug, Clone, Default)]
struct Slot {
    rows: u64,
    hash: u128,
    impressions: i128,
    media_cost: i128,
}

/// What is known of one measure over all rows.
#[derive(Debug, Clone)]
pub(crate) struct Sum {
    pub(crate) measure: Measure,
    /// The position of its column.
    pub(crate) column: usize,
    /// The sum of the stated values, in billionths.
    pub(crate) nanos: i128,
    /// The most digits after the point that a cell showed.
    pub(crate) digits: u32,
    /// Cells without a value.
    pub(crate) withheld: u64,
    /// Cells with more digits than the lake holds.
    pub(crate) rounded: u64,
}

/// Checks rows, and adds them up.
#[derive(Debug)]
pub(crate) struct Tally {
    scope: Arc<PullScope>,
    mapping: Arc<Mapping>,
    accounts: Vec<(String, Currency)>,
    days: usize,
    slots: Vec<Slot>,
    pub(crate) sums: Vec<Sum>,
    pub(crate) rows: u64,
    /// The position of each row's day, in the batch that was checked last.
    pub(crate) row_days: Vec<usize>,
    last_day: (String, usize),
    last_account: usize,
    scratch: Vec<u8>,
}

impl Tally {
    pub(crate) fn new(scope: Arc<PullScope>, mapping: Arc<Mapping>) -> Self {
        let accounts: Vec<_> = scope.accounts.iter().map(|(id, currency)| (id.clone(), *currency)).collect();
        let days = usize::try_from(scope.days.len()).unwrap_or_default();
        let sum = |(measure, column)| Sum { measure, column, nanos: 0, digits: 0, withheld: 0, rounded: 0 };
        Self {
            slots: vec![Slot::default(); accounts.len() * days],
            sums: mapping.measures.iter().copied().map(sum).collect(),
            scope,
            mapping,
            accounts,
            days,
            rows: 0,
            row_days: Vec::new(),
            last_day: (String::new(), 0),
            last_account: 0,
            scratch: Vec::new(),
        }
    }

    /// Checks a batch and adds it up; the days of its rows are then in `row_days`.
    pub(crate) fn check(&mut self, batch: &RowBatch) -> Result<(), Rejection> {
        let width = self.mapping.columns.len();
        if batch.width() != width {
            let detail = format!("{} cells in a row where {width} were asked for", batch.width());
            return Err(Rejection::of_report(ErrorCode::ReportGarbledRow, detail));
        }
        self.row_days.clear();
        for row in 0..batch.len() {
            self.rows += 1;
            self.check_keys(batch, row)?;
            let day = self.day(batch.cell(row, self.mapping.day))?;
            let account = self.account(batch.cell(row, self.mapping.account))?;
            self.check_currency(batch, row, account)?;
            self.row_days.push(day);
            let slot = account * self.days + day;
            self.slots[slot].rows += 1;
            self.slots[slot].hash = self.slots[slot].hash.wrapping_add(row_hash(batch, row, &mut self.scratch));
            self.add_measures(batch, row, slot)?;
        }
        Ok(())
    }

    fn check_keys(&self, batch: &RowBatch, row: usize) -> Result<(), Rejection> {
        let empty = self.mapping.keys.iter().find(|column| batch.cell(row, **column).trim().is_empty());
        empty.map_or(Ok(()), |column| {
            Err(self.reject(ErrorCode::ReportNullKey, *column, "a key is empty", batch.cell(row, *column)))
        })
    }

    fn day(&mut self, cell: &str) -> Result<usize, Rejection> {
        if self.last_day.0 == cell {
            return Ok(self.last_day.1);
        }
        let column = self.mapping.day;
        let day = parse_day(cell.trim())
            .ok_or_else(|| self.reject(ErrorCode::ReportGarbledRow, column, "not a date", cell))?;
        if !self.scope.days.contains(day) {
            return Err(self.reject(ErrorCode::ReportGarbledRow, column, "a day that was not asked for", cell));
        }
        let position = usize::try_from((day - self.scope.days.first()).num_days()).unwrap_or_default();
        self.last_day = (cell.to_owned(), position);
        Ok(position)
    }

    fn account(&mut self, cell: &str) -> Result<usize, Rejection> {
        let id = cell.trim();
        if self.accounts.get(self.last_account).is_some_and(|(known, _)| *known == id) {
            return Ok(self.last_account);
        }
        let found = self.accounts.binary_search_by_key(&id, |(known, _)| known.as_str());
        self.last_account = found.map_err(|_| {
            let what = "an account that was not asked for";
            self.reject(ErrorCode::ReportGarbledRow, self.mapping.account, what, cell)
        })?;
        Ok(self.last_account)
    }

    fn check_currency(&self, batch: &RowBatch, row: usize, account: usize) -> Result<(), Rejection> {
        let Some(column) = self.mapping.currency else { return Ok(()) };
        let (cell, currency) = (batch.cell(row, column), self.accounts[account].1);
        if cell.trim() == currency.code() {
            return Ok(());
        }
        let what = format!("not the account's currency, {currency}");
        Err(self.reject(ErrorCode::ReportGarbledRow, column, &what, cell))
    }

    fn add_measures(&mut self, batch: &RowBatch, row: usize, slot: usize) -> Result<(), Rejection> {
        for index in 0..self.sums.len() {
            let (measure, column) = (self.sums[index].measure, self.sums[index].column);
            let text = batch.cell(row, column);
            let Some(cell) = number::parse(text, measure) else {
                let what = format!("not a number of {measure}");
                return Err(self.reject(ErrorCode::ReportGarbledRow, column, &what, text));
            };
            let sum = &mut self.sums[index];
            let Cell::Known(number) = cell else {
                sum.withheld += 1;
                continue;
            };
            sum.nanos += number.nanos;
            sum.digits = sum.digits.max(number.digits);
            sum.rounded += u64::from(number.digits > number::SCALE);
            match measure {
                Measure::Impressions => self.slots[slot].impressions += number.nanos,
                Measure::MediaCost => self.slots[slot].media_cost += number.nanos,
                _ => {}
            }
        }
        Ok(())
    }

    fn reject(&self, code: ErrorCode, column: usize, what: &str, cell: &str) -> Rejection {
        let header = self.scope.definition.columns.get(column).map_or("", |column| column.header.as_str());
        Rejection::of_cell(code, self.rows, header, what, cell)
    }

    /// What came for each account and day.
    pub(crate) fn slices(&self) -> Result<Vec<StagedSlice>> {
        let places =
            self.accounts.iter().flat_map(|(account, _)| self.scope.days.days().map(move |day| (account, day)));
        let slices = places.zip(&self.slots).map(|((account, day), slot)| {
            Ok(StagedSlice {
                account: account.clone(),
                day,
                rows: slot.rows,
                content_hash: format!("{:032x}{:08x}", slot.hash, slot.rows),
                impressions: i64::try_from(slot.impressions / ONE).map_err(|_| overflow(Measure::Impressions))?,
                media_cost: decimal(slot.media_cost)?,
            })
        });
        slices.collect()
    }

    /// The media cost of all rows, per currency.
    pub(crate) fn media_cost(&self) -> Result<BTreeMap<Currency, Decimal>> {
        let mut costs: BTreeMap<Currency, i128> = BTreeMap::new();
        for (slots, (_, currency)) in self.slots.chunks(self.days.max(1)).zip(&self.accounts) {
            *costs.entry(*currency).or_default() += slots.iter().map(|slot| slot.media_cost).sum::<i128>();
        }
        costs.into_iter().map(|(currency, nanos)| Ok((currency, decimal(nanos)?))).collect()
    }
}

/// Reads `2026/11/21` or `2026-11-21`.
pub(crate) fn parse_day(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    let separator = *bytes.get(4)?;
    let is_shaped = bytes.len() == 10 && matches!(separator, b'/' | b'-') && bytes[7] == separator;
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| digits.iter().fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0')))
    };
    if !is_shaped {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)
}

/// The day at a position of a range.
pub(crate) fn day_at(scope: &PullScope, position: usize) -> NaiveDate {
    let days = Days::new(u64::try_from(position).unwrap_or_default());
    scope.days.first().checked_add_days(days).unwrap_or(NaiveDate::MAX)
}

/// 128 bits of a row's cells, each with its length, so that no two rows are written alike.
///
/// SipHash-1-3 with a fixed key: fast, specified, the same on every machine. It is no protection against a platform
/// that forges rows on purpose, which could send any rows it likes anyway.
fn row_hash(batch: &RowBatch, row: usize, scratch: &mut Vec<u8>) -> u128 {
    scratch.clear();
    for cell in batch.cells(row) {
        push_text(scratch, cell);
    }
    hash(scratch)
}

/// Appends a text after its length, so that no two lists of texts are written alike.
pub(crate) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// 128 bits of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish128().as_u128()
}

fn decimal(nanos: i128) -> Result<Decimal> {
    number::to_decimal(nanos).ok_or_else(|| overflow(Measure::MediaCost))
}

fn overflow(measure: Measure) -> Error {
    Error::Overflow { measure: measure.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_in_both_spellings_and_no_other() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 21);
        assert_eq!((parse_day("2026/11/21"), parse_day("2026-11-21")), (day, day));
        for text in [
            "",
            "2026/11-21",
            "21.11.2026",
            "2026-13-01",
            "2026-02-30",
            "2026-1-1",
            "20261121",
            "2026-11-21 ",
            "２026-11-2",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn moving_a_character_to_the_next_cell_changes_the_hash() {
        let of = |cells: [&str; 2]| {
            let mut batch = RowBatch::with_capacity(2, 1);
            for cell in cells {
                batch.push(cell);
            }
            row_hash(&batch, 0, &mut Vec::new())
        };
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_eq!(of(["ab", "c"]), of(["ab", "c"]));
    }

    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(format!("{:032x}", hash(b"campaign lifecycle")), HASH_OF_RECORD);
    }

    /// Stored hashes would all look changed if this did.
    const HASH_OF_RECORD: &str = "801dad67110fdc8c8ac35f669e546b62";
}
