//! Reading proposals, with the names of everything that they concern.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::Flight;
use domain::entity::Field;
use domain::ids::{EntityId, OrgId, ProposalId};
use domain::write_back::State;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Live, Origin, Proposal};
use crate::approval::Answer;
use crate::convert::{self, count, error_code, json, parsed};
use crate::entity::Known;
use crate::error::{Error, Result};
use crate::page::{PAGE_MOST, Page, Paged};
use crate::store::{Store, Tx};

/// Which proposals a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Those to which something may still happen.
    Open,
    /// Those to which nothing will.
    Closed,
    /// All.
    All,
}

/// One proposal.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn fetch(tx: &mut Tx, id: ProposalId) -> Result<Proposal> {
    let row = proposals!("WHERE p.id = $1", id.uuid()).fetch_optional(tx.conn()).await?;
    row.ok_or(Error::NotFound { noun: "proposal" })?.try_into()
}

/// A page of proposals, newest first.
///
/// # Errors
/// As any statement.
pub async fn page(tx: &mut Tx, filter: Filter, page: Page) -> Result<Paged<Proposal>> {
    let rows = proposals!(
        "WHERE (p.created_at, p.id) < ($1, $2)
           AND (p.state IN ('proposed', 'approved', 'applying', 'unknown') AND $3
             OR p.state NOT IN ('proposed', 'approved', 'applying', 'unknown') AND $4)
         ORDER BY p.created_at DESC, p.id DESC LIMIT $5",
        page.before_at(),
        page.before_id(),
        filter != Filter::Closed,
        filter != Filter::Open,
        page.fetch()
    )
    .fetch_all(tx.conn())
    .await?;
    let proposals = rows.into_iter().map(Proposal::try_from).collect::<Result<_>>()?;
    Ok(Paged::new(page, proposals, |proposal: &Proposal| (proposal.created_at, proposal.id.uuid())))
}

/// The newest proposals for a campaign's orders and lines.
///
/// # Errors
/// As any statement.
pub async fn list_of_campaign(tx: &mut Tx, campaign: &Known) -> Result<Vec<Proposal>> {
    let rows = proposals!(
        "WHERE e.account_id = $1 AND e.campaign_id = $2 ORDER BY p.created_at DESC, p.id DESC LIMIT $3",
        campaign.account.uuid(),
        campaign.entity.platform_id,
        i64::from(PAGE_MOST)
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Proposal::try_from).collect()
}

/// How many proposals are open.
///
/// # Errors
/// As any statement.
pub async fn count_open(tx: &mut Tx) -> Result<u64> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!" FROM proposals WHERE state IN ('proposed', 'approved', 'applying', 'unknown')"#
    )
    .fetch_one(tx.conn())
    .await?;
    count("count", row.count)
}

/// The open proposals of all organisations, in the order of their ids: a slice after an id.
///
/// # Errors
/// As any statement.
pub async fn open_everywhere(store: &Store, after: Option<ProposalId>, limit: u32) -> Result<Vec<(OrgId, ProposalId)>> {
    let rows = sqlx::query!(
        r#"SELECT org_id AS "org_id!", id AS "id!" FROM proposals_open($1, $2)"#,
        after.map_or_else(Uuid::nil, ProposalId::uuid),
        i32::try_from(limit).unwrap_or(i32::MAX),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.org_id.into(), row.id.into())).collect())
}

/// The open proposal of each of these entities that has one.
///
/// # Errors
/// As any statement.
pub async fn open_by_entity(tx: &mut Tx, entities: &[EntityId]) -> Result<BTreeMap<EntityId, ProposalId>> {
    let ids: Vec<Uuid> = entities.iter().map(|entity| entity.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT entity_id, id FROM proposals
         WHERE entity_id = ANY($1) AND state IN ('proposed', 'approved', 'applying', 'unknown')",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.entity_id.into(), row.id.into())).collect())
}

macro_rules! proposals {
    ($which:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT p.id, p.state, p.change_hash, p.connection_id, n.platform, p.account_id, a.name AS account_name,
                      a.time_zone, c.id AS "campaign_id?", c.name AS "campaign_name?", p.entity_id,
                      e.level AS entity_level, e.platform_id AS entity_platform_id, e.name AS entity_name, e.first_day,
                      e.last_day, e.budget, p.field, p.before, p.after, p.currency, p.limited, p.pacing, p.settled,
                      p.rule_id, p.rule_version, p.decision_id, p.proposed_by, coalesce(r.name, m.user_name) AS origin_name,
                      coalesce(cardinality(d.pulls), 0) AS "pulls!", d.finished_at AS "judged_at?", p.created_at,
                      p.expires_at, p.closed_at, v.verdict AS "verdict?", v.user_id AS "answered_by?",
                      v.user_name AS "answered_by_name?", v.reason AS "reason?", v.decided_at AS "answered_at?", p.live,
                      p.live_read_at, e.daily_budget AS last_read, e.read_at AS last_read_at, p.error_code, p.error_detail
               FROM proposals p
               JOIN connections n ON n.org_id = p.org_id AND n.id = p.connection_id
               JOIN accounts a ON a.org_id = p.org_id AND a.id = p.account_id
               JOIN entities e ON e.org_id = p.org_id AND e.id = p.entity_id
               LEFT JOIN entities c ON c.org_id = e.org_id AND c.account_id = e.account_id AND c.level = 'campaign'
                                   AND c.platform_id = e.campaign_id
               LEFT JOIN rules r ON r.org_id = p.org_id AND r.id = p.rule_id
               LEFT JOIN memberships m ON m.org_id = p.org_id AND m.user_id = p.proposed_by
               LEFT JOIN decisions d ON d.org_id = p.org_id AND d.id = p.decision_id
               LEFT JOIN LATERAL (
                   SELECT o.verdict, o.user_id, u.user_name, o.reason, o.decided_at
                   FROM approvals o JOIN memberships u ON u.org_id = o.org_id AND u.user_id = o.user_id
                   WHERE o.org_id = p.org_id AND o.proposal_id = p.id ORDER BY o.decided_at DESC LIMIT 1
               ) v ON true "#
                + $which
            $(, $argument)*
        )
    };
}
use proposals;

