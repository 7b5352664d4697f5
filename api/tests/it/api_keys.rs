//! API keys: shown once, held to what they and their makers may, gone when they are revoked, over, or their maker is out.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, World, request};

fn wanted(permissions: &[&str]) -> Value {
    json!({"name": "Looker", "permissions": permissions, "expires_in_days": 30})
}

async fn with(world: &World, secret: &str, mut request: Request<Body>) -> Answer {
    request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap());
    world.browser().send(request).await
}

async fn get(world: &World, secret: &str, path: &str) -> Answer {
    with(world, secret, request(Method::GET, path, None)).await
}

async fn made(admin: &mut Browser, permissions: &[&str]) -> (String, String) {
    let made = admin.post("/api/v1/api-keys", &wanted(permissions)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let text = |pointer: &str| made.body.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    (text("/key/id"), text("/secret"))
}

async fn listed(admin: &mut Browser) -> Value {
    admin.get("/api/v1/api-keys").await.body["items"][0].clone()
}

#[tokio::test]
async fn a_key_may_do_what_it_was_made_for_and_nothing_else() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    let (_, secret) = made(&mut admin, &["delivery.read", "rules.read"]).await;
    let key = listed(&mut admin).await;
    assert_eq!((key["state"].as_str(), &key["last_used_at"]), (Some("active"), &Value::Null));
    assert!(secret.starts_with(key["beginning"].as_str().unwrap()) && !key.to_string().contains(&secret));

    assert_eq!(get(&world, &secret, "/api/v1/overview").await.status, StatusCode::OK);
    assert_eq!(get(&world, &secret, "/api/v1/rules").await.status, StatusCode::OK);
    let me = get(&world, &secret, "/api/v1/me").await;
    assert_eq!(me.body["permissions"], json!(["delivery.read", "rules.read"]));
    for path in ["/api/v1/members", "/api/v1/proposals", "/api/v1/api-keys", "/api/v1/audit"] {
        let refused = get(&world, &secret, path).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "auth.not_allowed"), "{path}");
    }
    for path in ["/api/v1/sessions", "/api/v1/organisations"] {
        let refused = get(&world, &secret, path).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "auth.person_needed"), "{path}");
    }
    assert_eq!(listed(&mut admin).await["last_used_at"], "2026-11-21T12:00:00Z");
}

#[tokio::test]
async fn a_key_needs_no_header_against_forged_forms_and_no_cookie_counts_beside_it() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    let (_, secret) = made(&mut admin, &["delivery.read"]).await;
    let mut freeze = request(Method::PUT, "/api/v1/organisation/freeze", Some(&json!({"frozen": true, "reason": "x"})));
    freeze.headers_mut().remove("x-requested-with");
    freeze.headers_mut().insert("idempotency-key", "freeze".parse().unwrap());
    freeze.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {secret}").parse().unwrap());
    let refused = admin.send(freeze).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "auth.not_allowed"), "{}", refused.body);
}

#[tokio::test]
async fn what_no_key_may_have_or_its_maker_has_not_is_refused_by_name() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    for wrong in ["members.manage", "api_keys.manage", "sign_in.manage", "money.print"] {
        let refused = admin.post("/api/v1/api-keys", &wanted(&["delivery.read", wrong])).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(refused.body["errors"][0]["pointer"], "/permissions/1", "{wrong}");
    }
    let everything = json!({"name": " ", "permissions": [], "expires_in_days": 366});
    let refused = admin.post("/api/v1/api-keys", &everything).await;
    assert_eq!(refused.body["errors"].as_array().map(Vec::len), Some(3), "{}", refused.body);
}

#[tokio::test]
async fn a_key_ends_at_once_when_it_is_revoked_over_or_its_maker_is_out_or_may_less() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    let (org, user) = admin.ids().await;
    let unusable = async |secret: &str, why: &str| {
        let refused = get(&world, secret, "/api/v1/overview").await;
        assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "auth.key_unusable"), "{why}");
    };
    unusable("clp_made-up", "made up").await;
    unusable("a-session-token", "no key").await;

    let (id, secret) = made(&mut admin, &["delivery.read"]).await;
    for _ in 0..2 {
        let revoked = admin.send(request(Method::DELETE, &format!("/api/v1/api-keys/{id}"), None)).await;
        assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    }
    unusable(&secret, "revoked").await;
    assert_eq!(listed(&mut admin).await["state"], "revoked");

    let (_, secret) = made(&mut admin, &["delivery.read"]).await;
    world
        .sql("UPDATE api_keys SET created_at = '2026-01-01', expires_at = '2026-11-21 11:59Z' WHERE revoked_at IS NULL")
        .await;
    unusable(&secret, "over").await;

    let (_, secret) = made(&mut admin, &["delivery.read"]).await;
    world.sql("UPDATE roles SET permissions = '{}' WHERE name = 'viewer'").await;
    world.sql("UPDATE memberships SET role = 'viewer'").await;
    assert_eq!(get(&world, &secret, "/api/v1/overview").await.status, StatusCode::FORBIDDEN);
    world.sql("UPDATE memberships SET role = 'admin'").await;
    assert_eq!(get(&world, &secret, "/api/v1/overview").await.status, StatusCode::OK);
    world.sql("UPDATE memberships SET deactivated_at = '2026-11-21'").await;
    unusable(&secret, "its maker is out").await;
    let kept = world
        .sql(&format!(
            "SELECT FROM audit WHERE org_id = '{}' AND actor_id = '{}' AND action LIKE 'api_key.%'",
            org.uuid(),
            user.uuid()
        ))
        .await;
    assert_eq!(kept, 4, "three made, one revoked");
}
