//! Tokens: exchanged, renewed once for all, rotated safely, dead, given back; and never shown.

use chrono::Duration;
use connectors::{Access, Credentials, Error, Family};
use domain::ErrorCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::fake::Reply;
use crate::support::{World, account, fault, world};

const TOKEN: &str = "POST /token";
const PARTNERS: &str = "GET /v4/partners";

async fn exchange(world: &World) -> Result<Credentials, Error> {
    let (code, verifier) = (SecretString::from("the-code"), SecretString::from("the-verifier"));
    world.platform.exchange_code(world.quota.as_ref(), &code, &verifier, "https://clp.example/back").await
}

fn grant(access_token: &str, refresh_token: Option<&str>) -> Reply {
    let mut body = json!({"access_token": access_token, "expires_in": 3599, "token_type": "Bearer"});
    if let Some(refresh_token) = refresh_token {
        body["refresh_token"] = refresh_token.into();
        body["scope"] = "scope/a scope/b".into();
        body["refresh_token_expires_in"] = 604_800.into();
    }
    Reply::Json(200, body)
}

fn refused(error: &str) -> Reply {
    Reply::Json(400, json!({"error": error, "error_description": "in words"}))
}

#[tokio::test]
async fn a_code_becomes_credentials() {
    let world = world().await;
    world.fake.on(TOKEN, grant("at", Some("rt-new")));
    let credentials = exchange(&world).await.unwrap();
    assert_eq!(credentials.refresh_token.expose_secret(), "rt-new");
    assert_eq!(credentials.scopes, ["scope/a", "scope/b"]);
    assert_eq!(credentials.expires_at.unwrap().to_rfc3339(), "2026-11-28T12:00:00+00:00");
    assert!(!format!("{credentials:?}").contains("rt-new"));
    insta::assert_json_snapshot!("exchange_wire", world.fake.wire());
    assert_eq!(world.quota.of(Family::Tokens), 1);
}

#[tokio::test]
async fn a_code_that_came_too_late_or_gave_no_lasting_token_needs_a_new_consent() {
    for reply in [refused("invalid_grant"), grant("at", None)] {
        let world = world().await;
        world.fake.on(TOKEN, reply);
        assert_eq!(exchange(&world).await.unwrap_err().code(), ErrorCode::ConsentExpired);
    }
    let world = world().await;
    world.fake.on(TOKEN, refused("invalid_client"));
    let error = exchange(&world).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PlatformRejected);
    assert!(error.to_string().contains("invalid_client: in words"));
}

