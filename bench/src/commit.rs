//! `bench commit`: from a staged pull to the commit of bronze, silver and gold with the ledger's row, beside PyIceberg
//! appending the same file to one unpartitioned table of a SQL catalog on the same PostgreSQL.
//!
//! Ours does more: it checks, writes silver and gold, replaces the day's partitions of 31 days' history, and syncs every file
//! to disk before its transaction. PyIceberg appends and syncs nothing but what PostgreSQL does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use chrono::{NaiveDate, Utc};
use clap::Args;
use connectors::Error as SourceError;
use domain::DayRange;
use domain::report::{Chunk, RowBatch, Target, Trailer};
use serde::Deserialize;
use serde_json::Value;

use crate::agency::Agency;
use crate::gauge::percentile;

const ACCOUNT: &str = "5900001";
/// Days that are there before the first commit that is measured.
const HISTORY_DAYS: u64 = 30;
/// Commits that warm up caches and are not counted.
const WARM_UP: usize = 5;
const DEVICES: [&str; 3] = ["Desktop", "Smart Phone", "Connected TV"];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A migrated database, as the role of the application.
    #[arg(long, env = "CLP_BENCH_DATABASE_URL", hide_env_values = true)]
    database: String,
    /// A database for PyIceberg's own catalog.
    #[arg(long, env = "CLP_BENCH_PEER_DATABASE_URL", hide_env_values = true)]
    peer_database: String,
    /// A Python with PyIceberg.
    #[arg(long, env = "CLP_BENCH_PYTHON")]
    python: PathBuf,
    /// A folder for tables and files; emptied by nobody.
    #[arg(long, env = "CLP_BENCH_FOLDER")]
    folder: PathBuf,
    /// How many commits each side makes.
    #[arg(long, default_value_t = 200)]
    commits: usize,
    /// Line items in the pull; each has three rows.
    #[arg(long, default_value_t = 42)]
    lines: usize,
    /// Print the table and judge nothing: for builds without optimisation.
    #[arg(long)]
    unjudged: bool,
}

/// What the peer's script prints.
#[derive(Debug, Deserialize)]
struct Peer {
    version: String,
    append_ms: Vec<f64>,
    add_files_ms: Vec<f64>,
}

/// Ours, in milliseconds.
#[derive(Default)]
struct Times {
    whole: Vec<f64>,
    prepare: Vec<f64>,
    transaction: Vec<f64>,
}

/// Commits on both sides, prints the table, and says whether ours was no slower or nobody asks.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let warehouse = tempfile::tempdir_in(&arguments.folder)?;
    let agency = Agency::found(&arguments.database, warehouse.path(), ACCOUNT).await?;
    let today = Utc::now().date_naive();
    let history = DayRange::ending(today, u32::try_from(HISTORY_DAYS)? + 1);
    land(&agency, history, arguments.lines, 0, None).await?;
    let mut times = Times::default();
    let mut file = None;
    for round in 1..=arguments.commits + WARM_UP {
        let counted = (round > WARM_UP).then_some(&mut times);
        let staged = land(&agency, DayRange::ending(today, 1), arguments.lines, round, counted).await?;
        file.get_or_insert(staged);
    }
    let file = file.context("no commit was made")?;
    let peer = peer(arguments, &file)?;
    Ok(tell(arguments, &times, &peer) || arguments.unjudged)
}

