//! The commit of a cycle: all tables' pointers, the ledger row, the pulls and the watermarks, in one transaction.
//!
//! Either all of it happened or none. A cycle commits once: a second commit of the same cycle finds the ledger row and
//! changes nothing, so a commit whose answer was lost is simply made again.

use chrono::{DateTime, Utc};
use domain::ids::{CommitId, CycleId, PullId};
use domain::lake::PreparedSwap;
use serde_json::Value;
use uuid::Uuid;

use crate::convert::{count, json, stored, to_json};
use crate::error::{Error, Result};
use crate::pointer;
use crate::store::Tx;
use crate::watermark::{self, Watermark};

/// What a cycle is to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleCommit {
    /// The cycle.
    pub cycle: CycleId,
    /// The commit's own id.
    pub id: CommitId,
    /// The pointers to be moved, all together.
    pub swaps: Vec<PreparedSwap>,
    /// The pulls that land with it.
    pub landed: Vec<LandedPull>,
    /// Up to when each account's day is complete with it.
    pub watermarks: Vec<Watermark>,
    /// What it did, in numbers.
    pub stats: Stats,
    /// When.
    pub at: DateTime<Utc>,
}

/// A pull that lands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandedPull {
    /// The pull.
    pub pull: PullId,
    /// Whether it equals what was there.
    pub unchanged: bool,
    /// Its rows.
    pub rows: u64,
}

/// What a commit did, in numbers: metering reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Days of accounts whose numbers changed.
    pub days_changed: u64,
    /// Rows added to bronze.
    pub bronze_rows: u64,
    /// Rows written to silver.
    pub silver_rows: u64,
    /// Rows written to gold.
    pub gold_rows: u64,
    /// Size of the files added.
    pub bytes: u64,
    /// Calls made to platforms for it.
    pub calls: u64,
    /// Seconds of work.
    pub seconds: f64,
}

/// What came of a commit.
#[derive(Debug, Clone, PartialEq)]
pub enum Committed {
    /// It will have happened once the transaction is committed.
    Now(Commit),
    /// The cycle had committed before; nothing was changed.
    Before(Commit),
}

/// A ledger row.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The cycle.
    pub cycle: CycleId,
    /// The commit's own id.
    pub id: CommitId,
    /// When.
    pub at: DateTime<Utc>,
    /// The pointers that were moved.
    pub swaps: Vec<PreparedSwap>,
    /// How many pulls landed.
    pub pulls_landed: u64,
    /// What it did, in numbers.
    pub stats: Stats,
}

/// Commits a cycle within the caller's transaction.
///
/// # Errors
/// [`Error::Conflict`] when a pointer has moved: prepare again from where it stands. [`Error::PullsNotFetched`] when a
/// pull was closed meanwhile. After any error the transaction can only be undone.
pub async fn commit_cycle(tx: &mut Tx, commit: &CycleCommit) -> Result<Committed> {
    let committed = attempt(tx, commit).await;
    if committed.is_err() {
        tx.give_up();
    }
    committed
}

/// The ledger row of a cycle, if it has committed: the answer after a COMMIT whose outcome is unknown.
///
/// # Errors
/// As any statement.
pub async fn fetch(tx: &mut Tx, cycle: CycleId) -> Result<Option<Commit>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT cycle_id, id, committed_at, swaps, pulls_landed, days_changed, bronze_rows, silver_rows, gold_rows, bytes,
                calls, seconds
         FROM commits WHERE cycle_id = $1",
        cycle.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Commit::try_from).transpose()
}

async fn attempt(tx: &mut Tx, commit: &CycleCommit) -> Result<Committed> {
    let locked = match pointer::lock_all(tx, &commit.swaps).await {
        // Pointers that this very cycle has moved look like a conflict: the ledger knows better.
        Err(conflict @ Error::Conflict { .. }) => {
            return fetch(tx, commit.cycle).await?.map(Committed::Before).ok_or(conflict);
        }
        locked => locked?,
    };
    if !ledger_insert(tx, commit).await? {
        let before = fetch(tx, commit.cycle).await?.ok_or(Error::NotFound { noun: "commit" })?;
        return Ok(Committed::Before(before));
    }
    pointer::write_all(tx, locked).await?;
    pulls_land(tx, commit).await?;
    watermark::advance(tx, &commit.watermarks).await?;
    let now = fetch(tx, commit.cycle).await?.ok_or(Error::NotFound { noun: "commit" })?;
    Ok(Committed::Now(now))
}

