//! Proposals: the approval inbox.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use domain::entity::Field as Setting;
use domain::ids::{OrgId, ProposalId, UserId};
use domain::write_back::State as Progress;
use domain::{ErrorCode, Permission};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use store::audit;
use store::proposal::{self as rows, Filter, Origin};
use store::{Paged, Tx, organisation};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Id, Parameters};
use crate::paging::{self, Wanted};
use crate::problem::{Error, Problem, Result};
use crate::v1::campaign::Pacing;
use crate::v1::proposal_words as words;
use crate::wire::{Field, Money, Named, Page, Person, Platform, ProposalState, decimal};

const TAG: &str = "proposal";
const LIST: &str = "proposals";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// A change that is proposed, decided or done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proposal {
    /// The id.
    pub id: String,
    /// How far it is.
    pub state: ProposalState,
    /// What it is, in words.
    pub title: String,
    /// The platform.
    pub platform: Platform,
    /// The connection through which the change is made.
    pub connection_id: String,
    /// The advertiser.
    pub account: Named,
    /// The campaign.
    pub campaign: Named,
    /// The line whose setting is changed.
    pub line: LineRef,
    /// Which setting.
    pub field: Field,
    /// The setting's name in words.
    pub field_title: String,
    /// The value that it assumes to be in force.
    pub before: Money,
    /// The value that is to be in force.
    pub after: Money,
    /// after − before.
    pub difference: Money,
    /// The difference in percent of the value before; null where that is zero.
    #[schema(example = "-12.5")]
    pub percent: Option<String>,
    /// Whether the rule's limit cut the change short.
    pub limited: bool,
    /// What an approval is bound to: send back the one that you showed.
    pub change_hash: String,
    /// The most that could be spent beyond today's setting until the flight ends; null for a reduction.
    pub exposure: Option<Money>,
    /// Why it is proposed.
    pub why: Why,
    /// Who proposed it.
    pub proposed_by: Proposer,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it expires undecided.
    pub expires_at: DateTime<Utc>,
    /// Who decided.
    pub decided_by: Option<Person>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// What the platform had when it was last read.
    pub live: Option<LiveValue>,
    /// Whether the signed-in person may approve it.
    pub may_approve: bool,
    /// Why not, in words.
    pub may_not_approve_because: Option<String>,
    /// What happened to it, oldest first; empty in lists.
    pub history: Vec<ProposalEvent>,
    /// What went wrong.
    pub problem: Option<Problem>,
}

/// A line that a proposal is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineRef {
    /// The id.
    pub id: String,
    /// The platform's own id.
    pub platform_id: String,
    /// What people called it.
    pub name: String,
}

/// Why a change is proposed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Why {
    /// The reason, in words.
    pub sentence: String,
    /// The rule that found it.
    pub rule: Option<RuleRef>,
    /// How the line did then.
    pub pacing: Pacing,
    /// How many reports the numbers came from.
    pub pulls: i64,
    /// When it was found.
    pub decided_at: DateTime<Utc>,
}

/// A rule as it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleRef {
    /// The id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its version at the time.
    pub version: u32,
}

/// Who proposed a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proposer {
    /// A rule or a person.
    pub kind: ProposerKind,
    /// Its name.
    pub name: String,
}

/// What proposes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposerKind {
    /// A rule.
    Rule,
    /// A person.
    Person,
}

/// What a platform had when it was read.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveValue {
    /// The value.
    pub value: Money,
    /// When it was read.
    pub read_at: DateTime<Utc>,
}

/// Something that happened to a proposal.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProposalEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What, as a stable word.
    pub event: String,
    /// Who did it; null for the platform itself.
    pub by: Option<String>,
    /// What, in words.
    pub sentence: String,
}

/// Which proposals are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalView {
    /// Those that something will still happen to.
    Open,
    /// Those that are over.
    Closed,
}

/// Which proposals are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProposalFilter {
    /// Only the open, or only the closed.
    #[param(inline)]
    pub state: Option<ProposalView>,
}

/// The organisation's proposals, newest first.
#[utoipa::path(get, path = "/proposals", operation_id = "listProposals", tag = TAG,
    extensions(("x-permission" = json!("proposals.read"))), params(Wanted, ProposalFilter),
    responses((status = 200, body = Page<Proposal>)))]
