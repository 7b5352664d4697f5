//! Cycles: runs of the ingestion workflow, with what each step did and what came of it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{CycleId, OrgId};
use serde_json::Value;
use uuid::Uuid;

use crate::convert::{count, error_code, json, parsed};
use crate::error::{Error, Result};
use crate::page::{Page, Paged};
use crate::store::{Store, Tx};

/// Why a cycle runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The organisation's schedule fired.
    Scheduled,
    /// A report was expected before the next tick.
    FollowUp,
    /// A person asked.
    Manual,
    /// The first data of a new organisation.
    Onboarding,
}

/// How far a cycle has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// It runs.
    Running,
    /// It did what it could.
    Done,
    /// It ended early.
    Failed,
}

/// A cycle with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// Its id.
    pub id: CycleId,
    /// The workflow that runs it.
    pub workflow_id: String,
    /// Why it runs.
    pub kind: Kind,
    /// How far it has come.
    pub state: State,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What each step did.
    pub steps: BTreeMap<String, Value>,
    /// Why it failed.
    pub error_code: Option<ErrorCode>,
    /// The pulls that it requested or closed.
    pub pulls: Pulls,
    /// Rows written to bronze, silver and gold; `None` when it committed nothing.
    pub rows: Option<Rows>,
}

/// A cycle's pulls, by how they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pulls {
    /// Landed with something new.
    pub landed: u32,
    /// Landed and equal to what was there.
    pub unchanged: u32,
    /// Failed.
    pub failed: u32,
    /// Still on their way.
    pub open: u32,
    /// What went wrong with the failed ones, each code once.
    pub errors: Vec<ErrorCode>,
}

/// Rows written, by layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// What the platform said.
    pub bronze: u64,
    /// The unified model.
    pub silver: u64,
    /// The facts.
    pub gold: u64,
}

/// Opens the cycle that a workflow runs. A second call under the same workflow id returns the cycle of the first.
///
/// # Errors
/// As any statement.
pub async fn open(tx: &mut Tx, workflow_id: &str, kind: Kind, at: DateTime<Utc>) -> Result<Cycle> {
    let (org, id) = (tx.org(), CycleId::new());
    sqlx::query!(
        "INSERT INTO cycles (org_id, id, workflow_id, kind, started_at, state) VALUES ($1, $2, $3, $4, $5, 'running')
         ON CONFLICT (org_id, workflow_id) DO NOTHING",
        org.uuid(),
        id.uuid(),
        workflow_id,
        kind.to_string(),
        at,
    )
    .execute(tx.conn())
    .await?;
    find(tx, workflow_id).await?.ok_or(Error::NotFound { noun: "cycle" })
}

/// The cycle that a workflow runs, if it was opened.
///
/// # Errors
/// As any statement.
pub async fn find(tx: &mut Tx, workflow_id: &str) -> Result<Option<Cycle>> {
    let row = cycles!("WHERE c.workflow_id = $1", workflow_id).fetch_optional(tx.conn()).await?;
    row.map(Cycle::try_from).transpose()
}

/// One cycle.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: CycleId) -> Result<Cycle> {
    let row = cycles!("WHERE c.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "cycle" })?.try_into()
}

/// A page of cycles, newest first, of all states or of one.
///
/// # Errors
/// As any statement.
pub async fn page(tx: &mut Tx, state: Option<State>, page: Page) -> Result<Paged<Cycle>> {
    let rows = cycles!(
        "WHERE (c.started_at, c.id) < ($1, $2) AND ($3::text IS NULL OR c.state = $3)
         ORDER BY c.started_at DESC, c.id DESC LIMIT $4",
        page.before_at(),
        page.before_id(),
        state.map(|state| state.to_string()) as Option<String>,
        page.fetch()
    )
    .fetch_all(tx.conn())
    .await?;
    let cycles = rows.into_iter().map(Cycle::try_from).collect::<Result<_>>()?;
    Ok(Paged::new(page, cycles, |cycle: &Cycle| (cycle.started_at, cycle.id.uuid())))
}

