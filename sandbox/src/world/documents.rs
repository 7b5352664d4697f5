//! Builds the wire documents of new entities, with every field that the platform returns.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{Advertiser, Kind, LineFacts, Partner, World};
use crate::document::{Document, object, text, write_date, write_instant};

/// What a campaign is made from.
#[derive(Debug, Clone)]
pub struct CampaignPlan {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// What is planned to be spent.
    pub planned_micros: i64,
    /// First and last day.
    pub flight: (NaiveDate, NaiveDate),
}

/// What an insertion order is made from.
#[derive(Debug, Clone)]
pub struct OrderPlan {
    /// Its id.
    pub id: u64,
    /// The campaign above it.
    pub campaign_id: u64,
    /// Its name.
    pub name: String,
    /// The budget of its one segment.
    pub budget_micros: i64,
    /// First and last day.
    pub flight: (NaiveDate, NaiveDate),
}

/// What a line item is made from.
#[derive(Debug, Clone)]
pub struct LinePlan {
    /// Its id.
    pub id: u64,
    /// The campaign above it.
    pub campaign_id: u64,
    /// The insertion order above it.
    pub order_id: u64,
    /// Its name.
    pub name: String,
    /// Its whole budget.
    pub budget_micros: i64,
    /// The most it may spend in a day.
    pub daily_max_micros: i64,
    /// Its own days; those of the insertion order when absent.
    pub own_flight: Option<(NaiveDate, NaiveDate)>,
    /// What else is known of it.
    pub facts: LineFacts,
}

impl World {
    /// Adds a campaign.
    pub fn add_campaign(&mut self, advertiser_id: u64, plan: &CampaignPlan, now: DateTime<Utc>) {
        let document = object(json!({
            "name": format!("advertisers/{advertiser_id}/campaigns/{}", plan.id),
            "advertiserId": advertiser_id.to_string(),
            "campaignId": plan.id.to_string(),
            "displayName": plan.name,
            "entityStatus": "ENTITY_STATUS_ACTIVE",
            "updateTime": write_instant(now),
            "campaignGoal": {
                "campaignGoalType": "CAMPAIGN_GOAL_TYPE_ONLINE_ACTION",
                "performanceGoal": {
                    "performanceGoalType": "PERFORMANCE_GOAL_TYPE_CPA",
                    "performanceGoalAmountMicros": "20000000",
                },
            },
            "campaignFlight": {
                "plannedSpendAmountMicros": plan.planned_micros.to_string(),
                "plannedDates": dates(plan.flight),
            },
            "frequencyCap": {"unlimited": true},
        }));
        self.entities.insert((Kind::Campaign, advertiser_id, plan.id), document);
    }

    /// Adds an insertion order with one budget segment.
    pub fn add_order(&mut self, advertiser_id: u64, plan: &OrderPlan, now: DateTime<Utc>) {
        let document = object(json!({
            "name": format!("advertisers/{advertiser_id}/insertionOrders/{}", plan.id),
            "advertiserId": advertiser_id.to_string(),
            "campaignId": plan.campaign_id.to_string(),
            "insertionOrderId": plan.id.to_string(),
            "displayName": plan.name,
            "insertionOrderType": "RTB",
            "entityStatus": "ENTITY_STATUS_ACTIVE",
            "updateTime": write_instant(now),
            "pacing": {
                "pacingPeriod": "PACING_PERIOD_FLIGHT",
                "pacingType": "PACING_TYPE_EVEN",
            },
            "frequencyCap": {"unlimited": true},
            "kpi": {"kpiType": "KPI_TYPE_CPA", "kpiAmountMicros": "20000000"},
            "optimizationObjective": "CONVERSION",
            "budget": {
                "budgetUnit": "BUDGET_UNIT_CURRENCY",
                "automationType": "INSERTION_ORDER_AUTOMATION_TYPE_NONE",
                "budgetSegments": [{
                    "budgetAmountMicros": plan.budget_micros.to_string(),
                    "description": format!("PO-{}", plan.id % 10_000),
                    "dateRange": dates(plan.flight),
                }],
            },
            "bidStrategy": {"fixedBid": {"bidAmountMicros": "0"}},
            "reservationType": "RESERVATION_TYPE_NOT_GUARANTEED",
        }));
        self.entities.insert((Kind::InsertionOrder, advertiser_id, plan.id), document);
    }