async fn list(
    State(app): State<App>,
    session: Session,
    Parameters(wanted): Parameters<Wanted>,
    Parameters(filter): Parameters<ProposalFilter>,
) -> Result<impl IntoResponse> {
    let page = wanted.page(LIST)?;
    let which = match filter.state {
        Some(ProposalView::Open) => Filter::Open,
        Some(ProposalView::Closed) => Filter::Closed,
        None => Filter::All,
    };
    let may_decide = session.may(Permission::ProposalsDecide);
    let (app, org) = (&app, session.org);
    let found = app.reads.proposals.get((org, which, page, may_decide), || async move {
        Listed::read(app, org, which, page, may_decide).await.map(Arc::new)
    });
    let found = found.await?;
    let own = found.rows.items.iter().any(|row| row.origin == Origin::Person(session.user));
    let written = if own { found.write(Some(session.user))? } else { found.written.clone() };
    Ok(([(CONTENT_TYPE, "application/json")], written))
}

/// A page of proposals, read once for all who wait for it.
#[derive(Debug)]
pub struct Listed {
    rows: Paged<rows::Proposal>,
    viewer: Viewer,
    /// What everybody with these permissions sees who made none of them.
    written: Bytes,
}

impl Listed {
    async fn read(app: &App, org: OrgId, which: Filter, page: store::Page, may_decide: bool) -> Result<Self> {
        let mut tx = app.store.begin(org).await?;
        let viewer = Viewer::somebody(app, &mut tx, may_decide).await?;
        let rows = rows::page(&mut tx, which, page).await?;
        let mut listed = Self { rows, viewer, written: Bytes::new() };
        listed.written = listed.write(None)?;
        Ok(listed)
    }

    fn write(&self, user: Option<UserId>) -> Result<Bytes> {
        let viewer = Viewer { user, ..self.viewer };
        let page = paging::answer(LIST, self.rows.clone(), |row| Proposal::of(row, &viewer, Vec::new()));
        Ok(serde_json::to_vec(&page).map_err(Error::internal("write a page of proposals"))?.into())
    }
}

/// One proposal.
#[utoipa::path(get, path = "/proposals/{id}", operation_id = "getProposal", tag = TAG,
    extensions(("x-permission" = json!("proposals.read"))),
    params(("id" = String, Path, description = "The proposal.")), responses((status = 200, body = Proposal)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<ProposalId>) -> Result<axum::Json<Proposal>> {
    Ok(axum::Json(read(&app, &session, id).await?))
}

/// A proposal with its history, as the signed-in person sees it.
pub(super) async fn read(app: &App, session: &Session, id: ProposalId) -> Result<Proposal> {
    let mut tx = session.begin(app).await?;
    let viewer = Viewer::of(app, &mut tx, session).await?;
    let row = rows::fetch(&mut tx, id).await?;
    let history = audit::list_about(&mut tx, id.uuid()).await?.iter().map(words::event).collect();
    Ok(Proposal::of(row, &viewer, history))
}

/// Who looks, when, and whether changes are frozen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    /// `None` for somebody who made none of the proposals.
    user: Option<UserId>,
    now: DateTime<Utc>,
    frozen: bool,
    may_decide: bool,
}

impl Viewer {
    /// The signed-in person, now.
    pub(super) async fn of(app: &App, tx: &mut Tx, session: &Session) -> Result<Self> {
        let may_decide = session.may(Permission::ProposalsDecide);
        Ok(Self { user: Some(session.user), ..Self::somebody(app, tx, may_decide).await? })
    }

    /// Anybody who made none of the proposals, now.
    async fn somebody(app: &App, tx: &mut Tx, may_decide: bool) -> Result<Self> {
        let frozen = organisation::fetch(tx).await?.frozen;
        Ok(Self { user: None, now: app.now(), frozen, may_decide })
    }

    /// Why this person may not approve it now. The store decides the same once more when the decision is recorded.
    pub(super) fn obstacle(&self, row: &rows::Proposal) -> Option<ErrorCode> {
        match row.state {
            Progress::Proposed if row.expires_at <= self.now => Some(ErrorCode::ProposalExpired),
            Progress::Proposed if !self.may_decide => Some(ErrorCode::NotAllowed),
            Progress::Proposed if self.user.is_some_and(|user| row.origin == Origin::Person(user)) => {
                Some(ErrorCode::OwnProposal)
            }
            Progress::Proposed if self.frozen => Some(ErrorCode::Frozen),
            Progress::Proposed => None,
            Progress::Expired => Some(ErrorCode::ProposalExpired),
            _ => Some(ErrorCode::AlreadyDecided),
        }
    }
}

