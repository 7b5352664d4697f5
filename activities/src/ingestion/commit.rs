//! Lands all staged pulls: bronze, silver, gold, watermarks and the ledger row in one transaction.
//!
//! The cycle's row is the key of the effect. A commit whose answer was lost is looked up in the ledger before anything
//! is tried again; files are thrown away only when they surely were not committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use domain::Finality;
use domain::ids::CommitId;
use lakehouse::{Landing, Prepared, StagedPull, StagedSlice};
use store::account::Account;
use store::commit::{Commit, Committed, CycleCommit, LandedPull, Stats};
use store::pull::{Fetched, Pull};
use store::watermark::Watermark;
use workflows::contract::ingestion::{CommittedV1, CycleStepV1};

use super::hand_over;
use super::harvest::{Desk, scope};
use crate::context::Context;
use crate::failure::Error;

/// How often a commit is prepared anew because a pointer had moved or a pull had to be left out.
const MOST_ATTEMPTS: u32 = 20;
/// Pulls that one commit lands; what is left lands with the next cycle.
const MOST_PULLS: u32 = 200;
const CONFLICT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(context: &Context, input: &CycleStepV1) -> Result<CommittedV1, Error> {
    let begun = context.clock.now();
    let commit = CommitId::new();
    for _ in 0..MOST_ATTEMPTS {
        let mut tx = context.store.begin(input.org).await?;
        if let Some(done) = store::commit::fetch(&mut tx, input.cycle).await? {
            return Ok(answer(&done));
        }
        drop(tx);
        let batch = Batch::gather(context, input).await?;
        let pointers = context.pointers(input.org);
        let prepared = match context.lake.prepare(&pointers, input.org, commit, &batch.landings).await {
            Ok(prepared) => prepared,
            Err(error) => {
                leave_out(context, input, error).await?;
                continue;
            }
        };
        match land(context, input, &batch, commit, &prepared, begun).await {
            Ok(Committed::Now(done)) => {
                context.lake.finish(&prepared).await;
                count_rows(&done.stats);
                return Ok(answer(&done));
            }
            Ok(Committed::Before(done)) => {
                context.lake.discard(&prepared).await;
                return Ok(answer(&done));
            }
            // Another cycle of the organisation was faster: it moved a pointer, or landed one of these pulls.
            Err(store::Error::Conflict { .. } | store::Error::PullsNotFetched { .. }) => {
                context.lake.discard(&prepared).await;
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

/// A pull that can't be landed is failed or sent back; the others are prepared again without it.
async fn leave_out(context: &Context, input: &CycleStepV1, error: lakehouse::Error) -> Result<(), Error> {
    let Some(pull) = error.pull() else { return Err(error.into()) };
    let (code, now) = (error.code(), context.clock.now());
    let detail = crate::failure::chain(&error);
    tracing::warn!(pull.id = %pull, error.code = %code, "pull {pull} is left out: {detail}");
    let mut tx = context.store.begin(input.org).await?;
    store::pull::fail(&mut tx, pull, code, Some(&detail), Some(input.cycle), now).await?;
    Ok(tx.commit().await?)
}

/// What is staged now, and what of it is newer than what the tables hold.
struct Batch {
    landings: Vec<Landing>,
    landed: Vec<LandedPull>,
    watermarks: Vec<Watermark>,
}

impl Batch {
    async fn gather(context: &Context, input: &CycleStepV1) -> Result<Self, Error> {
        let mut tx = context.store.begin(input.org).await?;
        let connections = store::connection::list(&mut tx).await?;
        tx.commit().await?;
        let mut batch = Self { landings: Vec::new(), landed: Vec::new(), watermarks: Vec::new() };
        let mut tx = context.store.begin(input.org).await?;
        let all = store::pull::list_fetched(&mut tx, MOST_PULLS).await?;
        tx.commit().await?;
        for connection in &connections {
            let mut fetched: Vec<&Fetched> = all.iter().filter(|one| one.pull.connection == connection.id).collect();
            if fetched.is_empty() {
                continue;
            }
            let desk = Desk::open(context, input.org, connection, input.cycle).await?;
            let mut tx = context.store.begin(input.org).await?;
            let accounts = store::account::list(&mut tx, Some(connection.id)).await?;
            // Oldest first: a newer pull of the same day then finds the older one's marks and replaces them.
            fetched.sort_by_key(|one| (one.pull.requested_at, one.pull.id));
            let mut marks = Marks::load(&mut tx, connection.id, &fetched).await?;
            tx.commit().await?;
            for one in fetched {
                batch.add(&desk, &mut marks, one, &accounts)?;
            }
        }
        batch.keep_newest();
        Ok(batch)
    }

    fn add(&mut self, desk: &Desk<'_>, marks: &mut Marks, one: &Fetched, accounts: &[Account]) -> Result<(), Error> {
        let pull = &one.pull;
        let staged: StagedPull = serde_json::from_value(one.staged.clone())
            .map_err(|error| Error::Inconsistent { what: "a staged pull", why: error.to_string() })?;
        let definition = desk.definition(pull)?;
        let requested_at = pull.requested_at.unwrap_or(pull.planned_at);
        let as_of = staged.report_time.unwrap_or(requested_at);
        let days = marks.days_to_replace(pull, &staged.slices, requested_at);
        for slice in staged.slices.iter().filter(|slice| marks.is_newer(pull, slice, requested_at)) {
            let zone =
                accounts.iter().find(|account| account.platform_id == slice.account).map(|account| account.time_zone);
            let zone = zone.ok_or(Error::Missing { what: "account" })?;
            self.watermarks.push(Watermark {
                connection: pull.connection,
                report: pull.report,
                account: slice.account.clone(),
                day: slice.day,
                as_of,
                requested_at,
                finality: Finality::of(slice.day, zone, as_of, definition.final_after_days),
                pull: pull.id,
                rows: slice.rows,
                media_cost: slice.media_cost,
                content_hash: slice.content_hash.clone(),
            });
        }
        marks.advance(pull, &staged.slices, requested_at);
        self.landed.push(LandedPull { pull: pull.id, unchanged: days.is_empty(), rows: staged.rows });
        self.landings.push(Landing { scope: scope(desk.org, pull, definition, accounts), staged, days });
        Ok(())
    }

    /// A day that two pulls of this batch replace is left to the newer one, and so is its watermark.
    fn keep_newest(&mut self) {
        let mut taken = BTreeSet::new();
        for landing in self.landings.iter_mut().rev() {
            let key = (landing.scope.connection, landing.scope.definition.id);
            landing.days.retain(|day| taken.insert((key, *day)));
        }
        self.landings.retain(|landing| !landing.days.is_empty());
        let newest: BTreeMap<_, Watermark> = std::mem::take(&mut self.watermarks)
            .into_iter()
            .map(|mark| ((mark.connection, mark.report, mark.account.clone(), mark.day), mark))
            .collect();
        self.watermarks = newest.into_values().collect();
    }

    fn changed_days(&self) -> u64 {
        let days: BTreeSet<_> = self
            .landings
            .iter()
            .flat_map(|landing| landing.days.iter().map(|day| (landing.scope.connection, *day)))
            .collect();
        u64::try_from(days.len()).unwrap_or(u64::MAX)
    }
}

/// What the tables hold of each report's accounts and days: since when, with which content.
struct Marks(BTreeMap<(domain::ids::ReportId, String, NaiveDate), (DateTime<Utc>, String)>);

impl Marks {
    async fn load(
        tx: &mut store::Tx,
        connection: domain::ids::ConnectionId,
        pulls: &[&Fetched],
    ) -> Result<Self, Error> {
        let mut marks = BTreeMap::new();
        for Fetched { pull, .. } in pulls {
            for mark in store::watermark::list(tx, connection, pull.report, &pull.accounts, pull.days).await? {
                marks.insert((mark.report, mark.account, mark.day), (mark.requested_at, mark.content_hash));
            }
        }
        Ok(Self(marks))
    }

    fn get(&self, pull: &Pull, slice: &StagedSlice) -> Option<&(DateTime<Utc>, String)> {
        self.0.get(&(pull.report, slice.account.clone(), slice.day))
    }

    fn is_newer(&self, pull: &Pull, slice: &StagedSlice, requested_at: DateTime<Utc>) -> bool {
        self.get(pull, slice).is_none_or(|(since, _)| requested_at > *since)
    }

    /// The days on which this pull is the newest for all of its accounts and the content of some has changed. A day
    /// without rows that was never seen before changes nothing.
    fn days_to_replace(&self, pull: &Pull, slices: &[StagedSlice], requested_at: DateTime<Utc>) -> BTreeSet<NaiveDate> {
        let stale: BTreeSet<NaiveDate> =
            slices.iter().filter(|slice| !self.is_newer(pull, slice, requested_at)).map(|slice| slice.day).collect();
        slices
            .iter()
            .filter(|slice| !stale.contains(&slice.day))
            .filter(|slice| match self.get(pull, slice) {
                Some((_, content)) => *content != slice.content_hash,
                None => slice.rows > 0,
            })
            .map(|slice| slice.day)
            .collect()
    }

    fn advance(&mut self, pull: &Pull, slices: &[StagedSlice], requested_at: DateTime<Utc>) {
        for slice in slices {
            if self.is_newer(pull, slice, requested_at) {
                let key = (pull.report, slice.account.clone(), slice.day);
                self.0.insert(key, (requested_at, slice.content_hash.clone()));
            }
        }
    }
}

/// The one transaction: pointers, pulls, watermarks, ledger, and what the landed pulls mean for an onboarding.
async fn land(
    context: &Context,
    input: &CycleStepV1,
    batch: &Batch,
    commit: CommitId,
    prepared: &Prepared,
    begun: DateTime<Utc>,
) -> Result<Committed, store::Error> {
    let now = context.clock.now();
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
    let mut tx = context.store.begin(input.org).await?;
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
