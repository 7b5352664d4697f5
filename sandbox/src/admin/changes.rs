//! What tests change behind the product's back.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refusal};
use crate::document::{Document, put, write_instant};
use crate::dv360::schema;
use crate::journal::Event;
use crate::ledger::LAG_SECONDS;
use crate::ledger::restate::Change;
use crate::random::{mix, within};
use crate::state::{Sandbox, State as SandboxState};
use crate::world::Kind;

/// The most days that one call may restate.
const MAX_RESTATED_DAYS: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestateIn {
    #[serde(default = "five")]
    days: usize,
    /// How many line items, or which; all by default.
    lines: Option<Lines>,
    /// What the figures are multiplied with; by default a few percent, other for each line and day.
    factor_permille: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    Count(usize),
    Ids(Vec<String>),
}

fn five() -> usize {
    5
}

pub(super) async fn restate(State(sandbox): State<Arc<Sandbox>>, Json(wish): Json<RestateIn>) -> Answer {
    if wish.days == 0 || wish.days > MAX_RESTATED_DAYS {
        return Err(Refusal::bad(format!("days must be between 1 and {MAX_RESTATED_DAYS}.")));
    }
    let (mut state, now) = sandbox.settled();
    let effective_at = effective_at(&state, now);
    let wanted = choose(&state, wish.lines);
    let mut changes = Vec::new();
    let advertisers: Vec<_> = state.world.advertisers.values().map(|one| (one.id, one.zone)).collect();
    for (advertiser_id, zone) in advertisers {
        let ids: Vec<u64> = state.world.entities_of(Kind::LineItem, advertiser_id).map(|(id, _)| id).collect();
        let ids: Vec<u64> = ids.into_iter().filter(|id| wanted.contains(id)).collect();
        // Only days that are over and fully visible are past.
        let settled_at = (now - TimeDelta::seconds(LAG_SECONDS)).with_timezone(&zone).date_naive();
        let Some(last_day) = settled_at.pred_opt() else { continue };
        for day in state.ledger.latest_days(&ids, last_day, wish.days) {
            for id in &ids {
                let factor = wish.factor_permille.unwrap_or_else(|| factor(state.world.seed, *id, day));
                let visible_from = effective_at.timestamp();
                changes.extend(state.ledger.restate_day(*id, day, factor, visible_from));
                state.journal.note(&Event::Restated {
                    at: now,
                    line_item_id: *id,
                    day,
                    factor_permille: factor,
                    visible_from,
                });
            }
        }
    }
    Ok(Json(told(effective_at, &changes)))
}

/// Puts every restated figure back to what it was.
pub(super) async fn take_back(State(sandbox): State<Arc<Sandbox>>) -> Answer {
    let (mut state, now) = sandbox.settled();
    let effective_at = effective_at(&state, now);
    let visible_from = effective_at.timestamp();
    let changes = state.ledger.take_back(visible_from);
    state.journal.note(&Event::TakenBack { at: now, visible_from });
    Ok(Json(told(effective_at, &changes)))
}

fn told(effective_at: DateTime<Utc>, changes: &[Change]) -> Value {
    let days: BTreeSet<NaiveDate> = changes.iter().map(|change| change.day).collect();
    json!({
        "effective_at": write_instant(effective_at),
        "changed_rows": changes.len(),
        "days": days,
        "changes": changes.iter().map(describe).collect::<Vec<_>>(),
    })
}

/// Reports print their time to the minute. A restatement therefore acts from the beginning of this
/// minute, unless a report that was made in this minute already shows the old figures.
fn effective_at(state: &SandboxState, now: DateTime<Utc>) -> DateTime<Utc> {
    let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
    if state.queries.fixed_in(minute, now) { minute + TimeDelta::minutes(1) } else { minute }
}

fn choose(state: &SandboxState, lines: Option<Lines>) -> BTreeSet<u64> {
    let all = state.world.facts.iter().filter(|(_, facts)| !facts.bulk).map(|(id, _)| *id);
    match lines {
        None => all.collect(),
        Some(Lines::Count(count)) => all.take(count).collect(),
        Some(Lines::Ids(ids)) => ids.iter().filter_map(|id| id.parse().ok()).collect(),
    }
}

