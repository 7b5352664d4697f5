//! Pulls land, are restated, and leave alone what they did not ask for.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{CommitId, ReportId};
use domain::report::{Chunk, Measure, RowBatch, Target, Trailer};
use lakehouse::{Error, Landing, StagedPull, TotalOutcome};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::harness::{Broken, Row, World, chunks, column, day, days, moment, row};

#[tokio::test]
async fn a_first_pull_lands_and_reads_back_exactly() {
    let world = World::new().await;
    let rows = [
        row(day(0), "1", "10", "1000", "7", "12.345678"),
        row(day(0), "1", "11", "5.00", "0", "-0.000001"),
        row(day(1), "2", "20", "9223372036854775807", "-", "1234567890123456789.123456789"),
    ];
    let prepared = world.land(&["1", "2"], days(0, 1), &rows).await;
    let expected = [
        "2026-11-01 1 10 1000 7 12.345678000",
        "2026-11-01 1 11 5 0 -0.000001000",
        "2026-11-02 2 20 9223372036854775807 0 1234567890123456789.123456789",
    ];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
    assert_eq!((prepared.silver_rows, prepared.gold_rows), (3, 3));
    assert_eq!(prepared.tables["silver_delivery"].files_added, 2);
    assert_eq!(prepared.days[&world.connection], BTreeSet::from([day(0), day(1)]));
    let bronze = "select row_number, day, filter_line_item, metric_impressions, metric_clicks from t order by 1";
    let texts = ["1 2026-11-01 10 1000 7", "2 2026-11-01 11 5.00 0", "3 2026-11-02 20 9223372036854775807 -"];
    assert_eq!(world.sql("bronze_delivery", bronze).await, texts);
    world.check().await;
}

#[tokio::test]
async fn tables_are_created_once() {
    let world = World::new().await;
    let definitions = std::slice::from_ref(&world.definition);
    let again = world.lake.create_tables(&world.pointers, world.org, definitions).await.unwrap();
    assert_eq!(again, []);
    assert_eq!(world.silver().await, [""; 0]);
}

#[tokio::test]
async fn restated_days_replace_only_their_own_partitions() {
    let world = World::new().await;
    let rows: Vec<Row> = (0..5).map(|number| row(day(number), "1", "10", "100", "1", "1.5")).collect();
    world.land(&["1"], days(0, 4), &rows).await;
    let restated = [row(day(2), "1", "10", "90", "1", "1.4"), row(day(2), "1", "11", "5", "0", "0.1")];
    let prepared = world.land(&["1"], days(2, 2), &restated).await;
    let silver = &prepared.tables["silver_delivery"];
    assert_eq!((silver.files_removed, silver.rows_removed, silver.rows_added), (1, 1, 2));
    let expected = [
        "2026-11-01 1 10 100 1 1.500000000",
        "2026-11-02 1 10 100 1 1.500000000",
        "2026-11-03 1 10 90 1 1.400000000",
        "2026-11-03 1 11 5 0 0.100000000",
        "2026-11-04 1 10 100 1 1.500000000",
        "2026-11-05 1 10 100 1 1.500000000",
    ];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
    assert_eq!(world.sql("bronze_delivery", "select count(*) from t").await, ["7"]);
    world.check().await;
}

#[tokio::test]
async fn a_day_without_rows_empties_its_partition() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1"), row(day(1), "1", "10", "2", "0", "2")];
    world.land(&["1"], days(0, 1), &rows).await;
    let prepared = world.land(&["1"], days(0, 0), &[]).await;
    assert_eq!(prepared.tables["gold_line_day"].files_added, 0);
    assert_eq!(world.silver().await, ["2026-11-02 1 10 2 0 2.000000000"]);
    assert_eq!(world.gold().await, ["2026-11-02 1 10 2 0 2.000000000"]);
    world.check().await;
}

#[tokio::test]
async fn accounts_that_were_not_asked_for_are_carried_over() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1"), row(day(0), "2", "20", "2", "0", "2")];
    world.land(&["1", "2"], days(0, 0), &rows).await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "11", "3", "0", "3")]).await;
    let expected = ["2026-11-01 1 11 3 0 3.000000000", "2026-11-01 2 20 2 0 2.000000000"];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
}

