//! What is of no use or never comes: the days are read all the same, by themselves, and nothing else waits meanwhile.

use anyhow::{Context as _, Result, ensure};
use domain::ErrorCode;
use domain::pull::Kind;
use harness::faults::{Watched, says};
use harness::histories::change_row;
use harness::journey::PLANNER;
use harness::stack::Stack;
use serde_json::{Value, json};
use store::pull::Pull;

use crate::faults::{OTHER, scenario, walk};

const HOUR_SECONDS: i64 = 3_600;
/// Longer than a report takes.
const REPORT_SECONDS: i64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_are_of_no_use_or_never_come_hold_nothing_up() {
    walk(recovery).await;
}

async fn recovery(stack: &Stack) -> Result<()> {
    let mut other = Watched::sign_up(stack, "bob@agency.example", OTHER).await?;
    // The first report of all is garbled: it is not found again, and the dashboard gets its numbers from another one.
    fault(stack, json!({"kind": "garbled_row", "row": 3})).await?;
    let first = "the first report is garbled";
    let mut agency = scenario(first, Watched::sign_up(stack, "cleo@agency.example", PLANNER)).await?;
    scenario("a tick's report is never made", tick_never_made(stack, &agency, &other)).await?;
    scenario("a ticket that nobody can read", unreadable_ticket(stack, &agency)).await?;
    scenario("a lookback is never made", lookback_never_made(stack, &mut agency)).await?;
    other.agency.sign_in_again().await?;
    other.is_well().await
}

/// The next report that the agency asks for is spoiled.
async fn fault(stack: &Stack, action: Value) -> Result<()> {
    let matches = json!({"method": "POST", "path_contains": ":run", "user": PLANNER});
    stack.sandbox_admin().fault(json!({"match": matches, "action": action})).await
}

async fn tick_never_made(stack: &Stack, agency: &Watched, other: &Watched) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    fault(stack, json!({"kind": "report_never_finishes"})).await?;
    let since = agency.tick().await?;
    ensure!(is_open(agency, Kind::Tick).await?.is_some(), "it is not waited for");
    other.is_well().await?;
    sandbox.advance(2 * HOUR_SECONDS).await?;
    agency.cycle().await?;
    let pulls = agency.pulls(since).await?;
    let failed =
        pulls.iter().find(|pull| pull["state"] == "failed").with_context(|| format!("none failed: {pulls:#?}"))?;
    says(&failed["problem"], ErrorCode::ReportFailed)?;
    agency.is_well().await
}

/// What we wrote down ourselves and can't read harms one report, not the cycle.
async fn unreadable_ticket(stack: &Stack, agency: &Watched) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    sandbox.advance(900).await?;
    let since = sandbox.now().await?;
    agency.cycle().await?;
    let asked = "UPDATE pulls SET ticket = '{\"nobody\": \"knows\"}' WHERE state = 'requested'";
    change_row(stack, agency.agency.org, asked).await?;
    sandbox.advance(REPORT_SECONDS).await?;
    agency.cycle().await?;
    let pulls = agency.pulls(since).await?;
    let failed = pulls.iter().find(|pull| pull["state"] == "failed").with_context(|| format!("{pulls:#?}"))?;
    says(&failed["problem"], ErrorCode::Unexpected)?;
    agency.is_well().await
}

/// Ticks go on beside it, and after half a day another one is asked for, which is made.
async fn lookback_never_made(stack: &Stack, agency: &mut Watched) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    fault(stack, json!({"kind": "report_never_finishes"})).await?;
    sandbox.advance(25 * HOUR_SECONDS).await?;
    agency.agency.sign_in_again().await?;
    agency.cycle().await?;
    let waiting = is_open(agency, Kind::Lookback).await?.context("no lookback was asked for")?;
    agency.is_well().await?;
    sandbox.advance(12 * HOUR_SECONDS).await?;
    agency.agency.sign_in_again().await?;
    agency.cycle().await?;
    let anew = is_open(agency, Kind::Lookback).await?.context("the lookback is given up")?;
    let refused = anew.refused_at.is_some() && anew.ticket != waiting.ticket;
    ensure!(anew.id == waiting.id && refused, "not asked for anew: {anew:#?}");
    agency.settle().await?;
    agency.is_well().await
}

async fn is_open(agency: &Watched, kind: Kind) -> Result<Option<Pull>> {
    Ok(agency.open_pulls().await?.into_iter().find(|pull| pull.kind == kind))
}
