//! Writes a report as CSV, piece by piece: header, rows, totals, blank line, footer. The file that was
//! written last is kept, so that loading it again costs no more than a storage's file does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use chrono::{Datelike, NaiveDate};
use futures::{StreamExt, stream};

use super::names::{Dimension, Metric, Notation};
use super::plan::{Group, Plan};
use crate::faults::Action;
use crate::ledger::{Device, METRIC_COUNT, Metrics, Texts};
use crate::state::Sandbox;

/// How long a cut report waits before its connection ends, so that what was written arrives first.
const CUT_DELAY: Duration = Duration::from_millis(100);

/// How long a piece gets before it is sent.
const PIECE_BYTES: usize = 64 * 1_024;

/// Files beyond this size are not kept.
const KEPT_BYTES: usize = 512 << 20;

/// What the platform says when there is nothing.
const NO_DATA: &[u8] = b"No data returned by the reporting service.\n";

/// A report on its way out.
#[derive(Debug)]
pub struct Rows {
    sandbox: Arc<Sandbox>,
    /// The ids of its query and its report.
    key: (u64, u64),
    plan: Arc<Plan>,
    cut: Option<Cut>,
    sent: Vec<Bytes>,
    sent_bytes: usize,
    next_group: usize,
    written: u64,
    totals: Metrics,
    finished: bool,
    /// The calendar days as text, which a long report needs again and again.
    day_texts: BTreeMap<NaiveDate, Box<str>>,
}

/// Where a download ends before the report does.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// After so many rows, or at the latest before the totals.
    pub after_rows: u64,
    /// How long nothing comes before the connection ends.
    pub silence: Duration,
}

/// What one row adds up.
#[derive(Debug, Default)]
struct Sum {
    metrics: Metrics,
    entries: u32,
    texts: Option<Texts>,
}

impl Rows {
    /// Begins a report.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, key: (u64, u64), plan: Arc<Plan>, cut: Option<Cut>) -> Self {
        Self {
            sandbox,
            key,
            plan,
            cut,
            sent: Vec::new(),
            sent_bytes: 0,
            next_group: 0,
            written: 0,
            totals: Metrics::default(),
            finished: false,
            day_texts: BTreeMap::new(),
        }
    }

    /// The report as the body of an answer; one that is to be cut ends with an error.
    pub fn into_body(self) -> Body {
        let cut = self.cut;
        let ending = stream::once(async move {
            tokio::time::sleep(CUT_DELAY + cut.map_or(Duration::ZERO, |cut| cut.silence)).await;
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by the fault plan"))
        });
        let pieces = stream::iter(self);
        if cut.is_some() { Body::from_stream(pieces.chain(ending)) } else { Body::from_stream(pieces) }
    }

    /// Keeps a piece, and with the last one the file.
    fn keep(&mut self, piece: &Bytes) {
        self.sent_bytes += piece.len();
        if self.cut.is_some() || self.sent_bytes > KEPT_BYTES {
            self.sent = Vec::new();
            return;
        }
        self.sent.push(piece.clone());
        if self.finished {
            let file = std::mem::take(&mut self.sent);
            self.sandbox.lock().queries.last_file = Some((self.key, file));
        }
    }

    /// Writes the rows of one group.
    fn write_group(&mut self, plan: &Plan, group: &Group, out: &mut Vec<u8>) {
        for ((day, device), sum) in self.sum_group(plan, group) {
            if sum.metrics.is_zero() && sum.texts.is_none() {
                continue;
            }
            if self.written == 0 {
                write_header(plan, out);
            }
            if self.cut.is_some_and(|cut| cut.after_rows == self.written) {
                self.finished = true;
                return;
            }
            let day_text = day.map(|day| &**self.day_texts.entry(day).or_insert_with(|| slashed(day).into()));
            write_row(plan, self.written, group, (day_text, device), &sum, out);
            self.totals += sum.metrics;
            self.written += 1;
        }
    }

    fn sum_group(&self, plan: &Plan, group: &Group) -> BTreeMap<(Option<NaiveDate>, Option<Device>), Sum> {
        let grouped_by = |wanted| plan.params.group_bys.iter().any(|(dimension, _)| *dimension == wanted);
        let (by_day, by_device) = (grouped_by(Dimension::Date), grouped_by(Dimension::DeviceType));
        let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
        let state = self.sandbox.lock();
        for line_item in &group.line_items {
            state.ledger.visit(*line_item, &plan.days, plan.as_of, &mut |entry, texts| {
                let key = (by_day.then_some(entry.day), by_device.then_some(entry.device));
                let sum = sums.entry(key).or_default();
                sum.metrics += entry.metrics;
                sum.entries += 1;
                // Imported texts are only true of a row that is one imported row.
                sum.texts = texts.filter(|_| sum.entries == 1).cloned();
            });
        }
        sums
    }
}

