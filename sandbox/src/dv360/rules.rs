//! The documented rules that an entity must keep after a change.

use chrono::{Datelike, NaiveDate};
use serde_json::{Value, json};

use crate::document::{Document, at, date, int64, number, put, read_date, text};
use crate::google::Violation;
use crate::world::{Advertiser, Kind, World};

/// The longest display name, in bytes.
const MAX_NAME_BYTES: usize = 240;

/// No flight reaches this year.
const LAST_YEAR: i32 = 2037;

/// The largest fixed bid, in micros.
const MAX_BID_MICROS: i64 = 1_000_000_000;

/// What a change is checked against.
#[derive(Debug)]
pub struct Change<'a> {
    /// The kind of the entity.
    pub kind: Kind,
    /// The entity as it was.
    pub before: &'a Document,
    /// The advertiser that owns it.
    pub advertiser: &'a Advertiser,
    /// Everything else.
    pub world: &'a World,
    /// The advertiser's own day.
    pub today: NaiveDate,
}

impl Change<'_> {
    /// Rounds what the platform rounds, and lists the rules that the changed entity breaks.
    #[must_use]
    pub fn check(&self, after: &mut Document) -> Vec<Violation> {
        let mut broken = Vec::new();
        self.check_common(after, &mut broken);
        match self.kind {
            Kind::Campaign => self.check_campaign(after, &mut broken),
            Kind::InsertionOrder => self.check_order(after, &mut broken),
            Kind::LineItem => self.check_line(after, &mut broken),
        }
        broken
    }

    fn check_common(&self, after: &Document, broken: &mut Vec<Violation>) {
        let name = text(after, "displayName");
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            broken.push(Violation::new("displayName", "Must be UTF-8 encoded with a size of 1 to 240 bytes."));
        }
        let (old, new) = (text(self.before, "entityStatus"), text(after, "entityStatus"));
        let words = self.kind.words();
        match new {
            "" => broken.push(Violation::new("entityStatus", "Required field is missing.")),
            "ENTITY_STATUS_DRAFT" if old != new => broken.push(Violation::new(
                "entityStatus",
                format!("A {words} cannot be changed back to ENTITY_STATUS_DRAFT from any other status."),
            )),
            "ENTITY_STATUS_SCHEDULED_FOR_DELETION" if old != new => broken.push(Violation::new(
                "entityStatus",
                format!("The status of a {words} cannot be set to ENTITY_STATUS_SCHEDULED_FOR_DELETION."),
            )),
            _ => {}
        }
    }

    fn check_campaign(&self, after: &Document, broken: &mut Vec<Violation>) {
        if number(after, "campaignFlight.plannedSpendAmountMicros").is_some_and(|amount| amount < 0) {
            broken.push(Violation::new("campaignFlight.plannedSpendAmountMicros", "Must be at least 0."));
        }
        let path = "campaignFlight.plannedDates";
        let (start, end) = (date(after, &format!("{path}.startDate")), date(after, &format!("{path}.endDate")));
        let Some(start) = start else {
            broken.push(Violation::new(format!("{path}.startDate"), "Required field is missing."));
            return;
        };
        let old_start = date(self.before, &format!("{path}.startDate"));
        if old_start != Some(start) && start < self.today {
            broken.push(Violation::new(format!("{path}.startDate"), "Must be the current date or later."));
        }
        check_order_of_dates(start, end.unwrap_or(start), path, broken);
    }

    fn check_order(&self, after: &mut Document, broken: &mut Vec<Violation>) {
        let becomes_active = text(after, "entityStatus") == "ENTITY_STATUS_ACTIVE"
            && text(self.before, "entityStatus") != "ENTITY_STATUS_ACTIVE";
        let campaign = self.world.parent(after, Kind::Campaign);
        if becomes_active && campaign.is_none_or(|campaign| text(campaign, "entityStatus") != "ENTITY_STATUS_ACTIVE") {
            broken.push(Violation::new(
                "entityStatus",
                "An insertion order cannot be set to ENTITY_STATUS_ACTIVE if its parent campaign is not active.",
            ));
        }
        let (period, kind) = (text(after, "pacing.pacingPeriod"), text(after, "pacing.pacingType"));
        if kind == "PACING_TYPE_ASAP" && period == "PACING_PERIOD_FLIGHT" {
            broken.push(Violation::new(
                "pacing.pacingType",
                "PACING_TYPE_ASAP is not compatible with PACING_PERIOD_FLIGHT for insertion orders.",
            ));
        }
        let automated = !matches!(text(after, "budget.automationType"), "" | "INSERTION_ORDER_AUTOMATION_TYPE_NONE");
        if automated && period != "PACING_PERIOD_FLIGHT" {
            broken.push(Violation::new(
                "pacing.pacingPeriod",
                "Must be PACING_PERIOD_FLIGHT while automatic budget allocation is enabled.",
            ));
        }
        self.check_pacing(after, broken);
        self.check_segments(after, broken);
        if number(after, "bidStrategy.fixedBid.bidAmountMicros").is_some_and(|amount| amount != 0) {
            broken.push(Violation::new("bidStrategy.fixedBid.bidAmountMicros", "Must be 0 for insertion orders."));
        }
        check_one_bid(after, broken);
    }

    fn check_segments(&self, after: &Document, broken: &mut Vec<Violation>) {
        let segments = |document: &Document| -> Vec<Value> {
            at(document, "budget.budgetSegments").and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (old, new) = (segments(self.before), segments(after));
        if new.is_empty() {
            broken.push(Violation::new("budget.budgetSegments", "Required field is missing."));
        }
        for (index, segment) in new.iter().enumerate() {
            let path = format!("budget.budgetSegments[{index}]");
            if segment.get("budgetAmountMicros").and_then(int64).is_none_or(|amount| amount <= 0) {
                broken.push(Violation::new(format!("{path}.budgetAmountMicros"), "Must be greater than 0."));
            }
            let Some((start, end)) = segment_days(segment) else {
                broken.push(Violation::new(format!("{path}.dateRange"), "Required field is missing."));
                continue;
            };
            // A segment that has begun is known by its start, which may not move.
            let existing = old.iter().filter_map(segment_days).find(|days| days.0 == start);
            self.check_days((start, end), existing, &format!("{path}.dateRange"), broken);
        }
        for gone in old.iter().filter_map(segment_days).filter(|days| days.0 <= self.today) {
            if !new.iter().filter_map(segment_days).any(|days| days.0 == gone.0) {
                let reason = format!("The budget segment that began on {} cannot be removed or moved.", gone.0);
                broken.push(Violation::new("budget.budgetSegments", reason));
            }
        }
    }

    fn check_line(&self, after: &mut Document, broken: &mut Vec<Violation>) {
        if text(self.before, "lineItemType").starts_with("LINE_ITEM_TYPE_YOUTUBE_AND_PARTNERS") {
            broken
                .push(Violation::new("lineItemType", "YouTube & Partners line items cannot be updated using the API."));
        }
        self.check_line_budget(after, broken);
        self.check_pacing(after, broken);
        self.check_flight(after, broken);
        check_one_bid(after, broken);
        let unit = self.advertiser.billable_unit_micros();
        if let Some(bid) = number(after, "bidStrategy.fixedBid.bidAmountMicros")
            && !(unit..=MAX_BID_MICROS).contains(&bid)
        {
            let reason = format!("Must be between {unit} and {MAX_BID_MICROS}.");
            broken.push(Violation::new("bidStrategy.fixedBid.bidAmountMicros", reason));
        }
    }

    fn check_line_budget(&self, after: &mut Document, broken: &mut Vec<Violation>) {
        let max_amount = number(after, "budget.maxAmount");
        match text(after, "budget.budgetAllocationType") {
            "LINE_ITEM_BUDGET_ALLOCATION_TYPE_FIXED" => {
                if max_amount.is_none_or(|amount| amount <= 0) {
                    broken.push(Violation::new("budget.maxAmount", "Must be greater than 0."));
                }
            }
            "LINE_ITEM_BUDGET_ALLOCATION_TYPE_AUTOMATIC" => {
                let order = self.world.parent(after, Kind::InsertionOrder);
                let automation = order.map(|order| text(order, "budget.automationType")).unwrap_or_default();
                if matches!(automation, "" | "INSERTION_ORDER_AUTOMATION_TYPE_NONE") {
                    broken.push(Violation::new(
                        "budget.budgetAllocationType",
                        "AUTOMATIC is only applicable when automatic budget allocation is enabled for the parent insertion order.",
                    ));
                }
                if max_amount != number(self.before, "budget.maxAmount") {
                    broken.push(Violation::new("budget.maxAmount", "Is set by the system and cannot be changed."));
                }
            }
            "LINE_ITEM_BUDGET_ALLOCATION_TYPE_UNLIMITED" => put(after, "budget.maxAmount", None),
            _ => broken.push(Violation::new("budget.budgetAllocationType", "Required field is missing.")),
        }
    }

    fn check_pacing(&self, after: &mut Document, broken: &mut Vec<Violation>) {
        for field in ["pacing.pacingPeriod", "pacing.pacingType"] {
            if text(after, field).is_empty() {
                broken.push(Violation::new(field, "Required field is missing."));
            }
        }
        let daily = text(after, "pacing.pacingPeriod") == "PACING_PERIOD_DAILY";
        match number(after, "pacing.dailyMaxMicros") {
            Some(amount) if amount <= 0 => {
                broken.push(Violation::new("pacing.dailyMaxMicros", "Must be greater than 0."));
            }
            Some(amount) if daily => {
                let rounded = round_to_unit(amount, self.advertiser.billable_unit_micros());
                put(after, "pacing.dailyMaxMicros", Some(json!(rounded.to_string())));
            }
            // A daily maximum means nothing when the budget is paced over the flight.
            Some(_) => put(after, "pacing.dailyMaxMicros", None),
            None if daily && number(after, "pacing.dailyMaxImpressions").is_none() => {
                broken.push(Violation::new("pacing.dailyMaxMicros", "Must be greater than 0."));
            }
            None => {}
        }
    }

    fn check_flight(&self, after: &mut Document, broken: &mut Vec<Violation>) {
        match text(after, "flight.flightDateType") {
            // The dates are output only then.
            "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED" => put(after, "flight.dateRange", None),
            "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM" => {
                let days = |document: &Document| {
                    Some((date(document, "flight.dateRange.startDate")?, date(document, "flight.dateRange.endDate")?))
                };
                match days(after) {
                    Some(new) => self.check_days(new, days(self.before), "flight.dateRange", broken),
                    None => broken.push(Violation::new("flight.dateRange", "Required field is missing.")),
                }
            }
            _ => broken.push(Violation::new("flight.flightDateType", "Required field is missing.")),
        }
    }

    /// The rules of a flight: what began keeps its start; what is new lies in the future.
    fn check_days(
        &self,
        (start, end): (NaiveDate, NaiveDate),
        existing: Option<(NaiveDate, NaiveDate)>,
        path: &str,
        broken: &mut Vec<Violation>,
    ) {
        check_order_of_dates(start, end, path, broken);
        match existing {
            Some((old_start, _)) if old_start == start => {}
            Some((old_start, _)) if old_start <= self.today => {
                let reason = "The start date of a flight that has begun cannot be changed.";
                broken.push(Violation::new(format!("{path}.startDate"), reason));
            }
            _ => {
                if start <= self.today {
                    broken.push(Violation::new(format!("{path}.startDate"), "Must be in the future."));
                }
                if end <= self.today {
                    broken.push(Violation::new(format!("{path}.endDate"), "Must be in the future."));
                }
            }
        }
    }
}

