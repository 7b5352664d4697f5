//! Approvals: what persons decided about proposals, each bound to the hash of what they saw.

use chrono::{DateTime, Utc};
use domain::ids::{ProposalId, UserId};
use domain::write_back::{Event, State};

use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::proposal::{self, Detail, Locked};
use crate::store::Tx;

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Do it.
    Approve,
    /// Don't.
    Reject,
    /// No longer wanted.
    Cancel,
}

impl Verdict {
    const fn event(self) -> Event {
        match self {
            Self::Approve => Event::Approve,
            Self::Reject => Event::Reject,
            Self::Cancel => Event::Cancel,
        }
    }
}

/// A decision to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decided.
    pub by: UserId,
    /// What.
    pub verdict: Verdict,
    /// The hash of the change that they saw.
    pub change_hash: String,
    /// Why, where they said so.
    pub reason: Option<String>,
}

/// A decision that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was decided.
    pub verdict: Verdict,
    /// By whom.
    pub by: UserId,
    /// What they are called.
    pub by_name: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Records a decision and moves the proposal by it, with its audit line. The same decision of the same person recorded
/// again changes nothing and says how the proposal stands.
///
/// # Errors
/// [`Error::ApprovalStale`], [`Error::AlreadyDecided`], [`Error::OwnProposal`], [`Error::ProposalExpired`],
/// [`Error::NotFound`]; then nothing is recorded.
pub async fn record(tx: &mut Tx, proposal: ProposalId, decision: &Decision, at: DateTime<Utc>) -> Result<State> {
    let locked = proposal::lock(tx, proposal).await?;
    if decision.change_hash != locked.change_hash {
        return Err(Error::ApprovalStale);
    }
    if is_recorded(tx, proposal, decision).await? {
        return Ok(locked.state);
    }
    let event = decision.verdict.event();
    locked.state.after(event).map_err(|_| match locked.state {
        State::Expired => Error::ProposalExpired,
        _ => Error::AlreadyDecided,
    })?;
    may_approve(&locked, decision, at)?;
    insert(tx, proposal, decision, at).await?;
    let detail = Detail { reason: decision.reason.clone(), ..Detail::by(Actor::Person(decision.by), at) };
    proposal::advance(tx, &locked, event, &detail).await
}

fn may_approve(locked: &Locked, decision: &Decision, at: DateTime<Utc>) -> Result<()> {
    if decision.verdict != Verdict::Approve {
        return Ok(());
    }
    if locked.proposed_by == Some(decision.by) {
        return Err(Error::OwnProposal);
    }
    if locked.expires_at <= at {
        return Err(Error::ProposalExpired);
    }
    Ok(())
}

async fn is_recorded(tx: &mut Tx, proposal: ProposalId, decision: &Decision) -> Result<bool> {
    let row = sqlx::query!(
        "SELECT user_id FROM approvals WHERE proposal_id = $1 AND verdict = $2 AND user_id = $3 AND change_hash = $4",
        proposal.uuid(),
        decision.verdict.to_string(),
        decision.by.uuid(),
        decision.change_hash,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.is_some())
}

async fn insert(tx: &mut Tx, proposal: ProposalId, decision: &Decision, at: DateTime<Utc>) -> Result<()> {
    let Decision { by, verdict, change_hash, reason } = decision;
    let org = tx.org();
    let done = sqlx::query!(
        "INSERT INTO approvals (org_id, proposal_id, user_id, verdict, change_hash, reason, decided_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        org.uuid(),
        proposal.uuid(),
        by.uuid(),
        verdict.to_string(),
        change_hash,
        reason.as_deref(),
        at,
    )
    .execute(tx.conn())
    .await?;
    if done.rows_affected() == 0 { Err(Error::AlreadyDecided) } else { Ok(()) }
}