impl Iterator for Rows {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let plan = Arc::clone(&self.plan);
        let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 2);
        while out.len() < PIECE_BYTES && !self.finished {
            if let Some(group) = plan.groups.get(self.next_group) {
                self.next_group += 1;
                self.write_group(&plan, group, &mut out);
            } else {
                self.finished = true;
                if self.cut.is_none() {
                    write_end(&plan, self.written, &self.totals, &mut out);
                }
            }
        }
        let piece = Bytes::from(out);
        self.keep(&piece);
        Some(Ok(piece))
    }
}

fn write_header(plan: &Plan, out: &mut Vec<u8>) {
    let group_bys = plan.params.group_bys.iter().map(|(_, header)| *header);
    let metrics = shown_metrics(plan).map(|metric| metric.header);
    for (index, header) in group_bys.chain(metrics).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match &plan.fault {
            Some(Action::RenamedColumn { column, to }) if is_meant(plan, column.as_deref(), header) => {
                out.extend_from_slice(quote(to).as_bytes());
            }
            _ => out.extend_from_slice(quote(header).as_bytes()),
        }
    }
    if let Some(Action::ExtraColumn { name }) = &plan.fault {
        out.push(b',');
        out.extend_from_slice(quote(name).as_bytes());
    }
    out.push(b'\n');
}

