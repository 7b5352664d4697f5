//! Decisions: evaluations of the rules, with the pulls that they were based on.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{CycleId, DecisionId, PullId, UserId};
use serde_json::Value;
use uuid::Uuid;

use crate::convert::{count, error_code, json, stored, to_json};
use crate::error::{Error, Result};
use crate::store::Tx;

/// What asks for an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A cycle that changed numbers.
    Cycle(CycleId),
    /// A person; the request has the id that the decision will have.
    Person {
        /// The decision's id.
        decision: DecisionId,
        /// Who asked.
        by: UserId,
    },
}

impl Cause {
    const fn kind(self) -> &'static str {
        match self {
            Self::Cycle(_) => "cycle",
            Self::Person { .. } => "person",
        }
    }

    fn id(self) -> Uuid {
        match self {
            Self::Cycle(cycle) => cycle.uuid(),
            Self::Person { decision, by: _ } => decision.uuid(),
        }
    }

    fn read(kind: &str, id: Uuid, asked_by: Option<Uuid>) -> Result<Self> {
        match (kind, asked_by) {
            ("cycle", None) => Ok(Self::Cycle(id.into())),
            ("person", Some(by)) => Ok(Self::Person { decision: id.into(), by: by.into() }),
            (other, _) => Err(Error::unreadable("cause", format!("`{other}` with such a person"))),
        }
    }
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// What asked for it.
    pub cause: Cause,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it found, once it ended; nothing before.
    pub findings: Findings,
    /// How many proposals it made.
    pub proposals_made: u32,
    /// Why it failed.
    pub error_code: Option<ErrorCode>,
}

/// What an evaluation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The moment up to which the numbers were complete.
    pub as_of: Option<DateTime<Utc>>,
    /// The pulls that the numbers came from.
    pub pulls: Vec<PullId>,
    /// Lines that were judged.
    pub lines_judged: u32,
    /// Lines that were not, by reason.
    pub not_judged: BTreeMap<String, u32>,
}

/// Opens the decision of a cause. A second call for the same cause returns the decision of the first.
///
/// # Errors
/// As any statement.
pub async fn open(tx: &mut Tx, cause: Cause, at: DateTime<Utc>) -> Result<Decision> {
    let (id, by) = match cause {
        Cause::Cycle(_) => (DecisionId::new(), None),
        Cause::Person { decision, by } => (decision, Some(by)),
    };
    let org = tx.org();
    sqlx::query!(
        "INSERT INTO decisions (org_id, id, cause, cause_id, asked_by, started_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (org_id, cause, cause_id) DO NOTHING",
        org.uuid(),
        id.uuid(),
        cause.kind(),
        cause.id(),
        by.map(UserId::uuid),
        at,
    )
    .execute(tx.conn())
    .await?;
    let row =
        decisions!("WHERE d.cause = $1 AND d.cause_id = $2", cause.kind(), cause.id()).fetch_one(tx.conn()).await?;
    row.try_into()
}

/// Ends an evaluation with what it found; false when it had ended before, and then nothing changes.
///
/// # Errors
/// As any statement.
pub async fn finish(tx: &mut Tx, id: DecisionId, findings: &Findings, at: DateTime<Utc>) -> Result<bool> {
    let Findings { as_of, pulls, lines_judged, not_judged } = findings;
    let pulls: Vec<Uuid> = pulls.iter().map(|pull| pull.uuid()).collect();
    let done = sqlx::query!(
        "UPDATE decisions SET finished_at = $2, as_of = $3, pulls = $4, lines_judged = $5, not_judged = $6
         WHERE id = $1 AND finished_at IS NULL",
        id.uuid(),
        at,
        *as_of,
        &pulls,
        stored::<u32, i32>("lines_judged", *lines_judged)?,
        to_json("not_judged", not_judged)?,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends an evaluation that can't go on; false when it had ended before.
///
/// # Errors
/// As any statement.
pub async fn fail(tx: &mut Tx, id: DecisionId, code: ErrorCode, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE decisions SET finished_at = $2, error_code = $3 WHERE id = $1 AND finished_at IS NULL",
        id.uuid(),
        at,
        code.code(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// One decision.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: DecisionId) -> Result<Decision> {
    let row = decisions!("WHERE d.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "decision" })?.try_into()
}

macro_rules! decisions {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT d.id, d.cause, d.cause_id, d.asked_by, d.started_at, d.finished_at, d.as_of, d.pulls, d.lines_judged,
                      d.not_judged, d.error_code,
                      (SELECT count(*) FROM proposals p WHERE p.org_id = d.org_id AND p.decision_id = d.id)
                          AS "proposals_made!"
               FROM decisions d "#
                + $which
            $(, $argument)*
        )
    };
}
use decisions;

struct Row {
    id: Uuid,
    cause: String,
    cause_id: Uuid,
    asked_by: Option<Uuid>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    as_of: Option<DateTime<Utc>>,
    pulls: Vec<Uuid>,
    lines_judged: i32,
    not_judged: Value,
    error_code: Option<String>,
    proposals_made: i64,
}

impl TryFrom<Row> for Decision {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row {
            id,
            cause,
            cause_id,
            asked_by,
            started_at,
            finished_at,
            as_of,
            pulls,
            lines_judged,
            not_judged,
            error_code: code,
            proposals_made,
        } = row;
        Ok(Self {
            id: id.into(),
            cause: Cause::read(&cause, cause_id, asked_by)?,
            started_at,
            finished_at,
            findings: Findings {
                as_of,
                pulls: pulls.into_iter().map(PullId::from_uuid).collect(),
                lines_judged: count("lines_judged", lines_judged)?,
                not_judged: json("not_judged", not_judged)?,
            },
            proposals_made: count("proposals_made", proposals_made)?,
            error_code: error_code(code.as_deref())?,
        })
    }
}
