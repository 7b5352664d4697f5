//! How many requests are answered, and what is said to who asks for more.

use axum::http::{Method, StatusCode, header};
use runtime::settings::{Limits, Rate};
use serde_json::json;

use crate::harness::{World, sign_up};

async fn world(limits: Limits) -> World {
    World::limited("http://127.0.0.1:8080", limits).await
}

const fn rate(per_minute: u32) -> Rate {
    Rate { per_minute }
}

#[tokio::test]
async fn who_asks_too_much_is_told_which_limit_it_is_and_when_it_is_free_again() {
    let world = world(Limits { user: rate(3), ..Limits::default() }).await;
    let mut ana = world.signed_up("ana@example.com").await;
    let mut bob = world.signed_up("bob@example.com").await;
    for left in [2, 1, 0] {
        let answer = ana.get("/api/v1/me").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.header(api::limit::POLICY), r#""user";q=3;w=60, "organisation";q=6000;w=60"#);
        assert!(answer.header(api::limit::STATE).starts_with(&format!(r#""user";r={left};t="#)));
    }
    let answer = ana.get("/api/v1/me").await;
    assert_eq!((answer.status, answer.code()), (StatusCode::TOO_MANY_REQUESTS, "request.too_many"));
    let seconds: u64 = answer.header(header::RETRY_AFTER).parse().unwrap();
    assert!((18..=20).contains(&seconds), "{seconds}");
    let said = format!(
        "The limit for one person is 3 requests a minute, and it is reached. The next request is answered in {seconds} \
         seconds."
    );
    assert_eq!(answer.body["detail"], said);
    assert_eq!(answer.header(api::limit::POLICY), r#""user";q=3;w=60"#);
    assert_eq!(bob.get("/api/v1/me").await.status, StatusCode::OK);
    // What the deployment asks itself is never refused.
    for _ in 0..5 {
        assert_eq!(ana.get("/livez").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_organisation_has_a_limit_of_its_own_and_another_is_not_held_back_by_it() {
    let world = world(Limits { organisation: rate(2), ..Limits::default() }).await;
    let mut ana = world.signed_up("ana@example.com").await;
    let mut bob = world.signed_up("bob@example.com").await;
    for _ in 0..2 {
        assert_eq!(ana.get("/api/v1/me").await.status, StatusCode::OK);
    }
    let answer = ana.get("/api/v1/me").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("The limit for one organisation is 2 requests a minute"), "{detail}");
    assert_eq!(bob.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_is_not_signed_in_is_counted_by_address_whatever_is_asked() {
    let world = world(Limits { address: rate(4), ..Limits::default() }).await;
    let mut ana = world.signed_up("ana@example.com").await;
    let mut stranger = world.browser();
    assert_eq!(stranger.post("/api/v1/sign-up", &sign_up("not an e-mail")).await.status.as_u16(), 422);
    // An invented session is tried at the same cost.
    stranger.cookie = Some("clp_session=invented".to_owned());
    assert_eq!(stranger.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let answer = stranger.get("/api/v1/me").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{}", answer.body);
    assert_eq!(ana.get("/api/v1/me").await.status, StatusCode::OK, "who is signed in is not held back by strangers");
    assert_eq!(ana.post("/api/v1/session", &json!({})).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_organisation_has_so_many_connections_and_asks_for_so_many_runs_in_an_hour() {
    let world = World::new().await;
    let mut ana = world.signed_up("ana@agency.example").await;
    ana.keyed(Method::POST, "/api/v1/onboarding", "begin", &json!({})).await;
    let connection = "INSERT INTO connections (org_id, id, platform, environment, title, status, created_at, connected_at)
                      SELECT org_id, gen_random_uuid(), 'dv360', 'dv360.sandbox', 'DV360', 'healthy', created_at, created_at
                      FROM organisations";
    assert_eq!(world.sql(connection).await, 1);
    let answer = ana.post("/api/v1/onboarding/consent", &json!({"platform": "dv360"})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "quota.connections"));
    assert_eq!(answer.body["detail"], "It may have 1 that is not given up.");

    for key in ["one", "two"] {
        let answer = ana.keyed(Method::POST, "/api/v1/runs", key, &json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    }
    let answer = ana.keyed(Method::POST, "/api/v1/runs", "three", &json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::TOO_MANY_REQUESTS, "quota.runs"));
    assert_eq!(answer.header(header::RETRY_AFTER), "3600");
    assert_eq!(answer.body["detail"], "It may ask for 2 in an hour. The next one can be asked for at 13:00:00 UTC.");
    // Asked again under its key, what was done is answered and not counted anew.
    assert_eq!(ana.keyed(Method::POST, "/api/v1/runs", "two", &json!({})).await.status, StatusCode::ACCEPTED);
}
