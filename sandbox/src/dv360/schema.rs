//! What the fields of campaigns, insertion orders and line items are, as the discovery document
//! says: their types, and whether a client may write them.

use serde_json::Value;

use crate::document::{int64, read_date};
use crate::google::Violation;
use crate::world::Kind;

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Text.
    Text,
    /// A 64-bit number, which the wire writes as text.
    Int64,
    /// A 32-bit number.
    Int32,
    /// True or false.
    Bool,
    /// One of some names that begin alike.
    Enum(&'static str, &'static [&'static str]),
    /// A calendar date.
    Date,
    /// A message.
    Object(&'static [Field]),
    /// A list of messages.
    List(&'static [Field]),
    /// A message or list that the sandbox keeps but does not look into.
    Opaque,
}

/// Whether a client may write a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// At any time.
    Write,
    /// Only when the entity is created.
    Immutable,
    /// Never.
    Read,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Whether it may be written.
    pub access: Access,
}

const fn write(name: &'static str, kind: Type) -> Field {
    Field { name, kind, access: Access::Write }
}

const fn fixed(name: &'static str, kind: Type) -> Field {
    Field { name, kind, access: Access::Immutable }
}

const fn read(name: &'static str, kind: Type) -> Field {
    Field { name, kind, access: Access::Read }
}

const STATUS: Type = Type::Enum("ENTITY_STATUS_", &["ACTIVE", "ARCHIVED", "DRAFT", "PAUSED", "SCHEDULED_FOR_DELETION"]);

const DATE_RANGE: Type = Type::Object(&[write("startDate", Type::Date), write("endDate", Type::Date)]);

const FREQUENCY_CAP: Type = Type::Object(&[
    write("unlimited", Type::Bool),
    write("timeUnit", Type::Text),
    write("timeUnitCount", Type::Int32),
    write("maxImpressions", Type::Int32),
    write("maxViews", Type::Int32),
]);

const PACING: Type = Type::Object(&[
    write("pacingPeriod", Type::Enum("PACING_PERIOD_", &["DAILY", "FLIGHT"])),
    write("pacingType", Type::Enum("PACING_TYPE_", &["AHEAD", "ASAP", "EVEN"])),
    write("dailyMaxMicros", Type::Int64),
    write("dailyMaxImpressions", Type::Int64),
]);

const BID_STRATEGY: Type = Type::Object(&[
    write("fixedBid", Type::Object(&[write("bidAmountMicros", Type::Int64)])),
    write(
        "maximizeSpendAutoBid",
        Type::Object(&[
            write("performanceGoalType", Type::Text),
            write("maxAverageCpmBidAmountMicros", Type::Int64),
            write("customBiddingAlgorithmId", Type::Int64),
            write("raiseBidForDeals", Type::Bool),
        ]),
    ),
    write(
        "performanceGoalAutoBid",
        Type::Object(&[
            write("performanceGoalType", Type::Text),
            write("performanceGoalAmountMicros", Type::Int64),
            write("maxAverageCpmBidAmountMicros", Type::Int64),
            write("customBiddingAlgorithmId", Type::Int64),
        ]),
    ),
    write("youtubeAndPartnersBid", Type::Opaque),
    write("demandGenBid", Type::Opaque),
]);

const INTEGRATION: Type = Type::Object(&[write("integrationCode", Type::Text), write("details", Type::Text)]);

const CAMPAIGN: &[Field] = &[
    read("name", Type::Text),
    read("advertiserId", Type::Int64),
    read("campaignId", Type::Int64),
    read("updateTime", Type::Text),
    write("displayName", Type::Text),
    write("entityStatus", STATUS),
    write("campaignBudgets", Type::Opaque),
    write(
        "campaignFlight",
        Type::Object(&[write("plannedSpendAmountMicros", Type::Int64), write("plannedDates", DATE_RANGE)]),
    ),
    write(
        "campaignGoal",
        Type::Object(&[write("campaignGoalType", Type::Text), write("performanceGoal", Type::Opaque)]),
    ),
    write("frequencyCap", FREQUENCY_CAP),
];

const INSERTION_ORDER: &[Field] = &[
    read("name", Type::Text),
    read("advertiserId", Type::Int64),
    read("insertionOrderId", Type::Int64),
    read("updateTime", Type::Text),
    read("reservationType", Type::Text),
    fixed("campaignId", Type::Int64),
    write("displayName", Type::Text),
    write("entityStatus", STATUS),
    write("insertionOrderType", Type::Text),
    write("pacing", PACING),
    write("frequencyCap", FREQUENCY_CAP),
    write("integrationDetails", INTEGRATION),
    write("kpi", Type::Opaque),
    write("optimizationObjective", Type::Text),
    write("partnerCosts", Type::Opaque),
    write("bidStrategy", BID_STRATEGY),
    write(
        "budget",
        Type::Object(&[
            fixed("budgetUnit", Type::Enum("BUDGET_UNIT_", &["CURRENCY", "IMPRESSIONS"])),
            write("automationType", Type::Enum("INSERTION_ORDER_AUTOMATION_TYPE_", &["BUDGET", "NONE", "BID_BUDGET"])),
            write(
                "budgetSegments",
                Type::List(&[
                    write("budgetAmountMicros", Type::Int64),
                    write("description", Type::Text),
                    write("dateRange", DATE_RANGE),
                    write("campaignBudgetId", Type::Int64),
                ]),
            ),
        ]),
    ),
];

const LINE_ITEM: &[Field] = &[
    read("name", Type::Text),
    read("advertiserId", Type::Int64),
    read("campaignId", Type::Int64),
    read("lineItemId", Type::Int64),
    read("updateTime", Type::Text),
    read("reservationType", Type::Text),
    read("warningMessages", Type::Opaque),
    fixed("insertionOrderId", Type::Int64),
    fixed("lineItemType", Type::Text),
    write("displayName", Type::Text),
    write("entityStatus", STATUS),
    write("pacing", PACING),
    write("frequencyCap", FREQUENCY_CAP),
    write("integrationDetails", INTEGRATION),
    write("partnerCosts", Type::Opaque),
    write("bidStrategy", BID_STRATEGY),
    write("creativeIds", Type::Opaque),
    write("conversionCounting", Type::Opaque),
    write("containsEuPoliticalAds", Type::Text),
    write("excludeNewExchanges", Type::Bool),
    write("optimizeFixedBidding", Type::Bool),
    write("mobileApp", Type::Opaque),
    write("targetingExpansion", Type::Opaque),
    write("demandGenSettings", Type::Opaque),
    write("youtubeAndPartnersSettings", Type::Opaque),
    write("partnerRevenueModel", Type::Object(&[write("markupType", Type::Text), write("markupAmount", Type::Int64)])),
    write(
        "flight",
        Type::Object(&[
            write("flightDateType", Type::Enum("LINE_ITEM_FLIGHT_DATE_TYPE_", &["INHERITED", "CUSTOM"])),
            write("dateRange", DATE_RANGE),
        ]),
    ),
    write(
        "budget",
        Type::Object(&[
            write(
                "budgetAllocationType",
                Type::Enum("LINE_ITEM_BUDGET_ALLOCATION_TYPE_", &["AUTOMATIC", "FIXED", "UNLIMITED"]),
            ),
            read("budgetUnit", Type::Text),
            write("maxAmount", Type::Int64),
        ]),
    ),
];

/// The fields of a kind of entity.
#[must_use]
pub fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Campaign => CAMPAIGN,
        Kind::InsertionOrder => INSERTION_ORDER,
        Kind::LineItem => LINE_ITEM,
    }
}

