//! A sandbox in this process, spoken to through its router, with virtual time fixed at the start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{HeaderMap, Request, header};
use chrono::{DateTime, TimeDelta, Utc};
use sandbox::google::accounts::Consent;
use sandbox::http::Connection;
use sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const PLANNER: &str = "planner@agency.example";
pub(crate) const SCOPES: &str =
    "https://www.googleapis.com/auth/display-video https://www.googleapis.com/auth/doubleclickbidmanager";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A running sandbox and the token of one of its users.
pub(crate) struct Twin {
    pub(crate) sandbox: Arc<Sandbox>,
    router: Router,
    token: String,
    clock_file: PathBuf,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status of a Google error, and the fields that it names.
    pub(crate) fn violations(&self) -> (String, Vec<String>) {
        let error = &self.json()["error"];
        let fields = error["details"][0]["fieldViolations"].as_array().cloned().unwrap_or_default();
        let fields = fields.iter().map(|violation| violation["field"].as_str().unwrap().to_owned());
        (error["status"].as_str().unwrap().to_owned(), fields.collect())
    }
}

impl Twin {
    /// The seeded world at noon (UTC) of a fixed day.
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::SeqCst);
        let clock_file = std::env::temp_dir().join(format!("sandbox-it-{}-{number}", std::process::id()));
        let noon: DateTime<Utc> = "2027-03-10T12:00:10Z".parse().unwrap();
        let offset = noon - Utc::now();
        std::fs::write(&clock_file, format!("{}", offset.num_seconds())).unwrap();
        let sandbox = Arc::new(Sandbox::new(Options { clock_file: Some(clock_file.clone()), ..options }).unwrap());
        let router = sandbox::router(&sandbox).layer(MockConnectInfo(Connection::default()));
        let mut twin = Self { sandbox, router, token: String::new(), clock_file };
        twin.log_in(PLANNER, SCOPES);
        twin
    }

    /// Takes a new access token for a user, as after a consent.
    pub(crate) fn log_in(&mut self, email: &str, scope: &str) {
        let consent = Consent {
            email: email.to_owned(),
            client_id: "sandbox-client".to_owned(),
            scope: scope.to_owned(),
            redirect_uri: "http://localhost/back".to_owned(),
            challenge: None,
            offline: true,
            forced: true,
        };
        let now = self.sandbox.clock.now();
        let mut state = self.sandbox.lock();
        let code = state.accounts.issue_code(consent, now);
        let tokens = state.accounts.exchange(&code, "sandbox-client", "http://localhost/back", None, now);
        state.note_accounts();
        self.token = tokens.unwrap().access;
    }

    pub(crate) async fn send(&self, method: &str, target: &str, body: Option<Value>) -> Answer {
        let authorize = !target.starts_with("/admin") && !target.starts_with("/storage");
        let token = authorize.then_some(self.token.as_str());
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.raw(method, target, token, "application/json", body).await
    }

    pub(crate) async fn raw(&self, method: &str, target: &str, token: Option<&str>, kind: &str, body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(target).header(header::CONTENT_TYPE, kind);
        request = request.header(header::HOST, "sandbox.test");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, target: &str) -> Value {
        let answer = self.send("GET", target, None).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn post(&self, target: &str, body: Value) -> Value {
        let answer = self.send("POST", target, Some(body)).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.post("/admin/v1/clock", json!({"advance_seconds": seconds})).await;
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.sandbox.clock.now()
    }

    /// The ids of the advertisers, in order.
    pub(crate) async fn advertisers(&self) -> Vec<String> {
        let world = self.get("/admin/v1/world").await;
        let advertisers = world["advertisers"].as_array().unwrap();
        advertisers.iter().map(|advertiser| advertiser["advertiser_id"].as_str().unwrap().to_owned()).collect()
    }

    /// The first line item of the first advertiser, as its path.
    pub(crate) async fn a_line(&self) -> String {
        let world = self.get("/admin/v1/world").await;
        let line = &world["line_items"][0];
        let part = |name: &str| line[name].as_str().unwrap().to_owned();
        format!("/v4/advertisers/{}/lineItems/{}", part("advertiser_id"), part("line_item_id"))
    }

    pub(crate) async fn patch(&self, path: &str, mask: &str, body: Value) -> Answer {
        self.send("PATCH", &format!("{path}?updateMask={mask}"), Some(body)).await
    }

    /// The ledger as of an instant, by line item and day.
    pub(crate) async fn ledger(&self, as_of: DateTime<Utc>) -> BTreeMap<(String, String), Value> {
        let as_of = as_of.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let answer = self.send("GET", &format!("/admin/v1/ledger?as_of={as_of}"), None).await;
        assert_eq!(answer.status, 200);
        let rows = answer.text();
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let key = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        rows.map(|row| ((key(&row, "line_item_id"), key(&row, "day")), row)).collect()
    }

    /// Creates a query, runs it, waits in virtual time and returns the finished report.
    pub(crate) async fn run(&self, query: Value) -> Value {
        let query = self.post("/v2/queries", query).await;
        let id = query["queryId"].as_str().unwrap();
        let report = self.post(&format!("/v2/queries/{id}:run"), json!({})).await;
        self.advance(90).await;
        self.get(&format!("/v2/queries/{id}/reports/{}", report["key"]["reportId"].as_str().unwrap())).await
    }

    /// The file of a finished report.
    pub(crate) async fn download(&self, report: &Value) -> Answer {
        let address = report["metadata"]["googleCloudStoragePath"].as_str().unwrap();
        let path = address.strip_prefix("http://sandbox.test").unwrap();
        self.send("GET", path, None).await
    }

    pub(crate) async fn report_text(&self, query: Value) -> String {
        let report = self.run(query).await;
        let answer = self.download(&report).await;
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// The instant that the latest report shows.
    pub(crate) fn report_time(&self) -> DateTime<Utc> {
        let state = self.sandbox.lock();
        let report = state.queries.reports.values().last().unwrap();
        report.plan.as_of + TimeDelta::zero()
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.clock_file);
    }
}

/// A query with all that the product asks for.
pub(crate) fn query(range: &Value, group_bys: &[&str], filters: &[(&str, &str)]) -> Value {
    let filters: Vec<Value> = filters.iter().map(|(kind, value)| json!({"type": kind, "value": value})).collect();
    json!({
        "metadata": {"title": "test", "dataRange": range, "format": "CSV"},
        "params": {
            "type": "STANDARD",
            "groupBys": group_bys,
            "filters": filters,
            "metrics": [
                "METRIC_IMPRESSIONS",
                "METRIC_CLICKS",
                "METRIC_MEDIA_COST_ADVERTISER",
                "METRIC_REVENUE_ADVERTISER",
                "METRIC_TOTAL_CONVERSIONS",
            ],
        },
        "schedule": {"frequency": "ONE_TIME"},
    })
}

/// The cells of a simple CSV line; quoted cells are not taken apart.
pub(crate) fn cells(line: &str) -> Vec<String> {
    line.split(',').map(ToOwned::to_owned).collect()
}

/// A decimal text in units of its last digit.
pub(crate) fn units(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap()
}
