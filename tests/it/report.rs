//! A report that somebody exported, through the whole product.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use harness::journey::Agency;
use harness::own_report::{Estimates, ReportFile};
use harness::sandbox_admin::restated_line_days;
use harness::servers::root;
use harness::stack::{Options, Stack};
use harness::truth::LakeReader;
use serde_json::json;

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_report_adds_up_in_gold_and_its_estimates_lead_to_a_change() {
    let path = root().join("sandbox/tests/fixtures/exported_report.csv");
    let mut options = Options::default();
    options.sandbox.extend(["--report".into(), path.display().to_string()]);
    let stack = Stack::start(options).await.unwrap();
    let file = ReportFile::read(&path).unwrap();
    if let Err(error) = own_job(&stack, &file).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn own_job(stack: &Stack, file: &ReportFile) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    let mut agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    let estimates = Estimates::read(&sandbox).await?;
    ensure!(estimates.what.contains(&"the budgets"), "{:?}", estimates.what);
    let behind = estimates.leave_one_behind(&sandbox).await?.context("a line whose budget is estimated")?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    let lake = LakeReader::open(&stack.database.app_url, &stack.warehouse.display().to_string(), agency.org).await?;
    lake.equals(&sandbox).await?;
    let (first, spent) = file.equals_gold(&lake).await?;
    ensure!(spent.len() == 2 && file.days().range(..first).count() == 0, "the history begins at {first}: {spent:?}");

    agency.evaluate().await?;
    let waiting = agency.waiting(sandbox.now().await?).await?;
    let proposal = waiting.iter().find(|proposal| proposal["line"]["name"] == behind.as_str());
    let proposal = proposal.with_context(|| format!("a proposal for {behind}: {waiting:#?}"))?;
    ensure!(proposal["live"]["value"] == proposal["before"], "what the platform has now: {:#}", proposal["live"]);
    agency.approve_and_verify(&sandbox, proposal).await?;

    let restated = restated_line_days(&sandbox.post("/restate", json!({"days": 25})).await?);
    let days: BTreeSet<_> = restated.iter().map(|(_, day)| day).collect();
    ensure!(restated.len() >= 100 && days.len() >= 5, "{} line days over {} days", restated.len(), days.len());
    agency.follow(&sandbox, &lake, &restated).await?;
    lake.equals(&sandbox).await?;
    ensure!(file.equals_gold(&lake).await.is_err(), "the restatement changed the totals");
    let taken = restated_line_days(&sandbox.post("/restate/take-back", json!({})).await?);
    ensure!(taken == restated, "{} restated, {} taken back", restated.len(), taken.len());
    agency.follow(&sandbox, &lake, &taken).await?;
    lake.equals(&sandbox).await?;
    file.equals_gold(&lake).await.map(drop)
}
