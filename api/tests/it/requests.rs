//! What holds for every request: forgeries, fields, keys, ids, headers, files.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use domain::ids::{ConnectionId, CycleId, DecisionId, EntityId, ProposalId, RuleId};
use serde_json::json;

use crate::harness::{World, request, sign_up};

#[tokio::test]
async fn another_site_s_form_changes_nothing() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    for (method, path) in [(Method::DELETE, "/api/v1/session"), (Method::POST, "/api/v1/evaluations")] {
        let forged = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = browser.send(forged).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::FORBIDDEN, "request.invalid"));
    }
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_fields_are_named_by_their_pointers() {
    let world = World::new().await;
    let mut wrong = sign_up("ana");
    wrong["password"] = json!("short");
    let answer = world.browser().post("/api/v1/sign-up", &wrong).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::UNPROCESSABLE_ENTITY, "request.invalid"));
    let pointers: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/email", "/password"]);
    let missing = world.browser().post("/api/v1/session", &json!({"email": "ana@agency.example"})).await;
    assert_eq!(missing.body["errors"], json!([{"pointer": "/password", "message": "This is needed."}]));
    let limit = world.signed_up("ana@agency.example").await.get("/api/v1/runs?limit=0").await;
    assert_eq!(
        (limit.status, &limit.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/limit"))
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let world = World::new().await;
    let mut browser = world.browser();
    let large = browser.post("/api/v1/session", &json!({"email": "a".repeat(300_000), "password": "x"})).await;
    assert_eq!((large.status, large.code()), (StatusCode::PAYLOAD_TOO_LARGE, "request.invalid"));
    let mut form = request(Method::POST, "/api/v1/session", Some(&json!({})));
    form.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(browser.send(form).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_one_s_answer() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let first = browser.keyed(Method::POST, "/api/v1/evaluations", "key-1", &json!({})).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    let again = browser.keyed(Method::POST, "/api/v1/evaluations", "key-1", &json!({})).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = browser.keyed(Method::POST, "/api/v1/evaluations", "key-2", &json!({})).await;
    assert_ne!(other.body, first.body);
    let misused = browser.keyed(Method::POST, "/api/v1/evaluations", "key-1", &json!({"other": 1})).await;
    assert_eq!((misused.status, misused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "request.idempotency_key_reused"));
    let without = browser.post("/api/v1/evaluations", &json!({})).await;
    assert_eq!((without.status, without.code()), (StatusCode::BAD_REQUEST, "request.idempotency_key_missing"));
    let evaluation = browser.get(&format!("/api/v1/evaluations/{}", first.body["id"].as_str().unwrap())).await;
    assert_eq!((evaluation.status, &evaluation.body["state"]), (StatusCode::OK, &json!("running")));
}

#[tokio::test]
async fn a_request_whose_answer_got_lost_does_nothing_twice_however_late_it_comes_again() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let first = browser.keyed(Method::POST, "/api/v1/evaluations", "key", &json!({})).await;
    // It was killed after its effect and before its answer was kept.
    assert_eq!(world.sql("UPDATE idempotency SET status = NULL, body = NULL").await, 1);
    let busy = browser.keyed(Method::POST, "/api/v1/evaluations", "key", &json!({})).await;
    assert_eq!((busy.status, busy.code()), (StatusCode::CONFLICT, "request.in_progress"));
    assert_eq!(busy.body["retryable"], json!(true));
    world.sql("UPDATE idempotency SET created_at = created_at - interval '5 minutes'").await;
    let again = browser.keyed(Method::POST, "/api/v1/evaluations", "key", &json!({})).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let due = store::intent::due(&world.app.store, world.app.now(), 10).await.unwrap();
    assert_eq!(due.len(), 1, "one evaluation is to be started");
}

#[tokio::test]
async fn changes_are_frozen_by_an_admin_who_says_why() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let path = "/api/v1/organisation/freeze";
    let mute = browser.keyed(Method::PUT, path, "mute", &json!({"frozen": true, "reason": " "})).await;
    assert_eq!(
        (mute.status, &mute.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/reason"))
    );
    let wanted = json!({"frozen": true, "reason": "The client's audit"});
    let frozen = browser.keyed(Method::PUT, path, "freeze", &wanted).await;
    assert_eq!((frozen.status, &frozen.body["frozen"]), (StatusCode::OK, &json!(true)), "{}", frozen.body);
    assert_eq!(browser.get("/api/v1/me").await.body["organisation"], frozen.body);
    let line = browser.get("/api/v1/audit?limit=1").await.body["items"][0].clone();
    assert_eq!((&line["action"], &line["actor"]["name"]), (&json!("organisation.freeze"), &json!("Ana")));
    assert_eq!(line["after"], json!({"frozen": true, "reason": "The client's audit"}));
    world.sql("UPDATE memberships SET role = 'approver'").await;
    let lifted = browser.keyed(Method::PUT, path, "lift", &json!({"frozen": false, "reason": "It is over"})).await;
    assert_eq!((lifted.status, lifted.code()), (StatusCode::FORBIDDEN, "auth.not_allowed"));
    assert_eq!(browser.get("/api/v1/me").await.body["organisation"]["frozen"], json!(true));
}

#[tokio::test]
async fn a_code_alone_is_enough_to_get_its_words() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let answer = browser.get("/api/v1/problems/connection.scopes_missing").await;
    let known = api::problem::Problem::of(domain::ErrorCode::ScopesMissing);
    assert_eq!((answer.status, &answer.body["title"]), (StatusCode::OK, &json!(known.title)));
    assert_eq!(browser.get("/api/v1/problems/made.up").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_is_repeated_with_the_repeated_request_s_own_id() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let path = format!("/api/v1/proposals/{}/approve", ProposalId::new());
    let first = browser.keyed(Method::POST, &path, "key", &json!({"change_hash": "x"})).await;
    let again = browser.keyed(Method::POST, &path, "key", &json!({"change_hash": "x"})).await;
    for answer in [&first, &again] {
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "request.not_found"));
        assert_eq!(answer.body["request_id"].as_str(), Some(answer.header("x-request-id".parse().unwrap())));
    }
    assert_ne!(first.body["request_id"], again.body["request_id"]);
}

