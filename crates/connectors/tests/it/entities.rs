//! Accounts and entities: paging, absent lists, and what becomes of dates and budgets.

use connectors::Error;
use domain::{EntityStatus, ErrorCode, Level};
use serde_json::json;

use crate::support::{account, fault, world};

fn date(text: &str) -> serde_json::Value {
    let parts: Vec<u32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    json!({"year": parts[0], "month": parts[1], "day": parts[2]})
}

fn advertiser(id: &str, currency: &str) -> serde_json::Value {
    json!({
        "advertiserId": id, "displayName": format!("Advertiser {id}"), "entityStatus": "ENTITY_STATUS_ACTIVE",
        "generalConfig": {"currencyCode": currency, "timeZone": "America/New_York"},
    })
}

#[tokio::test]
async fn accounts_are_all_pages_of_all_partners() {
    let world = world().await;
    let advertisers = "GET /v4/advertisers";
    world
        .fake
        .ok(
            "GET /v4/partners",
            json!({"partners": [{"partnerId": "1", "displayName": "One"}], "nextPageToken": "p/2 &"}),
        )
        .ok("GET /v4/partners", json!({"partners": [{"partnerId": "2", "displayName": "Two"}, {"partnerId": "3"}]}))
        .ok(advertisers, json!({"advertisers": [advertiser("11", "USD")], "nextPageToken": "a2"}))
        .ok(advertisers, json!({"advertisers": [advertiser("12", "NOPE"), advertiser("13", "JPY")]}))
        .ok(advertisers, json!({}))
        .on(advertisers, fault(403, "PERMISSION_DENIED", "withdrawn"));
    let accounts = world.platform.list_accounts(&world.access).await.unwrap();
    let told: Vec<_> =
        accounts.iter().map(|it| format!("{} {} {} {:?}", it.platform_id, it.currency, it.zone, it.parent)).collect();
    insta::assert_json_snapshot!("accounts", told);
    insta::assert_json_snapshot!("accounts_wire", world.fake.wire());
}

#[tokio::test]
async fn a_user_who_sees_nothing_has_no_accounts() {
    let world = world().await;
    world.fake.ok("GET /v4/partners", json!({}));
    assert_eq!(world.platform.list_accounts(&world.access).await.unwrap(), []);
}

fn lines() -> serde_json::Value {
    let line = |id: &str, flight: serde_json::Value, budget: serde_json::Value, pacing: serde_json::Value| {
        json!({
            "lineItemId": id, "insertionOrderId": "66001", "campaignId": "55001", "displayName": format!("Line {id}"),
            "entityStatus": "ENTITY_STATUS_PAUSED", "flight": flight, "budget": budget, "pacing": pacing,
        })
    };
    let inherited = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED"});
    let own = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM",
        "dateRange": {"startDate": date("2026-11-10"), "endDate": date("2026-11-20")}});
    let fixed = json!({"budgetAllocationType": "LINE_ITEM_BUDGET_ALLOCATION_TYPE_FIXED",
        "budgetUnit": "BUDGET_UNIT_CURRENCY", "maxAmount": "5000000000"});
    let impressions = json!({"budgetAllocationType": "LINE_ITEM_BUDGET_ALLOCATION_TYPE_FIXED",
        "budgetUnit": "BUDGET_UNIT_IMPRESSIONS", "maxAmount": "1000"});
    let unlimited = json!({"budgetAllocationType": "LINE_ITEM_BUDGET_ALLOCATION_TYPE_UNLIMITED"});
    let daily = json!({"pacingPeriod": "PACING_PERIOD_DAILY", "dailyMaxMicros": "200000000"});
    let flight_pacing = json!({"pacingPeriod": "PACING_PERIOD_FLIGHT", "dailyMaxMicros": "0"});
    json!({"lineItems": [
        line("77001", inherited.clone(), fixed.clone(), daily.clone()),
        line("77002", own, unlimited, flight_pacing),
        line("77003", inherited, impressions, daily.clone()),
        line("77001", json!({}), fixed, daily),
    ]})
}

