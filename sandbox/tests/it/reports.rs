//! Reports: their life, their shape, and that they say what the ledger says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Twin, cells, query, units};

const BY_LINE: [&str; 3] = ["FILTER_DATE", "FILTER_LINE_ITEM", "FILTER_DEVICE_TYPE"];

fn days(first: u32, last: u32) -> Value {
    let day = |day: u32| json!({"year": 2027, "month": 3, "day": day});
    json!({"range": "CUSTOM_DATES", "customStartDate": day(first), "customEndDate": day(last)})
}

#[tokio::test]
async fn the_file_looks_as_the_platform_writes_it() {
    let twin = Twin::new();
    let line = twin.a_line().await.rsplit('/').next().unwrap().to_owned();
    let group_bys = ["FILTER_DATE", "FILTER_ADVERTISER_CURRENCY", "FILTER_LINE_ITEM", "FILTER_LINE_ITEM_NAME"];
    let text = twin.report_text(query(&days(1, 2), &group_bys, &[("FILTER_LINE_ITEM", &line)])).await;
    let (table, footer) = text.split_once("\n\n").unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0],
        "Date,Advertiser Currency,Line Item ID,Line Item,Impressions,Clicks,Media Cost (Advertiser Currency),\
         Revenue (Advertiser Currency),Total Conversions"
    );
    assert_eq!(rows.len(), 4, "a header, two days, and totals");
    assert!(rows[1].starts_with(&format!("2027/03/01,EUR,{line},Winterflucht Kanaren | Prospecting,")));
    let (one, other, total) = (cells(rows[1]), cells(rows[2]), cells(rows[3]));
    assert_eq!(total[..4], ["", "", "", ""]);
    for column in 4..9 {
        assert_eq!(units(&one[column]) + units(&other[column]), units(&total[column]), "column {column}");
    }
    assert_eq!((one[6].split('.').nth(1).unwrap().len(), one[8].split('.').nth(1).unwrap().len()), (6, 2));
    let expected = format!(
        "Report Time:,2027/03/10 12:00 GMT\nDate Range:,2027/03/01 to 2027/03/02\nGroup By:,Date\n\
         Group By:,Advertiser Currency\nGroup By:,Line Item ID\nGroup By:,Line Item\nMRC Accredited Metrics,Active View \
         metrics are accredited only when served on desktop and mobile web\n\"Reporting numbers from the previous month are \
         finalized (for billing purposes) on the first of each month, unless communicated otherwise. Some numbers in \
         reports may fluctuate for up to seven days before matching billing numbers.\"\nFilter by Line Item \
         ID:,Winterflucht Kanaren | Prospecting ({line})\n"
    );
    assert_eq!(footer, expected);
}

#[tokio::test]
async fn names_with_commas_and_quotes_are_quoted() {
    let twin = Twin::new();
    let group_bys = ["FILTER_ADVERTISER_NAME", "FILTER_MEDIA_PLAN_NAME"];
    let text = twin.report_text(query(&days(1, 2), &group_bys, &[])).await;
    assert!(text.contains("\"Harbor & Pine Outfitters, Inc.\",\"The \"\"Long Weekend\"\", Prospecting\","));
}

/// Adds up a report by line item and day.
fn add_up(text: &str) -> BTreeMap<(String, String), [i64; 5]> {
    let mut sums: BTreeMap<_, [i64; 5]> = BTreeMap::new();
    for line in text.lines().skip(1).take_while(|line| !line.starts_with(',')) {
        let cells = cells(line);
        let sum = sums.entry((cells[1].clone(), cells[0].replace('/', "-"))).or_default();
        for (figure, cell) in sum.iter_mut().zip(&cells[3..8]) {
            *figure += units(cell);
        }
    }
    sums
}

fn figures(row: &Value) -> [i64; 5] {
    let names = ["impressions", "clicks", "media_cost_micros", "revenue_micros"];
    let [a, b, c, d] = names.map(|name| row[name].as_i64().unwrap());
    [a, b, c, d, units(row["conversions"].as_str().unwrap())]
}

async fn assert_equal_to_ledger(twin: &Twin) -> usize {
    let everything = json!({"range": "CUSTOM_DATES", "customStartDate": {"year": 2026, "month": 11, "day": 1},
        "customEndDate": {"year": 2027, "month": 3, "day": 31}});
    let reported = add_up(&twin.report_text(query(&everything, &BY_LINE, &[])).await);
    let ledger = twin.ledger(twin.report_time()).await;
    let truth: BTreeMap<_, _> = ledger.into_iter().map(|(key, row)| (key, figures(&row))).collect();
    assert!(reported == truth, "the report differs from the ledger");
    truth.len()
}

#[tokio::test]
async fn a_report_equals_the_ledger_before_and_after_a_restatement() {
    let twin = Twin::new();
    assert!(assert_equal_to_ledger(&twin).await > 3_000);
    let before = twin.ledger(twin.now()).await;
    let restated = twin.post("/admin/v1/restate", json!({})).await;
    assert!(restated["changed_rows"].as_u64().unwrap() >= 100);
    assert!(restated["days"].as_array().unwrap().len() >= 5);
    twin.advance(60).await;
    assert_equal_to_ledger(&twin).await;
    let after = twin.ledger(twin.now()).await;
    let changed = after.iter().filter(|(key, row)| before.get(*key) != Some(*row)).count();
    assert!(changed >= 5 * 42, "{changed} rows");
}