#[tokio::test]
async fn a_key_of_one_organisation_means_nothing_to_another() {
    let world = World::new().await;
    let (mut ana, mut bob) = (world.signed_up("ana@agency.example").await, world.signed_up("bob@other.example").await);
    let first = ana.keyed(Method::POST, "/api/v1/evaluations", "key", &json!({})).await;
    let second = bob.keyed(Method::POST, "/api/v1/evaluations", "key", &json!({})).await;
    assert_ne!(first.body["id"], second.body["id"]);
    let foreign = bob.get(&format!("/api/v1/evaluations/{}", first.body["id"].as_str().unwrap())).await;
    assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "request.not_found"));
}

#[tokio::test]
async fn what_is_not_there_is_not_found_whatever_the_id() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    let paths = [
        format!("connections/{}", ConnectionId::new()),
        format!("campaigns/{}", EntityId::new()),
        format!("campaigns/{}/series", EntityId::new()),
        format!("evaluations/{}", DecisionId::new()),
        format!("proposals/{}", ProposalId::new()),
        format!("runs/{}", CycleId::new()),
        format!("runs/{}", ProposalId::new()),
        "proposals/1".to_owned(),
        "onboarding".to_owned(),
        "nothing".to_owned(),
    ];
    for path in paths {
        let answer = browser.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "request.not_found"), "{path}");
    }
    let patch = format!("/api/v1/rules/{}", RuleId::new());
    let answer = browser.keyed(Method::PATCH, &patch, "key", &json!({"enabled": false})).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lists_of_a_new_organisation_are_empty() {
    let world = World::new().await;
    let mut browser = world.signed_up("ana@agency.example").await;
    for path in ["connections", "campaigns", "rules", "proposals", "proposals?state=open", "runs?state=failed"] {
        let answer = browser.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, &answer.body["items"]), (StatusCode::OK, &json!([])), "{path}");
    }
    let overview = browser.get("/api/v1/overview").await;
    assert_eq!((overview.status, &overview.body["freshness"]["state"]), (StatusCode::OK, &json!("none")));
    let audit = browser.get("/api/v1/audit?limit=1").await;
    assert_eq!((&audit.body["items"][0]["actor"]["name"], &audit.body["next_cursor"]), (&json!("Ana"), &json!(null)));
    let run = browser.keyed(Method::POST, "/api/v1/runs", "key", &json!({})).await;
    assert_eq!((run.status, run.code()), (StatusCode::CONFLICT, "request.conflict"));
}

#[tokio::test]
async fn every_answer_keeps_browsers_safe() {
    let world = World::new().await;
    world.web_file("index.html", "<!doctype html><title>app</title>");
    for path in ["/api/v1/me", "/livez", "/campaigns"] {
        let answer = world.browser().get(path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn screens_get_the_application_and_assets_are_kept() {
    let world = World::new().await;
    world.web_file("index.html", "<!doctype html><title>app</title>");
    world.web_file("assets/app-1a2b.js", "export {}");
    let mut browser = world.browser();
    let screen = browser.get("/campaigns/ent_1").await;
    assert_eq!((screen.status, screen.header(header::CACHE_CONTROL)), (StatusCode::OK, "no-cache"));
    assert!(screen.body.as_str().unwrap().contains("<title>app</title>"));
    let asset = browser.get("/assets/app-1a2b.js").await;
    assert_eq!(asset.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    assert_eq!(browser.get("/assets/app-0000.js").await.status, StatusCode::NOT_FOUND);
    let api = browser.get("/api/nothing").await;
    assert_eq!((api.status, api.code()), (StatusCode::NOT_FOUND, "request.not_found"));
    let method = browser.post("/api/v1/me", &json!({})).await;
    assert_eq!((method.status, method.code()), (StatusCode::METHOD_NOT_ALLOWED, "request.not_found"));
}

#[tokio::test]
async fn an_operator_sees_what_is_down() {
    let world = World::new().await;
    let mut browser = world.browser();
    assert_eq!(browser.get("/livez").await.status, StatusCode::OK);
    let ready = browser.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    let down: Vec<_> = ready.body["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(down.iter().map(|check| &check["name"]).collect::<Vec<_>>(), ["temporal"]);
    let metrics = browser.get("/metrics").await;
    let line = "clp_http_requests_total{method=\"GET\",route=\"/livez\",status=\"200\"}";
    assert!(metrics.body.as_str().unwrap().contains(line), "{}", metrics.body);
    assert_eq!(browser.get("/version").await.body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(browser.get("/api/v1/openapi.json").await.body["openapi"], "3.1.0");
}
