//! Faults, as a campaign manager meets them: what the API says about them, and whether the product is well afterwards.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::error_code::Explanation;
use serde_json::{Value, json};
use store::pull::Pull;

use crate::client::{Person, Problem};
use crate::journey::{Agency, PATIENCE};
use crate::sandbox_admin::SandboxAdmin;
use crate::stack::Stack;
use crate::truth::LakeReader;
use crate::wait::{until, until_is};

/// A little more than a tick's cadence.
const CADENCE_SECONDS: i64 = 900;
/// Longer than the first wait for a report that is being made.
const REPORT_SECONDS: i64 = 30;
/// How often a history is waited for.
const MOST_ROUNDS: u32 = 40;
/// Cycles after a tick in which an agency gets well: a report that is late on a busy machine is fetched by the next one.
const ROUNDS_TO_GET_WELL: u32 = 5;

/// Fails unless a problem says what the catalogue says under the code: what happened, what was not harmed, what to do.
///
/// # Errors
/// Shows the problem.
pub fn says(problem: &Value, code: ErrorCode) -> Result<()> {
    let Explanation { what, unharmed, next } = code.explain();
    let wanted = json!({"code": code.code(), "title": what, "unharmed": unharmed, "next": next});
    let names = ["code", "title", "unharmed", "next"];
    let said: Value = names.iter().map(|name| ((*name).to_owned(), problem[*name].clone())).collect();
    ensure!(said == wanted, "wanted {wanted:#}\ngot {problem:#}");
    Ok(())
}

/// Fails unless a request was refused with the catalogue's words.
///
/// # Errors
/// Shows the answer.
pub fn refused<T: std::fmt::Debug>(answer: Result<T>, code: ErrorCode) -> Result<()> {
    match answer {
        Ok(answer) => anyhow::bail!("not refused: {answer:?}"),
        Err(error) => says(&error.downcast::<Problem>()?.body, code),
    }
}

/// An agency whose numbers are compared with what the sandbox delivered.
#[derive(Debug)]
pub struct Watched {
    /// The agency.
    pub agency: Agency,
    /// Its lake.
    pub lake: LakeReader,
    sandbox: SandboxAdmin,
}

