//! Campaigns, insertion orders and line items, in the words of the unified hierarchy.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use domain::entity::Entity;
use domain::{DayRange, EntityStatus, Flight, Level, Money};

use super::client::{Client, Page};
use super::wire::{
    BudgetSegment, Campaign, Campaigns, DateRange, InsertionOrder, InsertionOrders, LineBudget, LineItem, LineItems,
    OrderBudget,
};
use crate::access::{Access, Renew as _};
use crate::ad_platform::AccountRef;
use crate::error::Result;
use crate::http::Subject;

const CURRENCY_UNIT: &str = "BUDGET_UNIT_CURRENCY";
const IMPRESSIONS_UNIT: &str = "BUDGET_UNIT_IMPRESSIONS";
const FIXED: &str = "LINE_ITEM_BUDGET_ALLOCATION_TYPE_FIXED";

impl Client {
    pub(super) async fn list_entities(&self, access: &Access, account: &AccountRef) -> Result<Vec<Entity>> {
        let today = account.zone.day_at(self.now());
        let campaigns = self.under_account::<Campaigns>(access, account, "campaigns", "200").await?;
        let orders = self.under_account::<InsertionOrders>(access, account, "insertionOrders", "100").await?;
        let lines = self.under_account::<LineItems>(access, account, "lineItems", "200").await?;

        let statuses: HashMap<String, EntityStatus> =
            campaigns.iter().map(|it| (it.campaign_id.clone(), it.entity_status.into())).collect();
        let parents: HashMap<String, Parent> = orders
            .iter()
            .map(|it| {
                let status = effective(it.entity_status.into(), statuses.get(&it.campaign_id).copied());
                (it.insertion_order_id.clone(), Parent { status, days: all_days(&it.budget) })
            })
            .collect();
        let mut entities: Vec<Entity> = campaigns.into_iter().map(|it| campaign(it, account)).collect();
        entities.extend(orders.into_iter().map(|it| {
            let status = parents.get(&it.insertion_order_id).map_or(EntityStatus::Paused, |order| order.status);
            order(it, status, today, account)
        }));
        entities.extend(lines.into_iter().map(|it| line(it, &parents, account)));
        // A list that changes while it is paged through can show an entity twice.
        let mut seen = HashSet::new();
        entities.retain(|entity| seen.insert((entity.level, entity.platform_id.clone())));
        Ok(entities)
    }

    async fn under_account<P: Page>(
        &self,
        access: &Access,
        account: &AccountRef,
        collection: &str,
        page_size: &str,
    ) -> Result<Vec<P::Item>> {
        let id = &account.platform_id;
        let request = self.entity_read(Subject::Account, Some(id), &["advertisers", id, collection]);
        self.list::<P>(access, request, page_size).await
    }
}

/// What a line takes from its order.
#[derive(Debug, Clone, Copy)]
struct Parent {
    status: EntityStatus,
    days: Option<DayRange>,
}

/// What an entity does under its parent: nothing below what is stopped spends. Under a parent that is not listed it counts
/// as paused, so that nothing is proposed for it.
fn effective(own: EntityStatus, parent: Option<EntityStatus>) -> EntityStatus {
    match own {
        EntityStatus::Active => parent.unwrap_or(EntityStatus::Paused),
        stopped => stopped,
    }
}

/// A budget over days, still without currency and zone.
#[derive(Debug, Clone, Copy)]
struct Segment {
    days: DayRange,
    micros: i64,
}

impl Segment {
    fn flight(self, account: &AccountRef) -> Flight {
        let budget = Money::from_micros(self.micros, account.currency);
        Flight { days: self.days, zone: account.zone, budget }
    }
}

/// The segment that is running, else the next one, else the last one. A budget in impressions is no money.
fn segment(budget: &OrderBudget, today: NaiveDate) -> Option<Segment> {
    if budget.budget_unit != CURRENCY_UNIT {
        return None;
    }
    let whole = |it: &BudgetSegment| Some(Segment { days: it.date_range?.days()?, micros: it.budget_amount_micros?.0 });
    let mut segments: Vec<Segment> = budget.budget_segments.iter().filter_map(whole).collect();
    segments.sort_by_key(|segment| segment.days.first());
    let running_or_next = segments.iter().find(|segment| today <= segment.days.last());
    running_or_next.or(segments.last()).copied()
}

/// The days from the first of any segment to the last. They are days in whatever unit the budget is.
fn all_days(budget: &OrderBudget) -> Option<DayRange> {
    let segments = || budget.budget_segments.iter().filter_map(|it| it.date_range?.days());
    DayRange::new(segments().map(DayRange::first).min()?, segments().map(DayRange::last).max()?)
}

