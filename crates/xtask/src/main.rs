//! `cargo xtask …`: what keeps the house in order.
//!
//! - `tidy` fails on an arrow between crates that the table forbids, and on words that must not be in the tree.
//! - `sqlx` writes the offline data of the checked queries (needs `DATABASE_URL` of a migrated database).
#![expect(clippy::print_stdout, reason = "a command for people")]

mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "Keeps the house in order")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks arrows between crates, banned words and file lengths.
    Tidy,
    /// Writes .sqlx from the database named by `DATABASE_URL`.
    Sqlx,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = root()?;
    match Arguments::parse().task {
        Task::Tidy => tidy::run(&root),
        Task::Sqlx => write_sqlx(&root),
    }
}

fn root() -> Result<PathBuf> {
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?);
    manifest.ancestors().nth(2).map(Path::to_path_buf).context("the workspace's root")
}

/// The query macros write what they learnt into the folder named by `SQLX_OFFLINE_DIR` when they are online.
fn write_sqlx(root: &Path) -> Result<()> {
    ensure!(std::env::var_os("DATABASE_URL").is_some(), "DATABASE_URL must name a migrated database");
    let folder = root.join(".sqlx");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir(&folder)?;
    let lib = root.join("crates/store/src/lib.rs");
    let text = std::fs::read(&lib)?;
    // A newer file makes cargo run the macros again.
    std::fs::write(&lib, text)?;
    let status = Command::new("cargo")
        .args(["check", "--package", "store", "--quiet"])
        .current_dir(root)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", &folder)
        .status()?;
    ensure!(status.success(), "store does not compile against this database");
    println!("{} queries written", std::fs::read_dir(&folder)?.count());
    Ok(())
}