/// Stages a pull, which is not measured, and commits it, which is. Returns the bronze file.
async fn land(
    agency: &Agency,
    days: DayRange,
    lines: usize,
    round: usize,
    times: Option<&mut Times>,
) -> Result<String> {
    let asked = agency.ask(days, Utc::now()).await?;
    let chunks = days.days().map(|day| Ok::<_, SourceError>(Chunk::Rows(rows(agency, day, lines, round))));
    let chunks: Vec<_> = chunks.chain([Ok(Chunk::End(Trailer::default()))]).collect();
    let staged = agency.lake.stage_pull(&agency.pointers, &asked.scope, futures::stream::iter(chunks)).await?;
    let file: Value = serde_json::from_str(staged.files.first().context("nothing was staged")?)?;
    let file = file["file_path"].as_str().context("file_path")?.trim_start_matches("file://").to_owned();
    let landing = agency.fetched(asked, staged).await?;
    let cycle = agency.open_cycle().await?;
    let began = std::time::Instant::now();
    let (commit_id, prepared) = agency.prepare(&landing).await?;
    let preparing = milliseconds(began);
    agency.commit(cycle, &landing, (commit_id, &prepared)).await?;
    let whole = milliseconds(began);
    ensure!(prepared.swaps.len() == 3, "{} tables changed", prepared.swaps.len());
    if let Some(times) = times {
        times.whole.push(whole);
        times.prepare.push(preparing);
        times.transaction.push(whole - preparing);
    }
    Ok(file)
}

fn milliseconds(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

/// A day's rows; every round has other numbers, as a day has that goes on.
fn rows(agency: &Agency, day: NaiveDate, lines: usize, round: usize) -> RowBatch {
    let columns = &agency.definition.columns;
    let mut batch = RowBatch::with_capacity(columns.len(), lines * DEVICES.len());
    for line in 0..lines {
        for (index, device) in DEVICES.iter().enumerate() {
            let impressions = 1_000 + line * 37 + index * 11 + round;
            for column in columns {
                let cell = match column.target {
                    Target::Day => day.format("%Y/%m/%d").to_string(),
                    Target::Account => ACCOUNT.to_owned(),
                    Target::Currency => "EUR".to_owned(),
                    Target::Campaign => format!("{}", 58_000_000 + line / 14),
                    Target::Order => format!("{}", 68_000_000 + line / 7),
                    Target::Line => format!("{}", 800_000_000 + line),
                    Target::Breakdown => (*device).to_owned(),
                    Target::Measure(_) | Target::Unmapped => impressions.to_string(),
                };
                batch.push(&cell);
            }
        }
    }
    batch
}

fn peer(arguments: &Arguments, file: &str) -> Result<Peer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("pyiceberg_append.py");
    let warehouse = tempfile::tempdir_in(&arguments.folder)?;
    let output = Command::new(&arguments.python)
        .arg(script)
        .args([&arguments.peer_database, file, &arguments.commits.to_string(), &WARM_UP.to_string()])
        .arg(warehouse.path())
        .output()?;
    ensure!(output.status.success(), "PyIceberg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[expect(clippy::print_stdout, reason = "the table")]
fn tell(arguments: &Arguments, times: &Times, peer: &Peer) -> bool {
    let (rows, commits) = (arguments.lines * DEVICES.len(), arguments.commits);
    println!("commit: a pull of {rows} rows into {HISTORY_DAYS} days of history; {commits} commits each");
    println!("{:<60} {:>8} {:>8}", "milliseconds", "p50", "p95");
    let line = |name: &str, values: &[f64]| {
        println!("{name:<60} {:>8.1} {:>8.1}", percentile(values, 0.5), percentile(values, 0.95));
    };
    line("bronze, silver, gold and ledger, atomically", &times.whole);
    line("  of it: writing the new versions, synced to disk", &times.prepare);
    line("  of it: the transaction", &times.transaction);
    line(&format!("PyIceberg {} append, one table", peer.version), &peer.append_ms);
    line(&format!("PyIceberg {} add_files, one table (commit alone)", peer.version), &peer.add_files_ms);
    let (ours, theirs) = (percentile(&times.whole, 0.5), percentile(&peer.append_ms, 0.5));
    let (ours_slow, theirs_slow) = (percentile(&times.whole, 0.95), percentile(&peer.append_ms, 0.95));
    let kept = ours <= theirs && ours_slow <= theirs_slow;
    let verdict = if kept { "ok" } else { "FAILED" };
    println!(
        "commit: {verdict}: p50 {ours:.1} ms against {theirs:.1} ms, p95 {ours_slow:.1} ms against {theirs_slow:.1} ms"
    );
    kept
}
