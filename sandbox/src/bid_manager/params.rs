//! What a query asks for, checked: dimensions, metrics, filters, range and format.

use chrono::NaiveDate;
use serde_json::Value;

use super::dates;
use super::names::{Dimension, Metric, dimension, metric_named};
use crate::google::{ApiError, Violation};

/// What a query asks for.
#[derive(Debug, Clone)]
pub struct Params {
    /// The dimensions and their headers, in the order asked for.
    pub group_bys: Vec<(Dimension, &'static str)>,
    /// The metrics, in the order asked for.
    pub metrics: Vec<Metric>,
    /// The partners filtered by.
    pub partners: Vec<u64>,
    /// The advertisers filtered by.
    pub advertisers: Vec<u64>,
    /// The campaigns filtered by.
    pub campaigns: Vec<u64>,
    /// The insertion orders filtered by.
    pub orders: Vec<u64>,
    /// The line items filtered by.
    pub line_items: Vec<u64>,
}

/// Checks a query as it is created.
///
/// # Errors
/// 400 naming every field that is wrong.
pub fn check_query(query: &Value) -> Result<Params, ApiError> {
    let at = |pointer: &str| query.pointer(pointer).and_then(Value::as_str);
    let mut wrong = Vec::new();
    if at("/metadata/title").is_none_or(str::is_empty) {
        wrong.push(Violation::new("metadata.title", "Required field is missing."));
    }
    if at("/metadata/format").is_some_and(|format| format != "CSV") {
        wrong.push(Violation::new("metadata.format", "The sandbox produces CSV only."));
    }
    if at("/params/type").is_none_or(|kind| kind != "STANDARD") {
        wrong.push(Violation::new("params.type", "The sandbox knows report type STANDARD only."));
    }
    if at("/schedule/frequency").is_some_and(|frequency| frequency != "ONE_TIME") {
        wrong.push(Violation::new("schedule.frequency", "The sandbox knows frequency ONE_TIME only."));
    }
    let range = query.pointer("/metadata/dataRange").unwrap_or(&Value::Null);
    // Any day will do: the kinds of range are valid whenever they are asked for.
    if dates::resolve(range, NaiveDate::default()).is_err() {
        wrong.push(Violation::new("metadata.dataRange", "The data range is missing or invalid."));
    }
    let params = read(query, &mut wrong);
    if wrong.is_empty() { Ok(params) } else { Err(ApiError::invalid_fields(&wrong)) }
}

fn read(query: &Value, wrong: &mut Vec<Violation>) -> Params {
    let mut params = Params {
        group_bys: Vec::new(),
        metrics: Vec::new(),
        partners: Vec::new(),
        advertisers: Vec::new(),
        campaigns: Vec::new(),
        orders: Vec::new(),
        line_items: Vec::new(),
    };
    for (index, name) in texts(query, "/params/groupBys").enumerate() {
        match dimension(&name) {
            Some(found) if params.group_bys.iter().all(|other| other.0 != found.0) => params.group_bys.push(found),
            Some(_) => wrong.push(Violation::new(format!("params.groupBys[{index}]"), "Appears twice.")),
            None => wrong.push(Violation::new(format!("params.groupBys[{index}]"), unknown(&name))),
        }
    }
    for (index, name) in texts(query, "/params/metrics").enumerate() {
        match metric_named(&name) {
            Some(found) if !params.metrics.contains(&found) => params.metrics.push(found),
            Some(_) => wrong.push(Violation::new(format!("params.metrics[{index}]"), "Appears twice.")),
            None => wrong.push(Violation::new(format!("params.metrics[{index}]"), unknown(&name))),
        }
    }
    if params.metrics.is_empty() {
        wrong.push(Violation::new("params.metrics", "At least one metric is required."));
    }
    let filters = query.pointer("/params/filters").and_then(Value::as_array);
    for (index, filter) in filters.into_iter().flatten().enumerate() {
        let part = |name: &str| filter.get(name).and_then(Value::as_str).unwrap_or_default();
        let target = match part("type") {
            "FILTER_PARTNER" => &mut params.partners,
            "FILTER_ADVERTISER" => &mut params.advertisers,
            "FILTER_MEDIA_PLAN" => &mut params.campaigns,
            "FILTER_INSERTION_ORDER" => &mut params.orders,
            "FILTER_LINE_ITEM" => &mut params.line_items,
            other => {
                wrong.push(Violation::new(format!("params.filters[{index}].type"), unknown(other)));
                continue;
            }
        };
        match part("value").parse() {
            Ok(id) => target.push(id),
            Err(_) => wrong.push(Violation::new(format!("params.filters[{index}].value"), "Must be an id.")),
        }
    }
    params
}

fn texts(query: &Value, pointer: &str) -> impl Iterator<Item = String> {
    let list = query.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    list.into_iter().map(|item| item.as_str().unwrap_or_default().to_owned())
}

fn unknown(name: &str) -> String {
    format!("\"{name}\" is unknown or not compatible with report type STANDARD.")
}
