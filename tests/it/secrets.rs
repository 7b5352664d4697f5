//! Secrets that are planted on the way through the main job are in no log, no workflow history and no table in clear.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use harness::histories::{change_row, texts};
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::stack::{Options, Stack};
use harness::wait::until_is;
use serde_json::{Value, json};

const PASSWORD: &str = "planted-password-5f0c1e";
const MISTYPED: &str = "planted-mistyped-77aa02";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_left_in_a_log_a_history_or_a_table() {
    let platform = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.sandbox.extend(["--state-dir".to_owned(), platform.path().display().to_string()]);
    options.worker.push(("CLP_LOG".to_owned(), "debug".to_owned()));
    let stack = Stack::start(options).await.unwrap();
    if let Err(error) = hunt(&stack, platform.path()).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn hunt(stack: &Stack, platform: &Path) -> Result<()> {
    let mut agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    ensure!(stack.person()?.sign_in("ana@agency.example", MISTYPED).await.is_err(), "a wrong password signed in");
    agency.onboard_as(PLANNER).await?;
    agency.onboarding_is(&["done"]).await?;
    agency.evaluate().await?;
    agency.approve_and_verify(&stack.sandbox_admin(), &agency.open_proposal().await?).await?;
    // The token is renewed on the way.
    stack.sandbox_admin().advance(2 * 3600).await?;
    agency.sign_in_again().await?;
    agency.refresh().await?;
    let runs = || agency.person.get("/api/v1/runs?limit=1");
    until_is("the run to end", PATIENCE, runs, |page| page["items"][0]["state"] != "running").await?;

    let mut secrets: BTreeMap<String, String> = tokens(platform)?;
    ensure!(secrets.len() >= 3, "the platform gave out {secrets:?} only");
    let session = agency.person.session().context("no session")?;
    let variable = |name: &str| stack.variable(name).with_context(|| format!("{name} is not set"));
    for (what, secret) in [
        ("the password", PASSWORD.to_owned()),
        ("the mistyped password", MISTYPED.to_owned()),
        ("the session's token", session.to_owned()),
        ("the master key", variable("CLP_MASTER_KEY")?),
        ("the client's secret", variable("CLP_DV360_CLIENT_SECRET")?),
    ] {
        secrets.insert(secret, what.to_owned());
    }

    search(stack, &agency, &secrets).await?;
    mutations(stack, &agency, &secrets).await
}

/// Fails when a secret is in what the platform wrote.
async fn search(stack: &Stack, agency: &Agency, secrets: &BTreeMap<String, String>) -> Result<()> {
    // What is surely there proves that the search finds what is there.
    let control = agency.org.uuid().to_string();
    let mut looked = BTreeMap::new();
    for file in files(stack.folder()) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What the platform writes about itself is its own affair.
        if name == "sandbox.log" {
            continue;
        }
        // The servers go on: a file of the database's or the lake's may be gone by now.
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        clean(&file.display().to_string(), &text, secrets)?;
        looked.insert(name, text.contains(&control) || text.contains(&agency.org.to_string()));
    }
    ensure!(looked.contains_key("api.log"), "{looked:?}");
    ensure!(looked.get("worker.log") == Some(&true) && looked.get("temporal.db") == Some(&true), "{looked:?}");
    let tables = texts(stack, agency.org, "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await?;
    ensure!(tables.len() > 20, "{tables:?}");
    for table in tables {
        for row in texts(stack, agency.org, &format!("SELECT t::text FROM {table} t")).await? {
            clean(&table, &row, secrets)?;
        }
    }
    Ok(())
}

/// Each place shows a secret once, on purpose: the search must fail there.
async fn mutations(stack: &Stack, agency: &Agency, secrets: &BTreeMap<String, String>) -> Result<()> {
    let token = secrets.iter().find(|(_, what)| what.contains("refresh_tokens")).context("no refresh token")?.0;
    let found = async |place: &str| match search(stack, agency, secrets).await {
        Ok(()) => bail!("a token in {place} was not found"),
        Err(error) => {
            let said = format!("{error:#}");
            ensure!(said.contains(place) && said.contains("refresh_tokens"), "a token in {place}: {said}");
            Ok(())
        }
    };
    let log = stack.folder().join("worker.log");
    let before = std::fs::metadata(&log)?.len();
    let mut end = std::fs::OpenOptions::new().append(true).open(&log)?;
    writeln!(end, "renewed with {token}")?;
    found("worker.log").await?;
    end.set_len(before)?;

    change_row(stack, agency.org, &format!("UPDATE connections SET title = '{token}'")).await?;
    found("connections").await?;
    change_row(stack, agency.org, "UPDATE connections SET title = 'DV360'").await?;

    // As a workflow would that is handed a secret by a client without the codec.
    let input = json!(token).to_string();
    let start = ["workflow", "start", "--type", "Shows", "--task-queue", "nobody", "--input", &input];
    stack.temporal.ask(&start).await?;
    found("temporal.db").await
}

/// Fails when a text holds a secret, as it is or as PostgreSQL shows its bytes.
fn clean(place: &str, text: &str, secrets: &BTreeMap<String, String>) -> Result<()> {
    for (secret, what) in secrets {
        let bytes = secret.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        ensure!(!text.contains(secret.as_str()) && !text.contains(&bytes), "{place} shows {what}");
    }
    Ok(())
}

/// The codes and tokens that the sandbox gave out, from its journal.
fn tokens(platform: &Path) -> Result<BTreeMap<String, String>> {
    let mut tokens = BTreeMap::new();
    for line in std::fs::read_to_string(platform.join("journal.ndjson"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        collect(&event, &mut tokens);
    }
    Ok(tokens)
}

fn collect(value: &Value, tokens: &mut BTreeMap<String, String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match (name.as_str(), value.as_object()) {
            ("codes" | "refresh_tokens" | "access_tokens", Some(map)) => {
                tokens.extend(map.keys().map(|token| (token.clone(), format!("one of the {name}"))));
            }
            _ => collect(value, tokens),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}
