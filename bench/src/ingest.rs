//! `bench ingest`: a DV360 report of a million rows from the sandbox's wire to a commit of bronze, silver and gold, beside
//! a plain arrow-csv → parquet loop over the same file.
//!
//! Both sides run in processes of their own, in turn, several times; medians are compared. The ingesting process holds what
//! the worker's activities use (connector, lake, store) and nothing else, so its peak is the worker's share for one pull.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{Days, Utc};
use clap::Args;
use connectors::{Access, AdPlatform, Download, ReportSpec, ReportState, Ticket, Timeouts};
use domain::{DayRange, Platform};
use runtime::SystemClock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::agency::Agency;
use crate::csv_limit::Limit;
use crate::gauge::{Cost, Gauge, percentile};
use crate::twin::{Kept, Twin, Unlimited};

/// The sandbox's advertiser with any number of line items.
const BULK_ADVERTISER: &str = "5900001";
/// The days of the report: the history that an onboarding reads.
const REPORT_DAYS: u64 = 90;
/// The report's rows, for the plain loop.
const REPORT_FILE: &str = "report.csv";
/// Slower than this part of the plain loop is a failure.
const LEAST_RATIO: f64 = 0.3;
/// More memory than this is a failure.
const MOST_MB: f64 = 500.0;
/// Virtual seconds after which a report is made for sure.
const REPORT_DELAY_SECONDS: u64 = 120;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    once: Once,
    /// How often each side runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print the table and judge nothing: for builds without optimisation.
    #[arg(long)]
    unjudged: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Once {
    /// The sandbox, started with --bulk-lines.
    #[arg(long, env = "CLP_BENCH_SANDBOX_URL")]
    sandbox: String,
    /// A migrated database, as the role of the application.
    #[arg(long, env = "CLP_BENCH_DATABASE_URL", hide_env_values = true)]
    database: String,
    /// A folder for tables and files; emptied by nobody.
    #[arg(long, env = "CLP_BENCH_FOLDER")]
    folder: PathBuf,
}

/// What one run through the layers took.
#[derive(Debug, Serialize, Deserialize)]
struct Layers {
    rows: u64,
    gold_rows: u64,
    bronze: Cost,
    silver_and_gold: Cost,
    commit: Cost,
}

impl Layers {
    fn seconds(&self) -> f64 {
        self.bronze.seconds + self.silver_and_gold.seconds + self.commit.seconds
    }

    fn cpu_seconds(&self) -> f64 {
        self.bronze.cpu_seconds + self.silver_and_gold.cpu_seconds + self.commit.cpu_seconds
    }

    fn peak_mb(&self) -> f64 {
        self.bronze.peak_mb.max(self.silver_and_gold.peak_mb).max(self.commit.peak_mb)
    }
}

/// Runs both sides in turn, prints the table, and says whether the limits are kept or nobody asks.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let Arguments { once, rounds, unjudged } = arguments;
    let csv = once.folder.join(REPORT_FILE);
    let (mut ours, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..*rounds {
        let mut ingest = itself("ingest-once")?;
        ingest.args(["--sandbox", &once.sandbox, "--database", &once.database, "--folder"]).arg(&once.folder);
        ours.push(answer::<Layers>(&mut ingest)?);
        limits.push(answer::<Limit>(itself("csv-limit")?.arg(&csv).arg(once.folder.join("limit.parquet")))?);
    }
    for (layers, limit) in ours.iter().zip(&limits) {
        ensure!(layers.rows == limit.rows, "{} rows were ingested, {} are in the file", layers.rows, limit.rows);
    }
    let size_mb = tokio::fs::metadata(&csv).await?.len() / 1_000_000;
    Ok(tell(&ours, &limits, size_mb) || *unjudged)
}

/// One run through the layers.
#[expect(clippy::print_stdout, reason = "its answer to the process that started it")]
pub(crate) async fn once(arguments: &Once) -> Result<()> {
    let warehouse = tempfile::tempdir_in(&arguments.folder)?;
    let agency = Agency::found(&arguments.database, warehouse.path(), BULK_ADVERTISER).await?;
    let order = order(&agency, &arguments.sandbox, &arguments.folder.join(REPORT_FILE)).await?;
    let gauge = Gauge::start()?;
    let rows = order.platform.fetch_report(&order.access, &order.download, &agency.definition).await?;
    let staged = agency.lake.stage_pull(&agency.pointers, &order.asked.scope, rows).await?;
    let rows = staged.rows;
    let landing = agency.fetched(order.asked, staged).await?;
    let bronze = gauge.stop()?;
    let cycle = agency.open_cycle().await?;
    let gauge = Gauge::start()?;
    let (commit_id, prepared) = agency.prepare(&landing).await?;
    let silver_and_gold = gauge.stop()?;
    let gauge = Gauge::start()?;
    agency.commit(cycle, &landing, (commit_id, &prepared)).await?;
    let commit = gauge.stop()?;
    ensure!(prepared.silver_rows == rows, "{rows} rows were staged, {} are in silver", prepared.silver_rows);
    let layers = Layers { rows, gold_rows: prepared.gold_rows, bronze, silver_and_gold, commit };
    println!("{}", serde_json::to_string(&layers)?);
    Ok(())
}

