//! One person in several organisations and browsers.

use axum::http::{Method, StatusCode};
use domain::Role;
use domain::ids::{OrgId, UserId};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, World, request};

/// Makes a person a member of an organisation.
async fn join(world: &World, (org, admin): (OrgId, UserId), user: UserId, role: Role) {
    let mut tx = world.app.store.begin(org).await.unwrap();
    store::member::add(&mut tx, user, "Ben", &role.to_string(), admin, world.app.now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_person_goes_on_in_another_of_their_organisations() {
    let world = World::new().await;
    let (mut ana, mut ben) = (world.signed_up("ana@agency.example").await, world.signed_up("ben@x.example").await);
    let (theirs, own) = (ana.ids().await, ben.ids().await);
    join(&world, theirs, own.1, Role::Viewer).await;
    let listed = ben.get("/api/v1/organisations").await.body;
    let current: Vec<(&Value, &Value)> =
        listed["items"].as_array().unwrap().iter().map(|item| (&item["role"], &item["current"])).collect();
    assert_eq!(current.len(), 2);
    assert!(current.contains(&(&json!("admin"), &json!(true))) && current.contains(&(&json!("viewer"), &json!(false))));

    let before = ben.cookie.clone();
    let wanted = json!({"organisation": theirs.0.to_string()});
    let switched = ben.keyed(Method::PUT, "/api/v1/session/organisation", "switch", &wanted).await;
    assert_eq!(switched.status, StatusCode::OK, "{}", switched.body);
    assert_eq!(
        (&switched.body["organisation"]["id"], &switched.body["role"]),
        (&wanted["organisation"], &json!("viewer"))
    );
    assert_eq!(ben.ids().await, (theirs.0, own.1));
    let frozen =
        ben.keyed(Method::PUT, "/api/v1/organisation/freeze", "f", &json!({"frozen": true, "reason": "r"})).await;
    assert_eq!((frozen.status, frozen.code()), (StatusCode::FORBIDDEN, "auth.not_allowed"));
    let mut old = world.browser();
    old.cookie = before;
    assert_eq!(old.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED, "the old session has ended");
}

#[tokio::test]
async fn a_page_of_the_organisation_before_does_nothing_in_the_next() {
    let world = World::new().await;
    let mut ana = world.signed_up("ana@agency.example").await;
    let (org, _) = ana.ids().await;
    let freeze = |meant: String| {
        let body = json!({"frozen": true, "reason": "A test"});
        let mut request = request(Method::PUT, "/api/v1/organisation/freeze", Some(&body));
        request.headers_mut().insert("idempotency-key", meant.parse().unwrap());
        request.headers_mut().insert("x-clp-organisation", meant.parse().unwrap());
        request
    };
    let refused = ana.send(freeze(OrgId::new().to_string())).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "auth.other_organisation"));
    assert_eq!(ana.get("/api/v1/me").await.body["organisation"]["frozen"], false);
    assert_eq!(ana.send(freeze(org.to_string())).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_goes_on_in_an_organisation_of_others() {
    let world = World::new().await;
    let (mut ana, mut eve) = (world.signed_up("ana@agency.example").await, world.signed_up("eve@x.example").await);
    let (theirs, own) = (ana.ids().await, eve.ids().await);
    for wanted in [theirs.0.to_string(), OrgId::new().to_string(), "org_nonsense".to_owned()] {
        let body = json!({"organisation": wanted});
        let answer = eve.keyed(Method::PUT, "/api/v1/session/organisation", &wanted, &body).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "request.not_found"), "{wanted}");
    }
    join(&world, theirs, own.1, Role::Viewer).await;
    let mut tx = world.app.store.begin(theirs.0).await.unwrap();
    store::member::set_active(&mut tx, own.1, false, theirs.1, world.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    let body = json!({"organisation": theirs.0.to_string()});
    let answer = eve.keyed(Method::PUT, "/api/v1/session/organisation", "out", &body).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "a member who was deactivated is none");
}

#[tokio::test]
async fn a_person_signs_another_browser_out() {
    let world = World::new().await;
    let mut here = world.signed_up("ana@agency.example").await;
    let mut there = world.browser();
    there.post("/api/v1/session", &json!({"email": "ana@agency.example", "password": PASSWORD})).await;
    let sessions = here.get("/api/v1/sessions").await.body;
    let items = sessions["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let other = items.iter().find(|item| item["current"] == false).unwrap()["id"].as_str().unwrap().to_owned();
    let mut eve = world.signed_up("eve@x.example").await;
    let path = format!("/api/v1/sessions/{other}");
    let refused = eve.keyed(Method::DELETE, &path, "theirs", &json!({})).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(there.get("/api/v1/me").await.status, StatusCode::OK);
    let revoked = here.keyed(Method::DELETE, &path, "mine", &json!({})).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.body);
    assert_eq!(there.get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(here.get("/api/v1/me").await.status, StatusCode::OK);
}
