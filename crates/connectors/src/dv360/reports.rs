//! Reports through Bid Manager: one stored query per connection, definition and set of accounts, run again and again.
//!
//! # Why queries are used again
//! Bid Manager allows 2,000 calls a day and project. A query of its own for each pull would put the pull's id into its
//! title and so make "did I ask already?" exact; but it costs two calls to ask, leaves some hundred queries a day in the
//! list that the agency's people look at, and makes the search for a title as long as that list. A stored query costs
//! **one** call (`queries.run` with the pull's days), and Google advises it. Its title names the connection and a
//! fingerprint of what it asks, so it is found again when the ticket was lost.
//!
//! # Why asking twice is harmless
//! A report is a read. So a lost answer needs no exact proof of what was ours: a report of the same query and days that
//! is still being made, or was finished after the pull was planned, serves as well as one that we would ask for now.
//! That is what a repeated attempt takes (`reports.list`, one call more). A report that was refused serves nobody: one
//! that is garbled would be found again and again, and one that never ends for ever.
//!
//! # Calls to ask
//! | | calls |
//! |---|---|
//! | known ticket, first attempt | 1 (run) |
//! | known ticket, repeated attempt | 1 when the report is found, else 2 (list, run) |
//! | no ticket (first pull, or the accounts changed) | 3 (search per 100 queries, create, run) |

use domain::report::{Chunk, Definition};
use domain::{DayRange, ErrorCode};
use futures::stream::BoxStream;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::client::{Client, Page as _};
use super::failure;
use super::report_csv;
use super::wire::{
    DataRange, Filter, NewQuery, NewQueryMetadata, Queries, Query, QueryParams, Report, Reports, RunQuery, Schedule,
};
use crate::access::{Access, Renew as _};
use crate::ad_platform::{Download, ReportSpec, ReportState, Ticket};
use crate::error::{Error, Result};
use crate::http::{self, Lost};

const DIMENSION: &str = "FILTER_";
const METRIC: &str = "METRIC_";
/// Reports of one query that a repeated attempt looks through, newest first; an earlier attempt is minutes old.
const RECENT_REPORTS: &str = "20";

impl Client {
    pub(super) async fn request_report(
        &self,
        access: &Access,
        spec: &ReportSpec<'_>,
        known: Option<&Ticket>,
    ) -> Result<Ticket> {
        let params = params(spec)?;
        let fingerprint = fingerprint(&params);
        if let Some(Ticket { query_id, .. }) = known.filter(|known| known.fingerprint == fingerprint) {
            if let Some(report_id) = self.find_or_run(access, spec, query_id, spec.retried).await? {
                return Ok(Ticket { query_id: query_id.clone(), report_id, fingerprint });
            }
            tracing::warn!(bid_manager.query = query_id, "a stored query is gone from the platform; making another");
        }
        let title = format!("CLP {} {} {fingerprint}", spec.connection, spec.definition.name);
        let (query_id, is_new) = match self.find_query(access, &title).await? {
            Some(query_id) => (query_id, false),
            None => (self.create_query(access, spec, title, params).await?, true),
        };
        let report_id = self.find_or_run(access, spec, &query_id, !is_new).await?;
        let report_id = report_id.ok_or_else(|| unavailable("a query that was just found is gone", None))?;
        Ok(Ticket { query_id, report_id, fingerprint })
    }

    pub(super) async fn poll_report(&self, access: &Access, ticket: &Ticket) -> Result<ReportState> {
        let request = self.report_read(&["queries", &ticket.query_id, "reports", &ticket.report_id]);
        let Some(report) = self.find::<Report>(access, &request).await? else {
            return Ok(ReportState::Failed { reason: "the platform has the report no more".into() });
        };
        match (report.metadata.status.state.as_str(), report.metadata.google_cloud_storage_path) {
            ("DONE", Some(address)) => Ok(ReportState::Ready { download: Download(address.into()) }),
            ("DONE", None) => Err(Error::unreadable("a finished report has no address", None)),
            ("FAILED", _) => Ok(ReportState::Failed { reason: "the platform says FAILED and no more".into() }),
            _ => Ok(ReportState::Pending),
        }
    }

