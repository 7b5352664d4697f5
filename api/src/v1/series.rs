//! A campaign's spend against plan, day by day.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{EntityId, OrgId};
use domain::report::Measure;
use domain::write_back::State as ProposalState;
use domain::{Currency, DayRange, Flight, TimeZone};
use lakehouse::LineDayFilter;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::entity::Known;
use store::proposal::{self, Proposal};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::delivery::{Knowledge, StorePointers};
use crate::extract::Id;
use crate::problem::Result;
use crate::v1::campaign;
use crate::wire::{Finality, amount};

const TAG: &str = "campaign";
/// The most days that a chart shows: the last ones of a longer flight.
const MOST_POINTS: usize = 400;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get))
}

/// Spend against plan, day by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    /// The currency of all its amounts.
    pub currency: String,
    /// The zone in which its days lie.
    pub time_zone: String,
    /// Up to when the numbers are complete; null before the first.
    pub as_of: Option<DateTime<Utc>>,
    /// The days of the flight, at most 400.
    pub points: Vec<SeriesPoint>,
    /// What happened on the way.
    pub markers: Vec<SeriesMarker>,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesPoint {
    /// The advertiser's own day.
    pub day: NaiveDate,
    /// What was spent; null for days after `as_of`.
    pub delivered: Option<String>,
    /// What should be spent on the whole day.
    pub planned: String,
    /// What was spent up to the end of this day.
    pub delivered_cumulative: Option<String>,
    /// What should be spent up to the end of this day.
    pub planned_cumulative: String,
    /// How settled the day is.
    pub finality: Option<Finality>,
}

/// Something that happened to the campaign's lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesMarker {
    /// When.
    pub at: DateTime<Utc>,
    /// On which of the advertiser's days.
    pub day: NaiveDate,
    /// What.
    pub kind: MarkerKind,
    /// What, in words.
    pub title: String,
    /// The proposal.
    pub proposal_id: String,
}

/// What a marker marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkerKind {
    /// A change that stands in the platform.
    WriteBack,
    /// A change that was proposed.
    Proposal,
}

/// A campaign's spend against plan, day by day.
#[utoipa::path(get, path = "/campaigns/{id}/series", operation_id = "getCampaignSeries", tag = TAG,
    extensions(("x-permission" = json!("delivery.read"))),
    params(("id" = String, Path, description = "The campaign.")), responses((status = 200, body = Series)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<EntityId>) -> Result<axum::Json<Series>> {
    let mut tx = session.begin(&app).await?;
    let (known, _, lines) = campaign::fetch(&mut tx, id).await?;
    let knowledge = Knowledge::read(&mut tx, &lines, app.now()).await?;
    let proposals = proposal::list_of_campaign(&mut tx, &known).await?;
    drop(tx);
    let as_of = lines.iter().filter_map(|line| knowledge.coverage_of(line)?.newest_report()).max();
    let points = match lines.first().zip(covering(&known, &lines)) {
        Some((any, days)) => {
            let delivered = delivered(&app, session.org, &known, &lines, days).await?;
            let finality = |day| knowledge.finality(any, day);
            points(known.currency, days, &planned(&lines, known.currency), &delivered, finality)
        }
        None => Vec::new(),
    };
    let markers = proposals.iter().flat_map(|proposal| markers(proposal, known.time_zone)).collect();
    Ok(axum::Json(Series {
        currency: known.currency.to_string(),
        time_zone: known.time_zone.to_string(),
        as_of,
        points,
        markers,
    }))
}

/// The days from the first of any line's flight to the last.
fn covering(campaign: &Known, lines: &[Known]) -> Option<DayRange> {
    let flights = || lines.iter().filter_map(|line| days_of(campaign, line));
    DayRange::new(flights().map(DayRange::first).min()?, flights().map(DayRange::last).max()?)
}

/// The days of a line's flight. One without a budget of its own has none: it spends on its campaign's days.
fn days_of(campaign: &Known, line: &Known) -> Option<DayRange> {
    line.entity.flight.or(campaign.entity.flight).map(|flight| flight.days)
}

type Days = BTreeMap<NaiveDate, Decimal>;

/// What was spent on each day; `None` for a day of which the platform kept some to itself.
type Spent = BTreeMap<NaiveDate, Option<Decimal>>;

/// What the flights' budgets come to on each day.
fn planned(lines: &[Known], currency: Currency) -> Days {
    let mut planned = Days::new();
    let flights = lines.iter().filter_map(|line| line.entity.flight);
    for flight in flights.filter(|flight| flight.budget.currency() == currency) {
        for day in flight.days.days() {
            *planned.entry(day).or_default() += planned_on(&flight, day);
        }
    }
    planned
}

fn planned_on(flight: &Flight, day: NaiveDate) -> Decimal {
    let expected = |moment| flight.expected(moment).map_or(Decimal::ZERO, domain::Money::amount);
    expected(flight.zone.end_of(day)) - expected(flight.zone.start_of(day))
}

