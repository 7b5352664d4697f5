//! What is true: the world as it is, and the ledger read directly.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::document::{Document, number, text};
use crate::ledger::oracle::{DayTotal, FIGURE_NAMES};
use crate::state::Sandbox;
use crate::world::{Kind, World};

/// The place of the conversions among the figures; they are counted in hundredths.
const CONVERSIONS: &str = "conversions";

pub(super) async fn world(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    let state = sandbox.lock();
    let world = &state.world;
    let advertisers: Vec<Value> = world
        .advertisers
        .values()
        .map(|advertiser| {
            let visible_to: Vec<&String> = world
                .users
                .iter()
                .filter(|(_, user)| user.advertisers.contains(&advertiser.id) && !user.lost_access)
                .map(|(email, _)| email)
                .collect();
            json!({
                "advertiser_id": advertiser.id.to_string(),
                "partner_id": world.partner.id.to_string(),
                "name": advertiser.name,
                "currency": advertiser.currency,
                "time_zone": advertiser.zone.name(),
                "removed": advertiser.removed,
                "visible_to": visible_to,
            })
        })
        .collect();
    Json(json!({
        "seed": world.seed,
        "anchor_day": world.anchor,
        "partners": [{
            "partner_id": world.partner.id.to_string(),
            "name": world.partner.name,
            "currency": world.partner.currency,
            "time_zone": world.partner.zone.name(),
        }],
        "advertisers": advertisers,
        "campaigns": entities(world, Kind::Campaign),
        "insertion_orders": entities(world, Kind::InsertionOrder),
        "line_items": entities(world, Kind::LineItem),
        "users": world.users.keys().collect::<Vec<_>>(),
    }))
}

fn entities(world: &World, wanted: Kind) -> Vec<Value> {
    let found = world.entities.iter().filter(|((kind, _, _), _)| *kind == wanted);
    found.map(|((_, _, id), document)| entity(world, wanted, *id, document)).collect()
}

fn entity(world: &World, kind: Kind, id: u64, document: &Document) -> Value {
    let mut out = crate::document::object(json!({
        "name": text(document, "displayName"),
        "advertiser_id": text(document, "advertiserId"),
        "status": text(document, "entityStatus"),
        "update_time": text(document, "updateTime"),
    }));
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("campaign_id", json!(text(document, "campaignId")));
    match kind {
        Kind::Campaign => {
            put("planned_spend_micros", json!(number(document, "campaignFlight.plannedSpendAmountMicros")));
            put(
                "flight",
                days(
                    crate::document::date(document, "campaignFlight.plannedDates.startDate")
                        .zip(crate::document::date(document, "campaignFlight.plannedDates.endDate")),
                ),
            );
        }
        Kind::InsertionOrder => {
            put("insertion_order_id", json!(id.to_string()));
            let budget = document.get("budget").and_then(|budget| budget.get("budgetSegments")).cloned();
            put("budget_segments", budget.unwrap_or_default());
        }
        Kind::LineItem => {
            put("insertion_order_id", json!(text(document, "insertionOrderId")));
            put("line_item_id", json!(id.to_string()));
            put("flight", days(world.flight(document)));
            put("budget_micros", json!(number(document, "budget.maxAmount")));
            put("daily_max_micros", json!(number(document, "pacing.dailyMaxMicros")));
            let facts = world.facts.get(&id);
            put("intended_pace_permille", json!(facts.and_then(|facts| facts.intended_pace_permille)));
            put("estimated", json!(facts.map(|facts| facts.estimated.clone()).unwrap_or_default()));
        }
    }
    Value::Object(out)
}

fn days(flight: Option<(chrono::NaiveDate, chrono::NaiveDate)>) -> Value {
    flight.map_or(Value::Null, |(first, last)| json!({"start": first, "end": last}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerQuery {
    as_of: Option<DateTime<Utc>>,
    advertiser: Option<u64>,
}

/// The ledger as newline-delimited JSON, one line item after the other, so that it can be long.
pub(super) async fn ledger(
    State(sandbox): State<Arc<Sandbox>>,
    Query(query): Query<LedgerQuery>,
) -> Result<Response, Refusal> {
    let (state, now) = sandbox.settled();
    let as_of = query.as_of.unwrap_or(now);
    if let Some(id) = query.advertiser.filter(|id| !state.world.advertisers.contains_key(id)) {
        return Err(Refusal::missing(format!("advertiser {id}")));
    }
    let wanted = |advertiser: u64| query.advertiser.is_none_or(|id| id == advertiser);
    let keys = state.world.entities.keys().filter(|key| key.0 == Kind::LineItem && wanted(key.1));
    let line_items: Vec<(u64, u64)> = keys.map(|key| (key.1, key.2)).collect();
    drop(state);
    let pieces = line_items.into_iter().map(move |(advertiser_id, id)| {
        let state = sandbox.lock();
        let mut out = String::new();
        if let Some(document) = state.world.entities.get(&(Kind::LineItem, advertiser_id, id)) {
            for (day, total) in state.ledger.day_totals(id, as_of) {
                out.push_str(&Value::Object(row(document, &day.to_string(), &total)).to_string());
                out.push('\n');
            }
        }
        Ok::<Bytes, io::Error>(Bytes::from(out))
    });
    let body = Body::from_stream(futures::stream::iter(pieces));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn row(line_item: &Document, day: &str, total: &DayTotal) -> Map<String, Value> {
    let mut row = Map::new();
    for (name, field) in [
        ("advertiser_id", "advertiserId"),
        ("campaign_id", "campaignId"),
        ("insertion_order_id", "insertionOrderId"),
        ("line_item_id", "lineItemId"),
    ] {
        row.insert(name.to_owned(), json!(text(line_item, field)));
    }
    row.insert("day".to_owned(), json!(day));
    let mut withheld = Vec::new();
    for (index, (name, figure)) in FIGURE_NAMES.iter().zip(total.metrics.figures()).enumerate() {
        let value = if *name == CONVERSIONS { json!(hundredths(figure)) } else { json!(figure) };
        row.insert((*name).to_owned(), value);
        if total.withheld & (1 << index) != 0 {
            withheld.push(*name);
        }
    }
    row.insert("withheld".to_owned(), json!(withheld));
    row
}

fn hundredths(figure: i64) -> String {
    let sign = if figure < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", figure.unsigned_abs() / 100, figure.unsigned_abs() % 100)
}
