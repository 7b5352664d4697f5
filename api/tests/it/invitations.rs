//! Invitations: a person gets a mail, joins with a new account or the one that they have, once.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, PASSWORD, World, request};
use crate::mail_server::MailServer;

const LINK: &str = "http://127.0.0.1:8080/invitation#";

async fn invite(admin: &mut Browser, email: &str, role: &str) -> Answer {
    admin.post("/api/v1/invitations", &json!({"email": email, "role": role})).await
}

fn token(answer: &Answer) -> String {
    answer.body["link"].as_str().and_then(|link| link.strip_prefix(LINK)).unwrap().to_owned()
}

async fn look(world: &World, token: &str) -> Answer {
    world.browser().post("/api/v1/invitations/look", &json!({"token": token})).await
}

fn new_person(token: &str) -> Value {
    let new = json!({"name": "Bo", "password": PASSWORD, "terms_version": "1", "privacy_version": "1"});
    json!({"token": token, "new": new})
}

async fn accept(browser: &mut Browser, body: &Value) -> Answer {
    browser.post("/api/v1/invitations/accept", body).await
}

#[tokio::test]
async fn a_mail_brings_a_new_person_in_once_and_in_the_role_that_was_meant() {
    let server = MailServer::start().await;
    let world = World::mailing("http://127.0.0.1:8080", Some(server.settings())).await;
    let mut admin = world.signed_up("ana@agency.example").await;
    let sent = invite(&mut admin, " Bo@Agency.example ", "approver").await;
    assert_eq!((sent.status, sent.body["mail"].as_str()), (StatusCode::CREATED, Some("sent")), "{}", sent.body);
    let mail = server.take("bo@agency.example").await;
    let token = token(&sent);
    assert!(mail.contains(&format!("{LINK}{token}")) && mail.contains("Ana invites you to join Agency"), "{mail}");
    let listed = admin.get("/api/v1/invitations").await.body;
    assert_eq!((&listed["items"][0]["mailed"], &listed["items"][0]["expired"]), (&json!(true), &json!(false)));
    assert!(!listed.to_string().contains(&token));

    let seen = look(&world, &token).await.body;
    assert_eq!(
        seen,
        json!({"organisation": "Agency", "email": "bo@agency.example", "role_title": "Approver", "invited_by": "Ana",
               "expires_at": "2026-11-28T12:00:00Z", "has_account": false})
    );
    let mut bo = world.browser();
    let weak = accept(
        &mut bo,
        &json!({"token": token, "new": {"name": "Bo", "password": "bo@agency.example",
        "terms_version": "1", "privacy_version": "1"}}),
    )
    .await;
    assert_eq!(weak.body["errors"][0]["pointer"], "/new/password", "{}", weak.body);
    let joined = accept(&mut bo, &new_person(&token)).await;
    assert_eq!(joined.status, StatusCode::OK, "{}", joined.body);
    assert_eq!((&joined.body["role"], &joined.body["agreed"]), (&json!("approver"), &json!(true)));
    assert_eq!(bo.get("/api/v1/overview").await.status, StatusCode::OK);
    assert_eq!(bo.get("/api/v1/invitations").await.status, StatusCode::FORBIDDEN);

    let again = accept(&mut world.browser(), &new_person(&token)).await;
    assert_eq!((again.status, again.code()), (StatusCode::GONE, "auth.invitation_unusable"));
    assert_eq!(admin.get("/api/v1/invitations").await.body["items"], json!([]));
    let member = invite(&mut admin, "bo@agency.example", "viewer").await;
    assert_eq!(
        (member.status, &member.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/email"))
    );
}

#[tokio::test]
async fn without_a_mail_server_the_link_is_passed_on_by_hand_and_only_the_newest_holds() {
    let world = World::new().await;
    let mut admin = world.signed_up("ana@agency.example").await;
    let first = invite(&mut admin, "bo@agency.example", "viewer").await;
    assert_eq!(first.body["mail"], "off");
    let second = invite(&mut admin, "bo@agency.example", "planner").await;
    assert_eq!(first.body["invitation"]["id"], second.body["invitation"]["id"], "one invitation, sent anew");
    assert_eq!(look(&world, &token(&first)).await.status, StatusCode::GONE);
    assert_eq!(look(&world, &token(&second)).await.body["role_title"], "Planner");
    world.sql("UPDATE invitations SET expires_at = '2026-11-21 12:00Z'").await;
    assert_eq!(look(&world, &token(&second)).await.status, StatusCode::GONE, "its time is over");
    assert_eq!(admin.get("/api/v1/invitations").await.body["items"][0]["expired"], json!(true));

    let third = invite(&mut admin, "bo@agency.example", "planner").await;
    let path = format!("/api/v1/invitations/{}", third.body["invitation"]["id"].as_str().unwrap());
    assert_eq!(admin.send(request(Method::DELETE, &path, None)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.send(request(Method::DELETE, &path, None)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(accept(&mut world.browser(), &new_person(&token(&third))).await.status, StatusCode::GONE);
    let unknown = invite(&mut admin, "bo@agency.example", "emperor").await;
    assert_eq!(unknown.body["errors"][0]["pointer"], "/role");
    let emails = world.sql("SELECT FROM audit WHERE audit::text LIKE '%bo@agency.example%'").await;
    assert_eq!(emails, 0, "the trail names no e-mail address");
}

#[tokio::test]
async fn who_has_an_account_joins_with_it_and_nobody_joins_in_their_name() {
    let world = World::new().await;
    let mut admin = world.signed_up("ana@agency.example").await;
    let mut bo = world.signed_up("bo@other.example").await;
    let mut eve = world.signed_up("eve@other.example").await;
    let token = token(&invite(&mut admin, "bo@other.example", "viewer").await);
    assert_eq!(look(&world, &token).await.body["has_account"], json!(true));
    for body in [new_person(&token), json!({"token": token}), json!({"token": token, "password": "guessing is no use"})]
    {
        let refused = accept(&mut eve, &body).await;
        assert!([401, 422].contains(&refused.status.as_u16()), "{}", refused.body);
    }
    let joined = accept(&mut bo, &json!({"token": token})).await;
    assert_eq!((joined.status, &joined.body["role"]), (StatusCode::OK, &json!("viewer")), "{}", joined.body);
    assert_eq!(bo.get("/api/v1/organisations").await.body["items"].as_array().map(Vec::len), Some(2));

    let token = self::token(&invite(&mut admin, "eve@other.example", "viewer").await);
    let joined = accept(&mut world.browser(), &json!({"token": token, "password": PASSWORD})).await;
    assert_eq!(joined.status, StatusCode::OK, "{}", joined.body);
}
