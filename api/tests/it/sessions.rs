//! Signing up, in and out.

use axum::http::{Method, StatusCode, header};
use serde_json::json;

use crate::harness::{PASSWORD, World, request, sign_up};

#[tokio::test]
async fn who_signs_up_is_signed_in_to_a_new_organisation() {
    let world = World::new().await;
    let mut browser = world.browser();
    let answer = browser.post("/api/v1/sign-up", &sign_up("Ana@Agency.example")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let cookie = answer.header(header::SET_COOKIE);
    assert!(
        cookie.starts_with("clp_session=") && cookie.ends_with("Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let me = browser.get("/api/v1/me").await;
    assert_eq!((me.status, &me.body), (StatusCode::OK, &answer.body));
    assert_eq!(me.body["user"]["email"], "ana@agency.example");
    assert_eq!(me.body["now"], "2026-11-21T12:00:00Z", "a browser counts from the platform's clock");
    let organisation = &me.body["organisation"];
    assert_eq!((&organisation["name"], &organisation["reporting_currency"]), (&json!("Agency"), &json!("EUR")));
    assert_eq!((&me.body["onboarding"], &me.body["open_proposals"]), (&json!(null), &json!(0)));
}

#[tokio::test]
async fn through_tls_the_cookie_stays_within_tls() {
    let world = World::with("https://clp.example").await;
    let answer = world.browser().post("/api/v1/sign-up", &sign_up("ana@agency.example")).await;
    assert!(answer.header(header::SET_COOKIE).ends_with("HttpOnly; SameSite=Lax; Secure"));
    assert_eq!(answer.header(header::STRICT_TRANSPORT_SECURITY), "max-age=31536000");
}

#[tokio::test]
async fn an_e_mail_signs_up_once() {
    let world = World::new().await;
    world.signed_up("ana@agency.example").await;
    let again = world.browser().post("/api/v1/sign-up", &sign_up("ANA@agency.example")).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "auth.email_taken"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_e_mail_get_the_same_answer() {
    let world = World::new().await;
    world.signed_up("ana@agency.example").await;
    let mut browser = world.browser();
    let wrong =
        browser.post("/api/v1/session", &json!({"email": "ana@agency.example", "password": "wrong password"})).await;
    let unknown = browser.post("/api/v1/session", &json!({"email": "eve@agency.example", "password": PASSWORD})).await;
    for answer in [&wrong, &unknown] {
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "auth.wrong_credentials"));
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
        assert!(answer.headers.get(header::SET_COOKIE).is_none());
    }
    assert_eq!(wrong.body["title"], unknown.body["title"]);
    let right = browser.post("/api/v1/session", &json!({"email": " Ana@agency.example", "password": PASSWORD})).await;
    assert_eq!((right.status, &right.body["user"]["name"]), (StatusCode::OK, &json!("Ana")));
}

#[tokio::test]
async fn guessing_is_held_back() {
    let world = World::new().await;
    let mut browser = world.browser();
    // Too long to be anybody's, so that no time goes into hashing.
    let guess = json!({"email": "ana@agency.example", "password": "x".repeat(201)});
    for _ in 0..10 {
        assert_eq!(browser.post("/api/v1/session", &guess).await.status, StatusCode::UNAUTHORIZED);
    }
    let held = browser.post("/api/v1/session", &guess).await;
    assert_eq!((held.status, held.code()), (StatusCode::TOO_MANY_REQUESTS, "request.too_many"));
}

#[tokio::test]
async fn a_session_that_was_ended_opens_nothing() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let mut thief = browser.clone();
    let ended = browser.send(request(Method::DELETE, "/api/v1/session", None)).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert!(ended.header(header::SET_COOKIE).starts_with("clp_session=; Path=/; Max-Age=0"));
    let answer = thief.get("/api/v1/me").await;
    assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "auth.signed_out"));
}

#[tokio::test]
async fn who_signs_in_and_out_is_in_the_audit_trail() {
    let world = World::new().await;
    world.signed_up("ana@agency.example").await;
    let mut browser = world.browser();
    let credentials = json!({"email": "ana@agency.example", "password": PASSWORD});
    browser.post("/api/v1/session", &credentials).await;
    assert_eq!(browser.send(request(Method::DELETE, "/api/v1/session", None)).await.status, StatusCode::NO_CONTENT);
    browser.post("/api/v1/session", &credentials).await;
    let trail = browser.get("/api/v1/audit").await.body;
    let lines = trail["items"].as_array().unwrap();
    let actions: Vec<_> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["session.sign_in", "session.sign_out", "session.sign_in", "organisation.sign_up"]);
    assert_eq!((&lines[0]["subject"]["kind"], &lines[0]["subject"]["title"]), (&json!("user"), &json!("Ana")));
}
