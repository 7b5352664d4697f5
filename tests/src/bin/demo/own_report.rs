//! The job on a report that somebody exported: their own numbers, which stay what they are.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use chrono::{Days, NaiveDate};
use harness::own_report::{Campaign, Estimates, ReportFile};
use harness::sandbox_admin::restated_line_days;
use harness::truth::LakeReader;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::steps::{counted, sums, told};
use crate::{ENOUGH_DAYS, ENOUGH_ROWS, Job};

/// How many campaigns a person is asked about.
const MOST_QUESTIONS: usize = 5;

/// How many of the file's latest days are restated: fewer than the product reads again.
const RESTATED_DAYS: usize = 25;

/// How many days back the product reads again what a platform may restate, less the days that go by here.
const LOOKBACK_DAYS: u64 = 26;

/// The restatement that shows that gold follows is for nobody's eyes, and taken back: only when nobody will look.
pub(crate) async fn run(job: &mut Job, lake: &LakeReader, path: &Path, once: bool) -> Result<(String, f64)> {
    let file = ReportFile::read(path)?;
    let (rows, days) = (counted(file.rows(), "row"), counted(file.days().len(), "day"));
    let spent = sums(&file.spent_since(NaiveDate::MIN));
    job.steps.done(&format!("your report has {rows} over {days} and adds up to {spent}"));
    estimate(job, once).await?;
    let to_dashboard = job.onboard().await?;
    job.agency.onboarding_is(&["done"]).await?;
    let compared = lake.equals(&job.sandbox).await?;
    job.steps.done(&format!("history is complete; gold equals the ledger: {}", told(&compared)));
    compare(job, lake, &file).await?;
    let changed = change(job).await?;
    if once {
        restate_and_take_back(job, lake, &file).await?;
    }
    let compared = lake.equals(&job.sandbox).await?;
    Ok((format!("{}; {} applied and verified", told(&compared), counted(changed, "change")), to_dashboard))
}

/// A report has neither budgets nor, often, flights: the sandbox estimates them, and the person is told, and asked.
async fn estimate(job: &mut Job, once: bool) -> Result<()> {
    let mut estimates = Estimates::read(&job.sandbox).await?;
    let (lines, what) = (counted(estimates.lines, "line"), estimates.what.join(", "));
    if what.is_empty() {
        job.steps.done(&format!("it has {lines}, and says all that is needed"));
        return Ok(());
    }
    job.steps.done(&format!("it has {lines}; it does not say, so this is estimated: {what}"));
    if !once && std::io::stdin().is_terminal() {
        let mut left = Vec::new();
        for (asked, campaign) in estimates.campaigns.into_iter().enumerate() {
            let given = if asked < MOST_QUESTIONS { ask(&campaign)? } else { None };
            match given {
                Some(micros) => campaign.set_budget(&job.sandbox, micros).await?,
                None => left.push(campaign),
            }
        }
        estimates.campaigns = left;
        job.steps.rest();
    }
    if let Some(line) = estimates.leave_one_behind(&job.sandbox).await? {
        job.steps.done(&format!(
            "the budget of \"{line}\" is estimated a quarter above its pace, so that there is something to propose"
        ));
    }
    Ok(())
}

/// The budget that a person gives, in micros; `None` for Enter, which takes the estimate.
fn ask(campaign: &Campaign) -> Result<Option<i64>> {
    let estimate = Decimal::new(campaign.budget_micros, 6).normalize();
    loop {
        print!("           budget for {} [{estimate} {}]: ", campaign.name, campaign.currency);
        std::io::stdout().flush()?;
        let mut answer = String::new();
        if std::io::stdin().lock().read_line(&mut answer)? == 0 || answer.trim().is_empty() {
            return Ok(None);
        }
        let amount = answer.trim().replace(',', "").parse::<Decimal>().ok().filter(|amount| *amount > Decimal::ZERO);
        match amount.and_then(|amount| i64::try_from(amount.checked_mul(1_000_000.into())?.trunc()).ok()) {
            Some(micros) => return Ok(Some(micros)),
            None => println!("           write it as 48000 or 48000.50, or press Enter for the estimate"),
        }
    }
}

