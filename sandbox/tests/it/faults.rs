//! Faults as a client feels them, some of them over a real connection.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PLANNER, Twin, query};

const LAST_WEEK: &str = "LAST_7_DAYS";

async fn plan(twin: &Twin, matches: Value, action: Value) {
    twin.post("/admin/v1/faults", json!({"match": matches, "action": action})).await;
}

/// Sends one call over a real connection and returns all that comes back.
async fn over_the_wire(twin: &Twin, request: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(sandbox::serve(listener, Arc::clone(&twin.sandbox), std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut may end with an error or with nothing; both are the same to a client.
    let _ = stream.read_to_end(&mut answer).await;
    server.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

fn patch_request(twin: &Twin, path: &str) -> String {
    let body = json!({"displayName": "Renamed"}).to_string();
    format!(
        "PATCH {path}?updateMask=displayName HTTP/1.1\r\nHost: sandbox.test\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        twin.token(),
        body.len()
    )
}

#[tokio::test]
async fn a_lost_response_leaves_its_effect() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    plan(&twin, json!({"method": "PATCH"}), json!({"kind": "lost_response"})).await;
    assert_eq!(over_the_wire(&twin, patch_request(&twin, &path)).await, "");
    assert_eq!(twin.get(&path).await["displayName"], "Renamed");
    let calls = twin.get("/admin/v1/calls").await;
    assert_eq!((&calls["calls"][0]["status"], &calls["calls"][0]["fault"]), (&json!(0), &json!("lost_response")));
}

#[tokio::test]
async fn an_error_can_come_after_its_effect() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    plan(&twin, json!({"method": "PATCH"}), json!({"kind": "status", "status": 500, "effect": true})).await;
    let answer = over_the_wire(&twin, patch_request(&twin, &path)).await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert_eq!(twin.get(&path).await["displayName"], "Renamed");
}

#[tokio::test]
async fn a_connection_closed_before_has_no_effect() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    plan(&twin, json!({"path_contains": "/lineItems/"}), json!({"kind": "close_before"})).await;
    assert_eq!(over_the_wire(&twin, patch_request(&twin, &path)).await, "");
    assert_ne!(twin.get(&path).await["displayName"], "Renamed");
    let answer = over_the_wire(&twin, patch_request(&twin, &path)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "the fault is used up: {answer}");
}