    /// Adds a line item.
    pub fn add_line(&mut self, advertiser_id: u64, plan: LinePlan, now: DateTime<Utc>) {
        let flight = match plan.own_flight {
            Some(days) => json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM", "dateRange": dates(days)}),
            None => json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED"}),
        };
        let video = plan.facts.traits.is_some_and(|traits| traits.video);
        let markup_permille = plan.facts.traits.map_or(0, |traits| traits.markup_permille);
        let document = object(json!({
            "name": format!("advertisers/{advertiser_id}/lineItems/{}", plan.id),
            "advertiserId": advertiser_id.to_string(),
            "campaignId": plan.campaign_id.to_string(),
            "insertionOrderId": plan.order_id.to_string(),
            "lineItemId": plan.id.to_string(),
            "displayName": plan.name,
            "lineItemType": if video { "LINE_ITEM_TYPE_VIDEO_DEFAULT" } else { "LINE_ITEM_TYPE_DISPLAY_DEFAULT" },
            "entityStatus": "ENTITY_STATUS_ACTIVE",
            "updateTime": write_instant(now),
            "flight": flight,
            "budget": {
                "budgetAllocationType": "LINE_ITEM_BUDGET_ALLOCATION_TYPE_FIXED",
                "budgetUnit": "BUDGET_UNIT_CURRENCY",
                "maxAmount": plan.budget_micros.to_string(),
            },
            "pacing": {
                "pacingPeriod": "PACING_PERIOD_DAILY",
                "pacingType": "PACING_TYPE_EVEN",
                "dailyMaxMicros": plan.daily_max_micros.to_string(),
            },
            "frequencyCap": {"unlimited": true},
            "partnerRevenueModel": {
                "markupType": "PARTNER_REVENUE_MODEL_MARKUP_TYPE_TOTAL_MEDIA_COST_MARKUP",
                // In thousandths of a percent.
                "markupAmount": (markup_permille * 100).to_string(),
            },
            "bidStrategy": {"maximizeSpendAutoBid": {
                "performanceGoalType": "BIDDING_STRATEGY_PERFORMANCE_GOAL_TYPE_CPA",
                "maxAverageCpmBidAmountMicros": "8000000",
            }},
            "conversionCounting": {"postViewCountPercentageMillis": "100000"},
            "creativeIds": [(plan.id + 9_000_000).to_string()],
            "reservationType": "RESERVATION_TYPE_NOT_GUARANTEED",
            "containsEuPoliticalAds": "DOES_NOT_CONTAIN_EU_POLITICAL_ADVERTISING",
        }));
        self.facts.insert(plan.id, plan.facts);
        self.entities.insert((Kind::LineItem, advertiser_id, plan.id), document);
    }

    /// The document as a reader gets it: with the fields that depend on other entities and on time.
    #[must_use]
    pub fn render(&self, kind: Kind, document: &Document, today: NaiveDate) -> Document {
        let mut rendered = document.clone();
        if kind != Kind::LineItem {
            return rendered;
        }
        let flight = self.flight(document);
        if let (Some(days), Some(Value::Object(target))) = (flight, rendered.get_mut("flight")) {
            target.insert("dateRange".to_owned(), dates(days));
        }
        let warnings = self.warnings(document, flight, today);
        if !warnings.is_empty() {
            rendered.insert("warningMessages".to_owned(), json!(warnings));
        }
        rendered
    }

    fn warnings(
        &self,
        line_item: &Document,
        flight: Option<(NaiveDate, NaiveDate)>,
        today: NaiveDate,
    ) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        match flight {
            Some((_, last)) if last < today => warnings.push("EXPIRED"),
            Some((first, _)) if first > today => warnings.push("PENDING_FLIGHT"),
            Some(_) => {}
            None => warnings.push("INVALID_FLIGHT_DATES"),
        }
        let order = self.parent(line_item, Kind::InsertionOrder);
        if order.is_some_and(|order| text(order, "entityStatus") == "ENTITY_STATUS_PAUSED") {
            warnings.push("PARENT_INSERTION_ORDER_PAUSED");
        }
        warnings
    }
}

/// A partner's document.
#[must_use]
pub fn partner(partner: &Partner, since: DateTime<Utc>) -> Value {
    json!({
        "name": format!("partners/{}", partner.id),
        "partnerId": partner.id.to_string(),
        "displayName": partner.name,
        "entityStatus": "ENTITY_STATUS_ACTIVE",
        "updateTime": write_instant(since),
        "generalConfig": {"timeZone": partner.zone.name(), "currencyCode": partner.currency},
        "dataAccessConfig": {"sdfConfig": {"version": "SDF_VERSION_9"}},
    })
}

/// An advertiser's document.
#[must_use]
pub fn advertiser(advertiser: &Advertiser, partner_id: u64) -> Document {
    object(json!({
        "name": format!("advertisers/{}", advertiser.id),
        "advertiserId": advertiser.id.to_string(),
        "partnerId": partner_id.to_string(),
        "displayName": advertiser.name,
        "entityStatus": "ENTITY_STATUS_ACTIVE",
        "updateTime": write_instant(advertiser.updated_at),
        "generalConfig": {
            "domainUrl": "https://www.example.com",
            "timeZone": advertiser.zone.name(),
            "currencyCode": advertiser.currency,
        },
        "adServerConfig": {"thirdPartyOnlyConfig": {}},
        "servingConfig": {},
        "containsEuPoliticalAds": "DOES_NOT_CONTAIN_EU_POLITICAL_ADVERTISING",
    }))
}

fn dates((first, last): (NaiveDate, NaiveDate)) -> Value {
    json!({"startDate": write_date(first), "endDate": write_date(last)})
}
