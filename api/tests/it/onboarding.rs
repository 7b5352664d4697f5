//! The wizard, while the workflow engine is away: what is asked for is recorded, and nothing is claimed that did not happen.

use axum::http::{Method, StatusCode, header};
use serde_json::json;
use url::Url;

use crate::harness::{Browser, World};

async fn started(world: &World) -> Browser {
    let mut browser = world.signed_up("ana@agency.example").await;
    let answer = browser.keyed(Method::POST, "/api/v1/onboarding", "begin", &json!({})).await;
    assert_eq!((answer.status, &answer.body["state"]), (StatusCode::CREATED, &json!("connecting")), "{}", answer.body);
    browser
}

async fn consent_state(browser: &mut Browser) -> String {
    let answer = browser.post("/api/v1/onboarding/consent", &json!({"platform": "dv360"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let url: Url = answer.body["redirect_url"].as_str().unwrap().parse().unwrap();
    let value =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap();
    assert!(url.as_str().starts_with("http://sandbox.test/o/oauth2/v2/auth?response_type=code&client_id=client&"));
    assert_eq!(value("redirect_uri"), "http://127.0.0.1:8080/api/v1/consents/callback");
    assert_eq!(
        (value("access_type"), value("prompt"), value("code_challenge_method")),
        ("offline".into(), "consent".into(), "S256".into())
    );
    assert_eq!(value("code_challenge").len(), 43);
    assert!(value("scope").contains("display-video") && value("scope").contains("doubleclickbidmanager"));
    value("state")
}

#[tokio::test]
async fn an_onboarding_begins_once_and_waits_for_the_engine() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    let again = browser.keyed(Method::POST, "/api/v1/onboarding", "begin-again", &json!({})).await;
    let got = browser.get("/api/v1/onboarding").await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &got.body));
    assert_eq!(got.body["steps"].as_array().unwrap().len(), 8);
    assert_eq!(browser.get("/api/v1/me").await.body["onboarding"], got.body);
    let due = store::intent::due(&world.app.store, world.app.now(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(api::sweeper::sweep(&world.app).await.unwrap(), 0);
}

#[tokio::test]
async fn a_consent_that_was_denied_or_made_up_leads_back_to_the_wizard() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    let state = consent_state(&mut browser).await;
    let denied = browser.get(&format!("/api/v1/consents/callback?state={state}&error=access_denied")).await;
    let to = |answer: &crate::harness::Answer| (answer.status, answer.header(header::LOCATION).to_owned());
    let wizard = |code: &str| (StatusCode::SEE_OTHER, format!("/onboarding?problem={code}"));
    assert_eq!(to(&denied), wizard("connection.consent_denied"));
    let twice = browser.get(&format!("/api/v1/consents/callback?state={state}&code=4/abc")).await;
    assert_eq!(to(&twice), wizard("connection.consent_expired"));
    let made_up = browser.get("/api/v1/consents/callback?state=made-up&code=4/abc").await;
    assert_eq!(to(&made_up), wizard("connection.consent_expired"));
    let nobody = world.browser().get("/api/v1/consents/callback?state=made-up&code=4/abc").await;
    assert_eq!(to(&nobody), wizard("auth.signed_out"));
}

#[tokio::test]
async fn nobody_answers_for_somebody_else() {
    let world = World::new().await;
    let mut ana = started(&world).await;
    let state = consent_state(&mut ana).await;
    let mut eve = world.signed_up("eve@other.example").await;
    let foreign = eve.get(&format!("/api/v1/consents/callback?state={state}&code=4/abc")).await;
    assert_eq!(foreign.header(header::LOCATION), "/onboarding?problem=connection.consent_expired");
    // The consent is still Ana's to answer; without the engine she is told to start again.
    let own = ana.get(&format!("/api/v1/consents/callback?state={state}&code=4/abc")).await;
    assert_eq!(own.header(header::LOCATION), "/onboarding?problem=connection.consent_expired");
    assert_eq!(ana.get("/api/v1/onboarding").await.body["platform"], "dv360");
    assert_eq!(ana.get("/api/v1/connections").await.body["items"], json!([]));
}

#[tokio::test]
async fn without_the_engine_nothing_is_cancelled_and_that_is_said() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    let answer = browser.keyed(Method::POST, "/api/v1/onboarding/cancel", "cancel", &json!({})).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "internal.workflows_unavailable"));
    assert_eq!(answer.body["unharmed"], "Nothing was cancelled; the onboarding goes on.");
    assert_eq!(browser.get("/api/v1/onboarding").await.body["state"], "connecting");
    let choice = json!({"account_ids": ["acc_x"]});
    let odd = browser.keyed(Method::PUT, "/api/v1/onboarding/accounts", "choose", &choice).await;
    assert_eq!(
        (odd.status, &odd.body["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/account_ids/0"))
    );
}
