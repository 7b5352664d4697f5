//! Queries and reports as they are kept, and the methods that read reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{HeaderMap, Uri, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::params::Params;
use super::plan::Plan;
use super::storage;
use crate::document::{write_date, write_instant};
use crate::dv360::listing::Page;
use crate::dv360::{Parameters, check_parameters, fields, parse_id};
use crate::faults::Action;
use crate::google::caller::BID_MANAGER;
use crate::google::{ApiError, Caller};
use crate::state::Sandbox;

/// The largest page of queries or reports.
const LARGEST_PAGE: usize = 100;

/// A saved query.
#[derive(Debug, Clone)]
pub struct Query {
    /// Its id.
    pub id: u64,
    /// Who made it; nobody else can see it.
    pub owner: String,
    /// The document, as it was sent and with its id.
    pub document: Value,
    /// What it asks for.
    pub params: Params,
}

/// One run of a query.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id.
    pub id: u64,
    /// The query.
    pub query_id: u64,
    /// When it stops waiting; its content is fixed then.
    pub starts_at: DateTime<Utc>,
    /// When it is ready.
    pub finishes_at: DateTime<Utc>,
    /// What it contains.
    pub plan: Arc<Plan>,
    /// The parameters of the query, as sent.
    pub params: Value,
}

impl Report {
    fn state(&self, now: DateTime<Utc>) -> &'static str {
        if now < self.starts_at {
            "QUEUED"
        } else if now < self.finishes_at || self.plan.fault == Some(Action::ReportNeverFinishes) {
            "RUNNING"
        } else if self.plan.fault == Some(Action::ReportFailed) {
            "FAILED"
        } else {
            "DONE"
        }
    }

    /// Whether its file can be downloaded.
    #[must_use]
    pub fn is_done(&self, now: DateTime<Utc>) -> bool {
        self.state(now) == "DONE"
    }

    /// The report's document. `base` is the address at which the caller reached the sandbox.
    #[must_use]
    pub fn document(&self, seed: u64, base: &str, now: DateTime<Utc>) -> Value {
        let state = self.state(now);
        let mut status = json!({"state": state, "format": "CSV"});
        let mut metadata = json!({
            "reportDataStartDate": write_date(*self.plan.days.start()),
            "reportDataEndDate": write_date(*self.plan.days.end()),
        });
        if matches!(state, "DONE" | "FAILED") {
            put(&mut status, "finishTime", json!(write_instant(self.finishes_at)));
        }
        if state == "DONE" {
            let path = storage::signed_path(seed, self.query_id, self.id, now);
            put(&mut metadata, "googleCloudStoragePath", json!(format!("{base}{path}")));
        }
        put(&mut metadata, "status", status);
        json!({
            "key": {"queryId": self.query_id.to_string(), "reportId": self.id.to_string()},
            "metadata": metadata,
            "params": self.params,
        })
    }
}

/// All queries and reports.
#[derive(Debug)]
pub struct Queries {
    /// The seed, for signatures.
    pub seed: u64,
    /// The queries by id.
    pub queries: BTreeMap<u64, Query>,
    /// The reports by query and id.
    pub reports: BTreeMap<(u64, u64), Report>,
    /// The file of the report that was downloaded last, in the pieces that it is sent in.
    pub last_file: Option<((u64, u64), Vec<Bytes>)>,
    next_query: u64,
    next_report: u64,
}

impl Queries {
    /// No queries yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            queries: BTreeMap::new(),
            reports: BTreeMap::new(),
            last_file: None,
            next_query: 1_001,
            next_report: 200_001,
        }
    }

    /// A new query's id.
    pub fn take_query_id(&mut self) -> u64 {
        self.next_query += 1;
        self.next_query - 1
    }

    /// A new report's id.
    pub fn take_report_id(&mut self) -> u64 {
        self.next_report += 1;
        self.next_report - 1
    }

    /// Counts on from a query that is there already.
    pub fn skip_to_query(&mut self, id: u64) {
        self.next_query = self.next_query.max(id + 1);
    }

    /// Counts on from a report that is there already.
    pub fn skip_to_report(&mut self, id: u64) {
        self.next_report = self.next_report.max(id + 1);
    }

    /// Removes a query with its reports.
    pub fn delete(&mut self, query_id: u64) {
        self.queries.remove(&query_id);
        self.reports.retain(|(owner, _), _| *owner != query_id);
    }

    /// The query, if it exists and belongs to the caller.
    ///
    /// # Errors
    /// 404 otherwise.
    pub fn owned(&self, id: u64, email: &str) -> Result<&Query, ApiError> {
        self.queries.get(&id).filter(|query| query.owner == email).ok_or_else(ApiError::not_found)
    }

    /// Whether a report's content was fixed within the minute that begins at `minute`.
    #[must_use]
    pub fn fixed_in(&self, minute: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.reports.values().any(|report| report.plan.as_of == minute && report.starts_at <= now)
    }
}

/// `queries.reports.list`
pub(super) async fn list(
    State(sandbox): State<Arc<Sandbox>>,
    Path(query): Path<String>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let (caller, now) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &["orderBy", "pageSize", "pageToken"])?;
    let query_id = parse_id("queryId", &query)?;
    let order = parameters.get("orderBy").map_or("", |order| order.trim());
    let page = Page::parse(&parameters, LARGEST_PAGE, &format!("reports/{query}/{order}"))?;
    let state = sandbox.lock();
    state.queries.owned(query_id, &caller.email)?;
    let reports = state.queries.reports.range((query_id, 0)..=(query_id, u64::MAX));
    let base = base_url(&headers);
    let mut found: Vec<Value> = reports.map(|(_, report)| report.document(state.queries.seed, &base, now)).collect();
    match order {
        "" | "key.reportId" => {}
        "key.reportId desc" => found.reverse(),
        other => return Err(ApiError::invalid("orderBy", format!("Invalid value \"{other}\"."))),
    }
    fields::select(page.answer("reports", found), parameters.get("fields")).map(Json)
}

/// `queries.reports.get`
pub(super) async fn get(
    State(sandbox): State<Arc<Sandbox>>,
    Path((query, report)): Path<(String, String)>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    let (caller, now) = admit(&sandbox, &headers, &uri)?;
    check_parameters(&parameters, &[])?;
    let (query_id, report_id) = (parse_id("queryId", &query)?, parse_id("reportId", &report)?);
    let state = sandbox.lock();
    state.queries.owned(query_id, &caller.email)?;
    let report = state.queries.reports.get(&(query_id, report_id)).ok_or_else(ApiError::not_found)?;
    let document = report.document(state.queries.seed, &base_url(&headers), now);
    fields::select(document, parameters.get("fields")).map(Json)
}

/// Identifies the caller and counts the call.
pub(super) fn admit(sandbox: &Sandbox, headers: &HeaderMap, uri: &Uri) -> Result<(Caller, DateTime<Utc>), ApiError> {
    let caller = Caller::authenticate(sandbox, headers, uri, &[BID_MANAGER])?;
    let (mut state, now) = sandbox.settled();
    state.quota.bid_manager(&caller.project, &caller.email, now)?;
    Ok((caller, now))
}

/// The address at which the caller reached the sandbox.
pub(super) fn base_url(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    format!("http://{host}")
}

fn put(target: &mut Value, name: &str, value: Value) {
    if let Some(target) = target.as_object_mut() {
        target.insert(name.to_owned(), value);
    }
}
