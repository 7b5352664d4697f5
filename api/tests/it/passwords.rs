//! Passwords: hard to guess, changed by who knows the old one or gets the mail; every other browser is signed out.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Answer, Browser, PASSWORD, World, request, sign_up};
use crate::mail_server::MailServer;

const NEW: &str = "violet kettle marching 41";
const LINK: &str = "http://127.0.0.1:8080/password-reset#";

async fn sign_in(world: &World, email: &str, password: &str) -> (Browser, Answer) {
    let mut browser = world.browser();
    let answer = browser.post("/api/v1/session", &json!({"email": email, "password": password})).await;
    (browser, answer)
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_refused() {
    let world = World::new().await;
    let mut body = sign_up("ana@agency.example");
    body["password"] = json!("password1234");
    let refused = world.browser().post("/api/v1/sign-up", &body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.body["errors"][0]["pointer"], "/password");
}

#[tokio::test]
async fn a_changed_password_signs_all_other_browsers_out() {
    let world = World::new().await;
    let mut here = world.signed_up("ana@agency.example").await;
    let (mut there, _) = sign_in(&world, "ana@agency.example", PASSWORD).await;
    let change = |current: &str, new: &str| {
        request(Method::PUT, "/api/v1/password", Some(&json!({"current": current, "new": new})))
    };
    let wrong = here.send(change("not my password", NEW)).await;
    assert_eq!(wrong.body["errors"][0]["pointer"], "/current", "{}", wrong.body);
    let weak = here.send(change(PASSWORD, "ana@agency.example")).await;
    assert_eq!(weak.body["errors"][0]["pointer"], "/new", "{}", weak.body);
    assert_eq!(here.send(change(PASSWORD, NEW)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(here.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(there.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, "ana@agency.example", PASSWORD).await.1.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&world, "ana@agency.example", NEW).await.1.status, StatusCode::OK);
    assert_eq!(world.sql("SELECT FROM audit WHERE action = 'user.set_password'").await, 1);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_who_gets_the_mail_once() {
    let server = MailServer::start().await;
    let world = World::mailing("http://127.0.0.1:8080", Some(server.settings())).await;
    let mut ana = world.signed_up("ana@agency.example").await;
    let forget = async |email: &str| world.browser().post("/api/v1/password/forgotten", &json!({"email": email})).await;
    let token = async || {
        let mail = server.take("ana@agency.example").await;
        let start = mail.find(LINK).unwrap() + LINK.len();
        mail[start..].split_whitespace().next().unwrap().to_owned()
    };
    let reset = async |token: &str, password: &str| {
        world.browser().post("/api/v1/password/reset", &json!({"token": token, "password": password})).await
    };
    assert_eq!(forget("nobody@agency.example").await.status, StatusCode::ACCEPTED, "as if there were such an account");
    assert_eq!(forget("ana@agency.example").await.status, StatusCode::ACCEPTED);
    let first = token().await;
    forget("Ana@Agency.example").await;
    let second = token().await;
    assert!(server.is_empty(), "nobody else got a mail");
    assert_eq!(reset(&first, NEW).await.code(), "auth.reset_unusable", "only the newest link holds");
    assert_eq!(reset(&second, "password1234").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reset(&second, NEW).await.status, StatusCode::NO_CONTENT);
    assert_eq!(reset(&second, NEW).await.status, StatusCode::GONE, "a link works once");
    assert_eq!(ana.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "signed out everywhere");
    assert_eq!(sign_in(&world, "ana@agency.example", NEW).await.1.status, StatusCode::OK);

    forget("ana@agency.example").await;
    let late = token().await;
    world.sql("UPDATE password_resets SET expires_at = '2026-11-21 12:00Z' WHERE used_at IS NULL").await;
    assert_eq!(reset(&late, PASSWORD).await.status, StatusCode::GONE, "its hour is over");
}

#[tokio::test]
async fn terms_that_changed_are_agreed_to_anew() {
    let world = World::new().await;
    let mut body = sign_up("ana@agency.example");
    body["terms_version"] = json!("0");
    let refused = world.browser().post("/api/v1/sign-up", &body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "auth.terms_changed"));
    assert_eq!(world.browser().get("/api/v1/terms").await.body["terms"]["version"], "1");

    let mut ana = world.signed_up("ana@agency.example").await;
    assert_eq!(ana.get("/api/v1/me").await.body["agreed"], json!(true));
    world.sql("DELETE FROM agreements").await;
    assert_eq!(ana.get("/api/v1/me").await.body["agreed"], json!(false));
    let agree = json!({"terms_version": "1", "privacy_version": "1"});
    for _ in 0..2 {
        let agreed = ana.send(request(Method::PUT, "/api/v1/terms/agreement", Some(&agree))).await;
        assert_eq!(agreed.status, StatusCode::NO_CONTENT, "{}", agreed.body);
    }
    assert_eq!(ana.get("/api/v1/me").await.body["agreed"], json!(true));
    assert_eq!(world.sql("SELECT FROM audit WHERE action = 'user.agree'").await, 1);
}