/// What the lines spent on each day of their flights.
async fn delivered(app: &App, org: OrgId, campaign: &Known, lines: &[Known], days: DayRange) -> Result<Spent> {
    let flights: BTreeMap<&str, DayRange> =
        lines.iter().filter_map(|line| Some((line.entity.platform_id.as_str(), days_of(campaign, line)?))).collect();
    let filter = LineDayFilter {
        connection: Some(campaign.connection),
        days: Some(days),
        campaign: None,
        lines: Some(flights.keys().map(|line| (*line).to_owned()).collect()),
    };
    let rows = match app.lake.line_days(&StorePointers(app.store.clone()), org, &filter).await {
        Err(lakehouse::Error::NoTable { .. }) => Vec::new(),
        other => other?,
    };
    let mut delivered = Spent::new();
    for row in rows {
        let within = flights.get(row.line.as_str()).is_some_and(|flight| flight.contains(row.day));
        if within && row.currency == campaign.currency {
            let cost = row.measures.get(&Measure::MediaCost).copied();
            let sum = delivered.entry(row.day).or_insert(Some(Decimal::ZERO));
            *sum = sum.zip(cost).map(|(sum, cost)| sum + cost);
        }
    }
    Ok(delivered)
}

/// The days of a chart. A day that no report covers, or of which the platform kept some spend to itself, has none here,
/// and neither has any sum that would need it.
fn points(
    currency: Currency,
    days: DayRange,
    planned: &Days,
    delivered: &Spent,
    finality: impl Fn(NaiveDate) -> Option<domain::Finality>,
) -> Vec<SeriesPoint> {
    let text = |value| amount(domain::Money::new(value, currency));
    let (mut planned_sum, mut delivered_sum) = (Decimal::ZERO, Some(Decimal::ZERO));
    let points = days.days().map(|day| {
        let plan = planned.get(&day).copied().unwrap_or_default();
        let settled = finality(day);
        let spent = settled.and_then(|_| delivered.get(&day).copied().unwrap_or(Some(Decimal::ZERO)));
        planned_sum += plan;
        delivered_sum = delivered_sum.zip(spent).map(|(sum, spent)| sum + spent);
        SeriesPoint {
            day,
            delivered: spent.map(text),
            planned: text(plan),
            delivered_cumulative: delivered_sum.map(text),
            planned_cumulative: text(planned_sum),
            finality: settled.map(Into::into),
        }
    });
    let mut points: Vec<SeriesPoint> = points.collect();
    points.drain(..points.len().saturating_sub(MOST_POINTS));
    points
}

fn markers(proposal: &Proposal, zone: TimeZone) -> Vec<SeriesMarker> {
    let marker = |at: DateTime<Utc>, kind, verb: &str| SeriesMarker {
        at,
        day: zone.day_at(at),
        kind,
        title: format!("{verb}: {} from {} to {}", proposal.entity_name, proposal.before, proposal.after),
        proposal_id: proposal.id.to_string(),
    };
    let proposed = marker(proposal.created_at, MarkerKind::Proposal, "Proposed");
    let done = proposal.closed_at.filter(|_| proposal.state == ProposalState::Verified);
    let done = done.map(|at| marker(at, MarkerKind::WriteBack, "Changed"));
    std::iter::once(proposed).chain(done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_that_is_not_known_has_no_spend_and_ends_the_sum() {
        let days = DayRange::new(day("2026-11-01"), day("2026-11-04")).unwrap();
        let planned: Days = days.days().map(|day| (day, Decimal::from(10))).collect();
        let spent = |text, amount| (day(text), Some(Decimal::from(amount)));
        let delivered = Spent::from([spent("2026-11-01", 8), spent("2026-11-03", 9)]);
        let unknown = [day("2026-11-02"), day("2026-11-04")];
        let known = |day| (!unknown.contains(&day)).then_some(domain::Finality::Provisional);
        let points = points("EUR".parse().unwrap(), days, &planned, &delivered, known);
        let shown = |point: &SeriesPoint| (point.delivered.clone(), point.delivered_cumulative.clone());
        assert_eq!(shown(&points[0]), (Some("8.00".into()), Some("8.00".into())));
        assert_eq!(shown(&points[1]), (None, None));
        assert_eq!(shown(&points[2]), (Some("9.00".into()), None));
        assert_eq!(shown(&points[3]), (None, None));
        assert_eq!(points[3].planned_cumulative, "40.00");
    }

    #[test]
    fn a_day_of_which_spend_was_kept_back_is_not_a_day_without_spend() {
        let days = DayRange::new(day("2026-11-01"), day("2026-11-03")).unwrap();
        let delivered = Spent::from([(day("2026-11-01"), Some(Decimal::from(8))), (day("2026-11-02"), None)]);
        let known = |_| Some(domain::Finality::Provisional);
        let points = points("EUR".parse().unwrap(), days, &Days::new(), &delivered, known);
        let shown: Vec<_> = points.iter().map(|point| point.delivered.as_deref()).collect();
        assert_eq!(shown, [Some("8.00"), None, Some("0.00")]);
        assert_eq!(points[2].delivered_cumulative, None);
    }
}
