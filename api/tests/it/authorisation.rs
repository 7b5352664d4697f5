//! Who may do what, asked of the document: every operation with every permission but its own, and with its own alone.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use domain::Permission;
use domain::ids::{OrgId, UserId};
use serde_json::json;
use strum::IntoEnumIterator as _;

use crate::harness::{Answer, Browser, World, request};

/// An operation of the document.
struct Operation {
    name: String,
    method: Method,
    path: String,
    need: String,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(api::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            let need = operation["x-permission"].as_str().unwrap_or_else(|| panic!("{name} needs nothing: say what"));
            let method = method.to_uppercase().parse().unwrap();
            operations.push(Operation { name, method, path: path.clone(), need: need.to_owned() });
        }
    }
    operations
}

/// A person of an organisation of their own, who is a member of another one too, in a role that allows just this.
async fn member(world: &World, org: OrgId, admin: UserId, email: &str, allowed: &BTreeSet<Permission>) -> Browser {
    let mut guest = world.signed_up(email).await;
    let (_, user) = guest.ids().await;
    let now = world.app.now();
    let mut tx = world.app.store.begin(org).await.unwrap();
    let role = format!("r{}", user.uuid().simple());
    store::role::create(&mut tx, &role, "Just this", allowed, admin, now).await.unwrap().unwrap();
    store::member::add(&mut tx, user, "Guest", &role, admin, now).await.unwrap();
    store::session::create(&mut tx, user, email, false, now, now + TimeDelta::hours(1)).await.unwrap();
    tx.commit().await.unwrap();
    guest.cookie = Some(format!("clp_session={email}"));
    guest
}

async fn send(browser: &mut Browser, operation: &Operation) -> Answer {
    let path = operation.path.replace("{id}", "pro_01939cf5d0f07a6b8c9d0e1f2a3b4c5d");
    let mut request = request(operation.method.clone(), &path, Some(&json!({})));
    let key = format!("key-{}", operation.name);
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    browser.send(request).await
}

#[tokio::test]
async fn every_operation_wants_its_own_permission_and_no_other() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    let (org, user) = admin.ids().await;
    let mut asked = 0;
    for permission in Permission::iter() {
        let own: Vec<Operation> =
            operations().into_iter().filter(|operation| operation.need == permission.to_string()).collect();
        let all_but = Permission::iter().filter(|other| *other != permission).collect();
        let (with, without) = (format!("with-{permission}@x.example"), format!("without-{permission}@x.example"));
        let mut without = member(&world, org, user, &without, &all_but).await;
        let mut with = member(&world, org, user, &with, &BTreeSet::from([permission])).await;
        for operation in own {
            let refused = send(&mut without, &operation).await;
            let told = (refused.status, refused.code());
            assert_eq!(told, (StatusCode::FORBIDDEN, "auth.not_allowed"), "{} without {permission}", operation.name);
            let admitted = send(&mut with, &operation).await;
            let kept_out = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&admitted.status);
            assert!(!kept_out, "{} with {permission}: {}", operation.name, admitted.body);
            asked += 1;
        }
    }
    let needs: BTreeSet<String> = operations().into_iter().map(|operation| operation.need).collect();
    let unknown: Vec<&String> = needs
        .iter()
        .filter(|need| !["anybody", "member", "person"].contains(&need.as_str()) && need.parse::<Permission>().is_err())
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} are no permissions");
    println!("{asked} operations were asked with and without their permission");
}

#[tokio::test]
async fn who_was_deactivated_is_out_at_once() {
    let world = World::new().await;
    let mut admin = world.signed_up("admin@agency.example").await;
    let (org, user) = admin.ids().await;
    let mut guest = member(&world, org, user, "guest@x.example", &Permission::iter().collect()).await;
    assert_eq!(guest.get("/api/v1/overview").await.status, StatusCode::OK);
    let members = admin.get("/api/v1/members").await;
    let guest_id = members.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|member| member["email"] == "guest@x.example")
        .map(|member| member["id"].as_str().unwrap().to_owned())
        .unwrap();
    let patch = |active| json!({"active": active});
    let theirs = format!("/api/v1/members/{guest_id}");
    let kept_out = admin.keyed(Method::PATCH, &theirs, "out", &patch(false)).await;
    assert_eq!((kept_out.status, kept_out.body["active"].as_bool()), (StatusCode::OK, Some(false)));
    assert_eq!(guest.get("/api/v1/overview").await.status, StatusCode::UNAUTHORIZED);
    let last = admin.keyed(Method::PATCH, &format!("/api/v1/members/{user}"), "self", &patch(false)).await;
    assert_eq!((last.status, last.code()), (StatusCode::CONFLICT, "members.last_admin"));
}