#[tokio::test]
async fn only_the_accounts_that_a_pull_lands_on_are_replaced() {
    let world = World::new().await;
    let rows = ["1", "2", "3"].map(|account| row(day(0), account, "10", "1", "0", "1"));
    world.land(&["1", "2", "3"], days(0, 0), &rows).await;
    // Another pull is newer for account 1, and one of account 2 comes twice: neither is this landing's business.
    let newer = ["1", "2", "2", "3"].map(|account| row(day(0), account, "10", "9", "0", "9"));
    let landing = world.landing(world.scope(&["1", "2", "3"], days(0, 0)), &newer).await;
    let landing = Landing { days: [(day(0), ["3".to_owned()].into())].into(), ..landing };
    let (_, prepared) = world.commit(&[landing]).await.unwrap();
    assert_eq!(prepared.silver_rows, 1);
    let expected =
        ["2026-11-01 1 10 1 0 1.000000000", "2026-11-01 2 10 1 0 1.000000000", "2026-11-01 3 10 9 0 9.000000000"];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
    world.check().await;
}

#[tokio::test]
async fn two_pulls_of_overlapping_accounts_share_a_day() {
    let world = World::new().await;
    let older = ["1", "2"].map(|account| row(day(0), account, "10", "1", "0", "1"));
    let older = world.landing(world.scope(&["1", "2"], days(0, 0)), &older).await;
    let older = Landing { days: [(day(0), ["2".to_owned()].into())].into(), ..older };
    let newer = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "2", "0", "2")]).await;
    world.commit(&[older, newer]).await.unwrap();
    let expected = ["2026-11-01 1 10 2 0 2.000000000", "2026-11-01 2 10 1 0 1.000000000"];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
}

#[tokio::test]
async fn a_second_report_is_carried_over_and_never_doubles_gold() {
    let mut world = World::new().await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "100", "4", "5")]).await;
    let first = world.definition.clone();
    world.definition.id = ReportId::new();
    world.definition.name = "devices".into();
    world.definition.columns[3] = column("FILTER_DEVICE_TYPE", "Device Type", Target::Breakdown);
    world.definition.columns[7].target = Target::Measure(Measure::VideoStarts);
    world.create(std::slice::from_ref(&world.definition)).await;
    let by_device = |device: &str, impressions: &str| {
        let mut row = row(day(0), "1", "10", impressions, "9", "2.5");
        row.0[3] = device.into();
        row
    };
    world.land(&["1"], days(0, 0), &[by_device("Phone;tablet", "60"), by_device("Desktop", "40")]).await;
    let breakdowns = "select breakdown from t order by 1";
    let expected = ["", r"filter_device_type=Desktop", r"filter_device_type=Phone\;tablet"];
    assert_eq!(world.sql("silver_delivery", breakdowns).await, expected);
    // Spend is the older report's; video starts, which only the younger states, are the younger's.
    let sums = "select sum(impressions), sum(media_cost), sum(clicks), sum(video_starts) from t";
    assert_eq!(world.sql("gold_line_day", sums).await, ["100 5.000000000 4 18"]);
    world.definition = first;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "101", "4", "6")]).await;
    assert_eq!(world.sql("gold_line_day", sums).await, ["101 6.000000000 4 18"]);
}

#[tokio::test]
async fn pulls_of_different_accounts_land_on_the_same_day_together() {
    let world = World::new().await;
    let one = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let two = world.landing(world.scope(&["2"], days(0, 1)), &[row(day(0), "2", "20", "2", "0", "2")]).await;
    let again = world.landing(world.scope(&["2"], days(1, 1)), &[]).await;
    let overlapping = world.commit(&[one.clone(), two.clone(), again]).await;
    assert!(matches!(overlapping, Err(Error::Landing { .. })), "{overlapping:?}");
    world.commit(&[one, two]).await.unwrap();
    assert_eq!(world.gold().await, ["2026-11-01 1 10 1 0 1.000000000", "2026-11-01 2 20 2 0 2.000000000"]);
    world.check().await;
}

#[tokio::test]
async fn a_pull_that_changes_nothing_is_not_landed() {
    let world = World::new().await;
    let before = world.files();
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[]).await;
    let unchanged = Landing { days: BTreeMap::new(), ..landing };
    let (_, prepared) = world.commit(&[unchanged]).await.unwrap();
    assert!(prepared.swaps.is_empty());
    assert_eq!(world.files(), before);
}

