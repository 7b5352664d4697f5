//! Campaigns and their lines, with how they pace.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{AccountId, EntityId, OrgId};
use domain::rule::{NotJudged, PacingRule};
use domain::{DayRange, Level};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::entity::{self, Known, SLICE_MOST};
use store::{Tx, proposal, rule};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::delivery::{self, LineDelivery, Paced, SoFar};
use crate::extract::{Id, Parameters};
use crate::paging::{self, Wanted};
use crate::problem::{Error, Result};
use crate::v1::run::Days;
use crate::wire::{EntityStatus, Finality, Money, Named, NotJudgedReason, Page, Platform, decimal};

const TAG: &str = "campaign";
const LIST: &str = "campaigns";
const LONGEST_SEARCH: usize = 200;
/// More lines or campaigns than any agency has: what is beyond is not read.
const MOST_ENTITIES: usize = 50_000;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// A campaign in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CampaignSummary {
    /// The id.
    pub id: String,
    /// The platform.
    pub platform: Platform,
    /// The platform's own id.
    pub platform_id: String,
    /// What people called it.
    pub name: String,
    /// The advertiser.
    pub account: Named,
    /// The currency that it spends in.
    pub currency: String,
    /// Whether the platform would spend on it.
    pub status: EntityStatus,
    /// Its first day; null where it has none.
    pub first_day: Option<NaiveDate>,
    /// Its last day, included.
    pub last_day: Option<NaiveDate>,
    /// The zone in which its days lie.
    pub time_zone: String,
    /// How it does, in a word.
    pub pace: Pace,
    /// How it does: the sums of its lines that can be judged.
    pub pacing: Option<Pacing>,
    /// Why it is not judged: the reason of most of its lines; null where it is, and where it has no lines.
    pub not_judged_because: Option<NotJudgedReason>,
    /// What all its lines spent on the days that are known, judged or not.
    pub delivered: Option<Delivered>,
    /// How many lines it has.
    pub lines: i64,
    /// The money that would be spent too little or too much if it goes on like this.
    pub risk: Option<Money>,
}

/// A campaign with its lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct Campaign {
    /// The campaign.
    #[serde(flatten)]
    pub summary: CampaignSummary,
    /// Its lines.
    pub line_items: Vec<Line>,
}

/// What buys: DV360's line item.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    /// The id.
    pub id: String,
    /// The platform's own id.
    pub platform_id: String,
    /// What people called it.
    pub name: String,
    /// The name of the order that it belongs to.
    pub order_name: Option<String>,
    /// Whether the platform would spend on it.
    pub status: EntityStatus,
    /// The most that it may spend in a day.
    pub daily_budget: Option<Money>,
    /// Its first day.
    pub first_day: Option<NaiveDate>,
    /// Its last day, included.
    pub last_day: Option<NaiveDate>,
    /// How it does, in a word.
    pub pace: Pace,
    /// How it does; null where it can't be judged.
    pub pacing: Option<Pacing>,
    /// Why it is not judged; null where it is.
    pub not_judged_because: Option<NotJudgedReason>,
    /// What it spent on the days that are known, judged or not.
    pub delivered: Option<Delivered>,
    /// The proposal about it that is under way.
    pub open_proposal_id: Option<String>,
}

/// How something does, in a word, by the thresholds of the organisation's pacing rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Less was spent than should have been.
    Behind,
    /// As planned.
    OnPace,
    /// More was spent than should have been.
    Ahead,
    /// There is no flight, or no data, to judge by.
    NotJudged,
}

/// What was delivered against what should have been by the data's own as-of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pacing {
    /// What was spent up to `as_of`.
    pub delivered: Money,
    /// What should have been spent up to `as_of`.
    pub expected: Money,
    /// The whole flight's budget.
    pub budget: Money,
    /// delivered ÷ expected; null before anything is expected.
    #[schema(example = "0.8731")]
    pub index: Option<String>,
    /// What has to be spent per day to end on budget; null after the end.
    pub required_daily: Option<Money>,
    /// What it ends at if it goes on as it did so far.
    pub projected: Option<Money>,
    /// The moment up to which the data is complete.
    pub as_of: DateTime<Utc>,
    /// How settled the newest day in it is.
    pub finality: Finality,
}