fn check_order_of_dates(start: NaiveDate, end: NaiveDate, path: &str, broken: &mut Vec<Violation>) {
    if end < start {
        broken.push(Violation::new(format!("{path}.endDate"), "Must be the start date or later."));
    }
    if start.year() >= LAST_YEAR || end.year() >= LAST_YEAR {
        broken.push(Violation::new(path, "Dates must be before the year 2037."));
    }
}

fn check_one_bid(after: &Document, broken: &mut Vec<Violation>) {
    let strategies = at(after, "bidStrategy").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if strategies != 1 {
        broken.push(Violation::new("bidStrategy", "Exactly one bidding strategy must be set."));
    }
}

fn segment_days(segment: &Value) -> Option<(NaiveDate, NaiveDate)> {
    let range = segment.get("dateRange")?;
    Some((read_date(range.get("startDate")?)?, read_date(range.get("endDate")?)?))
}

/// The platform's rounding: down to whole billable units, but never below one.
fn round_to_unit(amount: i64, unit: i64) -> i64 {
    (amount - amount % unit).max(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daily_maxima_are_rounded_as_documented() {
        assert_eq!(round_to_unit(10_257_770, 10_000), 10_250_000);
        assert_eq!(round_to_unit(505, 10_000), 10_000);
        assert_eq!(round_to_unit(12_345_678, 1_000_000), 12_000_000);
    }
}