fn campaign(it: Campaign, account: &AccountRef) -> Entity {
    let Campaign { campaign_id, display_name, entity_status, campaign_flight: planned } = it;
    let flight = planned.planned_dates.and_then(DateRange::days).zip(planned.planned_spend_amount_micros);
    Entity {
        platform_id: campaign_id.clone(),
        parent_id: None,
        campaign_id,
        level: Level::Campaign,
        name: display_name,
        status: entity_status.into(),
        flight: flight.map(|(days, micros)| Segment { days, micros: micros.0 }.flight(account)),
        daily_budget: None,
    }
}

fn order(it: InsertionOrder, status: EntityStatus, today: NaiveDate, account: &AccountRef) -> Entity {
    let InsertionOrder { insertion_order_id, campaign_id, display_name, entity_status: _, pacing, budget } = it;
    Entity {
        platform_id: insertion_order_id,
        parent_id: Some(campaign_id.clone()),
        campaign_id,
        level: Level::Order,
        name: display_name,
        status,
        flight: segment(&budget, today).map(|segment| segment.flight(account)),
        daily_budget: pacing.daily_budget(account.currency),
    }
}

fn line(it: LineItem, parents: &HashMap<String, Parent>, account: &AccountRef) -> Entity {
    let order = parents.get(&it.insertion_order_id);
    let status = effective(it.entity_status.into(), order.map(|order| order.status));
    let flight = line_flight(&it, order.and_then(|order| order.days), account);
    Entity {
        platform_id: it.line_item_id,
        parent_id: Some(it.insertion_order_id),
        campaign_id: it.campaign_id,
        level: Level::Line,
        name: it.display_name,
        status,
        flight,
        daily_budget: it.pacing.daily_budget(account.currency),
    }
}

/// A line's own fixed budget over the days in which it may spend it: its own, or all days of its order.
///
/// A line without a budget of its own shares its order's with its neighbours. How much of that is meant for it nobody
/// knows, so it has no flight: measured by the whole it would look as if it hardly delivered.
fn line_flight(line: &LineItem, order: Option<DayRange>, account: &AccountRef) -> Option<Flight> {
    let LineBudget { budget_allocation_type, budget_unit, max_amount } = &line.budget;
    if budget_allocation_type != FIXED || budget_unit == IMPRESSIONS_UNIT {
        return None;
    }
    // DV360 tells inherited days as well; a range that lacks an end is no range.
    let told = line.flight.date_range.and_then(DateRange::days);
    let days = match line.flight.flight_date_type.as_str() {
        "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM" => told?,
        _ => told.or(order)?,
    };
    let micros = max_amount.filter(|micros| micros.0 > 0)?.0;
    Some(Segment { days, micros }.flight(account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(segments: &[(&str, &str, i64)]) -> OrderBudget {
        let date = |text: &str| {
            let day: NaiveDate = text.parse().unwrap();
            serde_json::to_value(super::super::wire::Date(day)).unwrap()
        };
        let segments: Vec<_> = segments
            .iter()
            .map(|(first, last, micros)| {
                serde_json::json!({
                    "budgetAmountMicros": micros.to_string(),
                    "dateRange": {"startDate": date(first), "endDate": date(last)},
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({"budgetUnit": CURRENCY_UNIT, "budgetSegments": segments})).unwrap()
    }

    #[test]
    fn the_running_segment_counts_else_the_next_else_the_last() {
        let budget = budget(&[("2026-11-01", "2026-11-30", 2), ("2026-10-01", "2026-10-15", 1)]);
        let chosen = |day: &str| segment(&budget, day.parse().unwrap()).unwrap().micros;
        assert_eq!(chosen("2026-09-01"), 1);
        assert_eq!(chosen("2026-10-15"), 1);
        assert_eq!(chosen("2026-10-16"), 2);
        assert_eq!(chosen("2026-12-01"), 2);
    }

    #[test]
    fn an_order_s_days_reach_over_all_its_segments() {
        let budget = budget(&[("2026-11-01", "2026-11-30", 2), ("2026-10-01", "2026-10-15", 1)]);
        let days = all_days(&budget).unwrap();
        assert_eq!((days.first().to_string(), days.last().to_string()), ("2026-10-01".into(), "2026-11-30".into()));
        assert!(all_days(&OrderBudget::default()).is_none());
    }

    #[test]
    fn a_budget_in_impressions_is_no_money() {
        let mut budget = budget(&[("2026-11-01", "2026-11-30", 2)]);
        budget.budget_unit = IMPRESSIONS_UNIT.into();
        assert!(segment(&budget, "2026-11-02".parse().unwrap()).is_none());
    }
}
