//! Bid Manager's CSV, read as it arrives: header, rows, a totals row, a blank line, footers.
//!
//! The bytes go through `csv-core`, which keeps its state between two pieces, so a piece may end anywhere: within a quoted
//! cell, within a character, between CR and LF. `csv-core` skips blank lines, but here a blank line ends the table, so
//! the first byte of each line is looked at before it is handed over.
//!
//! Cells are not interpreted. What is checked is the shape: every wanted column is there, every row has as many cells as
//! the header, and the table is closed by its blank line; a stream that ends before is cut off.

use std::collections::VecDeque;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use csv_core::ReadRecordResult;
use domain::ErrorCode;
use domain::report::{Chunk, Column, Definition, RowBatch, Trailer};
use futures::stream::{self, BoxStream, StreamExt as _, TryStream, TryStreamExt as _};

use crate::error::{Error, Result};

const BATCH_ROWS: usize = 8192;
/// A record longer than this is an unclosed quote that would swallow the report.
const LONGEST_RECORD_BYTES: usize = 1 << 20;
const NO_DATA: &str = "No data returned by the reporting service.";
const REPORT_TIME: &str = "Report Time:";
const REPORT_TIME_FORMAT: &str = "%Y/%m/%d %H:%M";

/// Reads one report.
pub(super) struct Parser {
    wanted: Vec<Wanted>,
    csv: csv_core::Reader,
    record: Record,
    line: Line,
    phase: Phase,
    /// Where each wanted column stands in the report.
    positions: Vec<usize>,
    /// How many cells the header has.
    width: usize,
    /// Whether the report has the wanted columns and no others, in their order.
    is_as_wanted: bool,
    row_number: u64,
    /// A row without any key: the totals when it is the last one.
    keyless: Option<Vec<String>>,
    batch: RowBatch,
    trailer: Trailer,
}

struct Wanted {
    field: String,
    header: String,
    is_dimension: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Rows,
    Footers,
}

/// Where the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Begins,
    /// Begins, unless the next byte is the LF of a CR LF.
    BeginsAfterCr,
    Within,
}

/// The cells of one record, in one buffer that is used again.
struct Record {
    bytes: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    cells: usize,
}

impl Record {
    fn clear(&mut self) {
        (self.filled, self.cells) = (0, 0);
    }

    /// The text of all cells, one after the other, or `None` when it is not UTF-8.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.filled)?).ok()
    }

    /// A cell within [`Record::text`].
    fn cell<'a>(&self, text: &'a str, index: usize) -> Option<&'a str> {
        let ends = self.ends.get(..self.cells)?;
        let begin = index.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        text.get(begin..*ends.get(index)?)
    }
}

/// The chunks of a report from the pieces of its download.
pub(super) fn stream(
    bytes: impl TryStream<Ok = Bytes, Error = Error> + Send + 'static,
    parser: Parser,
) -> BoxStream<'static, Result<Chunk>> {
    let state = (bytes.into_stream().boxed(), Some(parser), VecDeque::new());
    stream::try_unfold(state, |(mut bytes, mut parser, mut ready)| async move {
        loop {
            if let Some(chunk) = ready.pop_front() {
                return Ok(Some((chunk, (bytes, parser, ready))));
            }
            let Some(reading) = &mut parser else { return Ok(None) };
            if let Some(piece) = bytes.try_next().await? {
                reading.push(&piece, &mut ready)?;
            } else {
                reading.finish(&mut ready)?;
                parser = None;
            }
        }
    })
    .boxed()
}

impl Parser {
    /// Reads a report with the definition's columns, of which some are dimensions.
    pub(super) fn new(definition: &Definition, is_dimension: fn(&Column) -> bool) -> Self {
        let wanted = definition.columns.iter().map(|column| Wanted {
            field: column.field.clone(),
            header: column.header.clone(),
            is_dimension: is_dimension(column),
        });
        Self {
            wanted: wanted.collect(),
            csv: csv_core::Reader::new(),
            record: Record { bytes: vec![0; 1024], filled: 0, ends: vec![0; 64], cells: 0 },
            line: Line::Within,
            phase: Phase::Header,
            positions: Vec::new(),
            width: 0,
            is_as_wanted: false,
            row_number: 0,
            keyless: None,
            batch: RowBatch::with_capacity(definition.columns.len(), BATCH_ROWS),
            trailer: Trailer::default(),
        }
    }

