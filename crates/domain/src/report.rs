//! Reports: what is asked of a platform, how its columns map to the unified model, and rows on their way.
//!
//! A report definition is data: adding a metric is a row, never code. Rows travel as text, as the platform sent them,
//! in batches that hold all their cells in one buffer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::ReportId;
use crate::platform::Platform;

/// A unified measure. Money measures are in the account's currency.
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
pub enum Measure {
    /// Times that an ad was shown.
    Impressions,
    /// Clicks.
    Clicks,
    /// What the platform charged for media.
    MediaCost,
    /// Conversions, post-click and post-view; platforms report fractions.
    Conversions,
    /// The value of those conversions.
    ConversionValue,
    /// Videos begun.
    VideoStarts,
    /// Videos seen to the end.
    VideoCompletes,
    /// Impressions that were seen.
    ViewableImpressions,
    /// Impressions of which it could be measured whether they were seen.
    MeasurableImpressions,
}

impl Measure {
    /// Whether its values are whole counts; the others are decimals.
    #[must_use]
    pub const fn is_count(self) -> bool {
        !matches!(self, Self::MediaCost | Self::Conversions | Self::ConversionValue)
    }
}

/// What a column of a report means in the unified model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "of")]
pub enum Target {
    /// The account-local day.
    Day,
    /// The platform's id of the account.
    Account,
    /// The ISO 4217 code of the row's amounts.
    Currency,
    /// The platform's id of the campaign.
    Campaign,
    /// The platform's id of the order.
    Order,
    /// The platform's id of the line.
    Line,
    /// A further breakdown (device, country): part of the row's key, not of the unified hierarchy.
    Breakdown,
    /// A measure.
    Measure(Measure),
    /// Kept in bronze only.
    Unmapped,
}

impl Target {
    /// Whether the column is part of a row's key; such a cell may not be empty.
    #[must_use]
    pub const fn is_key(self) -> bool {
        matches!(
            self,
            Self::Day | Self::Account | Self::Currency | Self::Campaign | Self::Order | Self::Line | Self::Breakdown
        )
    }
}

/// One column of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What the platform's API calls it when it is asked for: `FILTER_LINE_ITEM`.
    pub field: String,
    /// What the platform's report calls it: `Line Item ID`.
    pub header: String,
    /// What it means.
    pub target: Target,
}

/// What is asked of a platform again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its id.
    pub id: ReportId,
    /// The platform that it is asked of.
    pub platform: Platform,
    /// A short name, unique for the platform within an organisation; names its bronze table.
    pub name: String,
    /// The platform's type of report: `STANDARD`.
    pub kind: String,
    /// Its columns, in the order in which they are asked for.
    pub columns: Vec<Column>,
    /// Seconds between two pulls of today and yesterday.
    pub cadence_seconds: u32,
    /// How many past days may be restated and are read again.
    pub lookback_days: u32,
    /// Seconds between two pulls of those past days.
    pub lookback_cadence_seconds: u32,
    /// After how many days a day's numbers are taken as final.
    pub final_after_days: u32,
}

impl Definition {
    /// Where the column with this meaning stands.
    #[must_use]
    pub fn position(&self, target: Target) -> Option<usize> {
        self.columns.iter().position(|column| column.target == target)
    }
}

/// Rows of a report as text, all cells in one buffer: cell `c` of row `r` ends at `ends[r * width + c]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowBatch {
    width: usize,
    text: String,
    ends: Vec<u32>,
}

impl RowBatch {
    /// An empty batch of rows with `width` cells each, with room for about `rows` rows.
    #[must_use]
    pub fn with_capacity(width: usize, rows: usize) -> Self {
        Self { width, text: String::with_capacity(rows * width * 12), ends: Vec::with_capacity(rows * width) }
    }