fn order() -> serde_json::Value {
    let segment = |first: &str, last: &str, micros: &str| json!({"budgetAmountMicros": micros, "dateRange": {"startDate": date(first), "endDate": date(last)}});
    json!({"insertionOrders": [{
        "insertionOrderId": "66001", "campaignId": "55001", "displayName": "Order", "entityStatus": "ENTITY_STATUS_ACTIVE",
        "pacing": {"pacingPeriod": "PACING_PERIOD_FLIGHT"},
        "budget": {"budgetUnit": "BUDGET_UNIT_CURRENCY", "budgetSegments": [
            segment("2026-10-01", "2026-10-31", "10000000000"),
            segment("2026-11-01", "2026-11-30", "30000000000"),
            segment("2026-12-01", "2026-12-31", "99000000000"),
        ]},
    }]})
}

#[tokio::test]
async fn entities_take_dates_and_budgets_from_where_they_are_set() {
    let world = world().await;
    let campaigns = json!({"campaigns": [
        {"campaignId": "55001", "displayName": "Q4", "entityStatus": "ENTITY_STATUS_ACTIVE", "campaignFlight": {
            "plannedSpendAmountMicros": "50000000000",
            "plannedDates": {"startDate": date("2026-10-01"), "endDate": date("2026-12-31")}}},
        {"campaignId": "55002", "displayName": "Open end", "entityStatus": "ENTITY_STATUS_OF_THE_FUTURE",
            "campaignFlight": {"plannedDates": {"startDate": date("2026-10-01")}}},
    ]});
    world
        .fake
        .ok("GET /v4/advertisers/123/campaigns", campaigns)
        .ok("GET /v4/advertisers/123/insertionOrders", order())
        .ok("GET /v4/advertisers/123/lineItems", lines());
    let entities = world.platform.list_entities(&world.access, &account()).await.unwrap();
    insta::assert_json_snapshot!("entities", entities);
    insta::assert_json_snapshot!("entities_wire", world.fake.wire());
    let unknown = entities.iter().find(|it| it.platform_id == "55002").unwrap();
    assert_eq!((unknown.status, unknown.level), (EntityStatus::Paused, Level::Campaign));
}

/// A line with a budget of its own, under an order; both active.
fn running(id: &str, order: &str, flight: &serde_json::Value, allocation: &str) -> serde_json::Value {
    json!({
        "lineItemId": id, "insertionOrderId": order, "campaignId": "55001", "displayName": format!("Line {id}"),
        "entityStatus": "ENTITY_STATUS_ACTIVE", "flight": flight,
        "budget": {"budgetAllocationType": format!("LINE_ITEM_BUDGET_ALLOCATION_TYPE_{allocation}"),
            "budgetUnit": "BUDGET_UNIT_CURRENCY", "maxAmount": "5000000000"},
        "pacing": {"pacingPeriod": "PACING_PERIOD_DAILY", "dailyMaxMicros": "200000000"},
    })
}

/// The lines of a campaign with this status, whose one order has this status.
async fn lines_under(campaign: &str, order_status: &str, lines: serde_json::Value) -> Vec<domain::entity::Entity> {
    let world = world().await;
    let mut orders = order();
    orders["insertionOrders"][0]["entityStatus"] = json!(order_status);
    let campaigns = json!({"campaigns": [{"campaignId": "55001", "displayName": "Q4", "entityStatus": campaign}]});
    world
        .fake
        .ok("GET /v4/advertisers/123/campaigns", campaigns)
        .ok("GET /v4/advertisers/123/insertionOrders", orders)
        .ok("GET /v4/advertisers/123/lineItems", json!({"lineItems": lines}));
    let entities = world.platform.list_entities(&world.access, &account()).await.unwrap();
    entities.into_iter().filter(|entity| entity.level == Level::Line).collect()
}

const ACTIVE: &str = "ENTITY_STATUS_ACTIVE";
const PAUSED: &str = "ENTITY_STATUS_PAUSED";

