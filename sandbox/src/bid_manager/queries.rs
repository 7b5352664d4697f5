//! The methods on queries: create, list, get, delete, run.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{HeaderMap, Uri};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::reports::{Query, Report, admit, base_url};
use super::{dates, params, plan};
use crate::dv360::listing::Page;
use crate::dv360::{Parameters, check_parameters, fields, parse_id};
use crate::faults::Stage;
use crate::google::{ApiError, Caller};
use crate::journal::Event;
use crate::random::{mix, within};
use crate::state::{Sandbox, State as SandboxState};

type Answer = Result<Json<Value>, ApiError>;

/// The most queries that one sandbox keeps.
const MAX_QUERIES: usize = 100_000;

/// `queries.create`
pub(super) async fn create(
    State(sandbox): State<Arc<Sandbox>>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &[])?;
    let mut document = read_json(&body)?;
    let params = params::check_query(&document)?;
    let mut state = sandbox.lock();
    plan::covered(&state.world, &params, &caller.email)?;
    if state.queries.queries.len() >= MAX_QUERIES {
        return Err(ApiError::of_status(429));
    }
    let id = state.queries.take_query_id();
    if let Some(document) = document.as_object_mut() {
        document.insert("queryId".to_owned(), json!(id.to_string()));
        document.entry("schedule").or_insert_with(|| json!({"frequency": "ONE_TIME"}));
    }
    let query = Query { id, owner: caller.email, document: document.clone(), params };
    state.journal.note(&Event::Created { owner: query.owner.clone(), document: document.clone() });
    state.queries.queries.insert(id, query);
    fields::select(document, parameters.get("fields")).map(Json)
}

/// `queries.list`
pub(super) async fn list(
    State(sandbox): State<Arc<Sandbox>>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &["orderBy", "pageSize", "pageToken"])?;
    let order = parameters.get("orderBy").map_or("", |order| order.trim());
    let page = Page::parse(&parameters, 100, &format!("queries/{order}"))?;
    let state = sandbox.lock();
    let owned = state.queries.queries.values().filter(|query| query.owner == caller.email);
    let mut found: Vec<Value> = owned.map(|query| query.document.clone()).collect();
    match order {
        "" | "queryId" => {}
        "queryId desc" => found.reverse(),
        "metadata.title" => found.sort_by_key(title),
        "metadata.title desc" => {
            found.sort_by_key(title);
            found.reverse();
        }
        other => return Err(ApiError::invalid("orderBy", format!("Invalid value \"{other}\"."))),
    }
    fields::select(page.answer("queries", found), parameters.get("fields")).map(Json)
}

/// `queries.get`
pub(super) async fn get(
    State(sandbox): State<Arc<Sandbox>>,
    Path(query): Path<String>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &[])?;
    let id = parse_id("queryId", &query)?;
    let state = sandbox.lock();
    let query = state.queries.owned(id, &caller.email)?;
    fields::select(query.document.clone(), parameters.get("fields")).map(Json)
}

/// `queries.delete`; its reports go with it.
pub(super) async fn delete(
    State(sandbox): State<Arc<Sandbox>>,
    Path(query): Path<String>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &[])?;
    let id = parse_id("queryId", &query)?;
    let mut state = sandbox.lock();
    state.queries.owned(id, &caller.email)?;
    state.queries.delete(id);
    state.journal.note(&Event::Deleted { query_id: id });
    Ok(Json(json!({})))
}

/// `queries.run`: the path ends in `:run`, and the body may be empty.
pub(super) async fn run(
    State(sandbox): State<Arc<Sandbox>>,
    Path(query): Path<String>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Answer {
    let (caller, now) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &["synchronous"])?;
    let id = query.strip_suffix(":run").ok_or_else(ApiError::not_found)?;
    let id = parse_id("queryId", id)?;
    let request = if body.is_empty() { json!({}) } else { read_json(&body)? };
    let mut state = sandbox.lock();
    let report = make_report(&mut state, &sandbox, &caller, id, request.get("dataRange"), now, uri.path())?;
    let document = report.document(state.queries.seed, &base_url(&headers), now);
    state.journal.note(&Event::Ran {
        query_id: id,
        report_id: report.id,
        starts_at: report.starts_at,
        finishes_at: report.finishes_at,
        as_of: report.plan.as_of,
        days: (*report.plan.days.start(), *report.plan.days.end()),
        fault: report.plan.fault.clone(),
    });
    state.queries.reports.insert((id, report.id), report);
    fields::select(document, parameters.get("fields")).map(Json)
}

fn make_report(
    state: &mut SandboxState,
    sandbox: &Sandbox,
    caller: &Caller,
    query_id: u64,
    range: Option<&Value>,
    now: DateTime<Utc>,
    path: &str,
) -> Result<Report, ApiError> {
    let query = state.queries.owned(query_id, &caller.email)?.clone();
    let advertisers = plan::covered(&state.world, &query.params, &caller.email)?;
    let range = range.filter(|range| !range.is_null()).or_else(|| query.document.pointer("/metadata/dataRange"));
    // Days are the advertiser's own; over several advertisers, those of the first.
    let zone = advertisers.first().map_or(state.world.partner.zone, |advertiser| advertiser.zone);
    let (first, last) = dates::resolve(range.unwrap_or(&Value::Null), now.with_timezone(&zone).date_naive())?;
    let groups = plan::groups(&state.world, &query.params, &advertisers);
    let filter_lines = plan::filter_lines(&state.world, &query.params);
    let id = state.queries.take_report_id();
    let delay = &sandbox.options.report_delay_seconds;
    let delay = within(mix(&[sandbox.options.seed, id]), *delay.start(), *delay.end());
    let starts_at = now + TimeDelta::milliseconds(delay * 1_000 / 3);
    let plan = plan::Plan {
        params: query.params,
        days: first..=last,
        // The Report Time is printed to the minute; what it promises must hold to the minute.
        as_of: starts_at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(starts_at),
        groups,
        filter_lines,
        fault: state.faults.strike(Stage::Report, "POST", path, Some(&caller.email)),
    };
    Ok(Report {
        id,
        query_id,
        starts_at,
        finishes_at: now + TimeDelta::seconds(delay),
        plan: Arc::new(plan),
        params: query.document.get("params").cloned().unwrap_or_default(),
    })
}

fn read_json(body: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| ApiError::invalid("", "Invalid JSON payload received."))
}

fn title(query: &Value) -> String {
    query.pointer("/metadata/title").and_then(Value::as_str).unwrap_or_default().to_owned()
}
