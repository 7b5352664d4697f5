//! Compares what is on record with the workflow engine, and mends what differs.
//!
//! A workflow that was terminated, or that the engine forgot (a restore of either database), closes no row: its cycle would
//! run for ever, and its proposal could be decided by nobody. A workflow that panics stays open and does nothing: that is
//! for a person, who is told once.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use domain::ErrorCode;
use domain::ids::{OrgId, ProposalId};
use futures::{StreamExt as _, TryStreamExt as _};
use store::{cycle, idempotency, proposal, watermark};
use tokio_util::sync::CancellationToken;
use workflows::queues;

use crate::app::App;
use crate::problem::{Result, chain};
use crate::starter;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(30);
/// A cycle that has run for less is nobody's business.
const CYCLE_TAKES: TimeDelta = TimeDelta::minutes(10);
/// No step of a cycle is tried for so long.
const CYCLE_MOST: Duration = Duration::from_hours(4);
/// A proposal waits a day to be decided, and its change is settled within hours.
const WRITE_BACK_MOST: Duration = Duration::from_hours(36);
/// How many cycles, and how many proposals, one look takes on: the engine answers some hundred questions a second.
const MOST_AT_ONCE: u32 = 200;
const SIDE_BY_SIDE: usize = 4;
/// How long an answer to an Idempotency-Key is kept, and how many are forgotten in one look.
const ANSWERS_LAST: TimeDelta = TimeDelta::hours(24);
const FORGOTTEN_AT_ONCE: u32 = 10_000;

/// What was seen in earlier looks.
#[derive(Debug, Default)]
pub struct Detector {
    /// Open proposals without a workflow: started again when the next look does not find one either, so that who ends and
    /// starts one by hand is not interrupted.
    missing: BTreeSet<ProposalId>,
    /// Where the next look goes on.
    after: Option<ProposalId>,
    /// Workflows that a person was told of.
    told: BTreeSet<String>,
}

/// Looks every half minute until told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut detector = Detector::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = detector.look(&app).await {
            let error = chain(&error);
            tracing::warn!(%error, "the records can't be compared with the engine: {error}");
        }
    }
}

impl Detector {
    /// Looks once.
    ///
    /// # Errors
    /// When the store or the engine can't be asked; what was not looked at is looked at next time.
    pub async fn look(&mut self, app: &App) -> Result<()> {
        upkeep(app).await?;
        self.cycles(app).await?;
        self.proposals(app).await
    }

    /// Closes cycles that nothing runs.
    async fn cycles(&mut self, app: &App) -> Result<()> {
        let running = cycle::running(&app.store, app.now() - CYCLE_TAKES, MOST_AT_ONCE).await?;
        let workflows = running.into_iter().map(|row| (row.workflow_id, (row.org, row.cycle)));
        for (workflow, (org, id), open_since) in ask(app, workflows).await? {
            if let Some(since) = open_since {
                self.tell(&workflow, since, CYCLE_MOST);
                continue;
            }
            let mut tx = app.store.begin(org).await?;
            let closed = cycle::finish(&mut tx, id, Some(ErrorCode::Unexpected), app.now()).await?;
            tx.commit().await?;
            if closed {
                metrics::counter!("clp_detector_mended_total", "kind" => "cycle").increment(1);
                tracing::error!(cycle.id = %id, "cycle {id} was on record as running and nothing ran it: closed as failed");
            }
        }
        Ok(())
    }

    /// Starts the write-backs of open proposals again that nothing carries on.
    async fn proposals(&mut self, app: &App) -> Result<()> {
        let open = proposal::open_everywhere(&app.store, self.after, MOST_AT_ONCE).await?;
        let full = u32::try_from(open.len()).is_ok_and(|count| count >= MOST_AT_ONCE);
        let next = open.last().map(|(_, id)| *id).filter(|_| full);
        let workflows = open.into_iter().map(|(org, id)| (queues::write_back(org, id), (org, id)));
        for (workflow, (org, id), open_since) in ask(app, workflows).await? {
            if let Some(since) = open_since {
                self.missing.remove(&id);
                self.tell(&workflow, since, WRITE_BACK_MOST);
            } else if self.missing.remove(&id) {
                begin_again(app, org, id).await?;
            } else {
                self.missing.insert(id);
            }
        }
        self.after = next;
        Ok(())
    }

    /// Tells a person once of a workflow that is open for longer than its work can take.
    fn tell(&mut self, workflow: &str, since: SystemTime, most: Duration) {
        // A clock that was set back makes a workflow of the future, which is young.
        let open = since.elapsed().unwrap_or_default();
        if open > most && self.told.insert(workflow.to_owned()) {
            let hours = open.as_secs() / 3600;
            metrics::counter!("clp_detector_stuck_total").increment(1);
            tracing::error!(workflow.id = %workflow, workflow.hours = hours, "{workflow} is open for {hours} hours");
        }
    }
}

/// Asks the engine about workflows, a few at a time; since when each is open comes with what belongs to it.
async fn ask<T>(
    app: &App,
    workflows: impl Iterator<Item = (String, T)>,
) -> Result<Vec<(String, T, Option<SystemTime>)>> {
    let asked = workflows.map(|(workflow, row)| async move {
        let open_since = app.engine.open_since(&workflow).await?;
        Ok((workflow, row, open_since))
    });
    futures::stream::iter(asked).buffer_unordered(SIDE_BY_SIDE).try_collect().await
}

async fn begin_again(app: &App, org: OrgId, id: ProposalId) -> Result<()> {
    let mut tx = app.store.begin(org).await?;
    // The workflow closes the proposal before it ends: only one that is open now, after it was seen to have ended, is left
    // behind.
    let left = !proposal::fetch(&mut tx, id).await?.state.is_closed();
    drop(tx);
    if left {
        starter::start_again(app, org, id).await?;
        metrics::counter!("clp_detector_mended_total", "kind" => "write_back").increment(1);
        tracing::warn!(proposal.id = %id, "proposal {id} was open and nothing carried it on: its write-back is started again");
    }
    Ok(())
}

/// Forgets old answers, and measures how far behind the numbers are.
async fn upkeep(app: &App) -> Result<()> {
    let now = app.now();
    idempotency::forget_before(&app.store, now - ANSWERS_LAST, FORGOTTEN_AT_ONCE).await?;
    for (platform, complete_to) in watermark::platforms_complete_to(&app.store).await? {
        let seconds = (now - complete_to).as_seconds_f64();
        metrics::gauge!("clp_freshness_seconds", "platform" => platform.to_string()).set(seconds);
    }
    Ok(())
}
