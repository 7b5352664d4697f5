//! A report that somebody exported, served again.

use std::path::PathBuf;

use sandbox::{Options, Sandbox, StartError};
use serde_json::json;

use crate::support::{Twin, query};

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exported_report.csv")
}

fn imported() -> Twin {
    Twin::with(Options { report: Some(fixture()), ..Options::default() })
}

/// A query that groups as the fixture does.
fn same_query() -> serde_json::Value {
    let mut wanted = query(
        &json!({"range": "LAST_90_DAYS"}),
        &[
            "FILTER_ADVERTISER_NAME",
            "FILTER_ADVERTISER",
            "FILTER_ADVERTISER_CURRENCY",
            "FILTER_DATE",
            "FILTER_MEDIA_PLAN_NAME",
            "FILTER_INSERTION_ORDER_NAME",
            "FILTER_LINE_ITEM_NAME",
            "FILTER_LINE_ITEM",
            "FILTER_DEVICE_TYPE",
        ],
        &[],
    );
    wanted["params"]["metrics"] = json!([
        "METRIC_IMPRESSIONS",
        "METRIC_CLICKS",
        "METRIC_MEDIA_COST_ADVERTISER",
        "METRIC_REVENUE_ADVERTISER",
        "METRIC_TOTAL_CONVERSIONS",
        "METRIC_RICH_MEDIA_VIDEO_PLAYS",
        "METRIC_RICH_MEDIA_VIDEO_COMPLETIONS",
    ]);
    wanted
}

#[tokio::test]
async fn its_rows_come_back_letter_by_letter() {
    let twin = imported();
    let served = twin.report_text(same_query()).await;
    let exported = std::fs::read_to_string(fixture()).unwrap();
    let rows = |text: &str| {
        let mut rows: Vec<String> =
            text.lines().skip(1).take_while(|line| !line.starts_with(",,")).map(ToOwned::to_owned).collect();
        rows.sort();
        rows
    };
    assert!(rows(&exported).len() > 600);
    assert_eq!(rows(&served), rows(&exported));
    let totals = |text: &str| text.lines().find(|line| line.starts_with(",,")).unwrap().to_owned();
    assert_eq!(totals(&served), totals(&exported));
    assert!(served.contains("< 1000") && served.contains(",-,"));
    assert!(!served.contains("2026/10/13"), "the empty day stays empty");
}

#[tokio::test]
async fn time_begins_at_its_report_time() {
    let twin = imported();
    assert!(twin.now().to_rfc3339().starts_with("2026-11-01T07:14:"), "{}", twin.now());
}

#[tokio::test]
async fn what_it_lacks_is_estimated_and_said() {
    let twin = imported();
    let world = twin.get("/admin/v1/world").await;
    assert_eq!(world["advertisers"].as_array().unwrap().len(), 2);
    assert_eq!(world["campaigns"].as_array().unwrap().len(), 3);
    let line = &world["line_items"][0];
    assert_eq!(line["estimated"], json!(["flight", "budget", "daily_max", "time_zone"]));
    assert_eq!(line["flight"], json!({"start": "2026-10-02", "end": "2026-11-14"}));
    let (budget, daily) = (line["budget_micros"].as_i64().unwrap(), line["daily_max_micros"].as_i64().unwrap());
    assert!((budget / 44 - daily).abs() < daily / 20, "{budget} over 44 days at {daily}");
}

#[tokio::test]
async fn withheld_cells_count_as_nothing_and_are_flagged() {
    let twin = imported();
    let ledger = twin.ledger(twin.now()).await;
    let row = &ledger[&("91000105".to_owned(), "2026-10-02".to_owned())];
    assert_eq!(row["withheld"], json!(["impressions"]));
    assert!(row["impressions"].as_i64().unwrap() > 0, "the other devices count");
    assert_eq!(ledger.len(), 29 * 7);
}

#[tokio::test]
async fn its_days_can_be_restated() {
    let twin = imported();
    let restated = twin.post("/admin/v1/restate", json!({"factor_permille": 1_020})).await;
    assert!(restated["changed_rows"].as_u64().unwrap() >= 100, "{}", restated["changed_rows"]);
    assert_eq!(restated["days"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_restatement_can_be_taken_back_to_the_last_figure() {
    let twin = imported();
    let before = twin.ledger(twin.now()).await;
    for _ in 0..2 {
        twin.post("/admin/v1/restate", json!({"days": 25})).await;
    }
    assert!(twin.ledger(twin.now()).await != before);
    let taken = twin.post("/admin/v1/restate/take-back", json!({})).await;
    assert_eq!(taken["days"].as_array().unwrap().len(), 25);
    assert!(twin.ledger(twin.now()).await == before);
    let again = twin.post("/admin/v1/restate/take-back", json!({})).await;
    assert_eq!(again["changed_rows"], 0, "once");
}

#[tokio::test]
async fn a_campaign_s_estimate_can_be_replaced() {
    let twin = imported();
    let world = twin.get("/admin/v1/world").await;
    let id = world["campaigns"][0]["campaign_id"].as_str().unwrap().to_owned();
    let wish = json!({"campaignFlight.plannedSpendAmountMicros": "5000000000"});
    twin.post(&format!("/admin/v1/entities/campaigns/{id}"), wish).await;
    let world = twin.get("/admin/v1/world").await;
    assert_eq!(world["campaigns"][0]["planned_spend_micros"], 5_000_000_000_i64);
}

#[tokio::test]
async fn a_file_that_is_no_report_is_refused_with_a_sentence() {
    let options = Options { report: Some(PathBuf::from(file!()).join("missing")), ..Options::default() };
    let Err(StartError::Report(bad)) = Sandbox::new(options) else { panic!("it started") };
    assert!(bad.to_string().contains("Check the path."), "{bad}");
}