/// Finds the field at a dotted path; with it, the strictest access on the way to it.
#[must_use]
pub fn lookup(kind: Kind, path: &str) -> Option<(Field, Access)> {
    let mut fields = fields(kind);
    let mut access = Access::Write;
    let mut parts = path.split('.').peekable();
    while let Some(part) = parts.next() {
        let field = fields.iter().find(|field| field.name == part)?;
        if access == Access::Write {
            access = field.access;
        }
        match (parts.peek(), field.kind) {
            (None, _) => return Some((*field, access)),
            (Some(_), Type::Object(below)) => fields = below,
            // A mask may not reach into lists, nor where the sandbox does not look.
            (Some(_), _) => return None,
        }
    }
    None
}

/// Checks a request body against the fields, noting what does not fit.
pub fn check(fields: &[Field], body: &Value, path: &str, violations: &mut Vec<Violation>) {
    let Some(map) = body.as_object() else {
        violations.push(Violation::new(path, "Expected an object."));
        return;
    };
    for (name, value) in map {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match fields.iter().find(|field| field.name == name) {
            None => violations.push(Violation::new(
                path,
                format!("Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."),
            )),
            Some(_) if value.is_null() => {}
            Some(field) => check_value(field.kind, value, &at, violations),
        }
    }
}

fn check_value(kind: Type, value: &Value, at: &str, violations: &mut Vec<Violation>) {
    let fits = match kind {
        Type::Opaque => true,
        Type::Text => value.is_string(),
        Type::Int64 => int64(value).is_some(),
        Type::Int32 => int64(value).is_some_and(|number| i32::try_from(number).is_ok()),
        Type::Bool => value.is_boolean(),
        Type::Date => read_date(value).is_some(),
        Type::Enum(prefix, names) => {
            let name = value.as_str().and_then(|text| text.strip_prefix(prefix));
            name.is_some_and(|name| names.contains(&name))
        }
        Type::Object(below) => {
            check(below, value, at, violations);
            true
        }
        Type::List(below) => match value.as_array() {
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    check(below, item, &format!("{at}[{index}]"), violations);
                }
                true
            }
            None => false,
        },
    };
    if !fits {
        violations.push(Violation::new(at, format!("Invalid value at '{at}': {value}")));
    }
}

/// Writes a value as the platform does: int64 always as text, even when a client sent a number.
#[must_use]
pub fn normalize(kind: Type, value: Value) -> Value {
    match (kind, value) {
        (Type::Int64, Value::Number(number)) => Value::String(number.to_string()),
        (Type::Object(below), Value::Object(map)) => Value::Object(normalize_map(below, map)),
        (Type::List(below), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|item| normalize(Type::Object(below), item)).collect())
        }
        (_, value) => value,
    }
}

fn normalize_map(fields: &[Field], map: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    map.into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let kind = fields.iter().find(|field| field.name == name).map_or(Type::Opaque, |field| field.kind);
            (name, normalize(kind, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn masks_find_writable_fields_only_where_they_are() {
        assert_eq!(lookup(Kind::LineItem, "pacing.dailyMaxMicros").unwrap().1, Access::Write);
        assert_eq!(lookup(Kind::LineItem, "budget.budgetUnit").unwrap().1, Access::Read);
        assert_eq!(lookup(Kind::InsertionOrder, "campaignId").unwrap().1, Access::Immutable);
        for unknown in ["dailyMaxMicros", "pacing.dailyMax", "budget.maxAmount.x", "pacing.", ""] {
            assert!(lookup(Kind::LineItem, unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn bodies_are_checked_field_by_field() {
        let mut violations = Vec::new();
        let body = json!({"pacing": {"dailyMaxMicros": 5, "pacingType": "FAST"}, "colour": "red"});
        check(fields(Kind::LineItem), &body, "", &mut violations);
        let found: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(found, ["", "pacing.pacingType"]);
    }
}