struct Row {
    id: Uuid,
    state: String,
    change_hash: String,
    connection_id: Uuid,
    platform: String,
    account_id: Uuid,
    account_name: String,
    time_zone: String,
    campaign_id: Option<Uuid>,
    campaign_name: Option<String>,
    entity_id: Uuid,
    entity_level: String,
    entity_platform_id: String,
    entity_name: String,
    first_day: Option<NaiveDate>,
    last_day: Option<NaiveDate>,
    budget: Option<Decimal>,
    field: String,
    before: Decimal,
    after: Decimal,
    currency: String,
    limited: bool,
    pacing: Value,
    settled: String,
    rule_id: Option<Uuid>,
    rule_version: Option<i32>,
    decision_id: Option<Uuid>,
    proposed_by: Option<Uuid>,
    origin_name: Option<String>,
    pulls: i32,
    judged_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    verdict: Option<String>,
    answered_by: Option<Uuid>,
    answered_by_name: Option<String>,
    reason: Option<String>,
    answered_at: Option<DateTime<Utc>>,
    live: Option<Decimal>,
    live_read_at: Option<DateTime<Utc>>,
    last_read: Option<Decimal>,
    last_read_at: DateTime<Utc>,
    error_code: Option<String>,
    error_detail: Option<String>,
}

impl TryFrom<Row> for Proposal {
    type Error = Error;

    // Too many fields to name twice: a column that is not read is reported by the compiler as dead code.
    fn try_from(row: Row) -> Result<Self> {
        let (origin, flight, answer, live) = (row.origin()?, row.flight()?, row.answer()?, row.live()?);
        let currency = parsed("currency", &row.currency)?;
        Ok(Self {
            id: row.id.into(),
            state: parsed("state", &row.state)?,
            change_hash: row.change_hash,
            connection: row.connection_id.into(),
            platform: parsed("platform", &row.platform)?,
            account: row.account_id.into(),
            account_name: row.account_name,
            campaign: row.campaign_id.map(EntityId::from_uuid),
            campaign_name: row.campaign_name,
            entity: row.entity_id.into(),
            entity_level: parsed("level", &row.entity_level)?,
            entity_platform_id: row.entity_platform_id,
            entity_name: row.entity_name,
            flight,
            field: parsed("field", &row.field)?,
            before: convert::money(row.before, currency),
            after: convert::money(row.after, currency),
            limited: row.limited,
            pacing: json("pacing", row.pacing)?,
            settled: parsed("settled", &row.settled)?,
            origin,
            origin_name: row.origin_name,
            pulls: count("pulls", row.pulls)?,
            judged_at: row.judged_at,
            created_at: row.created_at,
            expires_at: row.expires_at,
            closed_at: row.closed_at,
            answer,
            live,
            error_code: error_code(row.error_code.as_deref())?,
            error_detail: row.error_detail,
        })
    }
}

impl Row {
    fn origin(&self) -> Result<Origin> {
        match (self.rule_id, self.rule_version, self.decision_id, self.proposed_by) {
            (Some(rule), Some(version), Some(decision), None) => Ok(Origin::Rule {
                rule: rule.into(),
                version: count("rule_version", version)?,
                decision: decision.into(),
            }),
            (None, None, None, Some(person)) => Ok(Origin::Person(person.into())),
            _ => Err(Error::unreadable("rule_id", "neither a rule nor a person proposed it")),
        }
    }

    fn flight(&self) -> Result<Option<Flight>> {
        let (Some(first), Some(last), Some(budget)) = (self.first_day, self.last_day, self.budget) else {
            return Ok(None);
        };
        let zone = parsed("time_zone", &self.time_zone)?;
        let budget = convert::money(budget, parsed("currency", &self.currency)?);
        Ok(Some(Flight { days: convert::days(first, last)?, zone, budget }))
    }

    /// What the platform said last: to this proposal's own reading, or, as long as nothing of it can have been sent, to
    /// that of its campaigns and lines.
    fn live(&self) -> Result<Option<Live>> {
        let waits = matches!(parsed("state", &self.state)?, State::Proposed | State::Approved);
        let last = match parsed("field", &self.field)? {
            Field::DailyBudget => self.last_read.map(|amount| (amount, self.last_read_at)),
        };
        let newest =
            self.live.zip(self.live_read_at).into_iter().chain(last.filter(|_| waits)).max_by_key(|(_, at)| *at);
        let currency = parsed("currency", &self.currency)?;
        Ok(newest.map(|(amount, read_at)| Live { value: convert::money(amount, currency), read_at }))
    }

    fn answer(&self) -> Result<Option<Answer>> {
        let (Some(verdict), Some(by), Some(by_name), Some(at)) =
            (&self.verdict, self.answered_by, &self.answered_by_name, self.answered_at)
        else {
            return Ok(None);
        };
        let (verdict, reason) = (parsed("verdict", verdict)?, self.reason.clone());
        Ok(Some(Answer { verdict, by: by.into(), by_name: by_name.clone(), reason, at }))
    }
}
