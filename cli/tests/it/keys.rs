//! `clp keys` as an operator meets it.

use std::process::{Command, Output};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::OrgId;
use keys::{Master, Vault, places};
use runtime::{MasterKeys, SystemClock};
use store::{Store, connection};
use test_database::TestDatabase;

use crate::deployment;

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// A deployment with one sealed token.
async fn sealed() -> (TestDatabase, OrgId) {
    let (database, org) = deployment().await;
    let store = Store::connect(&database.url("clp_app"), 2).await.unwrap();
    let settings = MasterKeys { current: Some(key(1).into()), ..MasterKeys::default() };
    let vault = Vault::new(Arc::new(Master::new(&settings).unwrap()), Arc::new(SystemClock));
    let mut tx = store.begin(org).await.unwrap();
    let new = connection::New {
        platform: "dv360".parse().unwrap(),
        environment: "dv360.sandbox".into(),
        title: "DV360".into(),
    };
    let id = connection::create(&mut tx, &new, "2026-11-21T12:00:00Z".parse().unwrap()).await.unwrap();
    let token = vault.seal(&mut tx, &places::credentials(id), &"planted-token".into()).await.unwrap();
    connection::replace_credentials(&mut tx, id, &token).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    (database, org)
}

/// What `clp keys` answers to somebody with these master keys, the first of which wraps.
fn clp(database: &TestDatabase, masters: &[u8], arguments: &[&str]) -> (Option<i32>, String) {
    let old: Vec<String> = masters.iter().skip(1).map(|byte| key(*byte)).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_clp"));
    command.arg("keys").args(arguments).env("CLP_DATABASE_URL", database.url("clp_app"));
    command.env("CLP_MASTER_KEY", key(masters[0])).env("CLP_MASTER_KEYS_OLD", old.join(","));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(!text.contains("planted-token") && masters.iter().all(|byte| !text.contains(&key(*byte))), "{text}");
    (status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_exchanged_and_the_one_before_is_said_to_be_free() {
    let (database, org) = sealed().await;
    let (code, text) = clp(&database, &[1], &["list"]);
    assert_eq!(code, Some(0), "{text}");
    let name = text.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(text.contains(&format!("{org}: data key 1 of ")) && text.contains("seals 1 secrets"), "{text}");
    let (code, text) = clp(&database, &[2], &["rewrap"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("wrapped by the master key {name}, which this process does not have")), "{text}");
    assert!(text.contains(&format!("{name} still wraps 1 keys")) && text.contains("keys: FAILED"), "{text}");
    for wrapped in ["1 keys of 1 organisations", "0 keys of 1 organisations"] {
        let (code, text) = clp(&database, &[2, 1], &["rewrap"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(wrapped) && text.contains("any other master key can be dropped"), "{text}");
    }
    let (code, text) = clp(&database, &[2], &["rotate", "--org", &org.to_string()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("data key 2 seals 1 secrets anew; removed 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_does_not_open_ends_with_one_and_is_named() {
    let (database, org) = sealed().await;
    database.execute("UPDATE connections SET credentials = credentials || '\\x00'").await.unwrap();
    let (code, text) = clp(&database, &[1], &["rotate", "--all"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Credentials(") && text.contains("a sealed secret could not be opened"), "{text}");
    assert!(text.contains("still in use: 1") && text.contains("older keys of 1 of 1 organisations"), "{text}");
    let (_, text) = clp(&database, &[1], &["list", "--org", &org.to_string()]);
    assert!(text.contains("data key 1 of ") && text.contains("data key 2 of "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_asked_of_keys_is_an_error_of_its_own() {
    let (database, _) = sealed().await;
    let (code, text) = clp(&database, &[1], &["rotate"]);
    assert_eq!(code, Some(2), "{text}");
    let (code, text) = clp(&database, &[1], &["rotate", "--org", &OrgId::new().to_string()]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has no key and no secret in this database"), "{text}");
}
