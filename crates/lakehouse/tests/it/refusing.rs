//! What is refused, with which code, and that nothing of it is left.

use std::fs;
use std::path::Path;

use domain::ErrorCode;
use domain::report::{Chunk, Measure, RowBatch, Target, Trailer};
use lakehouse::{Error, Rejection, StageError};

use crate::harness::{Broken, Row, World, chunks, day, days, row};

fn good() -> Row {
    row(day(0), "1", "10", "1", "0", "1")
}

fn with(column: usize, cell: &str) -> Row {
    let mut row = good();
    row.0[column] = cell.into();
    row
}

async fn refusal(world: &World, chunks: Vec<Result<Chunk, Broken>>) -> Rejection {
    let scope = world.scope(&["1"], days(0, 1));
    let before = world.files();
    let error = world.stage_chunks(&scope, chunks).await.unwrap_err();
    assert_eq!(world.files(), before, "files were left behind");
    let code = error.code();
    let StageError::Lake(Error::Rejected { pull, rejection }) = error else { panic!("{error:?}") };
    assert_eq!((pull, code), (scope.pull, Some(rejection.code)));
    rejection
}

#[tokio::test]
async fn every_kind_of_bad_cell_is_refused_with_its_place() {
    let world = World::new().await;
    let table = [
        (0, "", ErrorCode::ReportNullKey),
        (1, " ", ErrorCode::ReportNullKey),
        (5, "", ErrorCode::ReportNullKey),
        (0, "01.11.2026", ErrorCode::ReportGarbledRow),
        (0, "2026/12/31", ErrorCode::ReportGarbledRow),
        (1, "2", ErrorCode::ReportGarbledRow),
        (2, "USD", ErrorCode::ReportGarbledRow),
        (6, "1,000", ErrorCode::ReportGarbledRow),
        (6, "1.5", ErrorCode::ReportGarbledRow),
        (7, "-1", ErrorCode::ReportGarbledRow),
        (8, "", ErrorCode::ReportGarbledRow),
        (8, "12.3.4", ErrorCode::ReportGarbledRow),
    ];
    for (column, cell, code) in table {
        let rows = [good(), good(), good(), good(), with(column, cell)];
        let rejection = refusal(&world, chunks(&rows, Trailer::default())).await;
        assert_eq!((rejection.code, rejection.row), (code, Some(5)), "{cell}");
        assert_eq!(rejection.column.as_ref(), Some(&world.definition.columns[column].header));
    }
}

#[tokio::test]
async fn a_long_cell_is_quoted_in_part() {
    let world = World::new().await;
    let rejection = refusal(&world, chunks(&[with(8, &"9é".repeat(5_000))], Trailer::default())).await;
    assert!(rejection.detail.chars().count() < 120, "{}", rejection.detail);
}

#[tokio::test]
async fn rows_of_another_width_are_refused() {
    let world = World::new().await;
    let mut batch = RowBatch::with_capacity(8, 1);
    (0..8).for_each(|_| batch.push("1"));
    let rejection = refusal(&world, vec![Ok(Chunk::Rows(batch))]).await;
    assert_eq!(rejection.code, ErrorCode::ReportGarbledRow);
}

#[tokio::test]
async fn a_report_without_an_end_is_truncated() {
    let world = World::new().await;
    let mut chunks = chunks(&[good()], Trailer::default());
    chunks.pop();
    assert_eq!(refusal(&world, chunks).await.code, ErrorCode::ReportTruncated);
}

#[tokio::test]
async fn rows_after_the_end_are_refused() {
    let world = World::new().await;
    let mut chunks = chunks(&[good()], Trailer::default());
    chunks.swap(0, 1);
    assert_eq!(refusal(&world, chunks).await.code, ErrorCode::ReportGarbledRow);
}

#[tokio::test]
async fn the_senders_error_comes_back_and_nothing_is_left() {
    let world = World::new().await;
    let before = world.files();
    let scope = world.scope(&["1"], days(0, 1));
    let mut chunks = chunks(&[good()], Trailer::default());
    chunks.insert(1, Err(Broken));
    let error = world.stage_chunks(&scope, chunks).await.unwrap_err();
    assert!(matches!(error, StageError::Source(Broken)));
    assert_eq!(world.files(), before);
}