    pub(super) async fn fetch_report(
        &self,
        download: &Download,
        definition: &Definition,
    ) -> Result<BoxStream<'static, Result<Chunk>>> {
        let parser = report_csv::Parser::new(definition, |column| column.field.starts_with(DIMENSION));
        let url = self.address(&download.0)?;
        let response = self.http().download(url).await.map_err(broken_off)?;
        match response.status().as_u16() {
            200 => {}
            429 => {
                let retry_after =
                    failure::wait(http::retry_after(&response).as_deref(), failure::DEFAULT_WAIT, self.now());
                return Err(Error::RateLimited { retry_after, account: None });
            }
            // Among them 403 and 410 for an address that is too old: the next look gives a fresh one.
            status => return Err(unavailable(format!("the report's address answered HTTP {status}"), None)),
        }
        let bytes = futures::stream::try_unfold(response, |mut response| async move {
            let bytes = http::next_bytes(&mut response).await.map_err(broken_off)?;
            Ok(bytes.map(|bytes| (bytes, response)))
        });
        Ok(report_csv::stream(bytes, parser))
    }

    /// The id of a report that serves, made already or asked for now; `None` when there is no such query.
    async fn find_or_run(
        &self,
        access: &Access,
        spec: &ReportSpec<'_>,
        query_id: &str,
        look_first: bool,
    ) -> Result<Option<String>> {
        if look_first && let Some(report_id) = self.find_report(access, spec, query_id).await? {
            return Ok(Some(report_id));
        }
        let run = RunQuery { data_range: spec.days.into() };
        let mut request = self.report_order(&["queries", &format!("{query_id}:run")], &run)?;
        request.url.query_pairs_mut().append_pair("synchronous", "false");
        Ok(self.find::<Report>(access, &request).await?.map(|report| report.key.report_id))
    }

    async fn find_report(&self, access: &Access, spec: &ReportSpec<'_>, query_id: &str) -> Result<Option<String>> {
        let mut request = self.report_read(&["queries", query_id, "reports"]);
        let order = ("orderBy", "key.reportId desc");
        request.url.query_pairs_mut().extend_pairs([order, ("pageSize", RECENT_REPORTS)]);
        let Some(page) = self.find::<Reports>(access, &request).await? else { return Ok(None) };
        let (reports, _older) = page.into_parts();
        Ok(reports.into_iter().find(|report| serves(report, query_id, spec)).map(|report| report.key.report_id))
    }

    async fn find_query(&self, access: &Access, title: &str) -> Result<Option<String>> {
        let queries = self.list::<Queries>(access, self.report_read(&["queries"]), "100").await?;
        Ok(queries.into_iter().find(|query| query.metadata.title == title).map(|query| query.query_id))
    }

    async fn create_query(
        &self,
        access: &Access,
        spec: &ReportSpec<'_>,
        title: String,
        params: QueryParams,
    ) -> Result<String> {
        let data_range = DataRange::from(spec.days);
        let metadata = NewQueryMetadata { title, data_range, format: "CSV", send_notification: false };
        let query = NewQuery { metadata, params, schedule: Schedule { frequency: "ONE_TIME" } };
        let request = self.report_order(&["queries"], &query)?;
        Ok(self.call::<Query>(access, &request).await?.query_id)
    }

    /// The address of a download. It may not be less protected than the service that named it.
    fn address(&self, address: &SecretString) -> Result<Url> {
        let url = Url::parse(address.expose_secret()).ok();
        let expected = self.endpoints().bid_manager_url.scheme();
        url.filter(|url| url.scheme() == "https" || url.scheme() == expected)
            .ok_or_else(|| Error::unreadable("the report's address is no HTTPS address", None))
    }
}

/// Whether a report that exists already answers the pull: same days, not failed, not refused, and not too old.
fn serves(report: &Report, query_id: &str, spec: &ReportSpec<'_>) -> bool {
    let same_days = report.metadata.days().is_some_and(|days: DayRange| days == spec.days);
    let is_it = |ticket: &Ticket| ticket.query_id == query_id && ticket.report_id == report.key.report_id;
    let status = &report.metadata.status;
    let fresh = match status.state.as_str() {
        "FAILED" => false,
        "DONE" => status.finish_time.is_some_and(|finished| finished >= spec.since),
        _ => true,
    };
    same_days && fresh && !spec.refused.iter().any(is_it)
}

/// What is asked, apart from the days: any definition, without a word of this crate about its metrics.
fn params(spec: &ReportSpec<'_>) -> Result<QueryParams> {
    let fields = |prefix: &str| -> Vec<String> {
        let all = spec.definition.columns.iter().map(|column| column.field.clone());
        all.filter(|field| field.starts_with(prefix)).collect()
    };
    let (group_bys, metrics) = (fields(DIMENSION), fields(METRIC));
    if group_bys.len() + metrics.len() != spec.definition.columns.len() {
        return Err(Error::not_sent("a column is neither a FILTER_ nor a METRIC_ of Bid Manager", None));
    }
    // Without a filter the report would be about every advertiser that the user can see, chosen or not.
    if spec.accounts.is_empty() {
        return Err(Error::not_sent("a report needs at least one advertiser", None));
    }
    let mut accounts: Vec<&String> = spec.accounts.iter().collect();
    accounts.sort();
    accounts.dedup();
    let filters = accounts.into_iter().map(|id| Filter { r#type: "FILTER_ADVERTISER", value: id.clone() }).collect();
    Ok(QueryParams { r#type: spec.definition.kind.clone(), group_bys, filters, metrics })
}

/// A short name for what is asked: another metric or another advertiser is another query.
fn fingerprint(params: &QueryParams) -> String {
    let text = serde_json::json!(params).to_string();
    let mut digits = hex::encode(Sha256::digest(text));
    digits.truncate(16);
    digits
}

fn unavailable(detail: impl Into<String>, source: Option<crate::Source>) -> Error {
    Error::Transient { code: ErrorCode::PlatformUnavailable, detail: detail.into(), account: None, source }
}

/// What it means that a download did not begin or did not go on.
fn broken_off(lost: Box<Lost>) -> Error {
    if lost.timed_out {
        let (code, detail) = (ErrorCode::PlatformTimeout, "the report's download stood still".into());
        return Error::Transient { code, detail, account: None, source: Some(lost) };
    }
    if lost.may_have_been_sent {
        return Error::Report { code: ErrorCode::ReportTruncated, detail: "the download broke off".into() };
    }
    unavailable("the report's address can't be reached", Some(lost))
}
