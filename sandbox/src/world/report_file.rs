//! Reads a Display & Video 360 report that somebody exported: rows under a header, an optional row of
//! totals, a blank line, and footers. Says in a sentence what to change when it cannot.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

use crate::ledger::{METRIC_COUNT, Metrics, Texts};

/// A file that cannot be served; displays as a sentence for the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile(pub String);

impl fmt::Display for BadFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A dimension that a report file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The day.
    Date,
    /// The device.
    Device,
    /// The country.
    Country,
    /// The partner's id.
    PartnerId,
    /// The partner's name.
    Partner,
    /// The advertiser's id.
    AdvertiserId,
    /// The advertiser's name.
    Advertiser,
    /// The advertiser's currency.
    Currency,
    /// The advertiser's time zone.
    Zone,
    /// The campaign's id.
    CampaignId,
    /// The campaign's name.
    Campaign,
    /// The insertion order's id.
    OrderId,
    /// The insertion order's name.
    Order,
    /// The line item's id.
    LineItemId,
    /// The line item's name.
    LineItem,
    /// The first day of the budget segment.
    SegmentStart,
    /// The last day of the budget segment.
    SegmentEnd,
    /// The amount of the budget segment.
    SegmentBudget,
}

/// The header names by which dimensions are known.
const KEYS: [(Key, &[&str]); 18] = [
    (Key::Date, &["Date", "Day"]),
    (Key::Device, &["Device Type", "Device"]),
    (Key::Country, &["Country"]),
    (Key::PartnerId, &["Partner ID"]),
    (Key::Partner, &["Partner"]),
    (Key::AdvertiserId, &["Advertiser ID"]),
    (Key::Advertiser, &["Advertiser", "Advertiser Name"]),
    (Key::Currency, &["Advertiser Currency", "Advertiser Currency Code", "Currency"]),
    (Key::Zone, &["Advertiser Time Zone", "Advertiser Timezone", "Time Zone"]),
    (Key::CampaignId, &["Campaign ID"]),
    (Key::Campaign, &["Campaign", "Campaign Name"]),
    (Key::OrderId, &["Insertion Order ID"]),
    (Key::Order, &["Insertion Order", "Insertion Order Name"]),
    (Key::LineItemId, &["Line Item ID"]),
    (Key::LineItem, &["Line Item", "Line Item Name"]),
    (Key::SegmentStart, &["Budget Segment Start Date"]),
    (Key::SegmentEnd, &["Budget Segment End Date"]),
    (Key::SegmentBudget, &["Budget Segment Budget"]),
];

/// The header names by which figures are known, in the order of the ledger's figures.
const FIGURES: [&[&str]; METRIC_COUNT] = [
    &["Impressions", "Billable Impressions"],
    &["Clicks"],
    &["Media Cost (Advertiser Currency)", "Media Cost (Adv Currency)", "Media Cost"],
    &["Revenue (Advertiser Currency)", "Revenue (Adv Currency)", "Revenue"],
    &["Total Conversions", "Conversions"],
    &["Starts (Video)", "Video Starts"],
    &["Complete Views (Video)", "Video Completions"],
    &["Active View: Viewable Impressions", "Viewable Impressions"],
    &["Active View: Measurable Impressions", "Measurable Impressions"],
    &["CM360 Post-Click Revenue", "CM Post-Click Revenue"],
];

/// How many decimals of each figure the ledger keeps.
const DECIMALS: [usize; METRIC_COUNT] = [0, 0, 6, 6, 2, 0, 0, 0, 0, 6];

