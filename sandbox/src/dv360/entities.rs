//! The list and get methods.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Uri};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::filter::Filter;
use super::listing::{Page, sort};
use super::{Parameters, check_parameters, fields, parse_id};
use crate::document::{Document, text};
use crate::google::caller::{BID_MANAGER, DISPLAY_VIDEO};
use crate::google::{ApiError, Caller};
use crate::state::{Sandbox, State as SandboxState};
use crate::world::{Advertiser, Kind, documents};

type Answer = Result<Json<Value>, ApiError>;

/// The parameters of every list method.
const LISTING: [&str; 4] = ["filter", "orderBy", "pageSize", "pageToken"];

/// `partners.list`
pub(super) async fn list_partners(
    State(sandbox): State<Arc<Sandbox>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri, None, false)?;
    check_parameters(&parameters, &LISTING)?;
    let filter = Filter::parse(value(&parameters, "filter"), &["entityStatus"])?;
    let page = Page::parse(&parameters, 200, &format!("partners/{}", list_key(&parameters)))?;
    let state = sandbox.lock();
    require_access(&state, &caller)?;
    let since = state.world.anchor.and_time(chrono::NaiveTime::MIN).and_utc();
    let partner = documents::partner(&state.world.partner, since);
    let mut found = vec![crate::document::object(partner)];
    found.retain(|document| filter.accepts(document));
    sort(&mut found, parameters.get("orderBy"), &["displayName"], "partnerId")?;
    reply(&parameters, page.answer("partners", values(found)))
}

/// `advertisers.list`
pub(super) async fn list_advertisers(
    State(sandbox): State<Arc<Sandbox>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let (caller, _) = admit(&sandbox, &headers, &uri, None, false)?;
    check_parameters(&parameters, &["partnerId", "filter", "orderBy", "pageSize", "pageToken"])?;
    let partner_id =
        parameters.get("partnerId").ok_or_else(|| ApiError::invalid("partnerId", "Required field is missing."))?;
    let partner_id = parse_id("partnerId", partner_id)?;
    let filter =
        Filter::parse(value(&parameters, "filter"), &["advertiserId", "displayName", "entityStatus", "updateTime"])?;
    let page = Page::parse(&parameters, 200, &format!("advertisers/{}", list_key(&parameters)))?;
    let state = sandbox.lock();
    require_access(&state, &caller)?;
    if partner_id != state.world.partner.id {
        return Err(ApiError::permission_denied());
    }
    let visible = state.world.visible_advertisers(&caller.email);
    let mut found: Vec<Document> = visible.map(|advertiser| documents::advertiser(advertiser, partner_id)).collect();
    found.retain(|document| filter.accepts(document));
    let orders = ["advertiserId", "displayName", "entityStatus", "updateTime"];
    sort(&mut found, parameters.get("orderBy"), &orders, "advertiserId")?;
    reply(&parameters, page.answer("advertisers", values(found)))
}

/// `advertisers.get`
pub(super) async fn get_advertiser(
    State(sandbox): State<Arc<Sandbox>>,
    Path(advertiser): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let advertiser_id = parse_id("advertiserId", &advertiser)?;
    let (caller, _) = admit(&sandbox, &headers, &uri, Some(advertiser_id), false)?;
    check_parameters(&parameters, &[])?;
    let state = sandbox.lock();
    let advertiser = visible_advertiser(&state, &caller, advertiser_id)?;
    reply(&parameters, Value::Object(documents::advertiser(advertiser, state.world.partner.id)))
}

