//! The overview: how the organisation's campaigns do, how fresh that is, and what needs somebody.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::OrgId;
use serde::{Deserialize, Serialize};
use store::onboarding::State as Progress;
use store::{Tx, account, connection, onboarding, proposal, watermark};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::allowance;
use crate::app::App;
use crate::auth::Session;
use crate::delivery::{self, Paced, SoFar};
use crate::freshness;
use crate::problem::{Error, Problem, Result};
use crate::v1::campaign::{CampaignDelivery, Campaigns, Pace};
use crate::v1::run::Days;
use crate::wire::{Money, decimal};

const TAG: &str = "overview";
/// More than anybody reads at once.
const MOST_PROBLEMS: usize = 50;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How the organisation does.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Sums per currency: currencies are never added.
    pub totals: Vec<OverviewTotal>,
    /// How fresh the numbers are.
    pub freshness: Freshness,
    /// How many campaigns do how well.
    pub campaigns: CampaignCounts,
    /// Proposals that wait for an approver.
    pub open_proposals: i64,
    /// What needs somebody.
    pub problems: Vec<Problem>,
}

/// The sums of the lines in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverviewTotal {
    /// The currency.
    pub currency: String,
    /// What all lines spent on the days that are known, judged or not.
    pub delivered: Money,
    /// From the first of these days to the last.
    pub days: Days,
    /// How the lines do that can be judged; null while none can.
    pub judged: Option<OverviewJudged>,
}

/// The sums of the lines that can be judged.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverviewJudged {
    /// How many lines.
    pub lines: i64,
    /// What was spent.
    pub delivered: Money,
    /// What should have been spent by now.
    pub expected: Money,
    /// What is to be spent over all flights.
    pub budget: Money,
    /// delivered ÷ expected; null before anything is expected.
    pub index: Option<String>,
}

/// How fresh numbers are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Freshness {
    /// Up to when the numbers are complete: the oldest of the advertisers that are read.
    pub as_of: Option<DateTime<Utc>>,
    /// That, in a word.
    pub state: FreshnessState,
    /// When they are read again.
    pub next_run_at: Option<DateTime<Utc>>,
}

/// How fresh numbers are, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessState {
    /// As they should be.
    Fresh,
    /// Somewhat older.
    Late,
    /// Too old to act on.
    Stale,
    /// There are none.
    None,
}

/// How many campaigns do how well.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct CampaignCounts {
    /// All.
    pub total: i64,
    /// Behind plan.
    pub behind: i64,
    /// On plan.
    pub on_pace: i64,
    /// Ahead of plan.
    pub ahead: i64,
    /// Those that can't be judged.
    pub not_judged: i64,
}

/// How the organisation does.
#[utoipa::path(get, path = "/overview", operation_id = "getOverview", tag = TAG,
    extensions(("x-permission" = json!("delivery.read"))),
    responses((status = 200, body = Overview)))]
async fn get(State(app): State<App>, session: Session) -> Result<impl IntoResponse> {
    let (app, org) = (&app, session.org);
    let written = app.reads.overviews.get(org, || async move {
        let overview = serde_json::to_vec(&read(app, org).await?);
        Ok::<_, Error>(Bytes::from(overview.map_err(Error::internal("write the overview"))?))
    });
    Ok(([(CONTENT_TYPE, "application/json")], written.await?))
}

/// Reads it, for everybody who asks at once.
async fn read(app: &App, org: OrgId) -> Result<Overview> {
    let all = Campaigns::read(app, org).await?;
    let mut tx = app.store.begin(org).await?;
    let as_of = watermark::complete_to(&watermark::freshness(&mut tx, None).await?);
    let next_run_at = match onboarding::latest(&mut tx).await?.map(|row| row.state) {
        Some(Progress::FirstSlice | Progress::Ready | Progress::Done) => {
            freshness::next_run(org, app.now(), app.settings.tick_seconds)
        }
        _ => None,
    };
    let state = freshness::state(as_of, app.now(), app.settings.tick_seconds);
    let paces = all.campaigns.iter().map(|campaign| campaign.pace(&all.rule));
    let open = proposal::count_open(&mut tx).await?;
    Ok(Overview {
        totals: totals(&all.campaigns),
        freshness: Freshness { as_of, state, next_run_at },
        campaigns: paces.fold(CampaignCounts::default(), CampaignCounts::and),
        open_proposals: i64::try_from(open).unwrap_or(i64::MAX),
        problems: problems(app, &mut tx).await?,
    })
}

/// Sums per currency, in the order of their codes.
fn totals(campaigns: &[CampaignDelivery]) -> Vec<OverviewTotal> {
    let mut by_currency: BTreeMap<domain::Currency, Vec<SoFar>> = BTreeMap::new();
    for line in campaigns.iter().flat_map(CampaignDelivery::so_far) {
        by_currency.entry(line.spend.currency()).or_default().push(line);
    }
    let judged: Vec<&Paced> = campaigns.iter().flat_map(CampaignDelivery::judged).collect();
    let total = |(currency, lines): (domain::Currency, Vec<SoFar>)| {
        let SoFar { spend, days } = SoFar::sum(lines)?;
        let judged = judged.iter().copied().filter(|line| line.pacing.budget.currency() == currency).collect();
        let (currency, judged) = (currency.to_string(), OverviewJudged::of(judged));
        Some(OverviewTotal { currency, delivered: spend.into(), days: days.into(), judged })
    };
    by_currency.into_iter().filter_map(total).collect()
}

impl OverviewJudged {
    fn of(lines: Vec<&Paced>) -> Option<Self> {
        let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let sum = delivery::sum(lines)?.pacing;
        Some(Self {
            lines: count,
            delivered: sum.delivered.into(),
            expected: sum.expected.into(),
            budget: sum.budget.into(),
            index: sum.index.map(decimal),
        })
    }
}

impl CampaignCounts {
    fn and(self, pace: Pace) -> Self {
        let one = |wanted| i64::from(pace == wanted);
        Self {
            total: self.total + 1,
            behind: self.behind + one(Pace::Behind),
            on_pace: self.on_pace + one(Pace::OnPace),
            ahead: self.ahead + one(Pace::Ahead),
            not_judged: self.not_judged + one(Pace::NotJudged),
        }
    }
}

/// What keeps all numbers from being read, and what is wrong with connections and advertisers, each with its name.
async fn problems(app: &App, tx: &mut Tx) -> Result<Vec<Problem>> {
    let rows = store::allowance::rows(tx, app.settings.allowances.rows_per_day, app.now()).await?.err();
    let rows = rows.map(|used_up| Problem::of(ErrorCode::RowsUsedUp).detailed(Some(allowance::rows_in_words(used_up))));
    let named = |name: String, problem: connection::Problem| {
        let detail = problem.detail.map_or_else(|| name.clone(), |detail| format!("{name}: {detail}"));
        Problem::of(problem.code).detailed(Some(detail))
    };
    let connections = connection::list(tx).await?.into_iter();
    let accounts = account::list(tx, None).await?.into_iter().filter(|account| account.selected);
    let connections = connections.filter_map(|row| Some(named(row.title, row.problem?)));
    let accounts = accounts.filter_map(|row| Some(named(row.name, row.problem?)));
    Ok(rows.into_iter().chain(connections).chain(accounts).take(MOST_PROBLEMS).collect())
}
