//! Proposals: suggested changes and how far they have come.
//!
//! A proposal moves only by the laws of [`domain::write_back`], under a lock of its row, with a line in the audit trail in
//! the same transaction. A person's yes or no goes through [`crate::approval`], the intent to send through
//! [`crate::attempt`]; [`transition`] refuses both.

mod list;

use chrono::{DateTime, Utc};
use domain::entity::{Field, Level};
use domain::ids::{AccountId, ConnectionId, DecisionId, EntityId, ProposalId, RuleId, UserId};
use domain::pacing::Pacing;
use domain::write_back::{Change, Event, Forbidden, State};
use domain::{EntityKey, ErrorCode, Finality, Flight, Money, Platform};
use serde_json::json;
use uuid::Uuid;

use crate::approval::Answer;
use crate::audit::{self, Actor};
use crate::convert::{self, count, parsed, stored, to_json};
use crate::entity;
use crate::error::{Error, Result};
use crate::intent;
use crate::store::Tx;

pub use list::{Filter, count_open, fetch, list_of_campaign, open_by_entity, open_everywhere, page};

/// The most overdue proposals that are closed at once: one for each of more lines than any agency has.
const EXPIRE_MOST: i64 = 200_000;

/// Who proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A rule, in an evaluation.
    Rule {
        /// Which.
        rule: RuleId,
        /// Which version of it.
        version: u32,
        /// The evaluation.
        decision: DecisionId,
    },
    /// A person.
    Person(UserId),
}

/// A change to be proposed.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Who proposes it.
    pub origin: Origin,
    /// What is to be changed.
    pub entity: EntityId,
    /// Which of its settings.
    pub field: Field,
    /// The value assumed to be in force.
    pub before: Money,
    /// The value that is to be in force.
    pub after: Money,
    /// Whether a limit of the rule cut the change short.
    pub limited: bool,
    /// The pacing that it is based on.
    pub pacing: Pacing,
    /// How settled the numbers were.
    pub settled: Finality,
    /// Until when it may be decided.
    pub expires_at: DateTime<Utc>,
}

/// A proposal with the names of everything that it concerns.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its id.
    pub id: ProposalId,
    /// How far it has come.
    pub state: State,
    /// The hash that a decision must carry.
    pub change_hash: String,
    /// The connection through which it would be made.
    pub connection: ConnectionId,
    /// The platform.
    pub platform: Platform,
    /// The account.
    pub account: AccountId,
    /// What people call the account.
    pub account_name: String,
    /// The campaign, where it is known.
    pub campaign: Option<EntityId>,
    /// What people call the campaign.
    pub campaign_name: Option<String>,
    /// What is to be changed.
    pub entity: EntityId,
    /// Its level.
    pub entity_level: Level,
    /// The platform's id of it.
    pub entity_platform_id: String,
    /// What people call it.
    pub entity_name: String,
    /// Its budget over its days, as last read.
    pub flight: Option<Flight>,
    /// Which of its settings is to be changed.
    pub field: Field,
    /// The value assumed to be in force.
    pub before: Money,
    /// The value that is to be in force.
    pub after: Money,
    /// Whether a limit of the rule cut the change short.
    pub limited: bool,
    /// The pacing that it is based on.
    pub pacing: Pacing,
    /// How settled the numbers were.
    pub settled: Finality,
    /// Who proposed it.
    pub origin: Origin,
    /// What people call whoever proposed it.
    pub origin_name: Option<String>,
    /// How many pulls the numbers came from.
    pub pulls: u32,
    /// When the evaluation ended that it came from.
    pub judged_at: Option<DateTime<Utc>>,
    /// When it was proposed.
    pub created_at: DateTime<Utc>,
    /// Until when it may be decided.
    pub expires_at: DateTime<Utc>,
    /// When it was closed.
    pub closed_at: Option<DateTime<Utc>>,
    /// The newest answer of a person.
    pub answer: Option<Answer>,
    /// The value last read from the platform.
    pub live: Option<Live>,
    /// What went wrong.
    pub error_code: Option<ErrorCode>,
    /// What the platform said about it.
    pub error_detail: Option<String>,
}

