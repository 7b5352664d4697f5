//! The main job, step by step, as a person does it: sign up, connect, choose, look, approve.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use domain::ErrorCode;
use domain::ids::OrgId;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Person, Problem};
use crate::sandbox_admin::SandboxAdmin;
use crate::truth::LakeReader;
use crate::wait::{until, until_is};

/// Longer than anything a person would wait for.
pub const PATIENCE: Duration = Duration::from_mins(5);
/// How often a person presses a button that does not answer.
const MOST_PRESSES: u32 = 12;
/// The sandbox's user who sees the advertisers.
pub const PLANNER: &str = "planner@agency.example";

/// A signed-up agency.
#[derive(Debug, Clone)]
pub struct Agency {
    /// Its admin.
    pub person: Person,
    /// The organisation.
    pub org: OrgId,
    email: String,
    password: String,
}

impl Agency {
    /// Signs a new agency up.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sign_up(mut person: Person, email: &str, password: &str, name: &str) -> Result<Self> {
        let me = person.sign_up(email, password, name).await?;
        let org = me["organisation"]["id"].as_str().context("the organisation's id")?.parse()?;
        Ok(Self { person, org, email: email.to_owned(), password: password.to_owned() })
    }

    /// Signs in again: a session does not outlive half a simulated day.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sign_in_again(&mut self) -> Result<()> {
        self.person.sign_in(&self.email, &self.password).await.map(drop)
    }

    /// Starts onboarding and connects DV360 through the consent page.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn connect(&self, user: &str, decision: &str) -> Result<String> {
        self.person.consent(&self.consent_page().await?, user, decision).await
    }

    /// Starts onboarding, or goes on with it; the address of the platform's consent page.
    ///
    /// # Errors
    /// When a step is refused.
    pub async fn consent_page(&self) -> Result<String> {
        self.person.send(Method::POST, "/api/v1/onboarding", json!({})).await?;
        let consent =
            self.person.send(Method::POST, "/api/v1/onboarding/consent", json!({"platform": "dv360"})).await?;
        Ok(consent["redirect_url"].as_str().context("redirect_url")?.to_owned())
    }

    /// The onboarding as the wizard shows it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn onboarding(&self) -> Result<Value> {
        self.person.get("/api/v1/onboarding").await
    }

    /// Waits until the onboarding is in one of these states; a failed one ends the wait.
    ///
    /// # Errors
    /// When it takes too long, or failed.
    pub async fn onboarding_is(&self, states: &[&str]) -> Result<Value> {
        let seen = until_is(
            &format!("onboarding to be {}", states.join(" or ")),
            PATIENCE,
            || self.onboarding(),
            |seen| {
                let state = seen["state"].as_str().unwrap_or_default();
                states.contains(&state) || ["failed", "cancelled"].contains(&state)
            },
        )
        .await?;
        let state = seen["state"].as_str().unwrap_or_default();
        ensure!(states.contains(&state), "the onboarding is {state}: {}", seen["problem"]);
        Ok(seen)
    }

    /// Chooses every advertiser.
    ///
    /// # Errors
    /// When there is none, or the choice is refused.
    pub async fn choose_all(&self) -> Result<usize> {
        let onboarding = self.onboarding_is(&["choosing_accounts"]).await?;
        let accounts = onboarding["accounts"].as_array().context("accounts")?;
        let ids: Vec<&Value> = accounts.iter().map(|account| &account["id"]).collect();
        let count = ids.len();
        self.person.send(Method::PUT, "/api/v1/onboarding/accounts", json!({"account_ids": ids})).await?;
        Ok(count)
    }

    /// From sign-up to a dashboard with data; the history goes on behind it.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn onboard(&self) -> Result<Value> {
        self.onboard_as(PLANNER).await
    }

    /// As [`Self::onboard`], with the platform's user of this e-mail address.
    ///
    /// # Errors
    /// When a step fails.
    pub async fn onboard_as(&self, user: &str) -> Result<Value> {
        let landed = self.connect(user, "allow").await?;
        ensure!(!landed.contains("problem"), "the consent led to {landed}");
        self.choose_all().await?;
        self.onboarding_is(&["ready", "done"]).await
    }

    /// Asks for a cycle now.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn refresh(&self) -> Result<Value> {
        self.person.send(Method::POST, "/api/v1/runs", json!({})).await
    }

    /// Asks for an evaluation of the rules, and waits for what it found.
    ///
    /// # Errors
    /// When it is refused, fails, or takes too long.
    pub async fn evaluate(&self) -> Result<Value> {
        let started = self.person.send(Method::POST, "/api/v1/evaluations", json!({})).await?;
        let path = format!("/api/v1/evaluations/{}", started["id"].as_str().context("the evaluation's id")?);
        let ended = |seen: &Value| seen["state"] != "running";
        let found = until_is("the evaluation to end", PATIENCE, || self.person.get(&path), ended).await?;
        ensure!(found["state"] == "done", "{found:#}");
        Ok(found)
    }

    /// The first open proposal, waiting for one.
    ///
    /// # Errors
    /// When none comes.
    pub async fn open_proposal(&self) -> Result<Value> {
        until("a proposal", PATIENCE, || async {
            let page = self.person.get("/api/v1/proposals?state=open&limit=50").await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            Ok(items.into_iter().find(|proposal| proposal["state"] == "proposed"))
        })
        .await
    }

    /// The newest proposals on which this person may still decide at `now`.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn waiting(&self, now: DateTime<Utc>) -> Result<Vec<Value>> {
        let page = self.person.get("/api/v1/proposals?state=open&limit=50").await?;
        let fresh = |proposal: &Value| {
            let expires = proposal["expires_at"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
            proposal["state"] == "proposed" && proposal["may_approve"] == true && expires.is_some_and(|at| at > now)
        };
        Ok(page["items"].as_array().into_iter().flatten().filter(|proposal| fresh(proposal)).cloned().collect())
    }

    /// Approves a proposal, and fails unless the platform got exactly one write for it and says what was approved.
    ///
    /// # Errors
    /// Says how far it came.
    pub async fn approve_and_verify(&self, sandbox: &SandboxAdmin, proposal: &Value) -> Result<()> {
        let id = proposal["id"].as_str().context("the proposal's id")?;
        let line = proposal["line"]["platform_id"].as_str().context("the proposal's line")?;
        self.approve(proposal).await?;
        let ends = ["verified", "failed", "drifted", "rejected", "expired", "cancelled"];
        let done = self.proposal_is(id, &ends).await?;
        ensure!(done["state"] == "verified", "the change is {}: {}", done["state"], done["problem"]);
        let writes = sandbox.get("/writes").await?;
        let writes = writes.as_array().or_else(|| writes["writes"].as_array()).cloned().unwrap_or_default();
        let count = writes.iter().filter(|write| write.to_string().contains(line)).count();
        ensure!(count == 1, "the platform got {count} writes for line {line}, not one");
        Ok(())
    }

    /// Lets a day go by, after which the days that a platform may restate are read again, and waits until gold has other
    /// figures for all of these lines' days.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn follow(
        &mut self,
        sandbox: &SandboxAdmin,
        lake: &LakeReader,
        restated: &BTreeSet<(String, NaiveDate)>,
    ) -> Result<()> {
        let (before, _) = lake.gold().await?;
        sandbox.advance(26 * 3600).await?;
        self.sign_in_again().await?;
        until("gold to follow the restatement", PATIENCE, || async {
            self.refresh().await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let (now, _) = lake.gold().await?;
            let same = |(_, line, day): &(String, String, NaiveDate)| restated.contains(&(line.clone(), *day));
            let missing = before.iter().filter(|(key, was)| same(key) && now.get(key) == Some(was)).count();
            Ok((missing == 0).then_some(()))
        })
        .await
    }

    /// Approves a proposal as it was seen, as a person does who presses the button again when no answer comes.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn approve(&self, proposal: &Value) -> Result<Value> {
        let id = proposal["id"].as_str().context("the proposal's id")?;
        let body = json!({"change_hash": proposal["change_hash"]});
        let (path, key) = (format!("/api/v1/proposals/{id}/approve"), Uuid::new_v4().to_string());
        for _ in 0..MOST_PRESSES {
            let answer = self.person.send_with_key(Method::POST, &path, body.clone(), &key).await;
            let problem = answer.as_ref().err().and_then(|error| error.downcast_ref::<Problem>());
            if problem.is_none_or(|problem| problem.code != ErrorCode::WorkflowsUnavailable.code()) {
                return answer;
            }
        }
        bail!("the approval was not answered {MOST_PRESSES} times")
    }

    /// Waits until a proposal is in one of these states.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn proposal_is(&self, id: &str, states: &[&str]) -> Result<Value> {
        let path = format!("/api/v1/proposals/{id}");
        until_is(
            &format!("the proposal to be {}", states.join(" or ")),
            PATIENCE,
            || self.person.get(&path),
            |seen| states.contains(&seen["state"].as_str().unwrap_or_default()),
        )
        .await
    }
}