fn write_row(
    plan: &Plan,
    row: u64,
    group: &Group,
    (day, device): (Option<&str>, Option<Device>),
    sum: &Sum,
    out: &mut Vec<u8>,
) {
    let emptied = emptied_column(plan, row);
    let mut cells: VecDeque<&str> = group.cells.iter().map(|cell| &**cell).collect();
    for (index, (dimension, header)) in plan.params.group_bys.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let cell = match dimension {
            Dimension::Date => day.unwrap_or_default(),
            Dimension::DeviceType => device.map_or("", Device::name),
            Dimension::Entity(_) => cells.pop_front().unwrap_or_default(),
        };
        if emptied != Some(*header) {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    if plan.fault == Some(Action::GarbledRow { row }) {
        out.extend_from_slice(b",#REF!,\xFF\xFE,--\n");
        return;
    }
    write_figures(plan, &sum.metrics, sum.texts.as_ref(), !plan.params.group_bys.is_empty(), out);
}

fn write_figures(plan: &Plan, metrics: &Metrics, texts: Option<&Texts>, comma_first: bool, out: &mut Vec<u8>) {
    let figures: [i64; METRIC_COUNT] = metrics.figures();
    for (index, metric) in shown_metrics(plan).enumerate() {
        if index > 0 || comma_first {
            out.push(b',');
        }
        match texts.and_then(|texts| texts.get(metric.figure)?.as_deref()) {
            Some(text) => out.extend_from_slice(quote(text).as_bytes()),
            None => write_figure(figures.get(metric.figure).copied().unwrap_or(0), metric.notation, out),
        }
    }
    if matches!(plan.fault, Some(Action::ExtraColumn { .. })) {
        out.extend_from_slice(b",0");
    }
    out.push(b'\n');
}

fn write_end(plan: &Plan, rows: u64, totals: &Metrics, out: &mut Vec<u8>) {
    if rows == 0 {
        out.extend_from_slice(NO_DATA);
        return;
    }
    for _ in 1..plan.params.group_bys.len() {
        out.push(b',');
    }
    write_figures(plan, totals, None, !plan.params.group_bys.is_empty(), out);
    let mut lines = vec![
        String::new(),
        format!("Report Time:,{} GMT", plan.as_of.format("%Y/%m/%d %H:%M")),
        format!("Date Range:,{} to {}", slashed(*plan.days.start()), slashed(*plan.days.end())),
    ];
    lines.extend(plan.params.group_bys.iter().map(|(_, header)| format!("Group By:,{}", quote(header))));
    lines.push(
        "MRC Accredited Metrics,Active View metrics are accredited only when served on desktop and mobile web"
            .to_owned(),
    );
    lines.push(
        "\"Reporting numbers from the previous month are finalized (for billing purposes) on the first of each month, \
         unless communicated otherwise. Some numbers in reports may fluctuate for up to seven days before matching \
         billing numbers.\""
            .to_owned(),
    );
    lines.extend(plan.filter_lines.iter().cloned());
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

fn shown_metrics(plan: &Plan) -> impl Iterator<Item = &Metric> {
    let missing = match &plan.fault {
        Some(Action::MissingColumn { column }) => Some(column.as_deref()),
        _ => None,
    };
    let is_shown = move |metric: &&Metric| missing.is_none_or(|column| !is_meant(plan, column, metric.header));
    plan.params.metrics.iter().filter(is_shown)
}

/// Whether a fault means this column: the one that it names, or else the last metric.
fn is_meant(plan: &Plan, column: Option<&str>, header: &str) -> bool {
    let last = plan.params.metrics.last().map_or("", |metric| metric.header);
    column.unwrap_or(last) == header
}

/// The header of the key that a row lacks on purpose.
fn emptied_column(plan: &Plan, row: u64) -> Option<&'static str> {
    let Some(Action::NullKeyRow { row: wanted, column }) = &plan.fault else { return None };
    if *wanted != row {
        return None;
    }
    let mut headers = plan.params.group_bys.iter().map(|(_, header)| *header);
    match column {
        Some(column) => headers.find(|header| header == column),
        None => {
            headers.clone().find(|header| *header == "Line Item ID").or_else(|| headers.find(|h| h.ends_with("ID")))
        }
    }
}

fn write_figure(figure: i64, notation: Notation, out: &mut Vec<u8>) {
    let (unit, width) = match notation {
        Notation::Whole => (1, 0),
        Notation::Hundredths => (100, 2),
        Notation::Micros => (1_000_000, 6),
    };
    if figure < 0 {
        out.push(b'-');
    }
    let size = figure.unsigned_abs();
    write_digits(size / unit, 1, out);
    if width > 0 {
        out.push(b'.');
        write_digits(size % unit, width, out);
    }
}

/// Writes a number with at least `width` digits. A million rows spend most of their time here, so
/// it goes without the machinery of formatting.
fn write_digits(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
        if number == 0 && used >= width {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

fn slashed(day: NaiveDate) -> String {
    format!("{:04}/{:02}/{:02}", day.year(), day.month(), day.day())
}

/// A cell as RFC 4180 wants it.
#[must_use]
pub fn quote(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(figure: i64, notation: Notation) -> String {
        let mut out = Vec::new();
        write_figure(figure, notation, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn figures_are_written_exactly() {
        assert_eq!(written(0, Notation::Whole), "0");
        assert_eq!(written(1_234_567, Notation::Whole), "1234567");
        assert_eq!(written(2_345_678, Notation::Micros), "2.345678");
        assert_eq!(written(7, Notation::Micros), "0.000007");
        assert_eq!(written(-1_500_000, Notation::Micros), "-1.500000");
        assert_eq!(written(100, Notation::Hundredths), "1.00");
        assert_eq!(written(i64::MAX, Notation::Whole), "9223372036854775807");
    }

    #[test]
    fn names_with_commas_and_quotes_are_quoted() {
        assert_eq!(quote("plain"), "plain");
        assert_eq!(quote("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