/// What was spent on the days that are known.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Delivered {
    /// What was spent.
    pub amount: Money,
    /// On which days: complete ones, without a gap, the newest of them last.
    pub days: Days,
}

/// Which campaigns are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CampaignFilter {
    /// Only those that do like this.
    #[param(inline)]
    pub pace: Option<Pace>,
    /// Only those whose name, or whose advertiser's name, contains this text.
    #[param(max_length = 200)]
    pub q: Option<String>,
}

/// The organisation's campaigns, the riskiest first.
#[utoipa::path(get, path = "/campaigns", operation_id = "listCampaigns", tag = TAG,
    extensions(("x-permission" = json!("delivery.read"))), params(Wanted, CampaignFilter),
    responses((status = 200, body = Page<CampaignSummary>)))]
async fn list(
    State(app): State<App>,
    session: Session,
    Parameters(wanted): Parameters<Wanted>,
    Parameters(filter): Parameters<CampaignFilter>,
) -> Result<axum::Json<Page<CampaignSummary>>> {
    let (Wanted { cursor, limit }, CampaignFilter { pace, q }) = (wanted, filter);
    let limit = usize::try_from(paging::limit(limit)?).unwrap_or(usize::MAX);
    let after = paging::position::<Rank>(LIST, cursor.as_deref())?;
    let search = q.unwrap_or_default();
    if search.chars().count() > LONGEST_SEARCH {
        return Err(Error::invalid("/q", "This may have at most 200 characters."));
    }
    let search = search.trim().to_lowercase();
    let all = Campaigns::read(&app, session.org).await?;
    let mut found: Vec<(Rank, CampaignSummary)> = all
        .campaigns
        .iter()
        .filter(|campaign| campaign.matches(&search) && pace.is_none_or(|pace| campaign.pace(&all.rule) == pace))
        .map(|campaign| (campaign.rank(), campaign.summary(&all.rule)))
        .filter(|(rank, _)| after.as_ref().is_none_or(|after| rank > after))
        .collect();
    found.sort_by(|left, right| left.0.cmp(&right.0));
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).and_then(|(rank, _)| paging::encode(LIST, rank));
    Ok(axum::Json(Page { items: found.into_iter().map(|(_, summary)| summary).collect(), next_cursor }))
}

/// One campaign with its lines.
#[utoipa::path(get, path = "/campaigns/{id}", operation_id = "getCampaign", tag = TAG,
    extensions(("x-permission" = json!("delivery.read"))),
    params(("id" = String, Path, description = "The campaign.")), responses((status = 200, body = Campaign)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<EntityId>) -> Result<axum::Json<Campaign>> {
    let mut tx = session.begin(&app).await?;
    let rule = pacing_rule(&mut tx).await?;
    let (known, orders, lines) = fetch(&mut tx, id).await?;
    let ids: Vec<EntityId> = lines.iter().map(|line| line.id).collect();
    let open = proposal::open_by_entity(&mut tx, &ids).await?;
    drop(tx);
    let campaign = CampaignDelivery { known, lines: delivery::read(&app, session.org, lines).await? };
    let line = |line: &LineDelivery| {
        let order = orders.iter().find(|order| Some(&order.entity.platform_id) == line.line.entity.parent_id.as_ref());
        let open = open.get(&line.line.id).map(ToString::to_string);
        Line::of(line, order.map(|order| order.entity.name.clone()), open, &rule)
    };
    let line_items = campaign.lines.iter().map(line).collect();
    Ok(axum::Json(Campaign { summary: campaign.summary(&rule), line_items }))
}