/// One row of the file.
#[derive(Debug, Clone)]
pub struct Row {
    /// The day.
    pub day: NaiveDate,
    /// The cells of the dimensions that the file has.
    pub keys: BTreeMap<Key, String>,
    /// The figures; what is withheld or absent counts as zero.
    pub metrics: Metrics,
    /// One bit per figure that is withheld.
    pub withheld: u16,
    /// The cells as they were; those with more decimals than the ledger keeps as the ledger holds them, so that what is
    /// served adds up to what the ledger says.
    pub texts: Texts,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct ReportFile {
    /// Its rows.
    pub rows: Vec<Row>,
    /// Which figures it has.
    pub figures: [bool; METRIC_COUNT],
    /// When the report was made.
    pub report_time: Option<DateTime<Utc>>,
}

/// Where things stand in a row.
struct Columns {
    width: usize,
    keys: Vec<(Key, usize)>,
    figures: [Option<usize>; METRIC_COUNT],
}

/// Reads the text of a report file.
///
/// # Errors
/// With a sentence that says what to change.
pub fn parse(text: &str) -> Result<ReportFile, BadFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text)?.into_iter();
    let header = records
        .next()
        .filter(|record| !is_blank(record))
        .ok_or_else(|| BadFile("The file is empty: export the report again as CSV, with its header row.".to_owned()))?;
    if header.first().is_some_and(|cell| cell.starts_with("No data returned")) {
        return Err(BadFile(
            "The report has no data: choose a date range with delivery and export it again.".to_owned(),
        ));
    }
    let columns = find_columns(&header)?;
    let mut rows = Vec::new();
    let mut footers = Vec::new();
    for (record, number) in records.by_ref().zip(2..) {
        if is_blank(&record) {
            break;
        }
        if record.first().is_some_and(|cell| cell == "Report Time:") {
            footers.push(record);
            break;
        }
        if record.len() != columns.width {
            return Err(BadFile(format!(
                "Row {number} has {} cells where the header has {}: export the report again, without editing it.",
                record.len(),
                columns.width
            )));
        }
        // The row of totals has no dimensions.
        let is_total = columns.keys.iter().all(|(_, column)| cell(&record, *column).is_empty());
        if !is_total {
            rows.push(read_row(&record, &columns, number)?);
        }
    }
    footers.extend(records);
    if rows.is_empty() {
        return Err(BadFile(
            "The report has no rows: choose a date range with delivery and export it again.".to_owned(),
        ));
    }
    let report_time = footer(&footers, "Report Time:").map(read_report_time).transpose()?;
    let figures = columns.figures.map(|column| column.is_some());
    Ok(ReportFile { rows, figures, report_time })
}

fn find_columns(header: &[String]) -> Result<Columns, BadFile> {
    let place = |names: &[&str]| {
        let same = |name: &&str| header.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
        names.iter().find_map(same)
    };
    let keys: Vec<(Key, usize)> = KEYS.iter().filter_map(|(key, names)| Some((*key, place(names)?))).collect();
    let has = |wanted: &[Key]| keys.iter().any(|(key, _)| wanted.contains(key));
    let needed: [(&[Key], &str); 4] = [
        (&[Key::Date], "Date"),
        (&[Key::AdvertiserId, Key::Advertiser], "Advertiser"),
        (&[Key::LineItemId, Key::LineItem], "Line Item"),
        (&[Key::Currency], "Advertiser Currency"),
    ];
    for (any_of, name) in needed {
        if !has(any_of) {
            return Err(BadFile(format!(
                "The file has no column \"{name}\": add that dimension to the report and export it again as CSV."
            )));
        }
    }
    let figures = FIGURES.map(place);
    let [impressions, _, cost, revenue, ..] = figures;
    if impressions.is_none() {
        return Err(BadFile("The file has no column \"Impressions\": add that metric and export it again.".to_owned()));
    }
    if cost.is_none() && revenue.is_none() {
        return Err(BadFile(
            "The file has neither \"Media Cost (Advertiser Currency)\" nor \"Revenue (Advertiser Currency)\": add one \
             of these metrics and export it again."
                .to_owned(),
        ));
    }
    Ok(Columns { width: header.len(), keys, figures })
}