impl Watched {
    /// Signs an agency up and onboards it.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn sign_up(stack: &Stack, email: &str, user: &str) -> Result<Self> {
        let agency = Agency::sign_up(stack.person()?, email, "correct horse battery staple", "Agency").await?;
        Self::onboard(stack, agency, user).await
    }

    /// Connects an agency with the platform's user of this e-mail address, until its history is complete.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn onboard(stack: &Stack, agency: Agency, user: &str) -> Result<Self> {
        agency.onboard_as(user).await?;
        let warehouse = stack.warehouse.display().to_string();
        let lake = LakeReader::open(&stack.database.app_url, &warehouse, agency.org).await?;
        let watched = Self { agency, lake, sandbox: stack.sandbox_admin() };
        watched.settle().await?;
        watched.is_true().await?;
        Ok(watched)
    }

    /// The person.
    #[must_use]
    pub const fn person(&self) -> &Person {
        &self.agency.person
    }

    /// Runs cycles until no report is on its way.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn settle(&self) -> Result<()> {
        for _ in 0..MOST_ROUNDS {
            self.sandbox.advance(REPORT_SECONDS).await?;
            self.cycle().await?;
            if self.open_pulls().await?.is_empty() {
                return Ok(());
            }
        }
        anyhow::bail!("reports are on their way for ever")
    }

    /// The reports that are on their way.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn open_pulls(&self) -> Result<Vec<Pull>> {
        let mut tx = self.lake.store().begin(self.agency.org).await?;
        Ok(store::pull::list_open(&mut tx, None).await?)
    }

    /// Asks for a cycle and waits for its end; the run as its page shows it.
    ///
    /// # Errors
    /// When it fails.
    pub async fn cycle(&self) -> Result<Value> {
        let begun = self.sandbox.now().await?;
        let started = self.agency.refresh().await?;
        let id = match started["id"].as_str() {
            Some(id) => id.to_owned(),
            None => self.newest_run(begun).await?,
        };
        let path = format!("/api/v1/runs/{id}");
        let run =
            until_is("a run to end", PATIENCE, || self.person().get(&path), |run| run["state"] != "running").await?;
        ensure!(run["state"] == "done", "{run:#}");
        Ok(run)
    }

    async fn newest_run(&self, since: DateTime<Utc>) -> Result<String> {
        until("a run to appear", PATIENCE, || async {
            let runs = self.runs(since).await?;
            Ok(runs.first().and_then(|run| run["id"].as_str()).map(str::to_owned))
        })
        .await
    }

    /// The runs that began since a moment, newest first.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn runs(&self, since: DateTime<Utc>) -> Result<Vec<Value>> {
        let page = self.person().get("/api/v1/runs?limit=20").await?;
        let runs = page["items"].as_array().cloned().unwrap_or_default();
        let begun = |run: &Value| run["started_at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
        Ok(runs.into_iter().filter(|run| begun(run).is_some_and(|at| at >= since)).collect())
    }

    /// The reports of all runs since a moment, as the runs' pages show them.
    ///
    /// # Errors
    /// When a page can't be read.
    pub async fn pulls(&self, since: DateTime<Utc>) -> Result<Vec<Value>> {
        let mut pulls = Vec::new();
        for run in self.runs(since).await? {
            let id = run["id"].as_str().context("a run's id")?;
            let detail = self.person().get(&format!("/api/v1/runs/{id}")).await?;
            pulls.extend(detail["pulls"].as_array().cloned().unwrap_or_default());
        }
        Ok(pulls)
    }

    /// A quarter of an hour passes and a report is asked for; then time enough for it passes and it is fetched.
    ///
    /// # Errors
    /// When a run fails.
    pub async fn tick(&self) -> Result<DateTime<Utc>> {
        self.sandbox.advance(CADENCE_SECONDS).await?;
        let since = self.sandbox.now().await?;
        self.cycle().await?;
        self.sandbox.advance(REPORT_SECONDS).await?;
        self.cycle().await?;
        Ok(since)
    }

    /// A tick that brings new numbers, which are right to the micro; the connection is well.
    ///
    /// # Errors
    /// When it is not so after some cycles.
    pub async fn is_well(&self) -> Result<()> {
        let since = self.tick().await?;
        for _ in 0..ROUNDS_TO_GET_WELL {
            if self.was_well(since).await.is_ok() {
                break;
            }
            self.sandbox.advance(REPORT_SECONDS).await?;
            self.cycle().await?;
        }
        self.was_well(since).await?;
        self.is_true().await
    }

    async fn was_well(&self, since: DateTime<Utc>) -> Result<()> {
        let pulls = self.pulls(since).await?;
        let landed = pulls.iter().filter(|pull| pull["state"] == "landed").count();
        ensure!(landed > 0, "nothing landed: {pulls:#?}");
        let connection = self.connection().await?;
        ensure!(connection["status"] == "healthy" && connection["problem"].is_null(), "{connection:#}");
        let fresh: DateTime<Utc> = connection["fresh_as_of"].as_str().context("fresh_as_of")?.parse()?;
        ensure!(fresh >= since - chrono::TimeDelta::minutes(1), "fresh as of {fresh}, asked for at {since}");
        Ok(())
    }

    /// Fails unless gold equals what was delivered.
    ///
    /// # Errors
    /// Lists the first differences.
    pub async fn is_true(&self) -> Result<()> {
        self.lake.equals(&self.sandbox).await.map(drop)
    }

    /// The connection, as its page shows it.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn connection(&self) -> Result<Value> {
        let list = self.person().get("/api/v1/connections").await?;
        list["items"].get(0).cloned().context("no connection")
    }

    /// One advertiser of the connection.
    ///
    /// # Errors
    /// When there is no such.
    pub async fn account(&self, platform_id: &str) -> Result<Value> {
        let connection = self.connection().await?;
        let accounts = connection["accounts"].as_array().context("accounts")?;
        accounts.iter().find(|account| account["platform_id"] == platform_id).cloned().context("no such advertiser")
    }
}