/// A campaign, its orders and its lines.
pub(super) async fn fetch(tx: &mut Tx, id: EntityId) -> Result<(Known, Vec<Known>, Vec<Known>)> {
    let known = entity::fetch(tx, id).await?;
    if known.entity.level != Level::Campaign {
        return Err(Error::NOT_FOUND);
    }
    let below = entity::list_of_campaign(tx, &known).await?;
    let (lines, others): (Vec<Known>, Vec<Known>) = below.into_iter().partition(|row| row.entity.level == Level::Line);
    Ok((known, others.into_iter().filter(|row| row.entity.level == Level::Order).collect(), lines))
}

/// The thresholds by which people call something behind or ahead: the organisation's pacing rule, or the usual ones.
async fn pacing_rule(tx: &mut Tx) -> Result<PacingRule> {
    Ok(rule::list(tx).await?.into_iter().next().map_or_else(PacingRule::default, |rule| rule.settings))
}

/// A campaign with how its lines do.
#[derive(Debug)]
pub(crate) struct CampaignDelivery {
    known: Known,
    lines: Vec<LineDelivery>,
}

/// All campaigns of an organisation with how they do.
#[derive(Debug)]
pub struct Campaigns {
    /// The campaigns.
    pub(super) campaigns: Vec<CampaignDelivery>,
    /// The rule that they are judged by.
    pub(super) rule: PacingRule,
}

impl Campaigns {
    /// All campaigns as they are now, read once for everybody who asks at once.
    pub(super) async fn read(app: &App, org: OrgId) -> Result<Arc<Self>> {
        app.reads.campaigns.get(org, || async move { Self::afresh(app, org).await.map(Arc::new) }).await
    }

    async fn afresh(app: &App, org: OrgId) -> Result<Self> {
        let mut tx = app.store.begin(org).await?;
        let rule = pacing_rule(&mut tx).await?;
        let campaigns = read_level(&mut tx, Level::Campaign).await?;
        let lines = read_level(&mut tx, Level::Line).await?;
        drop(tx);
        let mut of_campaign: BTreeMap<(AccountId, String), Vec<LineDelivery>> = BTreeMap::new();
        for line in delivery::read(app, org, lines).await? {
            of_campaign.entry((line.line.account, line.line.entity.campaign_id.clone())).or_default().push(line);
        }
        let campaigns = campaigns.into_iter().map(|known| {
            let lines = of_campaign.remove(&(known.account, known.entity.platform_id.clone())).unwrap_or_default();
            CampaignDelivery { known, lines }
        });
        Ok(Self { campaigns: campaigns.collect(), rule })
    }
}

async fn read_level(tx: &mut Tx, level: Level) -> Result<Vec<Known>> {
    let mut all: Vec<Known> = Vec::new();
    while all.len() < MOST_ENTITIES {
        let slice = entity::list(tx, level, false, all.last().map(|last| last.id), SLICE_MOST).await?;
        let last = slice.len() < SLICE_MOST as usize;
        all.extend(slice);
        if last {
            break;
        }
    }
    Ok(all)
}

/// Where a campaign stands in the list: the riskiest first, then by id.
type Rank = (Reverse<Decimal>, String);

impl CampaignDelivery {
    /// Its lines that can be judged.
    pub(super) fn judged(&self) -> impl Iterator<Item = &Paced> {
        self.lines.iter().filter_map(|line| line.judged.as_ref().ok())
    }

    /// What each of its lines spent so far.
    pub(super) fn so_far(&self) -> impl Iterator<Item = SoFar> {
        self.lines.iter().filter_map(|line| line.so_far)
    }

