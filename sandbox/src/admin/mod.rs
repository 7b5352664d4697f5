//! The admin API: virtual time, the world and its ledger, faults, and what the product did. For tests
//! and demonstrations; the product never calls it.

pub mod changes;
pub mod truth;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::{format_seconds, parse_seconds};
use crate::document::write_instant;
use crate::faults::Fault;
use crate::state::Sandbox;

/// An admin call that cannot be done, with a sentence that says why.
#[derive(Debug)]
pub struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(reason: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.into())
    }

    fn missing(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, format!("There is no {}.", what.into()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

type Answer = Result<Json<Value>, Refusal>;

/// The routes of the admin API.
pub fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/clock", get(read_clock).post(move_clock))
        .route("/world", get(truth::world))
        .route("/ledger", get(truth::ledger))
        .route("/restate", post(changes::restate))
        .route("/restate/take-back", post(changes::take_back))
        .route("/calls", get(calls))
        .route("/writes", get(writes))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/users/{email}/revoke", post(changes::revoke_user))
        .route("/users/{email}/lose-access", post(changes::lose_access))
        .route("/users/{email}/restore-access", post(changes::restore_access))
        .route("/advertisers/{id}/remove", post(changes::remove_advertiser))
        .route("/advertisers/{id}/restore", post(changes::restore_advertiser))
        .route("/entities/campaigns/{id}", post(changes::change_campaign))
        .route("/entities/line-items/{id}", post(changes::change_line_item))
}

async fn read_clock(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    clock(&sandbox)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockIn {
    advance_seconds: Option<Value>,
    now: Option<DateTime<Utc>>,
}

async fn move_clock(State(sandbox): State<Arc<Sandbox>>, Json(wish): Json<ClockIn>) -> Answer {
    let moved = match (wish.advance_seconds, wish.now) {
        (Some(seconds), None) => {
            let text = seconds.as_str().map_or_else(|| seconds.to_string(), ToOwned::to_owned);
            let millis =
                parse_seconds(&text).ok_or_else(|| Refusal::bad("advance_seconds must be a decimal number."))?;
            sandbox.clock.advance_millis(millis)
        }
        (None, Some(now)) => sandbox.clock.set_now(now),
        _ => return Err(Refusal::bad("Say either advance_seconds or now.")),
    };
    moved.map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, format!("The clock file: {error}")))?;
    // Days of delivery may lie between; better now than within somebody's call.
    drop(sandbox.settled());
    Ok(clock(&sandbox))
}

fn clock(sandbox: &Sandbox) -> Json<Value> {
    let offset_seconds = format_seconds(sandbox.clock.offset_millis());
    Json(json!({"now": write_instant(sandbox.clock.now()), "offset_seconds": offset_seconds}))
}

async fn calls(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    let state = sandbox.lock();
    let used = state.quota.bid_manager_used(&sandbox.options.client_id, sandbox.clock.now());
    Json(json!({"calls": state.record.calls, "totals": state.record.totals, "bid_manager_used_today": used}))
}

async fn writes(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(json!({"writes": sandbox.lock().record.writes}))
}

async fn list_faults(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(json!({"faults": sandbox.lock().faults.list()}))
}

async fn add_fault(State(sandbox): State<Arc<Sandbox>>, Json(fault): Json<Fault>) -> Answer {
    let mut state = sandbox.lock();
    if state.faults.add(fault) {
        Ok(Json(json!({"faults": state.faults.list()})))
    } else {
        Err(Refusal::bad("The fault plan is full: delete it first."))
    }
}

async fn clear_faults(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    sandbox.lock().faults.clear();
    Json(json!({"faults": []}))
}