impl Proposal {
    /// The change that it names.
    #[must_use]
    pub fn change(&self) -> Change {
        let entity = EntityKey {
            connection: self.connection,
            account: self.account,
            level: self.entity_level,
            platform_id: self.entity_platform_id.clone(),
        };
        Change { entity, field: self.field, before: self.before, after: self.after }
    }
}

/// A value read from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The value.
    pub value: Money,
    /// When it was read.
    pub read_at: DateTime<Utc>,
}

/// What comes with an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// Who caused it.
    pub actor: Actor,
    /// When.
    pub at: DateTime<Utc>,
    /// The value that was read from the platform.
    pub live: Option<Live>,
    /// What went wrong, with what the platform said; nothing clears what was recorded before.
    pub problem: Option<(ErrorCode, Option<String>)>,
    /// A person's reason.
    pub reason: Option<String>,
}

impl Detail {
    /// Nothing but who and when.
    #[must_use]
    pub const fn by(actor: Actor, at: DateTime<Utc>) -> Self {
        Self { actor, at, live: None, problem: None, reason: None }
    }
}

/// Proposes a change: its row, the intent to start its workflow, and an audit line, all together. `None` when a proposal
/// for this setting is open.
///
/// # Errors
/// [`Error::NotFound`] when there is no such entity; [`Error::Money`] when an amount is not in its currency.
pub async fn create(tx: &mut Tx, new: &New, at: DateTime<Utc>) -> Result<Option<ProposalId>> {
    let known = entity::fetch(tx, new.entity).await?;
    for amount in [new.before, new.after] {
        amount.checked_sub(Money::zero(known.currency))?;
    }
    let Some(id) = insert(tx, new, &known, at).await? else { return Ok(None) };
    intent::create(tx, intent::Kind::WriteBack, id.uuid(), at, at).await?;
    let actor = match new.origin {
        Origin::Rule { rule, .. } => Actor::Rule(rule),
        Origin::Person(user) => Actor::Person(user),
    };
    let entry = audit::Entry {
        actor,
        action: "proposal.create".to_owned(),
        subject: "proposal",
        subject_id: id.uuid(),
        title: known.entity.name,
        before: Some(json!({new.field.to_string(): new.before})),
        after: Some(json!({new.field.to_string(): new.after, "state": State::Proposed})),
    };
    audit::record(tx, &entry, at).await?;
    Ok(Some(id))
}

/// Moves a proposal by an event and records it.
///
/// # Errors
/// [`Error::Forbidden`] when the event can't happen in its state, or belongs to [`crate::approval`] or
/// [`crate::attempt`]; [`Error::NotFound`].
pub async fn transition(tx: &mut Tx, id: ProposalId, event: Event, detail: &Detail) -> Result<State> {
    let locked = lock(tx, id).await?;
    if matches!(event, Event::Approve | Event::Reject | Event::Begin) {
        return Err(Forbidden { state: locked.state, event }.into());
    }
    advance(tx, &locked, event, detail).await
}