    /// Why nothing can be said of it: the reason of most of its lines that spend, else of most of its lines.
    fn not_judged_because(&self) -> Option<NotJudged> {
        if self.paced().is_some() {
            return None;
        }
        let mut reasons: BTreeMap<NotJudged, (usize, usize)> = BTreeMap::new();
        for line in &self.lines {
            if let Err(reason) = line.judged {
                let (spending, all) = reasons.entry(reason).or_default();
                *spending += usize::from(line.line.entity.status == domain::EntityStatus::Active);
                *all += 1;
            }
        }
        reasons.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| reason)
    }

    fn paced(&self) -> Option<Paced> {
        delivery::sum(self.judged())
    }

    /// How it does, in a word.
    pub(super) fn pace(&self, rule: &PacingRule) -> Pace {
        self.paced().map_or(Pace::NotJudged, |paced| paced.pace(rule))
    }

    /// What its lines would spend too little or too much, added: one line's excess does not mend another's lack.
    fn risk(&self) -> Option<domain::Money> {
        let mut risks = self.judged().filter_map(Paced::risk);
        let first = risks.next()?;
        risks.try_fold(first, |sum, risk| sum.checked_add(risk).ok())
    }

    fn rank(&self) -> Rank {
        (Reverse(self.risk().map_or(Decimal::NEGATIVE_ONE, domain::Money::amount)), self.known.id.to_string())
    }

    fn matches(&self, search: &str) -> bool {
        let names = [&self.known.entity.name, &self.known.account_name];
        search.is_empty() || names.iter().any(|name| name.to_lowercase().contains(search))
    }

    /// Its own days, or those that its lines cover.
    fn days(&self) -> Option<DayRange> {
        let own = self.known.entity.flight.map(|flight| flight.days);
        let lines = || self.lines.iter().filter_map(|line| line.line.entity.flight.map(|flight| flight.days));
        own.or_else(|| DayRange::new(lines().map(DayRange::first).min()?, lines().map(DayRange::last).max()?))
    }

    fn summary(&self, rule: &PacingRule) -> CampaignSummary {
        let (known, paced) = (&self.known, self.paced());
        CampaignSummary {
            id: known.id.to_string(),
            platform: known.platform.into(),
            platform_id: known.entity.platform_id.clone(),
            name: known.entity.name.clone(),
            account: Named { id: known.account.to_string(), name: known.account_name.clone() },
            currency: known.currency.to_string(),
            status: known.entity.status.into(),
            first_day: self.days().map(DayRange::first),
            last_day: self.days().map(DayRange::last),
            time_zone: known.time_zone.to_string(),
            pace: self.pace(rule),
            pacing: paced.map(Into::into),
            not_judged_because: self.not_judged_because().map(Into::into),
            delivered: SoFar::sum(self.so_far()).map(Into::into),
            lines: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
            risk: self.risk().map(Into::into),
        }
    }
}

impl Line {
    fn of(
        line: &LineDelivery,
        order_name: Option<String>,
        open_proposal_id: Option<String>,
        rule: &PacingRule,
    ) -> Self {
        let LineDelivery { line, judged, so_far } = line;
        let days = line.entity.flight.map(|flight| flight.days);
        Self {
            id: line.id.to_string(),
            platform_id: line.entity.platform_id.clone(),
            name: line.entity.name.clone(),
            order_name,
            status: line.entity.status.into(),
            daily_budget: line.entity.daily_budget.map(Into::into),
            first_day: days.map(DayRange::first),
            last_day: days.map(DayRange::last),
            pace: judged.map_or(Pace::NotJudged, |paced| paced.pace(rule)),
            pacing: judged.ok().map(Into::into),
            not_judged_because: judged.err().map(Into::into),
            delivered: so_far.map(Into::into),
            open_proposal_id,
        }
    }
}

impl From<SoFar> for Delivered {
    fn from(so_far: SoFar) -> Self {
        let SoFar { spend, days } = so_far;
        Self { amount: spend.into(), days: days.into() }
    }
}

impl From<Paced> for Pacing {
    fn from(paced: Paced) -> Self {
        let Paced { pacing, finality } = paced;
        Self::of(pacing, finality)
    }
}

impl Pacing {
    /// Pacing with how settled it is.
    #[must_use]
    pub fn of(pacing: domain::pacing::Pacing, finality: domain::Finality) -> Self {
        let domain::pacing::Pacing {
            delivered,
            withheld_days: _,
            expected,
            budget,
            index,
            required_daily,
            projected,
            as_of,
        } = pacing;
        Self {
            delivered: delivered.into(),
            expected: expected.into(),
            budget: budget.into(),
            index: index.map(decimal),
            required_daily: required_daily.map(Into::into),
            projected: projected.map(Into::into),
            as_of,
            finality: finality.into(),
        }
    }
}
