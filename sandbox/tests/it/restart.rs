//! A sandbox with a state folder goes on where it was stopped.

use std::path::PathBuf;

use sandbox::{Options, Sandbox, StartError};
use serde_json::json;

use crate::support::{Twin, query};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sandbox-state-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let folder = folder("same");
    let options = || Options { state_dir: Some(folder.clone()), ..Options::default() };
    let mut before = Twin::with(options());
    let path = before.a_line().await;
    let body = json!({"pacing": {"dailyMaxMicros": "500000000"}});
    assert_eq!(before.patch(&path, "pacing.dailyMaxMicros", body).await.status, 200);
    before.advance(86_400).await;
    before.post("/admin/v1/restate", json!({"lines": 3})).await;
    before.log_in(crate::support::PLANNER, crate::support::SCOPES);
    let report = before.run(query(&json!({"range": "LAST_30_DAYS"}), &["FILTER_DATE"], &[])).await;
    let text = before.download(&report).await.text();
    let ledger = before.ledger(before.now()).await;
    // As if the plug had been pulled in the middle of a line.
    let journal = folder.join("journal.ndjson");
    let mut torn = std::fs::read_to_string(&journal).unwrap();
    torn.push_str("{\"event\":\"acc");
    std::fs::write(&journal, torn).unwrap();

    let after = Twin::with(options());
    after.advance((before.now() - after.now()).num_seconds()).await;
    let token = before.token().to_owned();
    let read = after.raw("GET", &path, Some(&token), "", axum::body::Body::empty()).await;
    assert_eq!(read.json()["pacing"]["dailyMaxMicros"], "500000000", "{}", read.text());
    assert!(after.ledger(after.now()).await == ledger);
    assert_eq!(after.download(&report).await.text(), text);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_folder_of_another_world_is_refused() {
    let folder = folder("other");
    let options = |seed| Options { seed, state_dir: Some(folder.clone()), ..Options::default() };
    drop(Sandbox::new(options(7)).unwrap());
    let Err(StartError::OtherWorld(sentence)) = Sandbox::new(options(8)) else { panic!("it started") };
    assert!(sentence.contains("--seed 7"), "{sentence}");
    std::fs::remove_dir_all(folder).unwrap();
}
