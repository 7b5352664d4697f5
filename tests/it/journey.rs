//! The main job, end to end, without a browser.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use harness::journey::Agency;
use harness::sandbox_admin::{SandboxAdmin, restated_line_days};
use harness::stack::{Options, Stack};
use harness::truth::LakeReader;
use serde_json::json;

/// The sandbox's world has so many lines, all of them running.
const SEEDED_LINES: u32 = 42;
const PASSWORD: &str = "correct horse battery staple";

#[tokio::test(flavor = "multi_thread")]
async fn an_agency_sees_its_delivery_to_the_last_micro_and_a_change_is_applied_once() {
    let stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = main_job(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn main_job(stack: &Stack) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    let mut agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    agency.onboard().await?;
    dashboard_has_figures(&agency).await?;
    agency.onboarding_is(&["done"]).await?;
    let found = agency.evaluate().await?;
    ensure!(found["lines_judged"] == SEEDED_LINES && found["not_judged"] == json!([]), "{found:#}");
    let lake = LakeReader::open(&stack.database.app_url, &stack.warehouse.display().to_string(), agency.org).await?;
    let first = lake.equals(&sandbox).await?;
    ensure!(first.line_days > 1_000, "only {first:?}");
    // Before the jump in time: what waits for a decision expires within it.
    agency.approve_and_verify(&sandbox, &agency.open_proposal().await?).await?;

    let restated = restated_line_days(&sandbox.post("/restate", json!({})).await?);
    let days: BTreeSet<_> = restated.iter().map(|(_, day)| day).collect();
    ensure!(restated.len() >= 100 && days.len() >= 5, "{} line days over {} days", restated.len(), days.len());
    agency.follow(&sandbox, &lake, &restated).await?;
    lake.equals(&sandbox).await?;
    overdue_proposals_are_closed(&sandbox, &agency).await?;

    ensure!(sandbox.now().await? > Utc::now(), "the simulated clock did not move");
    Ok(())
}

/// A dashboard that is called ready shows what was delivered, even while nothing can be judged.
async fn dashboard_has_figures(agency: &Agency) -> Result<()> {
    let overview = agency.person.get("/api/v1/overview").await?;
    let totals = overview["totals"].as_array().context("totals")?;
    ensure!(totals.len() == 3 && totals.iter().all(|total| total["days"]["first"].is_string()), "{overview:#}");
    let page = agency.person.get("/api/v1/campaigns?limit=50").await?;
    for campaign in page["items"].as_array().context("campaigns")? {
        let judged = campaign["pace"] != "not_judged";
        ensure!(campaign["delivered"]["amount"]["amount"].is_string(), "{campaign:#}");
        ensure!(judged != campaign["not_judged_because"].is_string(), "{campaign:#}");
    }
    Ok(())
}

/// The timers of the workflows run in real time; what is overdue by the simulated clock is closed by an evaluation.
async fn overdue_proposals_are_closed(sandbox: &SandboxAdmin, agency: &Agency) -> Result<()> {
    agency.evaluate().await?;
    let now = sandbox.now().await?;
    let open = agency.person.get("/api/v1/proposals?state=open&limit=200").await?;
    for proposal in open["items"].as_array().context("open proposals")? {
        let expires: DateTime<Utc> = proposal["expires_at"].as_str().context("expires_at")?.parse()?;
        ensure!(proposal["state"] != "proposed" || expires > now - TimeDelta::minutes(10), "{proposal:#}");
    }
    let closed = agency.person.get("/api/v1/proposals?state=closed&limit=200").await?;
    let closed = closed["items"].as_array().context("closed proposals")?;
    ensure!(closed.iter().any(|proposal| proposal["state"] == "expired"), "{closed:#?}");
    Ok(())
}