/// Closes every proposal that nobody decided in time, each with its audit line, and says how many that were.
///
/// The timer of a proposal's workflow does the same, in its own time. It may be lost, or lag behind a clock that was moved;
/// a proposal that waits for ever would keep every later one for the same setting from being made.
///
/// # Errors
/// As any statement.
pub async fn expire_overdue(tx: &mut Tx, at: DateTime<Utc>) -> Result<u32> {
    let rows = sqlx::query!(
        "SELECT id FROM proposals WHERE state = 'proposed' AND expires_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE",
        at,
        EXPIRE_MOST,
    )
    .fetch_all(tx.conn())
    .await?;
    let problem = Some((ErrorCode::ProposalExpired, None));
    let detail = Detail { problem, ..Detail::by(Actor::System, at) };
    for row in &rows {
        let locked = lock(tx, row.id.into()).await?;
        advance(tx, &locked, Event::Expire, &detail).await?;
    }
    count("expired", i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

/// Says why an open proposal does not go on for now; the next event that moves it takes that back.
///
/// # Errors
/// As any statement.
pub async fn note_problem(tx: &mut Tx, id: ProposalId, code: ErrorCode, detail: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE proposals SET error_code = $2, error_detail = $3
         WHERE id = $1 AND state IN ('approved', 'applying', 'unknown')",
        id.uuid(),
        code.code(),
        detail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A proposal whose row is locked until the end of the transaction.
#[derive(Debug)]
pub(crate) struct Locked {
    id: ProposalId,
    title: String,
    pub(crate) state: State,
    pub(crate) change_hash: String,
    pub(crate) proposed_by: Option<UserId>,
    pub(crate) expires_at: DateTime<Utc>,
}

pub(crate) async fn lock(tx: &mut Tx, id: ProposalId) -> Result<Locked> {
    let row = sqlx::query!(
        "SELECT p.state, p.change_hash, p.proposed_by, p.expires_at, e.name
         FROM proposals p JOIN entities e ON e.org_id = p.org_id AND e.id = p.entity_id
         WHERE p.id = $1 FOR UPDATE OF p",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound { noun: "proposal" })?;
    Ok(Locked {
        id,
        title: row.name,
        state: parsed("state", &row.state)?,
        change_hash: row.change_hash,
        proposed_by: row.proposed_by.map(UserId::from_uuid),
        expires_at: row.expires_at,
    })
}

/// Moves a locked proposal by any event.
pub(crate) async fn advance(tx: &mut Tx, locked: &Locked, event: Event, detail: &Detail) -> Result<State> {
    let next = locked.state.after(event)?;
    let Detail { actor, at, live, problem, reason } = detail;
    let (code, said) = problem.as_ref().map(|(code, said)| (code.code(), said.as_deref())).unzip();
    sqlx::query!(
        "UPDATE proposals
         SET state = $2, closed_at = $3, live = coalesce($4, live), live_read_at = coalesce($5, live_read_at),
             error_code = $6, error_detail = $7
         WHERE id = $1",
        locked.id.uuid(),
        next.to_string(),
        next.is_closed().then_some(*at),
        live.map(|live| convert::amount("live", live.value.amount())).transpose()?,
        live.map(|live| live.read_at),
        code,
        said.flatten(),
    )
    .execute(tx.conn())
    .await?;
    let entry = audit::Entry {
        actor: *actor,
        action: format!("proposal.{event}"),
        subject: "proposal",
        subject_id: locked.id.uuid(),
        title: locked.title.clone(),
        before: Some(json!({"state": locked.state})),
        after: Some(json!({
            "state": next, "live": live.map(|live| live.value), "problem": code, "reason": reason,
        })),
    };
    audit::record(tx, &entry, *at).await?;
    Ok(next)
}

async fn insert(tx: &mut Tx, new: &New, known: &entity::Known, at: DateTime<Utc>) -> Result<Option<ProposalId>> {
    let New { origin, entity, field, before, after, limited, pacing, settled, expires_at } = new;
    let change = Change { entity: known.key(), field: *field, before: *before, after: *after };
    let (rule, version, decision, person) = match origin {
        Origin::Rule { rule, version, decision } => (Some(rule), Some(*version), Some(decision), None),
        Origin::Person(user) => (None, None, None, Some(user)),
    };
    let (org, id) = (tx.org(), ProposalId::new());
    let done = sqlx::query!(
        "INSERT INTO proposals (org_id, id, rule_id, rule_version, decision_id, proposed_by, connection_id, account_id,
                                entity_id, field, before, after, currency, limited, pacing, settled, change_hash, state,
                                created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'proposed', $18, $19)
         ON CONFLICT (org_id, entity_id, field) WHERE state IN ('proposed', 'approved', 'applying', 'unknown') DO NOTHING",
        org.uuid(),
        id.uuid(),
        rule.map(|rule| rule.uuid()) as Option<Uuid>,
        version.map(|version| stored::<u32, i32>("rule_version", version)).transpose()?,
        decision.map(|decision| decision.uuid()) as Option<Uuid>,
        person.map(|person| person.uuid()) as Option<Uuid>,
        known.connection.uuid(),
        known.account.uuid(),
        entity.uuid(),
        field.to_string(),
        convert::amount("before", before.amount())?,
        convert::amount("after", after.amount())?,
        known.currency.code(),
        limited,
        to_json("pacing", pacing)?,
        settled.to_string(),
        change.hash(*expires_at),
        at,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok((done.rows_affected() > 0).then_some(id))
}
