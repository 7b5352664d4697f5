//! The second factor: asked for wherever a person signs in, each code taken once, recovery codes when it is lost.

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::harness::{Answer, Browser, PASSWORD, World, request};

const EMAIL: &str = "ana@agency.example";

/// What an authenticator with this secret shows then.
fn code_at(secret: &str, at: DateTime<Utc>) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    Builder::new().with_secret(secret).build().unwrap().generate(u64::try_from(at.timestamp()).unwrap()).to_string()
}

async fn sign_in(world: &World, code: Option<&str>) -> (Browser, Answer) {
    let mut browser = world.browser();
    let answer = browser.post("/api/v1/session", &json!({"email": EMAIL, "password": PASSWORD, "code": code})).await;
    (browser, answer)
}

async fn put(browser: &mut Browser, code: &str) -> Answer {
    browser.send(request(Method::PUT, "/api/v1/second-factor", Some(&json!({"code": code})))).await
}

#[tokio::test]
async fn a_second_factor_is_asked_for_from_its_first_right_code_on_and_no_code_works_twice() {
    let world = World::new().await;
    let mut ana = world.signed_up(EMAIL).await;
    let now = world.app.now();
    let step = chrono::TimeDelta::seconds(30);
    let wrong = ana.post("/api/v1/second-factor", &json!({"password": "not my password"})).await;
    assert_eq!(wrong.body["errors"][0]["pointer"], "/password");
    let begun = ana.post("/api/v1/second-factor", &json!({"password": PASSWORD})).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
    let secret = begun.body["secret"].as_str().unwrap().to_owned();
    assert!(begun.body["url"].as_str().unwrap().starts_with("otpauth://totp/Campaign%20Lifecycle%20Platform:ana"));
    assert_eq!(sign_in(&world, None).await.1.status, StatusCode::OK, "it is not asked for yet");
    let old = put(&mut ana, &code_at(&secret, now - step * 3)).await;
    assert_eq!(old.body["errors"][0]["pointer"], "/code");
    let on = put(&mut ana, &code_at(&secret, now - step)).await;
    let codes = on.body["recovery_codes"].as_array().unwrap().clone();
    assert_eq!((on.status, codes.len()), (StatusCode::OK, 10));
    assert_eq!(ana.get("/api/v1/second-factor").await.body, json!({"on": true, "recovery_codes_left": 10}));
    let again = ana.post("/api/v1/second-factor", &json!({"password": PASSWORD})).await;
    assert_eq!(again.code(), "auth.second_factor_set");

    let code_of = async |code: Option<&str>| sign_in(&world, code).await.1;
    let (mut browser, asked) = sign_in(&world, None).await;
    assert_eq!((asked.status, asked.code()), (StatusCode::UNAUTHORIZED, "auth.code_needed"));
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "the password alone is no session");
    assert_eq!(code_of(Some(&code_at(&secret, now - step))).await.code(), "auth.wrong_code", "it was taken");
    assert_eq!(code_of(Some("000000")).await.code(), "auth.wrong_code");
    let spaced = code_at(&secret, now);
    let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
    assert_eq!(code_of(Some(&spaced)).await.status, StatusCode::OK);
    assert_eq!(code_of(Some(&spaced)).await.code(), "auth.wrong_code", "no code works twice");

    let recovery = codes[3].as_str().unwrap();
    assert_eq!(code_of(Some(&recovery.to_uppercase())).await.status, StatusCode::OK);
    assert_eq!(code_of(Some(recovery)).await.code(), "auth.wrong_code", "nor a recovery code");
    assert_eq!(ana.get("/api/v1/second-factor").await.body["recovery_codes_left"], 9);
    let stored =
        world.sql(&format!("SELECT FROM second_factors WHERE position('{secret}'::bytea IN secret) > 0")).await;
    assert_eq!(stored, 0, "the secret is sealed");

    let removal = |code: &Value| json!({"password": PASSWORD, "code": code});
    let refused = ana.post("/api/v1/second-factor/removal", &removal(&json!("000000"))).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/code");
    let removed = ana.post("/api/v1/second-factor/removal", &removal(&codes[4])).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.body);
    assert_eq!(code_of(None).await.status, StatusCode::OK);
    assert_eq!(world.sql("SELECT FROM audit WHERE action LIKE 'user.second_factor_%'").await, 2);
}

#[tokio::test]
async fn guessing_codes_is_held_back() {
    let world = World::new().await;
    let mut ana = world.signed_up(EMAIL).await;
    let begun = ana.post("/api/v1/second-factor", &json!({"password": PASSWORD})).await;
    let secret = begun.body["secret"].as_str().unwrap().to_owned();
    put(&mut ana, &code_at(&secret, world.app.now())).await;
    let mut held_back = false;
    for guess in 0..12 {
        held_back = sign_in(&world, Some(&format!("{guess:06}"))).await.1.status == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(held_back);
}
