//! Runs the main job visibly against a running platform, and checks its result against the sandbox's ledger.
//! `bin/demo` starts the platform and calls this.
#![expect(clippy::print_stdout, reason = "it speaks to a person")]

mod own_report;
mod steps;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use harness::client::Person;
use harness::journey::Agency;
use harness::sandbox_admin::{SandboxAdmin, restated_line_days};
use harness::truth::LakeReader;
use serde_json::{Value, json};

use crate::steps::{Steps, counted, money, told, totals};

/// What a restatement must change at least, where there is as much.
const ENOUGH_DAYS: usize = 5;
const ENOUGH_ROWS: usize = 100;

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
    /// The report that the sandbox serves, when it is somebody's own.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Nobody will look at the result: it asks nothing, and may change figures on the way.
    #[arg(long)]
    once: bool,
    /// The e-mail of the demo's admin.
    #[arg(long, default_value = "ana@demo-agency.example")]
    email: String,
    /// The password of the demo's admin.
    #[arg(long, env = "CLP_DEMO_PASSWORD", hide_env_values = true)]
    password: String,
}

/// A job under way: everything that its steps need.
struct Job {
    agency: Agency,
    sandbox: SandboxAdmin,
    steps: Steps,
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
    let person = Person::new(&arguments.api)?;
    let agency = Agency::sign_up(person, &arguments.email, &arguments.password, "Demo Agency").await?;
    steps.done("signed up an agency");
    let sandbox = SandboxAdmin::new(&arguments.sandbox);
    let mut job = Job { agency, sandbox, steps };
    let lake = LakeReader::open(&arguments.database, &arguments.warehouse, job.agency.org).await?;
    let (outcome, to_dashboard) = match &arguments.report {
        Some(file) => own_report::run(&mut job, &lake, file, arguments.once).await?,
        None => invented(&mut job, &lake).await?,
    };
    let seconds = job.steps.begun.elapsed().as_secs_f64();
    Ok(format!("{outcome}; first dashboard data {to_dashboard:.1} s after sign-up; {seconds:.0} s in all"))
}

/// The job on the invented agency.
async fn invented(job: &mut Job, lake: &LakeReader) -> Result<(String, f64)> {
    let to_dashboard = job.onboard().await?;
    job.agency.onboarding_is(&["done"]).await?;
    let before = lake.equals(&job.sandbox).await?;
    job.steps.done(&format!("history is complete; gold equals the ledger: {}", told(&before)));
    // Before the jump in time: what waits for a decision expires within it.
    let proposal = job.agency.open_proposal().await?;
    job.change(&proposal).await?;
    let restated = job.restate(json!({})).await?;
    let days: BTreeSet<_> = restated.iter().map(|(_, day)| day).collect();
    ensure!(
        days.len() >= ENOUGH_DAYS && restated.len() >= ENOUGH_ROWS,
        "the restatement changed only {} line days over {} days",
        restated.len(),
        days.len()
    );
    job.agency.follow(&job.sandbox, lake, &restated).await?;
    let after = lake.equals(&job.sandbox).await?;
    let changed = counted(restated.len(), "line day");
    job.steps.done(&format!("a day later gold has followed in all {changed} and equals the ledger: {}", told(&after)));
    let waiting = job.propose_again().await?;
    let after = lake.equals(&job.sandbox).await?;
    let waits = counted(waiting, "proposal");
    Ok((format!("{}; 1 change applied and verified; {waits} waiting for a decision", told(&after)), to_dashboard))
}

impl Job {
    /// Connects, chooses and waits for the first data; returns the seconds since sign-up.
    async fn onboard(&mut self) -> Result<f64> {
        let landed = self.agency.connect(harness::journey::PLANNER, "allow").await?;
        ensure!(!landed.contains("problem="), "the consent led to {landed}");
        self.steps.done("authorised DV360 on its consent page");
        let accounts = self.agency.choose_all().await?;
        self.steps.done(&format!("found and chose {}", counted(accounts, "advertiser")));
        self.agency.onboarding_is(&["ready", "done"]).await?;
        let seconds = self.steps.begun.elapsed().as_secs_f64();
        let overview = self.agency.person.get("/api/v1/overview").await?;
        let campaigns = &overview["campaigns"]["total"];
        let totals = totals(&overview);
        self.steps.done(&format!("the first 7 days are on the dashboard: {campaigns} campaigns, {totals}"));
        Ok(seconds)
    }

    /// Approves a proposal and checks that the platform got exactly one write.
    async fn change(&mut self, proposal: &Value) -> Result<()> {
        self.steps.done(&format!("a rule proposes: {}", proposal["title"].as_str().unwrap_or_default()));
        self.agency.approve_and_verify(&self.sandbox, proposal).await?;
        let (before, after) = (money(&proposal["before"]), money(&proposal["after"]));
        self.steps.done(&format!("approved, applied and verified: {before} → {after}"));
        Ok(())
    }

    /// Restates past days in the sandbox; the lines' days that gold has to follow in.
    async fn restate(&mut self, wanted: Value) -> Result<BTreeSet<(String, chrono::NaiveDate)>> {
        let answer = self.sandbox.post("/restate", wanted).await?;
        let days = answer["days"].as_array().map_or(0, Vec::len);
        self.steps.done(&format!("DV360 restated {} rows over {}", answer["changed_rows"], counted(days, "day")));
        Ok(restated_line_days(&answer))
    }

    /// What waited has expired within the jump in time: the rules are asked again, for who opens the inbox now.
    async fn propose_again(&mut self) -> Result<usize> {
        let evaluation = self.agency.evaluate().await?;
        let waiting = self.agency.waiting(self.sandbox.now().await?).await?.len();
        ensure!(
            waiting > 0,
            "no proposal waits for a decision after an evaluation of {} lines",
            evaluation["lines_judged"]
        );
        self.steps.done(&format!(
            "the rules were asked again: {} for a decision",
            match waiting {
                1 => "1 proposal waits".to_owned(),
                more => format!("{more} proposals wait"),
            }
        ));
        Ok(waiting)
    }
}
