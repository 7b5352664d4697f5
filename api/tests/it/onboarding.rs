//! The wizard, while the workflow engine is away: what is asked for is recorded, and nothing is claimed that did not happen.

use axum::http::{Method, StatusCode, header};
use domain::ids::ConnectionId;
use serde_json::json;
use store::onboarding::State;
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

/// An organisation whose onboarding is done, with its connection.
async fn set_up(world: &World, browser: &mut Browser) -> ConnectionId {
    consent_state(browser).await;
    let me = browser.get("/api/v1/me").await.body;
    let (org, user) = (me["organisation"]["id"].as_str().unwrap(), me["user"]["id"].as_str().unwrap());
    let mut tx = world.app.store.begin(org.parse().unwrap()).await.unwrap();
    let row = store::onboarding::latest(&mut tx).await.unwrap().unwrap();
    let connection = row.connection.unwrap();
    let authorisation = store::connection::Authorisation {
        credentials: vec![1],
        scopes: vec!["display-video".to_owned()],
        by: user.parse().unwrap(),
    };
    store::connection::authorise(&mut tx, connection, &authorisation, world.app.now()).await.unwrap();
    assert!(store::onboarding::close(&mut tx, row.id, State::Done, None, world.app.now()).await.unwrap());
    tx.commit().await.unwrap();
    connection
}

#[tokio::test]
async fn an_organisation_that_is_set_up_is_not_set_up_again() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    set_up(&world, &mut browser).await;
    let again = browser.keyed(Method::POST, "/api/v1/onboarding", "again", &json!({})).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "request.conflict"), "{}", again.body);
    assert!(again.body["detail"].as_str().unwrap().contains("Connections page"));
    let me = browser.get("/api/v1/me").await.body;
    assert_eq!((&me["onboarding"]["state"], &me["onboarding"]["can_cancel"]), (&json!("done"), &json!(false)));
    let cancel = browser.keyed(Method::POST, "/api/v1/onboarding/cancel", "cancel", &json!({})).await;
    assert_eq!((cancel.status, cancel.code()), (StatusCode::CONFLICT, "request.conflict"));
}

#[tokio::test]
async fn a_connection_in_use_is_reconnected_and_its_page_says_what_came_of_it() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    let connection = set_up(&world, &mut browser).await;
    let path = format!("/api/v1/connections/{connection}/reconnect");
    let ask = async |browser: &mut Browser| {
        let answer = browser.keyed(Method::POST, &path, "reconnect", &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let url: Url = answer.body["redirect_url"].as_str().unwrap().parse().unwrap();
        url.query_pairs().find(|(name, _)| name == "state").map(|(_, value)| value.into_owned()).unwrap()
    };
    let state = ask(&mut browser).await;
    let denied = browser.get(&format!("/api/v1/consents/callback?state={state}&error=access_denied")).await;
    let place = format!("/connections?reconnected={connection}");
    assert_eq!(denied.header(header::LOCATION), format!("{place}&problem=connection.consent_denied"));
    let seen = browser.get("/api/v1/connections").await.body["items"][0]["reconnection"].clone();
    assert_eq!((&seen["state"], &seen["problem"]["code"]), (&json!("refused"), &json!("connection.consent_denied")));

    let state = ask(&mut browser).await;
    let given = browser.get(&format!("/api/v1/consents/callback?state={state}&code=4/abc")).await;
    assert_eq!((given.status, given.header(header::LOCATION)), (StatusCode::SEE_OTHER, place.as_str()));
    let due = store::intent::due(&world.app.store, world.app.now(), 10).await.unwrap();
    assert_eq!(due.iter().filter(|intent| intent.kind == store::intent::Kind::Reconnect).count(), 1, "{due:?}");
}

#[tokio::test]
async fn advertisers_are_chosen_and_deselected_after_the_setup() {
    let world = World::new().await;
    let mut browser = started(&world).await;
    let connection = set_up(&world, &mut browser).await;
    let org = browser.get("/api/v1/me").await.body["organisation"]["id"].as_str().unwrap().parse().unwrap();
    let mut tx = world.app.store.begin(org).await.unwrap();
    let found = ["1", "2"].map(|id| store::account::Discovered {
        platform_id: id.to_owned(),
        name: format!("Advertiser {id}"),
        parent_id: None,
        parent_name: None,
        currency: "EUR".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
        status: store::account::Status::Active,
    });
    store::account::upsert_many(&mut tx, connection, &found).await.unwrap();
    let known = store::account::list(&mut tx, Some(connection)).await.unwrap();
    store::account::select(&mut tx, connection, &[known[0].id]).await.unwrap();
    store::report::ensure(&mut tx, &definition()).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("/api/v1/connections/{connection}/accounts");
    let choice = json!({"account_ids": [known[1].id.to_string()]});
    let changed = browser.keyed(Method::PUT, &path, "change", &choice).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let chosen: Vec<_> =
        changed.body["accounts"].as_array().unwrap().iter().map(|one| one["selected"].clone()).collect();
    assert_eq!(chosen, [json!(false), json!(true)]);
    let mut tx = world.app.store.begin(org).await.unwrap();
    let open = store::pull::list_open(&mut tx, Some(connection)).await.unwrap();
    assert!(!open.is_empty() && open.iter().all(|pull| pull.accounts == ["2"]), "the history of the new one: {open:?}");
    let line = browser.get("/api/v1/audit?limit=1").await.body["items"][0].clone();
    assert_eq!((&line["action"], &line["actor"]["name"]), (&json!("connection.choose_accounts"), &json!("Ana")));
    let both = json!({"account_ids": [known[0].id.to_string(), known[1].id.to_string()]});
    let hasty = browser.keyed(Method::PUT, &path, "hasty", &both).await;
    assert_eq!((hasty.status, hasty.code()), (StatusCode::CONFLICT, "request.conflict"), "{}", hasty.body);
    let foreign = json!({"account_ids": [domain::ids::AccountId::new().to_string()]});
    let foreign = browser.keyed(Method::PUT, &path, "foreign", &foreign).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
}

fn definition() -> domain::report::Definition {
    domain::report::Definition {
        id: domain::ids::ReportId::new(),
        platform: domain::Platform::Dv360,
        name: "delivery".to_owned(),
        kind: "STANDARD".to_owned(),
        columns: Vec::new(),
        cadence_seconds: 900,
        lookback_days: 30,
        lookback_cadence_seconds: 86_400,
        final_after_days: 7,
    }
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
