//! Runs the main job visibly against a running platform, and checks its result against the sandbox's ledger.
//! `bin/demo` starts the platform and calls this.
#![expect(clippy::print_stdout, reason = "it speaks to a person")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use harness::client::Person;
use harness::journey::{Agency, PATIENCE};
use harness::sandbox_admin::SandboxAdmin;
use harness::truth::{Compared, LakeReader};
use harness::wait::until;
use serde_json::{Value, json};

#[derive(Debug, Parser)]
#[command(about = "Runs the main job once and checks its result")]
struct Arguments {
    /// Where the platform listens.
    #[arg(long)]
    api: String,
    /// Where the sandbox listens.
    #[arg(long)]
    sandbox: String,
    /// PostgreSQL, as the app role.
    #[arg(long, env = "CLP_DATABASE_URL", hide_env_values = true)]
    database: String,
    /// The lake's folder.
    #[arg(long)]
    warehouse: String,
    /// The sandbox serves somebody's own report.
    #[arg(long)]
    own_report: bool,
    /// The e-mail of the demo's admin.
    #[arg(long, default_value = "ana@demo-agency.example")]
    email: String,
    /// The password of the demo's admin.
    #[arg(long, env = "CLP_DEMO_PASSWORD", hide_env_values = true)]
    password: String,
}

/// Prints each step with the time that it took.
struct Steps {
    begun: Instant,
    last: Instant,
}

impl Steps {
    fn new() -> Self {
        Self { begun: Instant::now(), last: Instant::now() }
    }