/// Records what a step did; a repeated step replaces what it had recorded.
///
/// # Errors
/// As any statement.
pub async fn record_step(tx: &mut Tx, id: CycleId, step: &str, did: &Value) -> Result<()> {
    sqlx::query!(
        "UPDATE cycles SET steps = steps || jsonb_build_object($2::text, $3::jsonb) WHERE id = $1",
        id.uuid(),
        step,
        did
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Running → done, or failed when there is a code; says whether it took effect.
///
/// # Errors
/// As any statement.
pub async fn finish(tx: &mut Tx, id: CycleId, failure: Option<ErrorCode>, at: DateTime<Utc>) -> Result<bool> {
    let state = if failure.is_some() { State::Failed } else { State::Done };
    let done = sqlx::query!(
        "UPDATE cycles SET state = $2, finished_at = $3, error_code = $4 WHERE id = $1 AND state = 'running'",
        id.uuid(),
        state.to_string(),
        at,
        failure.map(ErrorCode::code),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A cycle that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub cycle: CycleId,
    /// The workflow that runs it.
    pub workflow_id: String,
}

/// The cycles of all organisations that have run since before a moment, the longest first.
///
/// # Errors
/// As any statement.
pub async fn running(store: &Store, before: DateTime<Utc>, limit: u32) -> Result<Vec<Running>> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!", id AS "id!", workflow_id AS "workflow_id!" FROM cycles_running($1, $2)"#,
        before,
        i32::try_from(limit).unwrap_or(i32::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    let running = rows.into_iter().map(|row| Running {
        org: row.org_id.into(),
        cycle: row.id.into(),
        workflow_id: row.workflow_id,
    });
    Ok(running.collect())
}

macro_rules! cycles {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT c.id, c.workflow_id, c.kind, c.state, c.started_at, c.finished_at, c.steps, c.error_code,
                      p.landed AS "landed!", p.unchanged AS "unchanged!", p.failed AS "failed!", p.open AS "open!",
                      p.errors AS "errors!: Vec<String>", l.bronze_rows AS "bronze_rows?",
                      l.silver_rows AS "silver_rows?", l.gold_rows AS "gold_rows?"
               FROM cycles c
               LEFT JOIN commits l ON l.org_id = c.org_id AND l.cycle_id = c.id
               CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE state = 'landed' AND unchanged IS NOT TRUE) AS landed,
                          count(*) FILTER (WHERE state = 'landed' AND unchanged) AS unchanged,
                          count(*) FILTER (WHERE state = 'failed') AS failed,
                          count(*) FILTER (WHERE state IN ('planned', 'requested', 'fetched')) AS open,
                          coalesce(array_agg(DISTINCT p.error_code) FILTER (WHERE state = 'failed' AND p.error_code IS NOT NULL),
                                   '{}') AS errors
                   FROM pulls p WHERE p.org_id = c.org_id AND p.cycle_id = c.id
               ) p "#
                + $which
            $(, $argument)*
        )
    };
}
use cycles;

struct Row {
    id: Uuid,
    workflow_id: String,
    kind: String,
    state: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    steps: Value,
    error_code: Option<String>,
    landed: i64,
    unchanged: i64,
    failed: i64,
    open: i64,
    errors: Vec<String>,
    bronze_rows: Option<i64>,
    silver_rows: Option<i64>,
    gold_rows: Option<i64>,
}

impl TryFrom<Row> for Cycle {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            workflow_id,
            kind,
            state,
            started_at,
            finished_at,
            steps,
            error_code: code,
            landed,
            unchanged,
            failed,
            open,
            errors,
            bronze_rows,
            silver_rows,
            gold_rows,
        } = row;
        let pulls = Pulls {
            landed: count("landed", landed)?,
            unchanged: count("unchanged", unchanged)?,
            failed: count("failed", failed)?,
            open: count("open", open)?,
            errors: errors.iter().map(|code| parsed("error_code", code)).collect::<Result<_>>()?,
        };
        let rows = match (bronze_rows, silver_rows, gold_rows) {
            (Some(bronze), Some(silver), Some(gold)) => Some(Rows {
                bronze: count("bronze_rows", bronze)?,
                silver: count("silver_rows", silver)?,
                gold: count("gold_rows", gold)?,
            }),
            _ => None,
        };
        Ok(Self {
            id: id.into(),
            workflow_id,
            kind: parsed("kind", &kind)?,
            state: parsed("state", &state)?,
            started_at,
            finished_at,
            steps: json("steps", steps)?,
            error_code: error_code(code.as_deref())?,
            pulls,
            rows,
        })
    }
}