/// A report that waits to be fetched.
struct Order {
    platform: Arc<dyn AdPlatform>,
    access: Access,
    asked: crate::agency::Asked,
    download: Download,
}

/// Consents, asks for the report, and waits until the sandbox has made it.
async fn order(agency: &Agency, sandbox: &str, save_rows: &Path) -> Result<Order> {
    let twin = Twin::new(sandbox)?;
    let clock = Arc::new(SystemClock);
    let platform = connectors::platform(Platform::Dv360, twin.endpoints()?, Timeouts::default(), clock)?;
    let consent = twin.consent().await?;
    let credentials = platform.exchange_code(&Unlimited, &consent.code, &consent.verifier, consent.redirect).await?;
    let access = Access::new(Arc::new(Kept(credentials.clone())), Arc::new(Unlimited));
    let today = Utc::now().date_naive();
    let before = |days| today.checked_sub_days(Days::new(days)).context("a day before today");
    let days = DayRange::new(before(REPORT_DAYS)?, before(1)?).context("the report's days")?;
    let asked = agency.ask(days, Utc::now()).await?;
    let spec = ReportSpec {
        definition: &agency.definition,
        connection: agency.connection,
        accounts: &[BULK_ADVERTISER.to_owned()],
        days,
        since: Utc::now(),
        refused: &[],
        retried: false,
    };
    let ticket = platform.request_report(&access, &spec, None).await?;
    twin.advance(REPORT_DELAY_SECONDS).await?;
    let download = made(platform.as_ref(), &access, &ticket).await?;
    twin.save_rows(&credentials, &ticket, save_rows).await?;
    Ok(Order { platform, access, asked, download })
}

async fn made(platform: &dyn AdPlatform, access: &Access, ticket: &Ticket) -> Result<Download> {
    for _ in 0..20 {
        match platform.poll_report(access, ticket).await? {
            ReportState::Ready { download } => return Ok(download),
            ReportState::Failed { reason } => bail!("the sandbox could not make the report: {reason}"),
            // The sandbox allows four calls per second.
            ReportState::Pending => tokio::time::sleep(Duration::from_millis(400)).await,
        }
    }
    bail!("the sandbox does not get the report made")
}

/// This program, with another command.
fn itself(command: &str) -> Result<Command> {
    let mut program = Command::new(std::env::current_exe()?);
    program.arg(command);
    Ok(program)
}

fn answer<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).with_context(|| format!("not an answer: {text}"))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(&values.collect::<Vec<_>>(), 0.5)
}

#[expect(clippy::print_stdout, reason = "the table")]
fn tell(ours: &[Layers], limits: &[Limit], size_mb: u64) -> bool {
    let rows = ours.first().map_or(0, |layers| layers.rows);
    #[expect(clippy::cast_precision_loss, reason = "some million rows")]
    let count = rows as f64;
    let gold_rows = ours.first().map_or(0, |layers| layers.gold_rows);
    println!(
        "ingest: {rows} rows, {size_mb} MB of CSV, {REPORT_DAYS} days, {gold_rows} gold rows; medians of {}",
        ours.len()
    );
    println!("{:<44} {:>8} {:>12} {:>16} {:>9}", "", "seconds", "rows/s", "rows/s per core", "peak MB");
    let line = |name: &str, costs: Vec<Cost>| {
        let seconds = median(costs.iter().map(|cost| cost.seconds));
        let cpu = median(costs.iter().map(|cost| cost.cpu_seconds));
        let peak = costs.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max);
        // The counter's step is 10 ms: what took less has no rate.
        let per_core = if cpu >= 0.05 { format!("{:.0}", count / cpu) } else { "-".into() };
        println!("{name:<44} {seconds:>8.2} {:>12.0} {per_core:>16} {peak:>9.0}", count / seconds);
    };
    line("bronze: download, check, stage", ours.iter().map(|layers| layers.bronze).collect());
    line("silver and gold, in one pass over bronze", ours.iter().map(|layers| layers.silver_and_gold).collect());
    line("commit: three tables and the ledger", ours.iter().map(|layers| layers.commit).collect());
    let whole = |layers: &Layers| Cost {
        seconds: layers.seconds(),
        cpu_seconds: layers.cpu_seconds(),
        peak_mb: layers.peak_mb(),
    };
    line("all, to committed silver and gold", ours.iter().map(whole).collect());
    line("limit: arrow-csv → one Parquet file", limits.iter().map(|limit| limit.cost).collect());
    let ratio = median(limits.iter().map(|limit| limit.cost.seconds)) / median(ours.iter().map(Layers::seconds));
    let peak = ours.iter().map(Layers::peak_mb).fold(0.0, f64::max);
    let kept = ratio >= LEAST_RATIO && peak <= MOST_MB;
    let verdict = if kept { "ok" } else { "FAILED" };
    println!(
        "ingest: {verdict}: {ratio:.2} × the limit (at least {LEAST_RATIO}), peak {peak:.0} MB (at most {MOST_MB:.0})"
    );
    kept
}