#[tokio::test]
async fn only_the_days_that_changed_are_replaced() {
    let world = World::new().await;
    world
        .land(&["1"], days(0, 1), &[row(day(0), "1", "10", "1", "0", "1"), row(day(1), "1", "10", "1", "0", "1")])
        .await;
    let rows = [row(day(0), "1", "10", "2", "0", "2"), row(day(1), "1", "10", "2", "0", "2")];
    let landing = world.landing(world.scope(&["1"], days(0, 1)), &rows).await;
    world.commit(&[Landing { days: [(day(1), ["1".to_owned()].into())].into(), ..landing }]).await.unwrap();
    assert_eq!(world.silver().await, ["2026-11-01 1 10 1 0 1.000000000", "2026-11-02 1 10 2 0 2.000000000"]);
}

#[tokio::test]
async fn dashes_are_zero_and_thresholds_are_null() {
    let world = World::new().await;
    let rows = [
        row(day(0), "1", "10", "< 1000", "-", "1"),
        row(day(0), "1", "11", "Unknown", "< 5", "-"),
        row(day(0), "1", "12", "3", "4", "0.0000000014"),
    ];
    let trailer = Trailer {
        report_time: Some(moment(5)),
        totals: vec![("Impressions".into(), "900".into()), ("Media Cost (Advertiser Currency)".into(), "1".into())],
    };
    let scope = world.scope(&["1"], days(0, 0));
    let staged = world.stage_chunks(&scope, chunks(&rows, trailer)).await.unwrap();
    assert_eq!((staged.withheld_cells, staged.rounded_cells, staged.report_time), (3, 1, Some(moment(5))));
    let outcomes: Vec<_> = staged.totals.iter().map(|check| matches!(check.outcome, TotalOutcome::Equal)).collect();
    assert_eq!(outcomes, [false, false, true]);
    let landing = Landing::whole(scope, staged);
    world.commit(&[landing]).await.unwrap();
    let expected =
        ["2026-11-01 1 10  0 1.000000000", "2026-11-01 1 11   0.000000000", "2026-11-01 1 12 3 4 0.000000001"];
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
}

#[tokio::test]
async fn a_staged_pull_reads_back_from_json_and_lands() {
    let world = World::new().await;
    let landing = world.landing(world.scope(&["1"], days(0, 3)), &[row(day(2), "1", "10", "1", "0", "1")]).await;
    let json = serde_json::to_string(&landing.staged).unwrap();
    let staged: StagedPull = serde_json::from_str(&json).unwrap();
    assert_eq!(staged, landing.staged);
    assert_eq!(staged.slices.len(), 4);
    world.commit(&[Landing { staged, ..landing }]).await.unwrap();
    assert_eq!(world.gold().await.len(), 1);
}

#[tokio::test]
async fn the_content_hash_ignores_order_and_nothing_else() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1"), row(day(0), "1", "11", "2", "0", "2")];
    let swapped = [rows[1].clone(), rows[0].clone()];
    let changed = [rows[0].clone(), row(day(0), "1", "11", "2", "0", "2.0")];
    let twice = [rows[0].clone(), rows[0].clone(), rows[1].clone()];
    let mut hashes = Vec::new();
    for rows in [&rows[..], &swapped, &changed, &twice] {
        let staged = world.stage(&world.scope(&["1"], days(0, 0)), rows).await.unwrap();
        hashes.push(staged.slices[0].content_hash.clone());
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn days_in_any_order_share_one_file_and_read_back() {
    let world = World::new().await;
    let rows: Vec<Row> =
        (0..600).map(|n| row(day(n * 7 % 30), "1", &n.to_string(), "1", "0", &format!("{n}.25"))).collect();
    let landing = world.landing(world.scope(&["1"], days(0, 29)), &rows).await;
    assert_eq!(landing.staged.files.len(), 1);
    assert_eq!(landing.staged.media_cost.values().next().unwrap().to_string(), "179850");
    world.commit(&[landing]).await.unwrap();
    assert_eq!(world.sql("gold_line_day", "select count(*), sum(media_cost) from t").await, ["600 179850.000000000"]);
    world.check().await;
}

#[tokio::test]
async fn a_commit_is_never_prepared_on_top_of_itself() {
    let world = World::new().await;
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let (commit, _) = world.commit(std::slice::from_ref(&landing)).await.unwrap();
    let files = world.files();
    let again = world.lake.prepare(&world.pointers, world.org, commit, &[landing]).await;
    assert!(matches!(again, Err(Error::AlreadyCommitted { commit: of, .. }) if of == commit), "{again:?}");
    assert_eq!(world.files(), files);
}

#[tokio::test]
async fn an_attempt_that_is_discarded_leaves_only_the_staged_files() {
    let world = World::new().await;
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let files = world.files();
    let commit = CommitId::new();
    let prepared = world.lake.prepare(&world.pointers, world.org, commit, &[landing]).await.unwrap();
    assert!(world.files().len() > files.len());
    world.lake.discard(&prepared).await;
    assert_eq!(world.files(), files);
}

#[tokio::test]
async fn a_slice_whose_numbers_were_tampered_with_does_not_balance() {
    let world = World::new().await;
    let mut landing = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    landing.staged.slices[0].media_cost += rust_decimal::Decimal::new(1, 6);
    let files = world.files();
    let pull = landing.scope.pull;
    let error = world.commit(&[landing]).await.unwrap_err();
    assert_eq!(error.pull(), Some(pull));
    let Error::Staged { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, Error::Unbalanced { .. }), "{source:?}");
    assert_eq!(world.files(), files);
}

