//! Attempts to send a change: recorded before anything is sent, settled when the outcome is known.
//!
//! An attempt's id is the key of its effect. There is at most one that is not settled, so nothing is sent while the
//! outcome of an earlier sending is in doubt.

use chrono::{DateTime, Utc};
use domain::ids::{AttemptId, ProposalId};
use domain::write_back::Event;
use uuid::Uuid;

use crate::audit::Actor;
use crate::convert::{count, parsed_option, stored};
use crate::error::{Error, Result};
use crate::proposal::{self, Detail};
use crate::store::Tx;

/// How often a change may be attempted.
pub const ATTEMPTS_MOST: u32 = 5;

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The value stands in the platform.
    Applied,
    /// The platform was read and has the value before.
    Absent,
    /// The platform was read and has another value.
    Other,
    /// The platform refused.
    Refused,
}

/// An attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its id: the key of its effect.
    pub id: AttemptId,
    /// The proposal.
    pub proposal: ProposalId,
    /// The first, second, … attempt.
    pub number: u32,
    /// When it was recorded.
    pub begun_at: DateTime<Utc>,
    /// When it was about to be sent; from then on it may have an effect.
    pub sent_at: Option<DateTime<Utc>>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// When that was known.
    pub settled_at: Option<DateTime<Utc>>,
}

/// Records the intent to send: the attempt's row and the proposal's step to applying, together. When this attempt exists,
/// or another one is not settled, that one is returned and nothing changes.
///
/// # Errors
/// [`Error::Frozen`]; [`Error::TooManyAttempts`]; [`Error::Forbidden`] when the proposal is not approved;
/// [`Error::NotFound`].
pub async fn begin(tx: &mut Tx, proposal: ProposalId, number: u32, at: DateTime<Utc>) -> Result<Attempt> {
    let locked = proposal::lock(tx, proposal).await?;
    if let Some(attempt) = find(tx, proposal, number).await? {
        return Ok(attempt);
    }
    if !(1..=ATTEMPTS_MOST).contains(&number) {
        return Err(Error::TooManyAttempts { most: ATTEMPTS_MOST });
    }
    refuse_frozen(tx).await?;
    proposal::advance(tx, &locked, Event::Begin, &Detail::by(Actor::System, at)).await?;
    let (org, id) = (tx.org(), AttemptId::new());
    sqlx::query!(
        "INSERT INTO attempts (org_id, id, proposal_id, number, begun_at) VALUES ($1, $2, $3, $4, $5)",
        org.uuid(),
        id.uuid(),
        proposal.uuid(),
        stored::<u32, i32>("number", number)?,
        at,
    )
    .execute(tx.conn())
    .await?;
    fetch(tx, id).await
}

/// Says that the attempt is about to be sent; false when that was said before: then it may have been sent and must not be
/// sent again.
///
/// # Errors
/// As any statement.
pub async fn mark_sent(tx: &mut Tx, id: AttemptId, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE attempts SET sent_at = $2 WHERE id = $1 AND sent_at IS NULL AND outcome IS NULL",
        id.uuid(),
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes [`mark_sent`] back: the caller knows that nothing left this machine. False when the attempt is settled.
///
/// # Errors
/// As any statement.
pub async fn unmark_sent(tx: &mut Tx, id: AttemptId) -> Result<bool> {
    let done = sqlx::query!("UPDATE attempts SET sent_at = NULL WHERE id = $1 AND outcome IS NULL", id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Records what an attempt came to; false when that was known.
///
/// # Errors
/// As any statement.
pub async fn settle(tx: &mut Tx, id: AttemptId, outcome: Outcome, at: DateTime<Utc>) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE attempts SET outcome = $2, settled_at = $3 WHERE id = $1 AND outcome IS NULL",
        id.uuid(),
        outcome.to_string(),
        at,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// One attempt.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: AttemptId) -> Result<Attempt> {
    let row = attempts!("WHERE id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "attempt" })?.try_into()
}

/// All attempts of a proposal, first to last.
///
/// # Errors
/// As any statement.
pub async fn list(tx: &mut Tx, proposal: ProposalId) -> Result<Vec<Attempt>> {
    let rows = attempts!("WHERE proposal_id = $1 ORDER BY number", proposal.uuid()).fetch_all(tx.conn()).await?;
    rows.into_iter().map(Attempt::try_from).collect()
}

/// The attempt that is not settled, or else the one with this number.
async fn find(tx: &mut Tx, proposal: ProposalId, number: u32) -> Result<Option<Attempt>> {
    let row = attempts!(
        "WHERE proposal_id = $1 AND (outcome IS NULL OR number = $2) ORDER BY outcome IS NULL DESC LIMIT 1",
        proposal.uuid(),
        stored::<u32, i32>("number", number)?
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Attempt::try_from).transpose()
}

/// The freeze switch can't be thrown between this check and the end of the transaction.
async fn refuse_frozen(tx: &mut Tx) -> Result<()> {
    let row = sqlx::query!("SELECT frozen FROM organisations WHERE org_id = $1 FOR SHARE", tx.org().uuid())
        .fetch_one(tx.conn())
        .await?;
    if row.frozen { Err(Error::Frozen) } else { Ok(()) }
}

macro_rules! attempts {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT id, proposal_id, number, begun_at, sent_at, outcome, settled_at FROM attempts " + $which
            $(, $argument)*
        )
    };
}
use attempts;

struct Row {
    id: Uuid,
    proposal_id: Uuid,
    number: i32,
    begun_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
    settled_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Attempt {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let Row { id, proposal_id, number, begun_at, sent_at, outcome, settled_at } = row;
        Ok(Self {
            id: id.into(),
            proposal: proposal_id.into(),
            number: count("number", number)?,
            begun_at,
            sent_at,
            outcome: parsed_option("outcome", outcome.as_deref())?,
            settled_at,
        })
    }
}