fn read_row(record: &[String], columns: &Columns, number: usize) -> Result<Row, BadFile> {
    let keys: BTreeMap<Key, String> =
        columns.keys.iter().map(|(key, column)| (*key, cell(record, *column).to_owned())).collect();
    let date = keys.get(&Key::Date).map(String::as_str).unwrap_or_default();
    let day = read_day(date).ok_or_else(|| {
        BadFile(format!(
            "Row {number} has the date \"{date}\", which is not written as YYYY/MM/DD: set the report's date format \
             to that and export it again."
        ))
    })?;
    let mut figures = [0; METRIC_COUNT];
    let mut texts: Texts = Default::default();
    let mut withheld = 0;
    for (index, column) in columns.figures.iter().enumerate() {
        let Some(column) = column else { continue };
        let text = cell(record, *column);
        let decimals = DECIMALS.get(index).copied().unwrap_or(0);
        let mut served = Box::from(text);
        match read_figure(text, decimals) {
            Some(Figure::Known(figure)) => {
                if let Some(target) = figures.get_mut(index) {
                    *target = figure;
                }
                if is_finer(text, decimals) {
                    served = written(figure, decimals).into();
                }
            }
            Some(Figure::Withheld) => withheld |= 1 << index,
            None => {
                let names = FIGURES.get(index).and_then(|names| names.first()).copied().unwrap_or_default();
                return Err(BadFile(format!(
                    "Row {number} has \"{text}\" in the column \"{names}\", which is no number: correct the cell or \
                     export the report again."
                )));
            }
        }
        if let Some(target) = texts.get_mut(index) {
            *target = Some(served);
        }
    }
    Ok(Row { day, keys, metrics: Metrics::from_figures(figures), withheld, texts })
}

enum Figure {
    Known(i64),
    Withheld,
}

/// Reads a figure in units of its last kept decimal; further decimals are rounded half away from
/// zero. `-` and nothing mean none, `< 1000` that the platform does not say.
fn read_figure(text: &str, decimals: usize) -> Option<Figure> {
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return Some(Figure::Known(0));
    }
    if text.starts_with('<') {
        return Some(Figure::Withheld);
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !(whole.to_owned() + fraction).bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(decimals).collect();
    let up = fraction.as_bytes().get(decimals).is_some_and(|digit| *digit >= b'5');
    let size = (whole.to_owned() + &kept).parse::<i64>().ok()?.checked_add(i64::from(up))?;
    Some(Figure::Known(if negative { -size } else { size }))
}

/// Whether a figure says more than fits these decimals.
fn is_finer(text: &str, decimals: usize) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().skip(decimals).any(|digit| digit != b'0')
}

/// A figure in units of its last decimal, as reports write it.
fn written(figure: i64, decimals: usize) -> String {
    let sign = if figure < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", figure.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Reads an amount of money in micros.
#[must_use]
pub fn read_micros(text: &str) -> Option<i64> {
    match read_figure(text, 6)? {
        Figure::Known(micros) if micros > 0 => Some(micros),
        _ => None,
    }
}

/// Reads a day as reports write it.
#[must_use]
pub fn read_day(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    NaiveDate::parse_from_str(text, "%Y/%m/%d").or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d")).ok()
}

fn read_report_time(text: &str) -> Result<DateTime<Utc>, BadFile> {
    let bad = || {
        BadFile(format!(
            "The footer's Report Time \"{text}\" is not written as \"YYYY/MM/DD HH:MM GMT\": leave the footer as it \
             was exported, or remove it."
        ))
    };
    let (date, rest) = text.trim().split_once(' ').ok_or_else(bad)?;
    let (time, zone) = rest.trim().split_once(' ').unwrap_or((rest, "GMT"));
    let local = NaiveDateTime::parse_from_str(&format!("{date} {time}"), "%Y/%m/%d %H:%M").map_err(|_| bad())?;
    let zone: Tz = zone.trim().parse().map_err(|_| bad())?;
    zone.from_local_datetime(&local).earliest().map(|instant| instant.with_timezone(&Utc)).ok_or_else(bad)
}

fn footer<'a>(footers: &'a [Vec<String>], name: &str) -> Option<&'a str> {
    footers.iter().find(|record| record.first().is_some_and(|cell| cell == name))?.get(1).map(String::as_str)
}