#[tokio::test]
async fn a_download_can_end_in_the_middle() {
    let twin = Twin::new();
    let group_bys = ["FILTER_DATE", "FILTER_LINE_ITEM", "FILTER_DEVICE_TYPE"];
    let report = twin.run(query(&json!({"range": "LAST_90_DAYS"}), &group_bys, &[])).await;
    let address = report["metadata"]["googleCloudStoragePath"].as_str().unwrap();
    let path = address.strip_prefix("http://sandbox.test").unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: sandbox.test\r\nConnection: close\r\n\r\n");
    plan(&twin, json!({"user": PLANNER}), json!({"kind": "truncated", "after_rows": 5_000})).await;
    let cut = over_the_wire(&twin, request.clone()).await;
    assert!(cut.starts_with("HTTP/1.1 200") && !cut.contains("Report Time:"));
    assert!(cut.lines().count() > 1_000, "some of it arrived");
    assert!(!cut.ends_with("0\r\n\r\n"), "the last chunk never came");
    plan(&twin, json!({}), json!({"kind": "stalled", "after_rows": 5_000, "seconds": 1})).await;
    let begun = std::time::Instant::now();
    let stalled = over_the_wire(&twin, request.clone()).await;
    assert!(stalled.lines().count() > 1_000 && !stalled.contains("Report Time:"));
    assert!(begun.elapsed().as_millis() >= 1_000, "it stood still");
    plan(&twin, json!({"user": "somebody.else@agency.example"}), json!({"kind": "truncated", "after_rows": 5})).await;
    let whole = over_the_wire(&twin, request).await;
    assert!(whole.contains("Report Time:") && whole.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn planned_statuses_hangs_and_broken_bodies_are_served() {
    let twin = Twin::new();
    plan(&twin, json!({}), json!({"kind": "status", "status": 429, "retry_after_seconds": 7})).await;
    let answer = twin.send("GET", "/v4/partners", None).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(answer.violations().0, "RESOURCE_EXHAUSTED");
    plan(&twin, json!({}), json!({"kind": "hang", "seconds": 0})).await;
    assert_eq!(twin.send("GET", "/v4/partners", None).await.violations().0, "DEADLINE_EXCEEDED");
    plan(&twin, json!({}), json!({"kind": "malformed_json"})).await;
    let answer = twin.send("GET", "/v4/partners", None).await;
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    assert_eq!(twin.send("GET", "/v4/partners", None).await.status, 200);
    let faults = twin.get("/admin/v1/faults").await;
    assert_eq!(faults["faults"].as_array().unwrap().len(), 3);
    assert_eq!(twin.send("DELETE", "/admin/v1/faults", None).await.json(), json!({"faults": []}));
}

async fn report_with(action: Value) -> String {
    let twin = Twin::new();
    plan(&twin, json!({}), action).await;
    twin.report_text(query(&json!({"range": LAST_WEEK}), &["FILTER_DATE", "FILTER_LINE_ITEM"], &[])).await
}

#[tokio::test]
async fn the_content_of_a_report_can_be_spoiled() {
    let missing = report_with(json!({"kind": "missing_column", "column": "Clicks"})).await;
    assert!(missing.starts_with("Date,Line Item ID,Impressions,Media Cost"));
    let renamed = report_with(json!({"kind": "renamed_column", "column": "Clicks", "to": "Taps"})).await;
    assert!(renamed.starts_with("Date,Line Item ID,Impressions,Taps,"));
    let extra = report_with(json!({"kind": "extra_column", "name": "New"})).await;
    assert!(extra.lines().next().unwrap().ends_with(",New") && extra.lines().nth(1).unwrap().ends_with(",0"));
    let garbled = report_with(json!({"kind": "garbled_row", "row": 2})).await;
    assert!(garbled.lines().nth(3).unwrap().contains("#REF!"));
    let keyless = report_with(json!({"kind": "null_key_row", "row": 1})).await;
    assert!(keyless.lines().nth(2).unwrap().starts_with("2027/03/04,,"));
}

#[tokio::test]
async fn a_report_can_fail() {
    let twin = Twin::new();
    plan(&twin, json!({}), json!({"kind": "report_failed"})).await;
    let report = twin.run(query(&json!({"range": LAST_WEEK}), &["FILTER_DATE"], &[])).await;
    assert_eq!(report["metadata"]["status"]["state"], "FAILED");
    assert!(report["metadata"].get("googleCloudStoragePath").is_none());
    let next = twin.run(query(&json!({"range": LAST_WEEK}), &["FILTER_DATE"], &[])).await;
    assert_eq!(next["metadata"]["status"]["state"], "DONE");
}

#[tokio::test]
async fn a_report_can_be_made_for_ever() {
    let twin = Twin::new();
    plan(&twin, json!({}), json!({"kind": "report_never_finishes"})).await;
    let asked = twin.run(query(&json!({"range": LAST_WEEK}), &["FILTER_DATE"], &[])).await;
    let key = |name: &str| asked["key"][name].as_str().unwrap().to_owned();
    twin.advance(3_000).await;
    let path = format!("/v2/queries/{}/reports/{}", key("queryId"), key("reportId"));
    let report = twin.get(&path).await;
    assert_eq!(report["metadata"]["status"]["state"], "RUNNING");
    assert!(report["metadata"].get("googleCloudStoragePath").is_none());
    let next = twin.run(query(&json!({"range": LAST_WEEK}), &["FILTER_DATE"], &[])).await;
    assert_eq!(next["metadata"]["status"]["state"], "DONE");
}