#[tokio::test]
async fn a_report_keeps_what_it_showed_when_it_was_made() {
    let mut twin = Twin::new();
    let report = twin.run(query(&days(1, 9), &BY_LINE, &[])).await;
    let first = twin.download(&report).await.body;
    twin.post("/admin/v1/restate", json!({"factor_permille": 1_100})).await;
    twin.advance(7_000).await;
    twin.log_in(crate::support::PLANNER, crate::support::SCOPES);
    let path = format!(
        "/v2/queries/{}/reports/{}",
        report["key"]["queryId"].as_str().unwrap(),
        report["key"]["reportId"].as_str().unwrap()
    );
    let again = twin.download(&twin.get(&path).await).await.body;
    assert!(first == again);
    let newer = twin.report_text(query(&days(1, 9), &BY_LINE, &[])).await;
    assert_ne!(newer.into_bytes(), first);
}

#[tokio::test]
async fn a_report_takes_its_time() {
    let twin = Twin::new();
    let id = twin.post("/v2/queries", query(&days(1, 2), &BY_LINE, &[])).await["queryId"].as_str().unwrap().to_owned();
    let key = twin.send("POST", &format!("/v2/queries/{id}:run"), None).await.json()["key"].clone();
    let path = format!("/v2/queries/{id}/reports/{}", key["reportId"].as_str().unwrap());
    let state = async || twin.get(&path).await["metadata"].clone();
    assert_eq!(state().await["status"]["state"], "QUEUED");
    twin.advance(20).await;
    let running = state().await;
    assert!(["RUNNING", "DONE"].contains(&running["status"]["state"].as_str().unwrap()), "{running}");
    twin.advance(41).await;
    let done = state().await;
    assert_eq!(done["status"]["state"], "DONE");
    assert!(done["googleCloudStoragePath"].as_str().unwrap().starts_with("http://sandbox.test/storage/"));
    assert_eq!(done["reportDataEndDate"], json!({"year": 2027, "month": 3, "day": 2}));
}

#[tokio::test]
async fn a_run_can_ask_for_other_days() {
    let twin = Twin::new();
    let id = twin.post("/v2/queries", query(&days(1, 2), &BY_LINE, &[])).await["queryId"].as_str().unwrap().to_owned();
    let report = twin.post(&format!("/v2/queries/{id}:run"), json!({"dataRange": {"range": "LAST_7_DAYS"}})).await;
    assert_eq!(report["metadata"]["reportDataStartDate"]["day"], 3);
    assert_eq!(report["metadata"]["reportDataEndDate"]["day"], 9);
}

#[tokio::test]
async fn days_without_delivery_make_no_table() {
    let twin = Twin::new();
    let years_ago = json!({"range": "CUSTOM_DATES", "customStartDate": {"year": 2020, "month": 1, "day": 1},
        "customEndDate": {"year": 2020, "month": 1, "day": 2}});
    let text = twin.report_text(query(&years_ago, &BY_LINE, &[])).await;
    assert_eq!(text, "No data returned by the reporting service.\n");
}

#[tokio::test]
async fn queries_are_checked_and_belong_to_who_made_them() {
    let mut twin = Twin::new();
    let good = query(&days(1, 2), &BY_LINE, &[]);
    for (pointer, value, field) in [
        ("/params/groupBys/0", json!("FILTER_MOON"), "params.groupBys[0]"),
        ("/params/metrics/0", json!("METRIC_TRUEVIEW_VIEWS"), "params.metrics[0]"),
        ("/params/type", json!("YOUTUBE"), "params.type"),
        ("/metadata/dataRange", json!({"range": "LAST_3_DAYS"}), "metadata.dataRange"),
        ("/metadata/format", json!("XLSX"), "metadata.format"),
        ("/metadata/title", json!(""), "metadata.title"),
        ("/params/filters", json!([{"type": "FILTER_MOON", "value": "1"}]), "params.filters[0].type"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let answer = twin.send("POST", "/v2/queries", Some(bad)).await;
        assert_eq!(answer.violations(), ("INVALID_ARGUMENT".to_owned(), vec![field.to_owned()]));
        twin.advance(1).await;
    }
    let foreign = query(&days(1, 2), &BY_LINE, &[("FILTER_ADVERTISER", "99")]);
    assert_eq!(twin.send("POST", "/v2/queries", Some(foreign)).await.status, 403);
    let id = twin.post("/v2/queries", good).await["queryId"].as_str().unwrap().to_owned();
    twin.log_in("intern@agency.example", crate::support::SCOPES);
    assert_eq!(twin.send("GET", &format!("/v2/queries/{id}"), None).await.status, 404);
    twin.log_in(crate::support::PLANNER, crate::support::SCOPES);
    assert_eq!(twin.send("DELETE", &format!("/v2/queries/{id}"), None).await.status, 200);
    twin.advance(2).await;
    assert_eq!(twin.send("GET", &format!("/v2/queries/{id}"), None).await.status, 404);
}

#[tokio::test]
async fn a_removed_advertiser_cannot_be_reported_on() {
    let twin = Twin::new();
    let advertiser = twin.advertisers().await.remove(0);
    let wanted = query(&days(1, 2), &BY_LINE, &[("FILTER_ADVERTISER", &advertiser)]);
    let id = twin.post("/v2/queries", wanted).await["queryId"].as_str().unwrap().to_owned();
    twin.post(&format!("/admin/v1/advertisers/{advertiser}/remove"), json!({})).await;
    let refused = twin.send("POST", &format!("/v2/queries/{id}:run"), None).await;
    assert_eq!((refused.status, refused.violations().0), (403, "PERMISSION_DENIED".to_owned()));
}

#[tokio::test]
async fn the_fifth_call_in_a_second_is_refused() {
    let twin = Twin::new();
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(twin.send("GET", "/v2/queries", None).await.status);
    }
    assert_eq!(statuses[..4], [200; 4]);
    assert!(statuses[4..].contains(&429));
    twin.advance(2).await;
    assert_eq!(twin.send("GET", "/v2/queries", None).await.status, 200);
}