    /// Takes the next piece of the download; full batches become ready.
    pub(super) fn push(&mut self, piece: &[u8], ready: &mut VecDeque<Chunk>) -> Result<()> {
        let mut rest = piece;
        while let Some(first) = rest.first() {
            if self.phase == Phase::Rows && self.at_line_end(*first) {
                rest = &rest[1..];
                continue;
            }
            let taken = self.read(rest, ready)?;
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// The download has ended: what is left becomes ready.
    pub(super) fn finish(&mut self, ready: &mut VecDeque<Chunk>) -> Result<()> {
        // Within rows nothing that is left can be trusted; elsewhere the last line may lack its line end.
        let flushed = self.phase != Phase::Rows && self.read(&[], ready).is_ok();
        if !flushed || self.phase != Phase::Footers {
            return Err(report(ErrorCode::ReportTruncated, "it ends before its closing blank line".into()));
        }
        if !self.batch.is_empty() {
            ready.push_back(Chunk::Rows(std::mem::take(&mut self.batch)));
        }
        ready.push_back(Chunk::End(std::mem::take(&mut self.trailer)));
        Ok(())
    }

    /// Looks at the first byte of a line: whether it belongs to a line's end, and closes the table if so. The LF of a
    /// CR LF closes nothing.
    fn at_line_end(&mut self, byte: u8) -> bool {
        let ends = match (self.line, byte) {
            (Line::Within, _) => return false,
            (Line::BeginsAfterCr, b'\n') => {
                self.line = Line::Begins;
                return true;
            }
            (_, byte) => byte == b'\n' || byte == b'\r',
        };
        self.line = Line::Within;
        if ends {
            self.close_table();
        }
        ends
    }

    /// Hands bytes to the CSV reader up to the end of a record, and says how many it took. No bytes mean the end.
    fn read(&mut self, input: &[u8], ready: &mut VecDeque<Chunk>) -> Result<usize> {
        let mut taken = 0;
        loop {
            let Record { bytes, filled, ends, cells } = &mut self.record;
            let (result, read, written, ended) =
                self.csv.read_record(&input[taken..], &mut bytes[*filled..], &mut ends[*cells..]);
            taken += read;
            *filled += written;
            *cells += ended;
            match result {
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(taken),
                ReadRecordResult::OutputFull if *filled >= LONGEST_RECORD_BYTES => {
                    return Err(garbled(self.row_number + 1, "is endless"));
                }
                ReadRecordResult::OutputFull => bytes.resize(bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let after_cr = taken.checked_sub(1).and_then(|last| input.get(last)) == Some(&b'\r');
                    self.line = if after_cr { Line::BeginsAfterCr } else { Line::Begins };
                    self.on_record(ready)?;
                    self.record.clear();
                    return Ok(taken);
                }
            }
        }
    }

    fn on_record(&mut self, ready: &mut VecDeque<Chunk>) -> Result<()> {
        match self.phase {
            Phase::Header => self.on_header(),
            Phase::Rows => self.on_row(ready),
            Phase::Footers => {
                self.on_footer();
                Ok(())
            }
        }
    }

    fn on_header(&mut self) -> Result<()> {
        let text =
            self.record.text().ok_or_else(|| report(ErrorCode::ReportGarbledRow, "its header is no UTF-8".into()))?;
        let mut names: Vec<&str> = (0..self.record.cells).filter_map(|cell| self.record.cell(text, cell)).collect();
        // csv-core drops a byte order mark only when it comes in one piece.
        if let Some(first) = names.first_mut() {
            *first = first.trim_start_matches('\u{feff}');
        }
        if names.first().is_some_and(|name| name.starts_with(NO_DATA)) {
            self.phase = Phase::Footers;
            return Ok(());
        }
        let position = |wanted: &Wanted| {
            names.iter().position(|name| *name == wanted.header).ok_or_else(|| {
                let Wanted { header, field, .. } = wanted;
                report(ErrorCode::ReportMissingColumn, format!("it has no column `{header}` ({field})"))
            })
        };
        self.positions = self.wanted.iter().map(position).collect::<Result<_>>()?;
        self.width = names.len();
        self.is_as_wanted = self.positions.iter().copied().eq(0..self.width);
        self.phase = Phase::Rows;
        Ok(())
    }

    fn on_row(&mut self, ready: &mut VecDeque<Chunk>) -> Result<()> {
        if let Some(row) = self.keyless.take() {
            // Another row follows, so it was no totals row but a row that lacks its keys: a later check names it.
            for cell in row {
                self.batch.push(&cell);
            }
        }
        self.row_number += 1;
        if self.record.cells != self.width {
            return Err(garbled(
                self.row_number,
                &format!("has {} cells instead of {}", self.record.cells, self.width),
            ));
        }
        let text = self.record.text().ok_or_else(|| garbled(self.row_number, "is no UTF-8"))?;
        let cell = |position: &usize| self.record.cell(text, *position);
        if self.is_keyless(text) {
            let cells: Option<Vec<String>> = self.positions.iter().map(|at| cell(at).map(str::to_owned)).collect();
            self.keyless = Some(cells.ok_or_else(|| garbled(self.row_number, "is no UTF-8"))?);
            return Ok(());
        }
        if self.is_as_wanted {
            let ends = self.record.ends.get(..self.record.cells).unwrap_or_default();
            if !self.batch.push_cells(text, ends) {
                return Err(garbled(self.row_number, "is no UTF-8"));
            }
        } else {
            for position in &self.positions {
                self.batch.push(cell(position).ok_or_else(|| garbled(self.row_number, "is no UTF-8"))?);
            }
        }
        if self.batch.len() >= BATCH_ROWS {
            let next = RowBatch::with_capacity(self.wanted.len(), BATCH_ROWS);
            ready.push_back(Chunk::Rows(std::mem::replace(&mut self.batch, next)));
        }
        Ok(())
    }

    fn is_keyless(&self, text: &str) -> bool {
        let mut dimensions =
            self.wanted.iter().zip(&self.positions).filter(|(wanted, _)| wanted.is_dimension).peekable();
        dimensions.peek().is_some() && dimensions.all(|(_, at)| self.record.cell(text, *at) == Some(""))
    }

    /// The blank line: what was held back was the totals row.
    fn close_table(&mut self) {
        self.phase = Phase::Footers;
        let Some(cells) = self.keyless.take() else { return };
        let metrics = self.wanted.iter().zip(cells).filter(|(wanted, _)| !wanted.is_dimension);
        self.trailer.totals = metrics.map(|(wanted, cell)| (wanted.header.clone(), cell)).collect();
    }

    fn on_footer(&mut self) {
        let Some(text) = self.record.text() else { return };
        if self.record.cell(text, 0) == Some(REPORT_TIME) {
            self.trailer.report_time = self.record.cell(text, 1).and_then(report_time);
        }
    }
}

/// `2027/01/08 07:14 GMT`. A time in a zone that is not UTC by name is not guessed.
fn report_time(text: &str) -> Option<DateTime<Utc>> {
    let (time, zone) = text.trim().rsplit_once(' ')?;
    let time = NaiveDateTime::parse_from_str(time.trim(), REPORT_TIME_FORMAT).ok()?;
    matches!(zone, "GMT" | "UTC").then(|| time.and_utc())
}

fn garbled(row_number: u64, how: &str) -> Error {
    report(ErrorCode::ReportGarbledRow, format!("row {row_number} {how}"))
}

fn report(code: ErrorCode, detail: String) -> Error {
    Error::Report { code, detail }
}

#[cfg(test)]
#[path = "report_csv_tests.rs"]
mod tests;
