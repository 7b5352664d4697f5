//! Coverage from the document: every route refuses a browser that is not signed in, but those on a list that only shrinks.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{World, request};

/// What anybody may call.
const PUBLIC: [&str; 14] = [
    "acceptInvitation",
    "answerConsent",
    "answerSso",
    "beginSso",
    "forgetPassword",
    "getLiveness",
    "getMetrics",
    "getReadiness",
    "getTerms",
    "getVersion",
    "lookAtInvitation",
    "resetPassword",
    "signIn",
    "signUp",
];

#[tokio::test]
async fn every_other_route_refuses_who_is_not_signed_in() {
    let world = World::new().await;
    let mut browser = world.browser();
    let document = serde_json::to_value(api::document()).unwrap();
    let mut public = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            let for_anybody = operation["x-permission"] == "anybody";
            assert_eq!(
                for_anybody,
                PUBLIC.contains(&name),
                "{name}: the document and the list of what anybody may call"
            );
            if for_anybody {
                public.push(name);
                continue;
            }
            let path = path.replace("{id}", "pro_01939cf5d0f07a6b8c9d0e1f2a3b4c5d");
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut request = request(method, &path, Some(&json!({})));
            request.headers_mut().insert("idempotency-key", "key".parse().unwrap());
            let answer = browser.send(request).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "auth.signed_out"), "{name}");
            assert_eq!(operation["security"].as_array().map(Vec::is_empty), Some(false), "{name}");
        }
    }
    public.sort_unstable();
    assert_eq!(public, PUBLIC);
}

#[tokio::test]
async fn a_made_up_cookie_is_no_session() {
    let world = World::new().await;
    let mut browser = world.browser();
    browser.cookie = Some("clp_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned());
    let answer = browser.get("/api/v1/me").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.body["errors"], Value::Null);
}