/// Writes the ledger row; false when the cycle has one. Waits for another transaction that is writing it.
async fn ledger_insert(tx: &mut Tx, commit: &CycleCommit) -> Result<bool> {
    let CycleCommit { cycle, id, swaps, landed, watermarks: _, stats, at } = commit;
    let Stats { days_changed, bronze_rows, silver_rows, gold_rows, bytes, calls, seconds } = stats;
    let whole = |column, value: u64| stored::<u64, i64>(column, value);
    let org = tx.org();
    let done = sqlx::query!(
        "INSERT INTO commits (org_id, cycle_id, id, committed_at, swaps, pulls_landed, days_changed, bronze_rows,
                              silver_rows, gold_rows, bytes, calls, seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (org_id, cycle_id) DO NOTHING",
        org.uuid(),
        cycle.uuid(),
        id.uuid(),
        at,
        to_json("swaps", swaps)?,
        stored::<usize, i64>("pulls_landed", landed.len())?,
        whole("days_changed", *days_changed)?,
        whole("bronze_rows", *bronze_rows)?,
        whole("silver_rows", *silver_rows)?,
        whole("gold_rows", *gold_rows)?,
        whole("bytes", *bytes)?,
        whole("calls", *calls)?,
        *seconds,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Fetched → landed, for all pulls of the commit or none.
async fn pulls_land(tx: &mut Tx, commit: &CycleCommit) -> Result<()> {
    let landed = &commit.landed;
    let ids: Vec<Uuid> = landed.iter().map(|landed| landed.pull.uuid()).collect();
    let unchanged: Vec<bool> = landed.iter().map(|landed| landed.unchanged).collect();
    let rows = landed.iter().map(|landed| stored::<u64, i64>("rows", landed.rows)).collect::<Result<Vec<_>>>()?;
    let done = sqlx::query!(
        "UPDATE pulls p
         SET state = 'landed', staged = NULL, unchanged = l.unchanged, rows = l.rows, cycle_id = $4, closed_at = $5,
             error_code = NULL, error_detail = NULL
         FROM unnest($1::uuid[], $2::boolean[], $3::bigint[]) AS l (id, unchanged, rows)
         WHERE p.id = l.id AND p.state = 'fetched'",
        &ids,
        &unchanged,
        &rows,
        commit.cycle.uuid(),
        commit.at,
    )
    .execute(tx.conn())
    .await?;
    match (ids.len() as u64).saturating_sub(done.rows_affected()) {
        0 => Ok(()),
        missing => Err(Error::PullsNotFetched { missing }),
    }
}

struct Row {
    cycle_id: Uuid,
    id: Uuid,
    committed_at: DateTime<Utc>,
    swaps: Value,
    pulls_landed: i64,
    days_changed: i64,
    bronze_rows: i64,
    silver_rows: i64,
    gold_rows: i64,
    bytes: i64,
    calls: i64,
    seconds: f64,
}

impl TryFrom<Row> for Commit {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            cycle_id,
            id,
            committed_at,
            swaps,
            pulls_landed,
            days_changed,
            bronze_rows,
            silver_rows,
            gold_rows,
            bytes,
            calls,
            seconds,
        } = row;
        Ok(Self {
            cycle: cycle_id.into(),
            id: id.into(),
            at: committed_at,
            swaps: json("swaps", swaps)?,
            pulls_landed: count("pulls_landed", pulls_landed)?,
            stats: Stats {
                days_changed: count("days_changed", days_changed)?,
                bronze_rows: count("bronze_rows", bronze_rows)?,
                silver_rows: count("silver_rows", silver_rows)?,
                gold_rows: count("gold_rows", gold_rows)?,
                bytes: count("bytes", bytes)?,
                calls: count("calls", calls)?,
                seconds,
            },
        })
    }
}
