//! The rules of the house that a compiler does not check.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Which crates of the workspace each crate may use. `ANYTHING` joins the parts.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("runtime", &["domain"]),
    ("keys", &["domain", "runtime", "store"]),
    ("connectors", &["domain"]),
    ("store", &["domain"]),
    ("lakehouse", &["domain"]),
    ("workflows", &["domain"]),
    ("activities", &["domain", "runtime", "keys", "workflows", "connectors", "store", "lakehouse"]),
    ("api", &["domain", "runtime", "keys", "workflows", "store", "lakehouse"]),
    ("cli", &["domain", "runtime", "keys", "store"]),
    ("sandbox", &[]),
    ("test-database", &[]),
    ("test-identity", &[]),
    ("xtask", &[]),
];
const ANYTHING: &[&str] = &["worker", "clp-tests", "bench"];

/// Libraries that one crate alone may name (tests, bench and the worker join parts and may name them too).
const ONLY_HERE: &[(&str, &[&str])] = &[
    ("reqwest", &["connectors", "keys", "api"]),
    ("sqlx", &["store", "test-database"]),
    ("iceberg", &["lakehouse"]),
    ("arrow", &["lakehouse"]),
    ("parquet", &["lakehouse"]),
    ("datafusion", &["lakehouse"]),
    ("temporalio-sdk", &["activities"]),
    ("axum", &["api", "cli", "sandbox", "test-identity"]),
    ("utoipa", &["api"]),
];

/// A file longer than this is asking to be two.
const MOST_LINES: usize = 700;

/// Where the machine's own time is what is meant: the clocks themselves, the age of files on disk, the order of an Iceberg
/// table's snapshots, and what plays the outside world.
const REAL_TIME: &[&str] = &[
    "crates/xtask/",
    "crates/runtime/",
    "crates/lakehouse/src/version.rs",
    "crates/lakehouse/src/garbage.rs",
    "crates/test-identity/",
    "sandbox/",
    "tests/",
    "bench/",
];

/// Words that must not be in Rust sources, where they are allowed all the same, and why they are banned.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("todo!(", &["crates/xtask/"], "finish it or leave it out"),
    ("unimplemented!(", &["crates/xtask/", "workflows/src/contract/"], "finish it or leave it out"),
    ("#[ignore", &["crates/xtask/"], "a test that does not run proves nothing"),
    ("Utc::now(", REAL_TIME, "ask the Clock"),
    ("SystemTime::now(", REAL_TIME, "ask the Clock"),
];

/// Runs all checks and fails with the list of what is wrong.
pub(crate) fn run(root: &Path) -> Result<()> {
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).exec()?;
    let mut wrong = arrows(&metadata);
    wrong.extend(only_here(&metadata));
    wrong.extend(sources(root)?);
    if wrong.is_empty() {
        println!("tidy: {} crates, all in order", metadata.workspace_members.len());
        return Ok(());
    }
    bail!("tidy found:\n  {}", wrong.join("\n  "))
}

fn arrows(metadata: &Metadata) -> Vec<String> {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let members = metadata.workspace_packages();
    let names: Vec<&str> = members.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &members {
        let name = package.name.as_str();
        if ANYTHING.contains(&name) {
            continue;
        }
        let Some(may_use) = allowed.get(name) else {
            wrong.push(format!("{name}: not in the table of crates/xtask/src/tidy.rs"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let used = dependency.name.as_str();
            if names.contains(&used) && !may_use.contains(&used) {
                wrong.push(format!("{name} must not use {used}"));
            }
        }
    }
    wrong
}

fn only_here(metadata: &Metadata) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let rule = ONLY_HERE.iter().find(|(library, _)| *library == dependency.name);
            if let Some((library, homes)) = rule
                && !homes.contains(&name)
                && !ANYTHING.contains(&name)
            {
                wrong.push(format!("{name} must not name {library}: only {} may", homes.join(", ")));
            }
        }
    }
    wrong
}

fn sources(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    let mut wrong = Vec::new();
    for file in String::from_utf8(output.stdout)?.lines() {
        let path = root.join(file);
        if !path.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| file.to_owned())?;
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong.push(format!("{file}: {lines} lines, at most {MOST_LINES}"));
        }
        if !text.starts_with("//!") && !text.starts_with("#!") && !file.contains("/tests/") {
            wrong.push(format!("{file}: does not open with //! (what it is for)"));
        }
        if !file.contains("/tests/") {
            wrong.extend(banned(file, &text));
        }
    }
    Ok(wrong)
}

fn banned(file: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    // What stands after the tests' module is tests.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    for (number, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        for (word, allowed, why) in BANNED {
            if line.contains(word) && !allowed.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file}:{}: `{word}`: {why}", number + 1));
            }
        }
    }
    wrong
}
