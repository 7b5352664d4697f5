//! The master key and a data key are exchanged while cycle follows cycle: every run ends well, and nothing needs the keys of
//! before.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::OrgId;
use harness::histories::{more_cycles, texts};
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::sandbox_admin::SandboxAdmin;
use harness::stack::{Options, Stack};
use harness::wait::until;
use reqwest::Method;
use serde_json::json;

const PASSWORD: &str = "correct horse battery staple";
/// Each third cycle has something to ask for; a session outlives the test.
const STEP_SECONDS: i64 = 301;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_while_ingestion_runs_and_no_run_fails() {
    let options = Options { tick_seconds: 1, ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    if let Err(error) = exchange(&mut stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn exchange(stack: &mut Stack) -> Result<()> {
    let agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    agency.onboard_as(PLANNER).await?;
    let clock = tokio::spawn(time_goes_by(stack.sandbox_admin()));
    let exchanged = exchange_master_key(stack, agency.org).await;
    clock.abort();
    exchanged?;
    exchange_data_key(stack, &agency).await?;
    let clock = tokio::spawn(time_goes_by(stack.sandbox_admin()));
    let went_on = more_cycles(stack, agency.org).await;
    clock.abort();
    went_on?;
    let failed = "SELECT kind || ' ' || coalesce(error_code, '') FROM cycles WHERE state = 'failed'";
    let failed = texts(stack, agency.org, failed).await?;
    ensure!(failed.is_empty(), "runs failed: {failed:?}");
    let troubled = texts(stack, agency.org, "SELECT error_code FROM connections WHERE error_code IS NOT NULL").await?;
    ensure!(troubled.is_empty(), "the connection is in trouble: {troubled:?}");
    Ok(())
}

async fn exchange_master_key(stack: &mut Stack, org: OrgId) -> Result<()> {
    let old = stack.variable("CLP_MASTER_KEY").context("no master key")?;
    let before = masters(stack, org).await?;
    ensure!(before.len() == 1, "{before:?}");
    more_cycles(stack, org).await?;

    stack.configure("CLP_MASTER_KEY", Some(&STANDARD.encode([8; 32])));
    stack.configure("CLP_MASTER_KEYS_OLD", Some(&old));
    stack.roll_worker()?;
    stack.restart_api().await?;
    more_cycles(stack, org).await?;
    ok(stack, &["keys", "rewrap"], "any other master key can be dropped").await?;
    let after = masters(stack, org).await?;
    ensure!(after.len() == 1 && after != before, "{before:?} became {after:?}");

    stack.configure("CLP_MASTER_KEYS_OLD", None);
    stack.roll_worker()?;
    stack.restart_api().await?;
    more_cycles(stack, org).await
}

/// Somebody is on the platform's page meanwhile, and comes back after it.
async fn exchange_data_key(stack: &Stack, agency: &Agency) -> Result<()> {
    let connections = agency.person.get("/api/v1/connections").await?;
    let connection = connections["items"][0]["id"].as_str().context("no connection")?;
    let path = format!("/api/v1/connections/{connection}/reconnect");
    let page = agency.person.send(Method::POST, &path, json!({})).await?;
    let page = page["redirect_url"].as_str().context("no consent page")?;

    ok(stack, &["keys", "rotate", "--all"], "nothing needs the ones before").await?;
    let versions = texts(stack, agency.org, "SELECT version::text FROM data_keys").await?;
    ensure!(versions == ["2"], "data keys {versions:?} are left");

    let landed = agency.person.consent(page, PLANNER, "allow").await?;
    ensure!(!landed.contains("problem"), "the consent led to {landed}");
    let adopted =
        "SELECT coalesce(error_code, 'adopted') FROM consents WHERE purpose = 'reconnect' AND closed_at IS NOT NULL";
    let outcome = until("the new authorisation to be in force", PATIENCE, || async {
        Ok(texts(stack, agency.org, adopted).await?.pop())
    });
    let outcome = outcome.await?;
    ensure!(outcome == "adopted", "the consent of before the exchange ended with {outcome}");
    more_cycles(stack, agency.org).await?;
    let sealed = "SELECT DISTINCT encode(substring(bytes FROM 1 FOR 5), 'hex')
                  FROM (SELECT credentials AS bytes FROM connections UNION ALL SELECT verifier FROM consents
                        UNION ALL SELECT code FROM consents UNION ALL SELECT credentials FROM consents) o
                  WHERE bytes IS NOT NULL";
    let sealed = texts(stack, agency.org, sealed).await?;
    ensure!(sealed == ["0200000002"], "secrets begin with {sealed:?}");
    Ok(())
}

/// The master keys that wrap a data key.
async fn masters(stack: &Stack, org: OrgId) -> Result<Vec<String>> {
    texts(stack, org, "SELECT DISTINCT master FROM data_keys").await
}

async fn ok(stack: &Stack, arguments: &[&str], says: &str) -> Result<()> {
    let (code, said) = stack.clp(arguments).await?;
    ensure!(code == Some(0) && said.contains(says), "clp {arguments:?} ended with {code:?}: {said}");
    Ok(())
}

/// Five minutes in each second.
async fn time_goes_by(sandbox: SandboxAdmin) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // While it stands still no new days come, and the next step moves it on.
        sandbox.advance(STEP_SECONDS).await.ok();
    }
}
