//! Comparisons with peers and limits, each in one run on one machine. `bin/bench` starts what they need.
//!
//! - `ingest`: a report of a million rows through bronze, silver and gold, beside a plain arrow-csv → parquet loop.
//! - `commit`: the atomic commit of three tables, beside a PyIceberg append of the same file.
//! - `api`: the reads that an open web application asks for, beside an answer that does nothing.
//!
//! Each prints a table and ends with failure when its limit is not kept.
#![expect(clippy::print_stdout, reason = "a command for people")]

mod agency;
mod api;
mod commit;
mod csv_limit;
mod gauge;
mod ingest;
mod twin;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The worker's allocator, so that its costs are the worker's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Compares the platform with peers and limits; run it through bin/bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A large DV360 report through all layers, beside a plain arrow-csv → parquet loop over the same file.
    Ingest(ingest::Arguments),
    /// The atomic commit of three tables, beside a PyIceberg append of the same file.
    Commit(commit::Arguments),
    /// The reads of an open web application at a fixed rate, beside an answer that does nothing.
    Api(api::Arguments),
    /// Brings the database up to date.
    #[command(hide = true)]
    Migrate {
        /// The database, as the role that owns the tables.
        #[arg(long, env = "CLP_BENCH_OWNER_DATABASE_URL", hide_env_values = true)]
        database: String,
    },
    /// One run of the plain loop, in a process of its own so that its memory is its own; prints JSON.
    #[command(hide = true)]
    CsvLimit {
        /// The report without its footer.
        csv: PathBuf,
        /// Where the Parquet file goes.
        parquet: PathBuf,
    },
    /// One run through the layers, in a process of its own so that its memory is its own; prints JSON.
    #[command(hide = true)]
    IngestOnce(ingest::Once),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ingest(arguments) => ingest::run(&arguments).await,
        Command::Commit(arguments) => commit::run(&arguments).await,
        Command::Api(arguments) => api::run(&arguments).await,
        Command::Migrate { database } => store::migrate(&database).await.map(|()| true).map_err(Into::into),
        Command::CsvLimit { csv, parquet } => csv_limit::run(&csv, &parquet).map(|()| true),
        Command::IngestOnce(arguments) => ingest::once(&arguments).await.map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("bench: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