#[tokio::test]
async fn a_line_spends_only_while_everything_above_it_does() {
    let inherited = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED"});
    for (campaign, order, expected) in [
        (ACTIVE, ACTIVE, EntityStatus::Active),
        (ACTIVE, PAUSED, EntityStatus::Paused),
        (PAUSED, ACTIVE, EntityStatus::Paused),
        (ACTIVE, "ENTITY_STATUS_DRAFT", EntityStatus::Draft),
        ("ENTITY_STATUS_ARCHIVED", ACTIVE, EntityStatus::Archived),
    ] {
        let lines = lines_under(campaign, order, json!([running("77001", "66001", &inherited, "FIXED")])).await;
        assert_eq!(lines[0].status, expected, "{campaign} {order}");
    }
    let orphan = json!([running("77001", "66999", &inherited, "FIXED")]);
    assert_eq!(lines_under(ACTIVE, ACTIVE, orphan).await[0].status, EntityStatus::Paused);
}

#[tokio::test]
async fn a_line_without_a_budget_of_its_own_has_no_flight() {
    let inherited = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED"});
    let lines = json!([
        running("77001", "66001", &inherited, "UNLIMITED"),
        running("77002", "66001", &inherited, "AUTOMATIC"),
        running("77003", "66001", &inherited, "FIXED"),
    ]);
    let flights: Vec<_> = lines_under(ACTIVE, ACTIVE, lines).await.into_iter().map(|line| line.flight).collect();
    assert_eq!((flights[0], flights[1]), (None, None));
    assert_eq!(flights[2].unwrap().budget.to_string(), "5000 EUR");
}

#[tokio::test]
async fn an_inherited_flight_is_as_long_as_the_budget_that_it_spends() {
    let told = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED",
        "dateRange": {"startDate": date("2026-10-05"), "endDate": date("2026-12-20")}});
    let open = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED",
        "dateRange": {"startDate": date("2026-10-05")}});
    let untold = json!({"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_INHERITED"});
    let lines = json!([
        running("77001", "66001", &told, "FIXED"),
        running("77002", "66001", &open, "FIXED"),
        running("77003", "66001", &untold, "FIXED"),
    ]);
    let lines = lines_under(ACTIVE, ACTIVE, lines).await;
    let days = |index: usize| {
        let days = lines[index].flight.unwrap().days;
        format!("{} {}", days.first(), days.last())
    };
    assert_eq!(days(0), "2026-10-05 2026-12-20");
    assert_eq!([days(1), days(2)], ["2026-10-01 2026-12-31"; 2], "all segments of the order");
}

#[tokio::test]
async fn an_empty_account_has_no_entities() {
    let world = world().await;
    for collection in ["campaigns", "insertionOrders", "lineItems"] {
        world.fake.ok(&format!("GET /v4/advertisers/123/{collection}"), json!({}));
    }
    assert_eq!(world.platform.list_entities(&world.access, &account()).await.unwrap(), []);
}

#[tokio::test]
async fn a_list_that_never_ends_is_unreadable() {
    let world = world().await;
    for _ in 0..2 {
        world.fake.ok("GET /v4/partners", json!({"nextPageToken": "again"}));
    }
    let error = world.platform.list_accounts(&world.access).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnreadableAnswer);
}

#[tokio::test]
async fn one_account_that_is_gone_is_named() {
    for (status, name) in [(403, "PERMISSION_DENIED"), (404, "NOT_FOUND")] {
        let world = world().await;
        world.fake.on("GET /v4/advertisers/123/campaigns", fault(status, name, "no"));
        let error = world.platform.list_entities(&world.access, &account()).await.unwrap_err();
        assert!(matches!(error, Error::Configuration { .. }), "{error:?}");
        assert_eq!((error.code(), error.account()), (ErrorCode::AccountGone, Some("123")));
    }
}

#[tokio::test]
async fn access_is_proved_by_the_smallest_call_of_each_api() {
    let world = world().await;
    world.fake.ok("GET /v4/partners", json!({})).ok("GET /v2/queries", json!({}));
    let verified = world.platform.verify_access(&world.access).await.unwrap();
    assert_eq!((verified.granted.len(), verified.missing.len()), (2, 0));
    insta::assert_json_snapshot!("verify_wire", world.fake.wire());
}
