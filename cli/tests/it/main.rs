//! `clp` as an operator meets it: the program itself, against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod keys;

use std::process::{Command, Output};

use domain::ids::OrgId;
use store::{Store, organisation};
use test_database::TestDatabase;

async fn deployment() -> (TestDatabase, OrgId) {
    let database = TestDatabase::create("cli").await.unwrap();
    store::migrate(&database.url("clp_owner")).await.unwrap();
    let store = Store::connect(&database.url("clp_app"), 2).await.unwrap();
    let org = OrgId::new();
    let mut tx = store.begin(org).await.unwrap();
    let sign_up = organisation::SignUp {
        email: "ada@agency.example".to_owned(),
        name: "Ada".to_owned(),
        password_hash: "$argon2id$…".to_owned(),
        organisation_name: "Agency".to_owned(),
        reporting_currency: "EUR".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
    };
    organisation::sign_up(&mut tx, &sign_up, "2026-11-21T12:00:00Z".parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    (database, org)
}

/// What `clp` answers, with the database that it is to ask.
fn clp(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clp"));
    command.args(arguments).env("CLP_DATABASE_URL", database.url("clp_app"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intact_trail_is_said_to_be_so_and_its_head_can_be_kept() {
    let (database, org) = deployment().await;
    let (code, text) = clp(&database, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("audit: ok: 1 lines of 1 organisations are what was recorded"), "{text}");
    let head = text.lines().next().unwrap().rsplit(' ').next().unwrap();
    let org = org.to_string();
    let (code, text) = clp(&database, &["audit", "verify", "--org", &org, "--head", head]);
    assert_eq!(code, Some(0), "{text}");
    let other = format!("1:{}", "0".repeat(64));
    let (code, text) = clp(&database, &["audit", "verify", "--org", &org, "--head", &other]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the chain's hash at line 1 is not the one that was kept"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_trail_ends_with_one_and_names_the_line() {
    let (database, _) = deployment().await;
    database.execute("SET session_replication_role = replica; UPDATE audit SET title = 'Another'").await.unwrap();
    let (code, text) = clp(&database, &["audit", "verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("1 flaws") && text.contains("  line 1 (aud_"), "{text}");
    assert!(text.contains("audit: FAILED: the trails of 1 of 1 organisations were changed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_t_be_asked_is_an_error_of_its_own() {
    let (database, _) = deployment().await;
    let (code, text) = clp(&database, &["audit", "verify", "--org", &OrgId::new().to_string()]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has no audit trail in this database"), "{text}");
    let (code, text) = clp(&database, &["audit", "verify", "--database", "postgres://nobody@127.0.0.1:1/none"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with("error: the database can't be used"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_set_shown_and_given_back() {
    let (database, org) = deployment().await;
    let org = org.to_string();
    let shown = |[connections, runs, rows]: [&str; 3]| {
        let used = format!("connections 0 of {connections}, runs in the last hour 0 of {runs}, rows today 0 of {rows}");
        (Some(0), format!("{org}: {used}; Agency\n"))
    };
    assert_eq!(clp(&database, &["quotas", "list"]), shown(["usual"; 3]));
    let set = |more: &[&str]| clp(&database, &[&["quotas", "set", "--org", &org], more].concat());
    assert_eq!(set(&["--connections", "3"]), shown(["3", "usual", "usual"]));
    assert_eq!(set(&["--runs-per-hour", "7"]), shown(["3", "7", "usual"]));
    assert_eq!(set(&["--connections", "usual", "--rows-per-day", "5000000000"]), shown(["usual", "7", "5000000000"]));
    assert_eq!(clp(&database, &["quotas", "list"]), shown(["usual", "7", "5000000000"]));
    let (code, text) = set(&[]);
    let say = "error: say which quota: --connections, --runs-per-hour or --rows-per-day\n";
    assert_eq!((code, text.as_str()), (Some(2), say));
    assert_eq!(set(&["--connections", "0"]).0, Some(2));
    let (code, text) = clp(&database, &["audit", "verify"]);
    assert!(code == Some(0) && text.contains("4 lines"), "each change is in the audit trail: {text}");
}
