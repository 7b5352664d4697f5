//! Tidies up an organisation's tables once a day: old snapshots are expired, then files that nothing reaches go.
//!
//! Every part may be killed and repeated, and run beside a cycle that commits: expiry moves pointers as any commit does,
//! and what is collected is older than any commit that may still be on its way. That it was done is noted last.

use std::time::Duration;

use chrono::TimeDelta;
use domain::ids::OrgId;
use lakehouse::{GarbageRules, Retention};
use workflows::contract::ingestion::{CycleStepV1, MaintainedV1};

use crate::context::Depot;
use crate::failure::Error;

/// From one time to the next.
const EVERY: TimeDelta = TimeDelta::hours(24);
/// What stays. Readers that began with an older version of a table, and other engines, have three days to end; what was
/// believed earlier is answered by bronze and the ledger, not by snapshots. A day is longer than any attempt at a commit, or
/// at fetching a report, can take between writing a file and naming it.
const USUAL: Limits =
    Limits { retention: Retention { keep_last: 20, within: TimeDelta::days(3) }, files_last: TimeDelta::hours(24) };
/// How often expiry is prepared anew because a pointer had moved.
const MOST_ATTEMPTS: u32 = 20;
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

/// What stays, however unreachable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) retention: Retention,
    /// Younger files stay.
    pub(super) files_last: TimeDelta,
}

/// Whether the tables are to be tidied up now.
pub(super) async fn is_due(depot: &Depot, tx: &mut store::Tx) -> Result<bool, store::Error> {
    Ok(depot.clock.now() - store::maintenance::last(tx).await? >= EVERY)
}

pub(super) async fn run(depot: &Depot, input: &CycleStepV1) -> Result<MaintainedV1, Error> {
    tidy(depot, input, &USUAL).await
}

/// As [`run`], within other limits.
pub(super) async fn tidy(depot: &Depot, input: &CycleStepV1, limits: &Limits) -> Result<MaintainedV1, Error> {
    let mut tx = depot.store.begin(input.org).await?;
    // Another cycle, or an attempt whose answer was lost, may have been faster.
    let due = is_due(depot, &mut tx).await?;
    drop(tx);
    if !due {
        return Ok(MaintainedV1 { tables: 0, files: 0, bytes: 0 });
    }
    let tables = expire(depot, input.org, limits.retention).await?;
    // Asked before the files are listed: a pull that is staged after this has young files.
    let mut tx = depot.store.begin(input.org).await?;
    let open_pulls = store::maintenance::open_pulls(&mut tx).await?;
    drop(tx);
    let rules = GarbageRules { min_age: limits.files_last, now: depot.clock.now(), open_pulls };
    let collected = depot.lake.collect_garbage(&depot.pointers(input.org), input.org, &rules).await?;
    let now = depot.clock.now();
    let step = serde_json::json!({"tables": tables, "files": collected.files, "bytes": collected.bytes, "at": now});
    let mut tx = depot.store.begin(input.org).await?;
    store::maintenance::record(&mut tx, now).await?;
    store::cycle::record_step(&mut tx, input.cycle, "maintenance", &step).await?;
    tx.commit().await?;
    metrics::counter!("clp_garbage_bytes_total").increment(collected.bytes);
    Ok(MaintainedV1 { tables, files: collected.files, bytes: collected.bytes })
}

/// Commits versions of the tables without their old snapshots; how many tables had some.
async fn expire(depot: &Depot, org: OrgId, retention: Retention) -> Result<u32, Error> {
    for _ in 0..MOST_ATTEMPTS {
        let prepared = depot.lake.expire(&depot.pointers(org), org, retention).await?;
        if prepared.swaps.is_empty() {
            return Ok(0);
        }
        let mut tx = depot.store.begin(org).await?;
        match store::pointer::swap_all(&mut tx, &prepared.swaps).await {
            Ok(()) => {
                // When it is not known whether this happened the files stay, and the next time finds out.
                tx.commit().await?;
                depot.lake.finish(&prepared).await;
                return Ok(u32::try_from(prepared.swaps.len()).unwrap_or(u32::MAX));
            }
            Err(store::Error::Conflict { .. }) => {
                depot.lake.discard(&prepared).await;
                tokio::time::sleep(CONFLICT_PAUSE).await;
            }
            Err(error) => {
                depot.lake.discard(&prepared).await;
                return Err(error.into());
            }
        }
    }
    Err(Error::TooManyConflicts { attempts: MOST_ATTEMPTS })
}
