//! A report that gains columns: the table gains them in the same version, and can be queried at once.

use domain::report::{Definition, Target};
use lakehouse::{Error, Landing, PullScope, StagedPull};

use crate::harness::{Row, World, chunks, column, day, days, row};
use domain::report::{Chunk, RowBatch, Trailer};

/// The report with a further column in front.
fn wider(definition: &Definition, field: &str) -> Definition {
    let mut wider = definition.clone();
    wider.columns.insert(0, column(field, field, Target::Unmapped));
    wider
}

async fn stage_wider(world: &World, definition: &Definition, rows: &[Row]) -> (PullScope, StagedPull) {
    let mut scope = world.scope(&["1"], days(0, 1));
    scope.definition = definition.clone();
    let mut batch = RowBatch::with_capacity(10, rows.len());
    for row in rows {
        batch.push("new");
        row.0.iter().for_each(|cell| batch.push(cell));
    }
    let chunks = vec![Ok(Chunk::Rows(batch)), Ok(Chunk::End(Trailer::default()))];
    let staged = world.stage_chunks(&scope, chunks).await.unwrap();
    (scope, staged)
}

fn landing((scope, staged): (PullScope, StagedPull)) -> Landing {
    Landing::whole(scope, staged)
}

#[tokio::test]
async fn a_new_column_can_be_selected_right_after_its_first_commit() {
    let world = World::new().await;
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let wider = wider(&world.definition, "FILTER_COUNTRY");
    let staged = stage_wider(&world, &wider, &[row(day(1), "1", "10", "2", "0", "2")]).await;
    world.commit(&[landing(staged)]).await.unwrap();
    let rows = "select filter_line_item, metric_impressions, filter_country from t order by requested_at, 2";
    assert_eq!(world.sql("bronze_delivery", rows).await, ["10 1 ", "10 2 new"]);
    assert_eq!(world.sql("bronze_delivery", "select count(*) from t where filter_country = 'new'").await, ["1"]);
    let table = world.table("bronze_delivery").await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.schema_id(), Some(table.metadata().current_schema_id()));
    assert_eq!(table.metadata().snapshots().len(), 2);
    world.check().await;
}

#[tokio::test]
async fn the_narrower_report_still_lands_afterwards() {
    let world = World::new().await;
    let wider = wider(&world.definition, "FILTER_COUNTRY");
    let staged = stage_wider(&world, &wider, &[row(day(1), "1", "10", "2", "0", "2")]).await;
    // Staged before the column came, landed after it.
    let early = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    world.commit(&[landing(staged)]).await.unwrap();
    world.commit(&[early]).await.unwrap();
    let rows = "select metric_impressions, filter_country from t order by 1";
    assert_eq!(world.sql("bronze_delivery", rows).await, ["1 ", "2 new"]);
    world.check().await;
}

#[tokio::test]
async fn a_wide_and_a_narrow_pull_land_together() {
    let world = World::new().await;
    let wider = wider(&world.definition, "FILTER_COUNTRY");
    let mut scope = world.scope(&["2"], days(0, 0));
    scope.requested_at += chrono::Duration::hours(1);
    let narrow = world.landing(scope, &[row(day(0), "2", "10", "1", "0", "1")]).await;
    let wide = landing(stage_wider(&world, &wider, &[row(day(1), "1", "10", "2", "0", "2")]).await);
    world.commit(&[narrow, wide]).await.unwrap();
    let rows = "select metric_impressions, filter_country from t order by 1";
    assert_eq!(world.sql("bronze_delivery", rows).await, ["1 ", "2 new"]);
    assert_eq!(world.gold().await.len(), 2);
}

#[tokio::test]
async fn files_whose_column_ids_were_given_to_another_column_are_staged_again() {
    let world = World::new().await;
    let rows = [row(day(0), "1", "10", "1", "0", "1")];
    let country = landing(stage_wider(&world, &wider(&world.definition, "FILTER_COUNTRY"), &rows).await);
    let device = landing(stage_wider(&world, &wider(&world.definition, "FILTER_DEVICE"), &rows).await);
    world.commit(&[country]).await.unwrap();
    let pull = device.scope.pull;
    let error = world.commit(&[device]).await.unwrap_err();
    assert!(matches!(&error, Error::StaleStaging { pull: of, column } if *of == pull && column == "filter_device"));
    assert_eq!(error.pull(), Some(pull));
    let again = landing(stage_wider(&world, &wider(&world.definition, "FILTER_DEVICE"), &rows).await);
    world.commit(&[again]).await.unwrap();
    let columns = "select filter_country, filter_device from t order by 1";
    assert_eq!(world.sql("bronze_delivery", columns).await, ["new ", " new"]);
}

#[tokio::test]
async fn silver_and_gold_gain_measures_that_they_lack() {
    let world = World::new().await;
    world
        .land(&["1"], days(0, 0), &[row(day(0), "1", "10", "1", "0", "1"), row(day(0), "1", "11", "1", "0", "1")])
        .await;
    // As if the tables had been made before clicks were known.
    for table in ["silver_delivery", "gold_line_day"] {
        let current = world.table(table).await.metadata().current_schema().clone();
        let fields = current.as_struct().fields().iter().filter(|field| field.name != "clicks").cloned();
        let schema = iceberg::spec::Schema::builder().with_schema_id(7).with_fields(fields).build().unwrap();
        world.meddle(table, |builder| builder.add_current_schema(schema)).await;
    }
    let scope = world.scope(&["2"], days(0, 0));
    let staged = world.stage_chunks(&scope, chunks(&[row(day(0), "2", "20", "5", "3", "1")], Trailer::default())).await;
    world.commit(&[landing((scope, staged.unwrap()))]).await.unwrap();
    // What was carried over is read by ids, and the dropped column's values are gone with its id.
    let rows = ["2026-11-01 1 10 1  1.000000000", "2026-11-01 1 11 1  1.000000000", "2026-11-01 2 20 5 3 1.000000000"];
    assert_eq!(world.silver().await, rows);
    assert_eq!(world.gold().await, rows);
}