fn cell(record: &[String], column: usize) -> &str {
    record.get(column).map(|cell| cell.trim()).unwrap_or_default()
}

fn is_blank(record: &[String]) -> bool {
    record.iter().all(String::is_empty) && record.len() <= 1
}

/// Splits CSV as RFC 4180 says. Blank lines stay, as records of one empty cell: they mean something.
fn records(text: &str) -> Result<Vec<Vec<String>>, BadFile> {
    let mut records = Vec::new();
    let (mut record, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    if quoted {
        return Err(BadFile("A quoted cell does not end: export the report again, without editing it.".to_owned()));
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Date,Advertiser,Advertiser Currency,Line Item,Impressions,Revenue (Adv Currency)\n";

    #[test]
    fn rows_totals_and_footers_are_told_apart() {
        let text = format!(
            "{HEADER}2027/01/01,Acme,EUR,\"One, \"\"two\"\"\",< 1000,1.5\n2027/01/02,Acme,EUR,\"One, \"\"two\"\"\",-,\
             2.0000005\n,,,,5,3.5\n\nReport Time:,2027/01/08 07:14 GMT\nDate Range:,2027/01/01 to 2027/01/07\n"
        );
        let file = parse(&text).unwrap();
        assert_eq!(file.rows.len(), 2);
        assert_eq!(file.rows[0].keys[&Key::LineItem], "One, \"two\"");
        assert_eq!((file.rows[0].withheld, file.rows[0].metrics.revenue_micros), (1, 1_500_000));
        assert_eq!((file.rows[1].withheld, file.rows[1].metrics.revenue_micros), (0, 2_000_001));
        assert_eq!(file.rows[1].texts[0].as_deref(), Some("-"));
        assert_eq!(file.report_time.unwrap().to_rfc3339(), "2027-01-08T07:14:00+00:00");
    }

    #[test]
    fn a_figure_that_is_finer_than_the_ledger_is_served_as_the_ledger_holds_it() {
        let served = |impressions: &str, revenue: &str| {
            let text = format!("{HEADER}2027/01/01,Acme,EUR,One,{impressions},{revenue}\n");
            let row = parse(&text).unwrap().rows.remove(0);
            (row.texts[0].as_deref().unwrap().to_owned(), row.texts[3].as_deref().unwrap().to_owned())
        };
        let told = |left: &str, right: &str| (left.to_owned(), right.to_owned());
        assert_eq!(served("7", "2.0000005"), told("7", "2.000001"));
        assert_eq!(served("7.4", "-0.0000014"), told("7", "-0.000001"));
        // What the ledger holds exactly is served letter by letter.
        assert_eq!(served("5.00", "1.50000000"), told("5.00", "1.50000000"));
        assert_eq!(served("< 1000", "-"), told("< 1000", "-"));
    }

    #[test]
    fn a_bad_file_is_told_what_to_change() {
        let row = "2027/01/01,Acme,EUR,One,5,1.5\n";
        for (text, expected) in [
            (String::new(), "empty"),
            (HEADER.replace("Advertiser Currency", "Colour") + row, "\"Advertiser Currency\""),
            (format!("{HEADER}01.02.2027,Acme,EUR,One,5,1.5\n"), "YYYY/MM/DD"),
            (format!("{HEADER}2027/01/01,Acme,EUR,One,five,1.5\n"), "\"five\""),
            (format!("{HEADER}2027/01/01,Acme,EUR,One,5\n"), "Row 2 has 5 cells"),
            (format!("{HEADER}\nReport Time:,2027/01/08 07:14 GMT\n"), "no rows"),
            (format!("{HEADER}{row}\nReport Time:,yesterday\n"), "Report Time"),
            ("No data returned by the reporting service.\n".to_owned(), "no data"),
            (format!("{HEADER}\"2027/01/01"), "does not end"),
        ] {
            let BadFile(sentence) = parse(&text).unwrap_err();
            assert!(sentence.contains(expected) && sentence.contains(':'), "{sentence}");
        }
    }
}