#[tokio::test]
async fn a_large_pull_is_written_in_row_groups_of_one_day() {
    let world = World::new().await;
    // More text than the buffer holds, so that days are written before all rows are there.
    let filler = "x".repeat(13_000);
    let scope = world.scope(&["1"], days(0, 3));
    let batches = (0..60).map(|batch| {
        let mut rows = RowBatch::with_capacity(9, 120);
        for number in 0..120 {
            let line = format!("{filler}{batch}-{number}");
            let row = row(day(number % 4), "1", &line, "1", "0", "1");
            row.0.iter().enumerate().for_each(|(column, cell)| {
                rows.push(if matches!(column, 3 | 4) { "same" } else { cell });
            });
        }
        Ok::<_, Broken>(Chunk::Rows(rows))
    });
    let chunks = batches.chain([Ok(Chunk::End(Trailer::default()))]).collect();
    let staged = world.stage_chunks(&scope, chunks).await.unwrap();
    assert_eq!((staged.rows, staged.files.len()), (7_200, 1));
    assert_row_groups_of_one_day(&world);
    let landing = Landing::whole(scope, staged);
    world.commit(&[landing]).await.unwrap();
    let counts = world.sql("silver_delivery", "select day, count(*) from t group by 1 order by 1").await;
    assert_eq!(counts, (1..=4).map(|day| format!("2026-11-0{day} 1800")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_pull_of_many_rows_is_written_to_two_files_at_a_time() {
    let world = World::new().await;
    let scope = world.scope(&["1"], days(0, 3));
    let batches = (0..20).map(|batch| {
        let mut rows = RowBatch::with_capacity(9, 7_000);
        for number in 0..7_000 {
            let row = row(day(number % 4), "1", &format!("{batch}-{number}"), "1", "0", "1");
            row.0.iter().for_each(|cell| rows.push(cell));
        }
        Ok::<_, Broken>(Chunk::Rows(rows))
    });
    let chunks = batches.chain([Ok(Chunk::End(Trailer::default()))]).collect();
    let staged = world.stage_chunks(&scope, chunks).await.unwrap();
    assert_eq!((staged.rows, staged.files.len()), (140_000, 2));
    world.commit(&[Landing::whole(scope, staged)]).await.unwrap();
    let numbers = "select count(*), count(distinct row_number), min(row_number), max(row_number) from t";
    assert_eq!(world.sql("bronze_delivery", numbers).await, ["140000 140000 1 140000"]);
    let counts = world.sql("silver_delivery", "select day, count(*) from t group by 1 order by 1").await;
    assert_eq!(counts, (1..=4).map(|day| format!("2026-11-0{day} 35000")).collect::<Vec<_>>());
}

fn assert_row_groups_of_one_day(world: &World) {
    let file = world.files().into_iter().find(|file| file.to_string_lossy().contains("pul_")).unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap();
    let groups = reader.metadata().row_groups();
    assert!(groups.len() > 4, "the buffer was never full");
    for group in groups {
        let day = group.columns().iter().find(|column| column.column_path().string() == "day").unwrap();
        let statistics = day.statistics().unwrap();
        assert_eq!(statistics.min_bytes_opt().unwrap(), statistics.max_bytes_opt().unwrap());
    }
}