    fn done(&mut self, text: &str) {
        println!("  {:>6.1} s  {text}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(totals) => {
            println!("demo: ok {totals}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("demo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<String> {
    let mut steps = Steps::new();
    let sandbox = SandboxAdmin::new(&arguments.sandbox);
    let person = Person::new(&arguments.api)?;
    let mut agency = Agency::sign_up(person, &arguments.email, &arguments.password, "Demo Agency").await?;
    steps.done("signed up an agency");
    if arguments.own_report {
        say_what_is_estimated(&sandbox, &mut steps).await?;
    }
    let to_dashboard = onboard(&agency, &mut steps).await?;
    let lake = LakeReader::open(&arguments.database, &arguments.warehouse, agency.org).await?;
    agency.onboarding_is(&["done"]).await?;
    let before = lake.equals(&sandbox).await?;
    steps.done(&format!("history is complete; gold equals the ledger: {}", told(&before)));
    restate(&mut agency, &sandbox, &lake, &mut steps, arguments.own_report).await?;
    let applied = if arguments.own_report { 0 } else { change(&agency, &sandbox, &mut steps).await? };
    let after = lake.equals(&sandbox).await?;
    steps.done("gold still equals the ledger");
    Ok(format!(
        "{}; first dashboard data {to_dashboard:.1} s after sign-up; {applied} change applied and verified; {:.0} s in all",
        told(&after),
        steps.begun.elapsed().as_secs_f64()
    ))
}

/// A report has neither flights nor budgets: the sandbox estimates them, and the person is told.
async fn say_what_is_estimated(sandbox: &SandboxAdmin, steps: &mut Steps) -> Result<()> {
    let world = sandbox.get("/world").await?;
    let lines = world["line_items"].as_array().cloned().unwrap_or_default();
    let mut what: Vec<String> = lines
        .iter()
        .filter_map(|line| line["estimated"].as_array())
        .flatten()
        .filter_map(|field| field.as_str().map(str::to_owned))
        .collect();
    what.sort();
    what.dedup();
    let count = lines.len();
    steps.done(&format!("your report has {count} lines; it does not say, so it is estimated: {}", what.join(", ")));
    Ok(())
}

/// Connects, chooses and waits for the first data; returns the seconds since sign-up.
async fn onboard(agency: &Agency, steps: &mut Steps) -> Result<f64> {
    let landed = agency.connect(harness::journey::PLANNER, "allow").await?;
    ensure!(!landed.contains("problem="), "the consent led to {landed}");
    steps.done("authorised DV360 on its consent page");
    let accounts = agency.choose_all().await?;
    steps.done(&format!("found and chose {accounts} advertisers"));
    agency.onboarding_is(&["ready", "done"]).await?;
    let seconds = steps.begun.elapsed().as_secs_f64();
    let overview = agency.person.get("/api/v1/overview").await?;
    let campaigns = &overview["campaigns"]["total"];
    steps.done(&format!("the first 7 days are on the dashboard: {campaigns} campaigns, {}", totals(&overview)));
    Ok(seconds)
}

/// Restates past days in the sandbox, lets a day go by, and waits until gold follows.
async fn restate(
    agency: &mut Agency,
    sandbox: &SandboxAdmin,
    lake: &LakeReader,
    steps: &mut Steps,
    own_report: bool,
) -> Result<()> {
    let (gold, _) = lake.gold().await?;
    // Somebody's own report may have few lines: then more of its days are restated.
    let (wanted, enough) = if own_report { (json!({"days": 25}), 1) } else { (json!({}), 100) };
    let restated = sandbox.post("/restate", wanted).await?;
    steps.done(&format!(
        "DV360 restated {} rows over {} days",
        number(&restated, "changed_rows"),
        number(&restated, "days")
    ));
    // The days that a platform may restate are read again once a day.
    sandbox.advance(26 * 3600).await?;
    agency.sign_in_again().await?;
    let changed = until("gold to follow the restatement", PATIENCE, || async {
        agency.refresh().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (now, _) = lake.gold().await?;
        let changed = gold.iter().filter(|(key, before)| now.get(key) != Some(before)).count();
        Ok((changed >= enough).then_some(changed))
    })
    .await?;
    let compared = lake.equals(sandbox).await?;
    steps.done(&format!("a day later gold has {changed} changed line days and equals the ledger: {}", told(&compared)));
    Ok(())
}

/// Approves a proposal and checks that the platform got exactly one write.
async fn change(agency: &Agency, sandbox: &SandboxAdmin, steps: &mut Steps) -> Result<usize> {
    let proposal = agency.open_proposal().await?;
    let title = proposal["title"].as_str().unwrap_or_default().to_owned();
    steps.done(&format!("a rule proposes: {title}"));
    let id = proposal["id"].as_str().context("the proposal's id")?.to_owned();
    agency.approve(&proposal).await?;
    let done = agency.proposal_is(&id, &["verified", "failed", "drifted", "rejected", "expired", "cancelled"]).await?;
    ensure!(done["state"] == "verified", "the change is {}: {}", done["state"], done["problem"]);
    let line = proposal["line"]["platform_id"].as_str().unwrap_or_default();
    let writes = sandbox.get("/writes").await?;
    let writes = writes.as_array().or_else(|| writes["writes"].as_array()).cloned().unwrap_or_default();
    let count = writes.iter().filter(|write| write.to_string().contains(line)).count();
    ensure!(count == 1, "the platform got {count} writes for line {line}, not one");
    steps.done(&format!(
        "approved, applied and verified: {} → {}",
        money(&proposal["before"]),
        money(&proposal["after"])
    ));
    Ok(count)
}

fn told(compared: &Compared) -> String {
    let money: Vec<String> = compared.media_cost.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
    format!("{} line days over {} days, {}", compared.line_days, compared.days, money.join(", "))
}

fn totals(overview: &Value) -> String {
    let totals = overview["totals"].as_array().cloned().unwrap_or_default();
    totals.iter().map(|total| money(&total["delivered"])).collect::<Vec<_>>().join(", ")
}

fn money(value: &Value) -> String {
    let text = |name: &str| value[name].as_str().unwrap_or("?").to_owned();
    format!("{} {}", text("amount"), text("currency"))
}

fn number(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Array(items) => items.len().to_string(),
        other => other.to_string(),
    }
}