#[tokio::test]
async fn totals_that_differ_are_refused() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "100", "1", "1.25"), row(day(0), "1", "11", "200", "2", "2.25")];
    let totals = |impressions: &str, cost: &str| Trailer {
        report_time: None,
        totals: [("Impressions", impressions), ("Clicks", "3"), ("Media Cost (Advertiser Currency)", cost)]
            .map(|(header, text)| (header.to_owned(), text.to_owned()))
            .to_vec(),
    };
    for (impressions, cost) in [("301", "3.5"), ("300", "3.54"), ("x", "3.5")] {
        let rejection = refusal(&world, chunks(&rows, totals(impressions, cost))).await;
        assert_eq!(rejection.code, ErrorCode::ReportTotalsDiffer);
    }
    let scope = world.scope(&["1"], days(0, 1));
    world.stage_chunks(&scope, chunks(&rows, totals("300.00", "3.50"))).await.unwrap();
}

#[tokio::test]
async fn a_duplicate_key_names_the_pull_so_that_the_others_can_land() {
    let world = World::new().await;
    let rows = [good(), row(day(1), "1", "10", "1", "0", "1"), row(day(0), "1", "10", "9", "9", "9")];
    let bad = world.landing(world.scope(&["1"], days(0, 1)), &rows).await;
    let fine = world.landing(world.scope(&["2"], days(0, 1)), &[row(day(0), "2", "20", "1", "0", "1")]).await;
    let before = world.files();
    let error = world.commit(&[bad.clone(), fine.clone()]).await.unwrap_err();
    assert_eq!((error.code(), error.pull()), (ErrorCode::ReportDuplicateKey, Some(bad.scope.pull)));
    assert!(error.to_string().contains("row 3"), "{error}");
    assert_eq!(world.files(), before);
    world.commit(&[fine]).await.unwrap();
    assert_eq!(world.gold().await.len(), 1);
}

#[tokio::test]
async fn a_table_that_was_never_created_is_named() {
    let mut world = World::new().await;
    world.definition.name = "other".into();
    let error = world.stage(&world.scope(&["1"], days(0, 0)), &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no table bronze_other");
}

#[tokio::test]
async fn a_sum_beyond_the_lakes_decimals_is_an_error() {
    let mut world = World::new().await;
    world.definition.columns[7].target = Target::Measure(Measure::Conversions);
    world.definition.columns[3].target = Target::Breakdown;
    let huge = |device: &str| {
        let mut row = row(day(0), "1", "10", "1", "9999999999999999999", "1");
        row.0[3] = device.into();
        row
    };
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[huge("a"), huge("b")]).await;
    let pull = landing.scope.pull;
    let error = world.commit(&[landing]).await.unwrap_err();
    assert_eq!(error.pull(), Some(pull));
    let Error::Staged { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, Error::Overflow { .. }), "{source:?}");
}

/// What can happen to a staged file while its pull waits to be landed.
fn damage(file: &Path, how: &str) {
    match how {
        "missing" => fs::remove_file(file).unwrap(),
        "cut short" => {
            let length = fs::metadata(file).unwrap().len();
            fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }
        _ => {
            let mut bytes = fs::read(file).unwrap();
            // All pages of all columns; the footer before the last eight bytes still reads.
            let end = bytes.len() - 8;
            let footer = u32::from_le_bytes(*bytes[end..].first_chunk().unwrap()) as usize;
            bytes[4..end - footer].fill(0xff);
            fs::write(file, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn a_pull_whose_staged_file_is_damaged_is_named_so_that_the_others_can_land() {
    for how in ["missing", "cut short", "overwritten"] {
        let world = World::new().await;
        let known = world.files();
        let bad = world.landing(world.scope(&["1"], days(0, 1)), &[good()]).await;
        let staged: Vec<_> = world.files().difference(&known).cloned().collect();
        let fine = world.landing(world.scope(&["2"], days(0, 1)), &[row(day(0), "2", "20", "1", "0", "1")]).await;
        damage(&staged[0], how);
        let before = world.files();
        let error = world.commit(&[bad.clone(), fine.clone()]).await.unwrap_err();
        assert_eq!((error.code(), error.pull()), (ErrorCode::Unexpected, Some(bad.scope.pull)), "{how}: {error:?}");
        assert_eq!(world.files(), before, "{how}");
        world.commit(&[fine]).await.unwrap();
        assert_eq!(world.gold().await, ["2026-11-01 2 20 1 0 1.000000000"], "{how}");
    }
}

#[tokio::test]
async fn a_pull_whose_description_is_damaged_is_named() {
    let world = World::new().await;
    let mut landing = world.landing(world.scope(&["1"], days(0, 0)), &[good()]).await;
    landing.staged.files[0].truncate(20);
    let pull = landing.scope.pull;
    assert_eq!(world.commit(&[landing]).await.unwrap_err().pull(), Some(pull));
}
