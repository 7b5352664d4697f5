//! Lands all staged pulls: bronze, silver, gold, watermarks and the ledger row in one transaction.
//!
//! The cycle's row is the key of the effect. A commit whose answer was lost is looked up in the ledger before anything
//! is tried again; files are thrown away only when they surely were not committed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::CommitId;
use domain::pull::{self as law, Remedy};
use lakehouse::Prepared;
use store::commit::{Commit, Committed, CycleCommit, Stats};
use workflows::contract::ingestion::{CommittedV1, CycleStepV1};

use super::batch::Batch;
use super::hand_over;
use crate::context::Depot;
use crate::failure::{Error, chain};

/// How often a commit is prepared anew because a pointer had moved or a pull had to be left out.
const MOST_ATTEMPTS: u32 = 20;
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(depot: &Depot, input: &CycleStepV1) -> Result<CommittedV1, Error> {
    let begun = depot.clock.now();
    let commit = CommitId::new();
    for _ in 0..MOST_ATTEMPTS {
        let mut tx = depot.store.begin(input.org).await?;
        if let Some(done) = store::commit::fetch(&mut tx, input.cycle).await? {
            return Ok(answer(&done));
        }
        drop(tx);
        let (batch, prepared) = match prepare(depot, input, commit).await {
            Ok(prepared) => prepared,
            Err(Error::Lake(error)) => {
                leave_out(depot, input, error).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        match land(depot, input, &batch, commit, &prepared, begun).await {
            Ok(Committed::Now(done)) => {
                depot.lake.finish(&prepared).await;
                count_rows(&done.stats);
                return Ok(answer(&done));
            }
            Ok(Committed::Before(done)) => {
                depot.lake.discard(&prepared).await;
                return Ok(answer(&done));
            }
            // Another cycle of the organisation was faster: it moved a pointer, or landed one of these pulls.
            Err(store::Error::Conflict { .. } | store::Error::PullsNotFetched { .. }) => {
                depot.lake.discard(&prepared).await;
                tokio::time::sleep(CONFLICT_PAUSE).await;
            }
            // Unknown or not: the files stay. The next attempt asks the ledger; what nobody names is collected later.
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::TooManyConflicts { attempts: MOST_ATTEMPTS })
}

/// Tells how much was written, by layer.
fn count_rows(stats: &Stats) {
    let layers = [("bronze", stats.bronze_rows), ("silver", stats.silver_rows), ("gold", stats.gold_rows)];
    for (layer, rows) in layers {
        metrics::counter!("clp_rows_committed_total", "layer" => layer).increment(rows);
    }
}

fn answer(done: &Commit) -> CommittedV1 {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    CommittedV1 {
        landed: count(done.pulls_landed),
        changed_days: count(done.stats.days_changed),
        rows: [done.stats.bronze_rows, done.stats.silver_rows, done.stats.gold_rows],
    }
}

async fn prepare(depot: &Depot, input: &CycleStepV1, commit: CommitId) -> Result<(Batch, Prepared), Error> {
    let batch = Batch::gather(depot, input.org).await?;
    let prepared = depot.lake.prepare(&batch.pointers, input.org, commit, &batch.landings).await?;
    Ok((batch, prepared))
}

/// A pull that can't be landed is asked for again, or fails when that was tried often enough; the others are prepared
/// without it. What is staged of it is garbage then, which is collected later.
async fn leave_out(depot: &Depot, input: &CycleStepV1, error: lakehouse::Error) -> Result<(), Error> {
    let Some(id) = error.pull() else { return Err(error.into()) };
    let (code, now) = (error.code(), depot.clock.now());
    let detail = chain(&error);
    tracing::warn!(pull.id = %id, error.code = %code, "pull {id} is left out: {detail}");
    let mut tx = depot.store.begin(input.org).await?;
    let pull = store::pull::fetch(&mut tx, id).await?;
    let wait = TimeDelta::seconds(i64::from(law::retry_wait_seconds(pull.attempts)));
    let refused = matches!(error, lakehouse::Error::Rejected { .. });
    match law::remedy(pull.kind, pull.attempts, code, refused) {
        // What is staged is lost in either way; a report that is of use may be fetched once more.
        Remedy::AskAnew | Remedy::Wait => {
            let refused_at = refused.then_some(now);
            store::pull::send_back(&mut tx, id, now + wait, code, Some(&detail), refused_at).await?;
        }
        Remedy::GiveUp => {
            store::pull::fail(&mut tx, id, code, Some(&detail), Some(input.cycle), now).await?;
        }
    }
    Ok(tx.commit().await?)
}

/// The one transaction: pointers, pulls, watermarks, ledger, and what the landed pulls mean for an onboarding.
async fn land(
    depot: &Depot,
    input: &CycleStepV1,
    batch: &Batch,
    commit: CommitId,
    prepared: &Prepared,
    begun: DateTime<Utc>,
) -> Result<Committed, store::Error> {
    let now = depot.clock.now();
    let rows = |prefix: &str| {
        let tables = prepared.tables.iter().filter(|(name, _)| name.starts_with(prefix));
        tables.map(|(_, stats)| stats.rows_added).sum::<u64>()
    };
    let stats = Stats {
        days_changed: batch.changed_days(),
        bronze_rows: rows("bronze"),
        silver_rows: rows("silver"),
        gold_rows: rows("gold"),
        bytes: prepared.tables.values().map(|stats| stats.bytes_added).sum(),
        calls: 0,
        seconds: (now - begun).as_seconds_f64(),
    };
    let cycle_commit = CycleCommit {
        cycle: input.cycle,
        id: commit,
        swaps: prepared.swaps.clone(),
        landed: batch.landed.clone(),
        watermarks: batch.watermarks.clone(),
        stats,
        at: now,
    };
    let mut tx = depot.store.begin(input.org).await?;
    let outcome = store::commit::commit_cycle(&mut tx, &cycle_commit).await?;
    if let Committed::Now(done) = &outcome {
        let rows = [done.stats.bronze_rows, done.stats.silver_rows, done.stats.gold_rows];
        let (landed, days) = (done.pulls_landed, done.stats.days_changed);
        let step = serde_json::json!({"landed": landed, "changed_days": days, "rows": rows, "at": now});
        store::cycle::record_step(&mut tx, input.cycle, "commit", &step).await?;
        hand_over::advance(&mut tx, now).await?;
    }
    tx.commit().await?;
    Ok(outcome)
}
