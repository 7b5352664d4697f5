//! The audit trail: from where something was done, found by what is asked for, and taken along as a file.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::harness::{Browser, World, request};

async fn lines(admin: &mut Browser, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/api/v1/audit?{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["items"].as_array().unwrap().clone()
}

fn actions(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_trail_says_from_where_and_is_found_by_who_what_and_when() {
    let world = World::new().await;
    let mut admin = world.signed_up("ana@agency.example").await;
    let (_, user) = admin.ids().await;
    let role = json!({"title": "=Only reads", "permissions": ["delivery.read"]});
    admin.keyed(Method::POST, "/api/v1/roles", "role", &role).await;
    let key = json!({"name": "Looker", "permissions": ["changes.freeze", "audit.read"], "expires_in_days": 1});
    let secret = admin.post("/api/v1/api-keys", &key).await.body["secret"].as_str().unwrap().to_owned();
    let freeze = Some(json!({"frozen": true, "reason": "A test"}));
    let mut by_key = request(Method::PUT, "/api/v1/organisation/freeze", freeze.as_ref());
    by_key.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap());
    by_key.headers_mut().insert("idempotency-key", "freeze".parse().unwrap());
    let frozen = world.browser().send(by_key).await;
    assert!(frozen.status.is_success(), "{}", frozen.body);

    let found = lines(&mut admin, "action=organisation").await;
    assert_eq!(actions(&found), ["organisation.freeze", "organisation.sign_up"]);
    assert_eq!(found[0]["origin"], json!({"address": null, "api_key": "Looker"}));
    assert_eq!(found[0]["actor"]["id"], json!(user.to_string()));
    assert_eq!(actions(&lines(&mut admin, "action=organisation.freeze").await), ["organisation.freeze"]);
    assert_eq!(actions(&lines(&mut admin, "text=only%20READS").await), ["role.create"]);
    assert_eq!(lines(&mut admin, "text=%25").await, Vec::<Value>::new(), "a sign of patterns is a sign like any other");
    assert_eq!(lines(&mut admin, &format!("actor={user}&limit=1")).await.len(), 1);
    let subject = found[1]["subject"]["id"].as_str().unwrap();
    assert_eq!(lines(&mut admin, &format!("subject={subject}&action=organisation")).await.len(), 2);
    assert_eq!(lines(&mut admin, "until=2026-11-21T12:00:00Z").await, Vec::<Value>::new());
    assert_eq!(lines(&mut admin, "since=2026-11-21T12:00:00Z").await.len(), 4);
    let odd = admin.get("/api/v1/audit?actor=somebody").await;
    assert_eq!(odd.body["errors"][0]["pointer"], "/actor");

    let file = admin.get("/api/v1/audit/export").await;
    assert_eq!(file.header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    let text = file.body.as_str().unwrap().to_owned();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 5, "{text}");
    assert!(rows[0].starts_with("id,at,actor_kind,actor,action,"));
    assert!(text.contains("'=Only reads"), "no cell is a formula: {text}");
    assert!(!text.contains("ana@agency.example"), "the trail names no e-mail address");
    let few = admin.get("/api/v1/audit/export?action=role").await;
    assert_eq!(few.body.as_str().unwrap().lines().count(), 2);
}

#[tokio::test]
async fn a_long_trail_leaves_as_a_whole() {
    let world = World::new().await;
    let mut admin = world.signed_up("ana@agency.example").await;
    let (org, _) = admin.ids().await;
    world
        .sql(&format!(
            "INSERT INTO audit (org_id, id, at, actor_kind, action, subject, subject_id, title)
             SELECT '{org}', gen_random_uuid(), '2026-11-20'::timestamptz + n * interval '1 second', 'system', 'test.line',
                    'organisation', '{org}', 'Line ' || n
             FROM generate_series(1, 450) n",
            org = org.uuid()
        ))
        .await;
    let file = admin.get("/api/v1/audit/export?action=test.line").await.body.as_str().unwrap().to_owned();
    assert_eq!(file.lines().count(), 451);
    assert!(file.lines().nth(1).unwrap().contains("Line 450") && file.lines().nth(450).unwrap().contains("Line 1,"));
}
