//! Single sign-on: people come in through their organisation's provider, into that organisation alone, and no answer that
//! is not about this sign-in is believed.

use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};
use test_identity::{CLIENT, IdentityProvider, SECRET};

use crate::harness::{Answer, Browser, PASSWORD, World, request};

fn settings(provider: &IdentityProvider, default_role: Option<&str>, required: bool) -> Value {
    json!({"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET, "default_role": default_role,
           "required": required})
}

async fn set(admin: &mut Browser, settings: &Value) -> Answer {
    admin.send(request(Method::PUT, "/api/v1/sso", Some(settings))).await
}

async fn begin(browser: &mut Browser, who: Value) -> String {
    let begun = browser.post("/api/v1/sso/begin", &who).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    begun.body["redirect_url"].as_str().unwrap().to_owned()
}

async fn come_back(browser: &mut Browser, query: &str) -> String {
    let answer = browser.get(&format!("/api/v1/sso/callback?{query}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    answer.header(header::LOCATION).to_owned()
}

type Lie = fn(&mut Value);

fn bo() -> Value {
    json!({"sub": "bo-1", "email": "bo@agency.example", "name": "Bo"})
}

#[tokio::test]
async fn a_person_comes_in_through_their_organisation_s_provider_and_into_it_alone() {
    let (world, provider) = (World::new().await, IdentityProvider::start().await);
    let mut admin = world.signed_up("ana@agency.example").await;
    let (org, _) = admin.ids().await;
    assert_eq!(set(&mut admin, &settings(&provider, Some("viewer"), false)).await.status, StatusCode::NO_CONTENT);
    let shown = admin.get("/api/v1/sso").await.body;
    assert_eq!(shown["provider"]["issuer"], json!(provider.issuer));
    assert!(!shown.to_string().contains(SECRET));
    assert_eq!(
        world
            .sql(&format!(
                "SELECT FROM sso_providers WHERE position('{}'::bytea IN client_secret) > 0",
                SECRET.replace('\'', "''")
            ))
            .await,
        0,
        "our secret is sealed"
    );

    let mut browser = world.browser();
    let page = begin(&mut browser, json!({"organisation": org.to_string()})).await;
    let query = provider.signs_in(&page, &bo(), |_| {});
    assert_eq!(come_back(&mut browser, &query).await, "/");
    let me = browser.get("/api/v1/me").await.body;
    assert_eq!((&me["role"], &me["user"]["name"], &me["agreed"]), (&json!("viewer"), &json!("Bo"), &json!(false)));
    let mut elsewhere = world.browser();
    assert_eq!(come_back(&mut elsewhere, &query).await, "/sign-in?problem=auth.sso_expired");

    // The same subject is the same person, whatever e-mail it has now.
    let mut again = world.browser();
    let page = begin(&mut again, json!({"email": "bo@agency.example"})).await;
    let renamed = json!({"sub": "bo-1", "email": "robert@agency.example"});
    assert_eq!(come_back(&mut again, &provider.signs_in(&page, &renamed, |_| {})).await, "/");
    assert_eq!(again.get("/api/v1/me").await.body["user"]["id"], me["user"]["id"]);

    // A provider that says who somebody of another organisation is gets them into its own alone.
    let mut eve = world.signed_up("eve@other.example").await;
    let (theirs, _) = eve.ids().await;
    let mut forged = world.browser();
    let page = begin(&mut forged, json!({"organisation": org.to_string()})).await;
    let claims = json!({"sub": "eve-1", "email": "eve@other.example"});
    assert_eq!(come_back(&mut forged, &provider.signs_in(&page, &claims, |_| {})).await, "/");
    assert_eq!(forged.ids().await.0, org);
    let organisations = forged.get("/api/v1/organisations").await.body["items"].clone();
    assert_eq!(organisations.as_array().map(Vec::len), Some(1), "{organisations}");
    let body = json!({"organisation": theirs.to_string()});
    let refused = forged.send(request(Method::PUT, "/api/v1/session/organisation", Some(&body))).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "auth.session_bound"));

    assert_eq!(admin.send(request(Method::DELETE, "/api/v1/sso", None)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "whom it vouched for is out");
    assert_eq!(admin.get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_answer_that_is_not_about_this_sign_in_is_believed() {
    let (world, provider) = (World::new().await, IdentityProvider::start().await);
    let mut admin = world.signed_up("ana@agency.example").await;
    let (org, _) = admin.ids().await;
    set(&mut admin, &settings(&provider, Some("viewer"), false)).await;
    let lies: [(&str, Lie); 7] = [
        ("another nonce", |claims| claims["nonce"] = json!("x")),
        ("another issuer", |claims| claims["iss"] = json!("https://id.example")),
        ("another client", |claims| claims["aud"] = json!("somebody")),
        ("its time is over", |claims| claims["exp"] = json!(1)),
        ("no e-mail", |claims| claims["email"] = Value::Null),
        ("an e-mail that is not verified", |claims| claims["email_verified"] = json!(false)),
        ("no nonce", |claims| claims["nonce"] = Value::Null),
    ];
    for (what, lie) in lies {
        let mut browser = world.browser();
        let page = begin(&mut browser, json!({"organisation": org.to_string()})).await;
        let query = provider.signs_in(&page, &bo(), lie);
        assert_eq!(come_back(&mut browser, &query).await, "/sign-in?problem=auth.sso_failed", "{what}");
        assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "{what}");
    }
    let mut browser = world.browser();
    let page = begin(&mut browser, json!({"organisation": org.to_string()})).await;
    let query = provider.signs_in(&page, &bo(), |_| {});
    let mut other = world.browser();
    begin(&mut other, json!({"organisation": org.to_string()})).await;
    assert_eq!(come_back(&mut other, &query).await, "/sign-in?problem=auth.sso_expired", "another browser's answer");
    assert_eq!(world.sql("SELECT FROM memberships").await, 1, "nobody joined");
}

#[tokio::test]
async fn strangers_members_who_left_and_passwords_are_refused_where_the_organisation_says_so() {
    let (world, provider) = (World::new().await, IdentityProvider::start().await);
    let mut admin = world.signed_up("ana@agency.example").await;
    let (org, _) = admin.ids().await;
    set(&mut admin, &settings(&provider, None, true)).await;
    let mut stranger = world.browser();
    let page = begin(&mut stranger, json!({"organisation": org.to_string()})).await;
    let came = come_back(&mut stranger, &provider.signs_in(&page, &bo(), |_| {})).await;
    assert_eq!(came, "/sign-in?problem=auth.sso_stranger");

    let invited = admin.post("/api/v1/invitations", &json!({"email": "cy@agency.example", "role": "viewer"})).await;
    let token = invited.body["link"].as_str().unwrap().split('#').nth(1).unwrap().to_owned();
    let new = json!({"name": "Cy", "password": PASSWORD, "terms_version": "1", "privacy_version": "1"});
    let joined = world.browser().post("/api/v1/invitations/accept", &json!({"token": token, "new": new})).await;
    assert_eq!(joined.code(), "auth.sso_needed", "they joined, and sign in through the provider");
    let sign_in = async |email: &str| {
        world.browser().post("/api/v1/session", &json!({"email": email, "password": PASSWORD})).await
    };
    assert_eq!(sign_in("cy@agency.example").await.code(), "auth.sso_needed");
    assert_eq!(
        sign_in("ana@agency.example").await.status,
        StatusCode::OK,
        "an admin gets in when the provider is gone"
    );
    let cy = json!({"sub": "cy-1", "email": "Cy@agency.example"});
    let mut browser = world.browser();
    let page = begin(&mut browser, json!({"email": "cy@agency.example"})).await;
    assert_eq!(come_back(&mut browser, &provider.signs_in(&page, &cy, |_| {})).await, "/");
    world.sql("UPDATE memberships SET deactivated_at = now() WHERE user_name = 'Cy'").await;
    assert_eq!(browser.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    let page = begin(&mut browser, json!({"organisation": org.to_string()})).await;
    let came = come_back(&mut browser, &provider.signs_in(&page, &cy, |_| {})).await;
    assert_eq!(came, "/sign-in?problem=auth.sso_stranger", "who left does not come back this way");
    let unknown = world.browser().post("/api/v1/sso/begin", &json!({"email": "nobody@agency.example"})).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::NOT_FOUND, "auth.sso_unknown"));
}

#[tokio::test]
async fn a_provider_that_can_t_be_read_is_not_kept() {
    let (world, provider) = (World::new().await, IdentityProvider::start().await);
    let mut admin = world.signed_up("ana@agency.example").await;
    let mut wrong = settings(&provider, None, false);
    for issuer in ["http://127.0.0.1:1", "nowhere", "ftp://id.example", &format!("{}/", provider.issuer)] {
        wrong["issuer"] = json!(issuer);
        let refused = set(&mut admin, &wrong).await;
        assert_eq!(refused.body["errors"][0]["pointer"], "/issuer", "{issuer}");
    }
    let mut incomplete = settings(&provider, Some("emperor"), false);
    assert_eq!(set(&mut admin, &incomplete).await.body["errors"][0]["pointer"], "/default_role");
    incomplete["default_role"] = Value::Null;
    incomplete["client_secret"] = Value::Null;
    assert_eq!(set(&mut admin, &incomplete).await.body["errors"][0]["pointer"], "/client_secret");
    assert_eq!(set(&mut admin, &settings(&provider, None, false)).await.status, StatusCode::NO_CONTENT);
    incomplete["required"] = json!(true);
    assert_eq!(set(&mut admin, &incomplete).await.status, StatusCode::NO_CONTENT, "the secret that is there stays");
    assert_eq!(admin.get("/api/v1/sso").await.body["provider"]["required"], json!(true));
}
