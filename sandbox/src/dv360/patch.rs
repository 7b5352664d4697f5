//! The patch methods: an update mask says which fields of the body count; everything is checked
//! before anything is changed.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::entities::{admit, reply, visible_advertiser};
use super::rules::Change;
use super::schema::{self, Access, Type};
use super::{Parameters, check_parameters, parse_id};
use crate::document::{Document, at, put, write_instant};
use crate::google::{ApiError, Caller, Violation};
use crate::record::Write;
use crate::state::Sandbox;
use crate::world::Kind;

/// One patch, read from a request.
struct Patch {
    kind: Kind,
    advertiser_id: u64,
    id: u64,
    mask: Vec<String>,
    body: Value,
    caller: Caller,
}

/// `campaigns.patch`, `insertionOrders.patch`, `lineItems.patch`
pub(super) async fn patch_entity(
    State(sandbox): State<Arc<Sandbox>>,
    Path((advertiser, collection, id)): Path<(String, String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let kind = Kind::from_collection(&collection).ok_or_else(ApiError::not_found)?;
    let advertiser_id = parse_id("advertiserId", &advertiser)?;
    let (caller, _) = admit(&sandbox, &headers, &uri, Some(advertiser_id), true)?;
    check_parameters(&parameters, &["updateMask"])?;
    let id = parse_id(kind.id_field(), &id)?;
    visible_advertiser(&sandbox.lock(), &caller, advertiser_id)?;
    let mask = read_mask(kind, parameters.get("updateMask"))?;
    let body = read_body(kind, &body)?;
    let patch = Patch { kind, advertiser_id, id, mask, body, caller };
    let document = apply_slowly(&sandbox, patch).await?;
    reply(&parameters, Value::Object(document))
}

/// Applies the patch after the time that it takes; a second one for the same line item meanwhile
/// is refused.
async fn apply_slowly(sandbox: &Sandbox, patch: Patch) -> Result<Document, ApiError> {
    if patch.kind != Kind::LineItem {
        return apply(sandbox, &patch);
    }
    if !sandbox.lock().in_flight.insert(patch.id) {
        return Err(ApiError::aborted());
    }
    tokio::time::sleep(Duration::from_millis(sandbox.options.patch_millis)).await;
    let outcome = apply(sandbox, &patch);
    sandbox.lock().in_flight.remove(&patch.id);
    outcome
}

fn apply(sandbox: &Sandbox, patch: &Patch) -> Result<Document, ApiError> {
    // Delivery up to now happened under the old terms.
    let (mut state, now) = sandbox.settled();
    let advertiser = visible_advertiser(&state, &patch.caller, patch.advertiser_id)?;
    let today = now.with_timezone(&advertiser.zone).date_naive();
    let key = (patch.kind, patch.advertiser_id, patch.id);
    let before = state.world.entities.get(&key).ok_or_else(ApiError::not_found)?;
    let mut after = merge(patch, before);
    let change = Change { kind: patch.kind, before, advertiser, world: &state.world, today };
    let broken = change.check(&mut after);
    if !broken.is_empty() {
        return Err(ApiError::invalid_fields(&broken));
    }
    let write = note(patch, before, &after, now);
    if write.changed {
        put(&mut after, "updateTime", Some(Value::String(write_instant(now))));
    }
    state.replace_entity(key, after.clone(), now);
    state.record.writes.push(write);
    Ok(state.world.render(patch.kind, &after, today))
}

fn merge(patch: &Patch, before: &Document) -> Document {
    let mut after = before.clone();
    for path in &patch.mask {
        let body = patch.body.as_object().and_then(|body| at(body, path)).filter(|value| !value.is_null());
        let kind = schema::lookup(patch.kind, path).map_or(Type::Opaque, |(field, _)| field.kind);
        // A field that the mask names and the body lacks is cleared.
        let value = body.map(|value| schema::normalize(kind, value.clone()));
        let value = match (path.as_str(), value) {
            // What a client may not write inside a message stays as it was.
            ("budget", Some(Value::Object(mut budget))) => {
                if let Some(unit) = at(before, "budget.budgetUnit") {
                    budget.insert("budgetUnit".to_owned(), unit.clone());
                }
                Some(Value::Object(budget))
            }
            (_, value) => {
                choose_one_bid(&mut after, path, value.is_some());
                value
            }
        };
        put(&mut after, path, value);
    }
    after
}

/// Setting one bidding strategy takes the place of any other.
fn choose_one_bid(after: &mut Document, path: &str, set: bool) {
    let Some(rest) = path.strip_prefix("bidStrategy.").filter(|_| set) else { return };
    let chosen = rest.split('.').next().unwrap_or_default();
    if let Some(Value::Object(strategies)) = after.get_mut("bidStrategy") {
        strategies.retain(|name, _| name == chosen);
    }
}

fn note(patch: &Patch, before: &Document, after: &Document, now: DateTime<Utc>) -> Write {
    let values = |document: &Document| -> Value {
        let values = patch.mask.iter().map(|path| (path.clone(), at(document, path).cloned().unwrap_or(Value::Null)));
        Value::Object(values.collect::<Map<_, _>>())
    };
    Write {
        time: now,
        user: patch.caller.email.clone(),
        entity: format!("advertisers/{}/{}/{}", patch.advertiser_id, patch.kind.collection(), patch.id),
        mask: patch.mask.clone(),
        before: values(before),
        after: values(after),
        changed: before != after,
    }
}

fn read_mask(kind: Kind, mask: Option<&String>) -> Result<Vec<String>, ApiError> {
    let mask = mask.map(|mask| mask.trim()).filter(|mask| !mask.is_empty());
    let mask = mask.ok_or_else(|| ApiError::invalid("updateMask", "Required field is missing."))?;
    let mut violations = Vec::new();
    let mut paths = Vec::new();
    for path in mask.split(',').map(str::trim) {
        match schema::lookup(kind, path) {
            None => violations.push(Violation::new("updateMask", format!("Invalid field path: {path}"))),
            Some((_, Access::Read)) => violations.push(Violation::new(path, "The field is output only.")),
            Some((_, Access::Immutable)) => violations.push(Violation::new(path, "The field is immutable.")),
            Some((_, Access::Write)) => paths.push(path.to_owned()),
        }
    }
    if violations.is_empty() { Ok(paths) } else { Err(ApiError::invalid_fields(&violations)) }
}

fn read_body(kind: Kind, bytes: &Bytes) -> Result<Value, ApiError> {
    let body: Value = if bytes.is_empty() {
        Value::Object(Map::new())
    } else {
        serde_json::from_slice(bytes)
            .map_err(|error| ApiError::invalid("", format!("Invalid JSON payload received. {error}")))?
    };
    let mut violations = Vec::new();
    schema::check(schema::fields(kind), &body, "", &mut violations);
    if violations.is_empty() { Ok(body) } else { Err(ApiError::invalid_fields(&violations)) }
}
