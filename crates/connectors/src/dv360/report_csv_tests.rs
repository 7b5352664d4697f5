//! The parser against every place where a piece of a download can end, every fault of a report, and any text in a cell.

use std::fmt::Write as _;

use domain::Platform;
use domain::ids::ReportId;
use domain::report::Target;
use proptest::prelude::*;

use super::*;

const FOOTERS: &str = "\nReport Time:,2027/01/08 07:14 GMT\nDate Range:,2027/01/01 to 2027/01/07\nGroup By:,Date\n\n\
    \"Reporting numbers, they \"\"move\"\".\nStill.\"\nFilter by Advertiser ID:,\"Acme, Inc (123)\"\n";

fn definition(columns: &[(&str, &str)]) -> Definition {
    let column = |(field, header): &(&str, &str)| Column {
        field: (*field).into(),
        header: (*header).into(),
        target: Target::Unmapped,
    };
    Definition {
        id: ReportId::new(),
        platform: Platform::Dv360,
        name: "test".into(),
        kind: "STANDARD".into(),
        columns: columns.iter().map(column).collect(),
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: 86_400,
        final_after_days: 7,
    }
}

fn parser() -> Parser {
    let definition =
        definition(&[("FILTER_DATE", "Date"), ("FILTER_LINE_ITEM", "Line Item"), ("METRIC_CLICKS", "Clicks")]);
    Parser::new(&definition, |column| column.field.starts_with("FILTER_"))
}

type Read = (Vec<Vec<String>>, Trailer);

fn read(pieces: &[&[u8]]) -> Result<Read> {
    let (mut parser, mut ready) = (parser(), VecDeque::new());
    for piece in pieces {
        parser.push(piece, &mut ready)?;
    }
    parser.finish(&mut ready)?;
    let (mut rows, mut trailer) = (Vec::new(), None);
    for chunk in ready {
        match chunk {
            Chunk::Rows(batch) => rows.extend(
                (0..batch.len()).map(|row| (0..batch.width()).map(|cell| batch.cell(row, cell).to_owned()).collect()),
            ),
            Chunk::End(end) => trailer = Some(end),
        }
    }
    Ok((rows, trailer.unwrap()))
}

fn code(text: &str) -> String {
    let error = read(&[text.as_bytes()]).unwrap_err();
    format!("{}: {error}", error.code())
}

fn sample() -> String {
    // Columns in another order, one too many, quotes, a line break and a multi-byte character in a cell, a keyless
    // dimension, and CR LF in the midst.
    format!(
        "Clicks,Extra,Line Item,Date\r\n5,x,\"Zürich, \"\"CH\"\"\r\n\r\nline two\",2027/01/01\r\n0,-,,2027/01/02\n\
         < 1000,x,77001,2027/01/03\r\n5,,,\r\n{FOOTERS}"
    )
}