/// `campaigns.list`, `insertionOrders.list`, `lineItems.list`
pub(super) async fn list_entities(
    State(sandbox): State<Arc<Sandbox>>,
    Path((advertiser, collection)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let kind = Kind::from_collection(&collection).ok_or_else(ApiError::not_found)?;
    let advertiser_id = parse_id("advertiserId", &advertiser)?;
    let (caller, now) = admit(&sandbox, &headers, &uri, Some(advertiser_id), false)?;
    check_parameters(&parameters, &LISTING)?;
    let filter = Filter::parse(value(&parameters, "filter"), filter_fields(kind))?;
    let largest = if kind == Kind::InsertionOrder { 100 } else { 200 };
    let list = format!("{collection}/{advertiser}/{}", list_key(&parameters));
    let page = Page::parse(&parameters, largest, &list)?;
    let state = sandbox.lock();
    let advertiser = visible_advertiser(&state, &caller, advertiser_id)?;
    let today = now.with_timezone(&advertiser.zone).date_naive();
    let hide_archived = !filter.names_archived();
    let shown = |document: &Document| {
        filter.accepts(document) && !(hide_archived && text(document, "entityStatus") == "ENTITY_STATUS_ARCHIVED")
    };
    let entities = state.world.entities_of(kind, advertiser_id).map(|(_, document)| document);
    let mut found: Vec<Document> =
        entities.filter(|document| shown(document)).map(|document| state.world.render(kind, document, today)).collect();
    let orders = ["displayName", "entityStatus", "updateTime"];
    sort(&mut found, parameters.get("orderBy"), &orders, kind.id_field())?;
    reply(&parameters, page.answer(&collection, values(found)))
}

/// `campaigns.get`, `insertionOrders.get`, `lineItems.get`
pub(super) async fn get_entity(
    State(sandbox): State<Arc<Sandbox>>,
    Path((advertiser, collection, id)): Path<(String, String, String)>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let kind = Kind::from_collection(&collection).ok_or_else(ApiError::not_found)?;
    let advertiser_id = parse_id("advertiserId", &advertiser)?;
    let (caller, now) = admit(&sandbox, &headers, &uri, Some(advertiser_id), false)?;
    check_parameters(&parameters, &[])?;
    let id = parse_id(kind.id_field(), &id)?;
    let state = sandbox.lock();
    let advertiser = visible_advertiser(&state, &caller, advertiser_id)?;
    let today = now.with_timezone(&advertiser.zone).date_naive();
    let document = state.world.entities.get(&(kind, advertiser_id, id)).ok_or_else(ApiError::not_found)?;
    reply(&parameters, Value::Object(state.world.render(kind, document, today)))
}

/// Identifies the caller and counts the call.
pub(super) fn admit(
    sandbox: &Sandbox,
    headers: &HeaderMap,
    uri: &Uri,
    advertiser_id: Option<u64>,
    write: bool,
) -> Result<(Caller, DateTime<Utc>), ApiError> {
    let caller = Caller::authenticate(sandbox, headers, uri, &[DISPLAY_VIDEO, BID_MANAGER])?;
    let (mut state, now) = sandbox.settled();
    state.quota.display_video(&caller.project, advertiser_id, write, now)?;
    Ok((caller, now))
}

/// The advertiser, if the caller may see it: 404 when there is none, 403 when it is not theirs.
pub(super) fn visible_advertiser<'a>(
    state: &'a SandboxState,
    caller: &Caller,
    advertiser_id: u64,
) -> Result<&'a Advertiser, ApiError> {
    if !state.world.advertisers.contains_key(&advertiser_id) {
        return Err(ApiError::not_found());
    }
    let mut visible = state.world.visible_advertisers(&caller.email);
    visible.find(|advertiser| advertiser.id == advertiser_id).ok_or_else(ApiError::permission_denied)
}

/// Reduces the answer to the fields asked for.
pub(super) fn reply(parameters: &Parameters, answer: Value) -> Answer {
    fields::select(answer, parameters.get("fields")).map(Json)
}

/// A person whom nobody gave any access is refused outright.
fn require_access(state: &SandboxState, caller: &Caller) -> Result<(), ApiError> {
    let user = state.world.users.get(&caller.email);
    let admitted = user.is_some_and(|user| !user.lost_access && !user.advertisers.is_empty());
    if admitted { Ok(()) } else { Err(ApiError::permission_denied()) }
}

fn filter_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Campaign | Kind::InsertionOrder => &["campaignId", "displayName", "entityStatus", "updateTime"],
        Kind::LineItem => &[
            "campaignId",
            "displayName",
            "entityStatus",
            "insertionOrderId",
            "lineItemId",
            "lineItemType",
            "updateTime",
        ],
    }
}

fn list_key(parameters: &Parameters) -> String {
    format!("{}|{}|{}", value(parameters, "partnerId"), value(parameters, "filter"), value(parameters, "orderBy"))
}

fn values(documents: Vec<Document>) -> Vec<Value> {
    documents.into_iter().map(Value::Object).collect()
}

fn value<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters.get(name).map(String::as_str).unwrap_or_default()
}