    /// Adds the next cell, left to right, row after row. A batch holds less than 4 GiB of text.
    pub fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    /// Adds a whole row: the text of its cells, one after the other, and where each of them ends in it. Says no, and adds
    /// nothing, when a cell would end within a character or there are not as many as the batch is wide.
    #[must_use]
    pub fn push_cells(&mut self, text: &str, ends: &[usize]) -> bool {
        if ends.len() != self.width || !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return false;
        }
        let before = self.text.len();
        self.text.push_str(text);
        self.ends.extend(ends.iter().map(|end| u32::try_from(before + end).unwrap_or(u32::MAX)));
        true
    }

    /// Adds to each column's size how many bytes its cells have.
    pub fn add_sizes(&self, sizes: &mut [usize]) {
        let mut begin = 0;
        for row in self.ends.chunks_exact(self.width.max(1)) {
            for (size, end) in sizes.iter_mut().zip(row) {
                *size += (end - begin) as usize;
                begin = *end;
            }
        }
    }

    /// Adds a copy of another batch's row, which must be as wide.
    pub fn push_row(&mut self, from: &Self, row: usize) {
        let (begin, ends) = from.row(row);
        let end = ends.last().copied().unwrap_or(begin);
        let moved = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(from.text.get(begin as usize..end as usize).unwrap_or_default());
        self.ends.extend(ends.iter().map(|end| (end - begin).saturating_add(moved)));
    }

    /// The cells of a row, left to right.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let (mut begin, ends) = self.row(row);
        ends.iter().map(move |end| {
            let cell = self.text.get(begin as usize..*end as usize).unwrap_or_default();
            begin = *end;
            cell
        })
    }

    /// Where a row's text begins, and where each of its cells ends; no cells when there is no such row.
    fn row(&self, row: usize) -> (u32, &[u32]) {
        let first = row * self.width;
        let begin = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        (begin, self.ends.get(first..first + self.width).unwrap_or_default())
    }

    /// How many cells a row has.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// How many whole rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of text the rows have.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.text.len()
    }

    /// The text of a cell; empty when there is no such cell.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let index = row * self.width + column;
        let begin = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or_default() };
        self.ends.get(index).and_then(|end| self.text.get(begin as usize..*end as usize)).unwrap_or_default()
    }
}

/// What a platform said after the last row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// When the platform made the report.
    pub report_time: Option<DateTime<Utc>>,
    /// The platform's own totals row, as (header, text) pairs, where it sends one.
    pub totals: Vec<(String, String)>,
}

/// A piece of a report's stream: any number of batches, then one trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Rows, with the columns in the definition's order.
    Rows(RowBatch),
    /// The end.
    End(Trailer),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_where_they_were_put() {
        let mut batch = RowBatch::with_capacity(2, 2);
        for cell in ["a", "", "Zürich, \"CH\"", "4"] {
            batch.push(cell);
        }
        assert_eq!((batch.len(), batch.width()), (2, 2));
        assert_eq!((batch.cell(0, 0), batch.cell(0, 1)), ("a", ""));
        assert_eq!((batch.cell(1, 0), batch.cell(1, 1)), ("Zürich, \"CH\"", "4"));
        assert_eq!(batch.cell(2, 0), "");
        assert_eq!(batch.cells(1).collect::<Vec<_>>(), ["Zürich, \"CH\"", "4"]);
        assert_eq!(batch.cells(2).count(), 0);
    }

    #[test]
    fn whole_rows_are_the_same_as_their_cells() {
        let mut batch = RowBatch::with_capacity(2, 2);
        assert!(batch.push_cells("aZürich", &[1, 8]));
        assert!(!batch.push_cells("aZürich", &[3, 8]) && !batch.push_cells("a", &[1]), "within a character; too few");
        batch.push("");
        batch.push("é");
        let rows: Vec<Vec<&str>> = (0..batch.len()).map(|row| batch.cells(row).collect()).collect();
        assert_eq!(rows, [["a", "Zürich"], ["", "é"]]);
        let mut sizes = [1, 0];
        batch.add_sizes(&mut sizes);
        assert_eq!(sizes, [2, 9]);
    }

    #[test]
    fn copied_rows_are_the_same_rows() {
        let mut batch = RowBatch::with_capacity(2, 3);
        for cell in ["a", "", "Zürich", "4", "", "last"] {
            batch.push(cell);
        }
        let mut copy = RowBatch::with_capacity(2, 3);
        for row in [2, 0, 1] {
            copy.push_row(&batch, row);
        }
        let rows: Vec<Vec<&str>> = (0..copy.len()).map(|row| copy.cells(row).collect()).collect();
        assert_eq!(rows, [["", "last"], ["a", ""], ["Zürich", "4"]]);
    }

    #[test]
    fn a_mapping_reads_back_from_json() {
        let target = Target::Measure(Measure::MediaCost);
        let json = serde_json::to_string(&target).unwrap();
        assert_eq!(json, r#"{"is":"measure","of":"media_cost"}"#);
        assert_eq!(serde_json::from_str::<Target>(&json).unwrap(), target);
    }
}