/// Between five percent down and four percent up, but never the same as before.
fn factor(seed: u64, line_item_id: u64, day: NaiveDate) -> i64 {
    let chance = mix(&[seed, line_item_id, u64::from(day.to_epoch_days().unsigned_abs()), 0xFAC7]);
    let factor = within(chance, 950, 1_040);
    if factor == 1_000 { 1_010 } else { factor }
}

fn describe(change: &Change) -> Value {
    json!({
        "line_item_id": change.line_item_id.to_string(),
        "day": change.day,
        "device": change.device.name(),
        "impressions": change.difference.impressions,
        "media_cost_micros": change.difference.media_cost_micros,
        "revenue_micros": change.difference.revenue_micros,
    })
}

pub(super) async fn revoke_user(State(sandbox): State<Arc<Sandbox>>, Path(email): Path<String>) -> Answer {
    let mut state = sandbox.lock();
    if !state.world.users.contains_key(&email) {
        return Err(Refusal::missing(format!("user {email}")));
    }
    let revoked = state.accounts.revoke_user(&email);
    state.note_accounts();
    Ok(Json(json!({"revoked": revoked})))
}

pub(super) async fn lose_access(State(sandbox): State<Arc<Sandbox>>, Path(email): Path<String>) -> Answer {
    set_access(&sandbox, &email, true)
}

pub(super) async fn restore_access(State(sandbox): State<Arc<Sandbox>>, Path(email): Path<String>) -> Answer {
    set_access(&sandbox, &email, false)
}

fn set_access(sandbox: &Sandbox, email: &str, lost: bool) -> Answer {
    let mut state = sandbox.lock();
    let user = state.world.users.get_mut(email).ok_or_else(|| Refusal::missing(format!("user {email}")))?;
    user.lost_access = lost;
    state.journal.note(&Event::Access { email: email.to_owned(), lost });
    Ok(Json(json!({"user": email, "lost_access": lost})))
}

pub(super) async fn remove_advertiser(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<u64>) -> Answer {
    set_removed(&sandbox, id, true)
}

pub(super) async fn restore_advertiser(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<u64>) -> Answer {
    set_removed(&sandbox, id, false)
}

fn set_removed(sandbox: &Sandbox, id: u64, removed: bool) -> Answer {
    let mut state = sandbox.lock();
    let advertiser =
        state.world.advertisers.get_mut(&id).ok_or_else(|| Refusal::missing(format!("advertiser {id}")))?;
    advertiser.removed = removed;
    state.journal.note(&Event::Removed { advertiser_id: id, removed });
    Ok(Json(json!({"advertiser_id": id.to_string(), "removed": removed})))
}

/// Changes a line item as somebody in the platform's own interface would: the body's keys are dotted
/// paths, such as `{"pacing.dailyMaxMicros": "5000000"}`.
pub(super) async fn change_line_item(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<u64>,
    Json(values): Json<Document>,
) -> Answer {
    change(&sandbox, Kind::LineItem, id, values)
}

/// As [`change_line_item`], for a campaign.
pub(super) async fn change_campaign(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<u64>,
    Json(values): Json<Document>,
) -> Answer {
    change(&sandbox, Kind::Campaign, id, values)
}

fn change(sandbox: &Sandbox, kind: Kind, id: u64, values: Document) -> Answer {
    let (mut state, now) = sandbox.settled();
    let key = state.world.entities.keys().find(|key| key.0 == kind && key.2 == id).copied();
    let key = key.ok_or_else(|| Refusal::missing(format!("entity {id}")))?;
    let mut after = state.world.entities.get(&key).cloned().unwrap_or_default();
    for (path, value) in values {
        let (field, _) =
            schema::lookup(kind, &path).ok_or_else(|| Refusal::bad(format!("Entity {id} has no field {path}.")))?;
        put(&mut after, &path, Some(schema::normalize(field.kind, value)).filter(|value| !value.is_null()));
    }
    let mut violations = Vec::new();
    schema::check(schema::fields(kind), &Value::Object(after.clone()), "", &mut violations);
    if let Some(violation) = violations.first() {
        return Err(Refusal::bad(format!("{}: {}", violation.field, violation.description)));
    }
    put(&mut after, "updateTime", Some(json!(write_instant(now))));
    state.replace_entity(key, after.clone(), now);
    Ok(Json(Value::Object(after)))
}