impl Proposal {
    fn of(row: rows::Proposal, viewer: &Viewer, history: Vec<ProposalEvent>) -> Self {
        let (obstacle, title, why) = (viewer.obstacle(&row), words::title(&row), Why::of(&row));
        let exposure = exposure(&row, viewer.now);
        let rows::Proposal {
            id,
            state,
            change_hash,
            connection,
            platform,
            account,
            account_name,
            campaign,
            campaign_name,
            entity,
            entity_level: _,
            entity_platform_id,
            entity_name,
            flight: _,
            field,
            before,
            after,
            limited,
            pacing: _,
            settled: _,
            origin,
            origin_name,
            pulls: _,
            judged_at: _,
            created_at,
            expires_at,
            closed_at: _,
            answer,
            live,
            error_code,
            error_detail,
        } = row;
        let (decided_by, decided_at) = answer.map(|answer| (Person { name: answer.by_name }, answer.at)).unzip();
        let difference = domain::Money::new(after.amount() - before.amount(), after.currency());
        Self {
            id: id.to_string(),
            state: state.into(),
            title,
            platform: platform.into(),
            connection_id: connection.to_string(),
            account: Named { id: account.to_string(), name: account_name },
            campaign: Named {
                id: campaign.map(|id| id.to_string()).unwrap_or_default(),
                name: campaign_name.unwrap_or_default(),
            },
            line: LineRef { id: entity.to_string(), platform_id: entity_platform_id, name: entity_name },
            field: field.into(),
            field_title: words::field(field).to_owned(),
            before: before.into(),
            after: after.into(),
            difference: difference.into(),
            percent: percent(before.amount(), difference.amount()),
            limited,
            change_hash,
            exposure: exposure.map(Into::into),
            why,
            proposed_by: proposer(origin, origin_name),
            created_at,
            expires_at,
            decided_by,
            decided_at,
            live: live.map(|live| LiveValue { value: live.value.into(), read_at: live.read_at }),
            may_approve: obstacle.is_none(),
            may_not_approve_because: obstacle.map(|code| code.explain().what.to_owned()),
            history,
            problem: error_code.map(|code| Problem::of(code).detailed(error_detail)),
        }
    }
}

impl Why {
    fn of(row: &rows::Proposal) -> Self {
        Self {
            sentence: words::why(row),
            rule: rule_of(row.origin, row.origin_name.as_deref()),
            pacing: Pacing::of(row.pacing, row.settled),
            pulls: row.pulls.into(),
            decided_at: row.judged_at.unwrap_or(row.created_at),
        }
    }
}

fn rule_of(origin: Origin, name: Option<&str>) -> Option<RuleRef> {
    match origin {
        Origin::Rule { rule, version, decision: _ } => {
            Some(RuleRef { id: rule.to_string(), name: name.unwrap_or("A former rule").to_owned(), version })
        }
        Origin::Person(_) => None,
    }
}

fn proposer(origin: Origin, name: Option<String>) -> Proposer {
    let (kind, otherwise) = match origin {
        Origin::Rule { .. } => (ProposerKind::Rule, "A former rule"),
        Origin::Person(_) => (ProposerKind::Person, "A former member"),
    };
    Proposer { kind, name: name.unwrap_or_else(|| otherwise.to_owned()) }
}

/// The difference in percent of the value before, to one place.
fn percent(before: Decimal, difference: Decimal) -> Option<String> {
    let share = difference.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(before)?;
    Some(decimal(share.round_dp_with_strategy(1, RoundingStrategy::MidpointAwayFromZero)))
}

/// What a raised daily budget could spend more than today's, on the days that are left of the flight.
fn exposure(row: &rows::Proposal, now: DateTime<Utc>) -> Option<domain::Money> {
    let Setting::DailyBudget = row.field;
    let days = row.flight?.days_left(now).ceil();
    let more = row.after.checked_sub(row.before).ok().filter(|more| more.amount() > Decimal::ZERO)?;
    more.checked_mul(days).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_percentage_has_one_place_and_none_of_nothing() {
        let percent = |before: i64, difference: i64| super::percent(before.into(), difference.into());
        assert_eq!(percent(80, -10).as_deref(), Some("-12.5"));
        assert_eq!(percent(30, 10).as_deref(), Some("33.3"));
        assert_eq!(percent(0, 10), None);
    }
}