#[test]
fn a_report_reads_the_same_wherever_its_download_is_cut() {
    let text = sample();
    let bytes = text.as_bytes();
    let whole = read(&[bytes]).unwrap();
    insta::assert_json_snapshot!("report_rows", whole);
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(read(&[left, right]).unwrap(), whole, "cut at byte {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single).unwrap(), whole);
}

#[test]
fn a_report_that_ends_anywhere_before_its_blank_line_is_cut_off() {
    let text = sample();
    let blank = text.find("5,,,\r\n\n").unwrap() + "5,,,\r\n".len();
    for at in 0..=blank {
        let error = read(&[&text.as_bytes()[..at]]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ReportTruncated, "ends at byte {at}: {error}");
    }
    assert!(read(&[&text.as_bytes()[..=blank]]).is_ok());
}

#[test]
fn no_data_is_no_rows() {
    for text in [NO_DATA.to_owned(), format!("{NO_DATA}\n"), format!("{NO_DATA}\r\n{FOOTERS}")] {
        let (rows, trailer) = read(&[text.as_bytes()]).unwrap();
        assert_eq!((rows.len(), trailer.totals.len()), (0, 0));
        assert_eq!(trailer.report_time.is_some(), text.contains(REPORT_TIME));
    }
    let (rows, _) = read(&[format!("Date,Line Item,Clicks\n{FOOTERS}").as_bytes()]).unwrap();
    assert_eq!(rows.len(), 0);
}

#[test]
fn only_the_last_keyless_row_is_the_totals() {
    let text = format!("Date,Line Item,Clicks\n,,3\n2027/01/01,1,4\n,,7\n{FOOTERS}");
    let (rows, trailer) = read(&[text.as_bytes()]).unwrap();
    assert_eq!(rows, [["", "", "3"], ["2027/01/01", "1", "4"]]);
    assert_eq!(trailer.totals, [("Clicks".to_owned(), "7".to_owned())]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let text = format!("\u{feff}Date,Line Item,Clicks\n2027/01/01,1,4\n{FOOTERS}");
    for at in 0..6 {
        let (left, right) = text.as_bytes().split_at(at);
        assert_eq!(read(&[left, right]).unwrap().0.len(), 1);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let errors = [
        code(&format!("Date,Line Item\n2027/01/01,1\n{FOOTERS}")),
        code(&format!("Date,Line Item,Clicks\n2027/01/01,1,4\n2027/01/01,2\n{FOOTERS}")),
        code(&format!("Date,Line Item,Clicks\n2027/01/01,1,4,5\n{FOOTERS}")),
        code(&format!("Date,Line Item,Clicks\n2027/01/01,\"1,4\n{}", "x".repeat(3 << 20))),
        code("<html>not a report</html>\n\n"),
        code(""),
    ];
    insta::assert_json_snapshot!("report_errors", errors);
    let invalid = [b"Date,Line Item,Clicks\n2027/01/01,\xc3".as_slice(), b"(,4\n\n"].concat();
    assert_eq!(read(&[&invalid]).unwrap_err().code(), ErrorCode::ReportGarbledRow);
    let across_cells = [b"Date,Line Item,Clicks\n2027/01/01,\xc3".as_slice(), b",\xbc\n\n"].concat();
    assert_eq!(read(&[&across_cells]).unwrap_err().code(), ErrorCode::ReportGarbledRow);
}

#[test]
fn a_report_time_in_an_unknown_zone_is_not_guessed() {
    assert_eq!(report_time("2027/01/08 07:14 GMT").unwrap().to_rfc3339(), "2027-01-08T07:14:00+00:00");
    for text in ["2027/01/08 07:14 EST", "2027/01/08 07:14", "", "GMT"] {
        assert_eq!(report_time(text), None, "{text}");
    }
}

#[test]
fn many_rows_come_in_batches() {
    let rows = BATCH_ROWS * 2 + 5;
    let mut text = "Date,Line Item,Clicks\n".to_owned();
    for row in 0..rows {
        writeln!(text, "2027/01/01,{row},1").unwrap();
    }
    text.push_str(FOOTERS);
    let (mut parser, mut ready) = (parser(), VecDeque::new());
    parser.push(text.as_bytes(), &mut ready).unwrap();
    parser.finish(&mut ready).unwrap();
    let sizes: Vec<usize> =
        ready.iter().filter_map(|chunk| if let Chunk::Rows(rows) = chunk { Some(rows.len()) } else { None }).collect();
    assert_eq!(sizes, [BATCH_ROWS, BATCH_ROWS, 5]);
}

proptest! {
    #[test]
    fn any_text_that_a_writer_quotes_comes_back(
        rows in proptest::collection::vec((".{0,8}|[\",\r\n é]{0,6}", ".{0,8}|[\",\r\n é]{0,6}"), 0..20),
        cut in any::<prop::sample::Index>(),
        crlf in any::<bool>(),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(["Date", "Line Item", "Clicks"]).unwrap();
        // The first dimension is never empty, so that no row looks like the totals.
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(a, b)| vec!["d".to_owned(), a, b]).collect();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let mut bytes = writer.into_inner().unwrap();
        bytes.extend_from_slice(FOOTERS.as_bytes());
        let (left, right) = bytes.split_at(cut.index(bytes.len()));
        let (read, trailer) = read(&[left, right]).unwrap();
        prop_assert_eq!(read, rows);
        prop_assert!(trailer.report_time.is_some());
    }
}