#[tokio::test]
async fn forty_calls_share_one_renewal() {
    let world = world().await;
    for _ in 0..40 {
        world.fake.ok(PARTNERS, json!({}));
    }
    let all = (0..40).map(|_| world.platform.list_accounts(&world.access));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(world.fake.token_calls(), 1);
    insta::assert_json_snapshot!("refresh_wire", world.fake.all_calls()[0].wire());
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let world = world().await;
    for _ in 0..3 {
        world.fake.ok(PARTNERS, json!({}));
        world.platform.list_accounts(&world.access).await.unwrap();
        *world.clock.0.lock().unwrap() += Duration::seconds(1_800);
    }
    assert_eq!(world.fake.token_calls(), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_then_counts_as_dead() {
    let world = world().await;
    for _ in 0..2 {
        world.fake.on(PARTNERS, fault(401, "UNAUTHENTICATED", "no"));
    }
    let error = world.platform.list_accounts(&world.access).await.unwrap_err();
    assert!(matches!(error, Error::Configuration { .. }));
    assert_eq!((error.code(), error.account()), (ErrorCode::TokenDead, None));
    assert_eq!((world.fake.calls().len(), world.fake.token_calls()), (2, 2));
}

#[tokio::test]
async fn a_dead_refresh_token_is_tried_once_until_a_new_consent() {
    let world = world().await;
    world.fake.on(TOKEN, refused("invalid_grant")).ok(PARTNERS, json!({}));
    for _ in 0..3 {
        let error = world.platform.list_accounts(&world.access).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::TokenDead);
    }
    assert_eq!(world.fake.token_calls(), 1);
    world.keeper.kept.lock().unwrap().refresh_token = SecretString::from("rt-2");
    world.platform.list_accounts(&world.access).await.unwrap();
}

#[tokio::test]
async fn a_rotated_token_is_saved_before_it_is_used() {
    let world = world().await;
    world.fake.on(TOKEN, grant("at-a", Some("rt-2"))).ok(PARTNERS, json!({}));
    world.platform.list_accounts(&world.access).await.unwrap();
    assert_eq!((world.keeper.refresh_token().as_str(), *world.keeper.saves.lock().unwrap()), ("rt-2", 1));
}

#[tokio::test]
async fn two_workers_never_renew_one_rotating_token_at_once() {
    let world = world().await;
    let other = Access::new(world.keeper.clone(), world.quota.clone());
    world.fake.on(TOKEN, grant("at-a", Some("rt-2"))).on(TOKEN, grant("at-b", Some("rt-3")));
    world.fake.ok(PARTNERS, json!({})).ok(PARTNERS, json!({}));
    let both = [&world.access, &other].map(|access| world.platform.list_accounts(access));
    for result in futures::future::join_all(both).await {
        result.unwrap();
    }
    let renewals: Vec<String> = world
        .fake
        .all_calls()
        .into_iter()
        .map(|call| call.body)
        .filter(|body| body.contains("refresh_token="))
        .collect();
    assert!(renewals.len() == 2 && renewals[0].contains("=rt-1") && renewals[1].contains("=rt-2"), "{renewals:?}");
    assert_eq!(world.keeper.refresh_token(), "rt-3");
}

#[tokio::test]
async fn a_rotated_token_that_could_not_be_saved_is_not_forgotten() {
    let world = world().await;
    *world.keeper.broken.lock().unwrap() = true;
    world.fake.on(TOKEN, grant("at-a", Some("rt-2"))).ok(PARTNERS, json!({}));
    let error = world.platform.list_accounts(&world.access).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StorageUnavailable);
    assert_eq!(world.fake.calls().len(), 0);
    *world.keeper.broken.lock().unwrap() = false;
    world.platform.list_accounts(&world.access).await.unwrap();
    assert_eq!(world.keeper.refresh_token(), "rt-2");
    assert!(world.fake.all_calls()[1].body.contains("refresh_token=rt-2"));
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_named() {
    let world = world().await;
    let scope = connectors::dv360::SCOPES[0];
    world.fake.on(TOKEN, Reply::Json(200, json!({"access_token": "a", "expires_in": 10, "scope": scope})));
    let verified = world.platform.verify_access(&world.access).await.unwrap();
    assert_eq!(verified.missing, [connectors::dv360::SCOPES[1]]);
    assert_eq!(world.fake.calls().len(), 0);
}

#[tokio::test]
async fn a_missing_right_is_no_dead_token() {
    let world = world().await;
    world.fake.on(PARTNERS, fault(403, "PERMISSION_DENIED", "no"));
    let error = world.platform.verify_access(&world.access).await.unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::PermissionMissing, None));
    let body = json!({"error": {"code": 403, "message": "scopes", "status": "PERMISSION_DENIED",
        "details": [{"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}});
    world.fake.on("GET /v4/advertisers/123/campaigns", Reply::Json(403, body));
    let error = world.platform.list_entities(&world.access, &account()).await.unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::PermissionMissing, None));
}

#[tokio::test]
async fn an_authorisation_is_given_back_even_when_it_is_dead_already() {
    for reply in [Reply::Json(200, json!({})), refused("invalid_token")] {
        let world = world().await;
        world.fake.on("POST /revoke", reply);
        world.platform.revoke(&world.access).await.unwrap();
        insta::assert_json_snapshot!("revoke_wire", world.fake.wire());
    }
}

#[tokio::test]
async fn no_secret_is_printed() {
    let world = world().await;
    world.fake.on(TOKEN, Reply::Text(200, vec![], r#"{"access_token": 5, "refresh_token": "rt-secret"}"#.into()));
    let error = world.platform.list_accounts(&world.access).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnreadableAnswer);
    let access: &Access = &world.access;
    let printed = format!("{error:?} {error} {access:?} {:?} {:?}", world.platform, world.keeper);
    for secret in ["rt-secret", "rt-1", "client-secret"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
