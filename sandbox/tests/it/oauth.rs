//! The consent page and the token endpoint, as browsers and clients meet them.

use axum::body::Body;
use axum::http::header;
use sandbox::google::accounts::challenge_of;
use serde_json::Value;

use crate::support::{Answer, PLANNER, Twin};

const FORM: &str = "application/x-www-form-urlencoded";
const REQUEST: &str = "client_id=sandbox-client&redirect_uri=http%3A%2F%2Flocalhost%2Fback&response_type=code\
                       &scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdisplay-video&state=s1&access_type=offline&prompt=consent";

async fn form(twin: &Twin, target: &str, body: String) -> Answer {
    twin.raw("POST", target, None, FORM, Body::from(body)).await
}

fn location(answer: &Answer) -> url::Url {
    assert_eq!(answer.status, 303);
    answer.headers[header::LOCATION].to_str().unwrap().parse().unwrap()
}

fn parameter(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

async fn exchange(twin: &Twin, code: &str, verifier: &str) -> Answer {
    let body = format!(
        "grant_type=authorization_code&code={code}&redirect_uri=http%3A%2F%2Flocalhost%2Fback\
         &client_id=sandbox-client&client_secret=sandbox-secret&code_verifier={verifier}"
    );
    form(twin, "/token", body).await
}

#[tokio::test]
async fn a_person_allows_access_and_the_client_gets_tokens() {
    let twin = Twin::new();
    let page = twin.raw("GET", &format!("/o/oauth2/v2/auth?{REQUEST}"), None, FORM, Body::empty()).await;
    let html = page.text();
    for expected in ["<html lang=\"en\"", "<title>", "planner@agency.example", "intern@agency.example", "<legend>"] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(html.contains("value=\"planner@agency.example\" required checked"), "who sees most is chosen");
    let verifier = "a-verifier-that-is-long-enough-to-be-one-of-them";
    let challenge = format!("code_challenge={}&code_challenge_method=S256", challenge_of(verifier));
    let decision = format!("{REQUEST}&{challenge}&account={PLANNER}&decision=allow");
    let back = location(&form(&twin, "/o/oauth2/v2/auth", decision.clone()).await);
    assert_eq!(parameter(&back, "state").as_deref(), Some("s1"));
    let wrong = exchange(&twin, &parameter(&back, "code").unwrap(), "another").await;
    assert_eq!((wrong.status, wrong.json()["error"].as_str()), (400, Some("invalid_grant")));
    let back = location(&form(&twin, "/o/oauth2/v2/auth", decision).await);
    let code = parameter(&back, "code").unwrap();
    let tokens = exchange(&twin, &code, verifier).await.json();
    assert_eq!((tokens["expires_in"].as_i64(), tokens["token_type"].as_str()), (Some(3_599), Some("Bearer")));
    let again = exchange(&twin, &code, verifier).await;
    assert_eq!(again.json()["error_description"], "Malformed auth code.");
    let refreshed = refresh(&twin, &tokens).await;
    assert_eq!(refreshed.status, 200);
    assert!(refreshed.json().get("refresh_token").is_none());
    let revoked = form(&twin, "/revoke", format!("token={}", tokens["refresh_token"].as_str().unwrap())).await;
    assert_eq!(revoked.status, 200);
    let dead = refresh(&twin, &tokens).await;
    assert_eq!(dead.json()["error_description"], "Token has been expired or revoked.");
}

async fn refresh(twin: &Twin, tokens: &Value) -> Answer {
    let token = tokens["refresh_token"].as_str().unwrap();
    let body =
        format!("grant_type=refresh_token&client_id=sandbox-client&client_secret=sandbox-secret&refresh_token={token}");
    form(twin, "/o/oauth2/token", body).await
}

#[tokio::test]
async fn cancelling_sends_the_person_back_without_a_code() {
    let twin = Twin::new();
    let back = location(&form(&twin, "/o/oauth2/v2/auth", format!("{REQUEST}&decision=cancel")).await);
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("s1"));
    assert_eq!(parameter(&back, "code"), None);
}

#[tokio::test]
async fn a_request_that_cannot_go_back_gets_a_page() {
    let twin = Twin::new();
    for bad in [REQUEST.replace("sandbox-client", "other"), REQUEST.replace("redirect_uri", "redirect")] {
        let answer = twin.raw("GET", &format!("/o/oauth2/v2/auth?{bad}"), None, FORM, Body::empty()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("Access blocked"));
    }
    let plain = format!("/o/oauth2/v2/auth?{REQUEST}&code_challenge=x&code_challenge_method=plain");
    let answer = twin.raw("GET", &plain, None, FORM, Body::empty()).await;
    assert_eq!(parameter(&location(&answer), "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_wrong_secret_is_no_client() {
    let twin = Twin::new();
    let body = "grant_type=refresh_token&client_id=sandbox-client&client_secret=guess&refresh_token=x".to_owned();
    let answer = form(&twin, "/token", body).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_client")));
}

#[tokio::test]
async fn a_token_opens_only_what_its_scope_says() {
    let mut twin = Twin::new();
    twin.log_in(PLANNER, "https://www.googleapis.com/auth/display-video");
    assert_eq!(twin.send("GET", "/v4/partners", None).await.status, 200);
    let refused = twin.send("GET", "/v2/queries", None).await;
    assert_eq!((refused.status, refused.violations().0), (403, "PERMISSION_DENIED".to_owned()));
    let nobody = twin.raw("GET", "/v4/partners", Some("made-up"), FORM, Body::empty()).await;
    assert_eq!((nobody.status, nobody.violations().0), (401, "UNAUTHENTICATED".to_owned()));
}