/// The file's own totals against gold's.
async fn compare(job: &mut Job, lake: &LakeReader, file: &ReportFile) -> Result<()> {
    let (first, gold) = file.equals_gold(lake).await?;
    let left_out = file.days().range(..first).count();
    let since = match left_out {
        0 => String::new(),
        _ => format!(" since {first} (the product reads no further back: {} left out)", counted(left_out, "day")),
    };
    job.steps.done(&format!("gold adds up to what your file does{since}: {}", sums(&gold)));
    Ok(())
}

/// Asks the rules; approves what they propose, or says why they propose nothing.
async fn change(job: &mut Job) -> Result<usize> {
    let evaluation = job.agency.evaluate().await?;
    let waiting = job.agency.waiting(job.sandbox.now().await?).await?;
    if let Some(proposal) = waiting.first() {
        job.change(proposal).await?;
        return Ok(1);
    }
    let reasons: Vec<String> = evaluation["not_judged"].as_array().into_iter().flatten().map(not_judged).collect();
    let judged = &evaluation["lines_judged"];
    let why = if reasons.is_empty() { "all are on pace".to_owned() } else { reasons.join(", ") };
    job.steps.done(&format!("no rule proposes anything, of {judged} lines looked at: {why}"));
    Ok(0)
}

fn not_judged(found: &Value) -> String {
    let lines = &found["lines"];
    match found["reason"].as_str().unwrap_or_default() {
        "outside_flight" => format!("{lines} outside of their flight"),
        "no_daily_budget" => format!("{lines} without a daily budget"),
        "data_not_settled" => format!("{lines} with numbers that are not settled yet"),
        "history_missing" => format!("{lines} that began before the report does"),
        other => format!("{lines} for the reason {}", other.replace('_', " ")),
    }
}

/// Shows that gold follows a restatement, and puts every figure back to what the person's file says.
async fn restate_and_take_back(job: &mut Job, lake: &LakeReader, file: &ReportFile) -> Result<()> {
    let today = job.sandbox.now().await?.date_naive();
    let read_again = today.checked_sub_days(Days::new(LOOKBACK_DAYS)).unwrap_or(today);
    let restated = within(job.restate(json!({"days": RESTATED_DAYS})).await?, read_again);
    let days = restated.iter().map(|(_, day)| day).collect::<BTreeSet<_>>().len();
    let recent = file.days().range(read_again..).count();
    if days < ENOUGH_DAYS || restated.len() < ENOUGH_ROWS {
        // The days up to today are all that a platform restates; a file may have few of them.
        ensure!(days >= recent.min(ENOUGH_DAYS), "{days} of the file's {recent} latest days were restated");
        let rows = counted(restated.len(), "line day");
        job.steps.done(&format!("that is less than usual: of the last {LOOKBACK_DAYS} days your file has {rows}"));
    }
    if restated.is_empty() {
        return Ok(());
    }
    job.agency.follow(&job.sandbox, lake, &restated).await?;
    lake.equals(&job.sandbox).await?;
    let rows = counted(restated.len(), "line day");
    job.steps.done(&format!("a day later gold has followed in all {rows} over {}", counted(days, "day")));
    let taken = within(restated_line_days(&job.sandbox.post("/restate/take-back", json!({})).await?), read_again);
    if taken != restated {
        bail!("{} line days were restated, {} taken back", restated.len(), taken.len());
    }
    job.agency.follow(&job.sandbox, lake, &taken).await?;
    lake.equals(&job.sandbox).await?;
    job.steps.done("DV360 took that back; a day later gold has followed again");
    compare(job, lake, file).await
}

fn within(line_days: BTreeSet<(String, NaiveDate)>, first: NaiveDate) -> BTreeSet<(String, NaiveDate)> {
    line_days.into_iter().filter(|(_, day)| *day >= first).collect()
}
