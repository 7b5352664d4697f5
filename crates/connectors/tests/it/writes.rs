//! Reading a live setting and changing it: exactly one field is sent, and a lost answer is never called a failure.

use connectors::{Error, Family, Timeouts};
use domain::{ErrorCode, Money};
use serde_json::json;

use crate::fake::Reply;
use crate::support::{World, account, daily_budget, endpoints, fault, world, world_for, world_with};

const LINE: &str = "/v4/advertisers/123/lineItems/77001";
const PATCH: &str = "PATCH /v4/advertisers/123/lineItems/77001";

fn line(period: &str, micros: &str) -> serde_json::Value {
    json!({
        "lineItemId": "77001", "insertionOrderId": "66001", "campaignId": "55001", "displayName": "LI",
        "entityStatus": "ENTITY_STATUS_ACTIVE", "updateTime": "2026-11-20T08:00:00.123Z",
        "pacing": {"pacingPeriod": period, "dailyMaxMicros": micros},
    })
}

fn eur(text: &str) -> Money {
    Money::new(text.parse().unwrap(), account().currency)
}

async fn apply(world: &World) -> Result<connectors::Applied, Error> {
    world.platform.apply(&world.access, &daily_budget(&account()), eur("120")).await
}

#[tokio::test]
async fn a_change_sends_one_field_and_tells_what_was_stored() {
    let world = world().await;
    world.fake.ok(PATCH, line("PACING_PERIOD_DAILY", "119990000"));
    let applied = apply(&world).await.unwrap();
    assert_eq!(applied.value, Some(eur("119.99")));
    insta::assert_json_snapshot!("apply_wire", world.fake.wire());
    assert_eq!(world.quota.of(Family::Writes), 1);
}

#[tokio::test]
async fn a_live_value_is_read_with_its_version() {
    let world = world().await;
    let read = format!("GET {LINE}");
    world.fake.ok(&read, line("PACING_PERIOD_DAILY", "200000000")).ok(&read, line("PACING_PERIOD_FLIGHT", "200000000"));
    let account = account();
    let live = world.platform.read_live(&world.access, &daily_budget(&account)).await.unwrap();
    assert_eq!(live.value, Some(eur("200")));
    assert_eq!(live.updated_at.unwrap().to_rfc3339(), "2026-11-20T08:00:00.123+00:00");
    let unlimited = world.platform.read_live(&world.access, &daily_budget(&account)).await.unwrap();
    assert_eq!(unlimited.value, None);
    insta::assert_json_snapshot!("read_live_wire", world.fake.wire());
}

#[tokio::test]
async fn an_answer_that_is_lost_after_sending_is_unknown() {
    let lost = [
        Reply::Hang,
        Reply::Close,
        Reply::CutOff("{\"lineItemId\"".into()),
        Reply::StandStill("{".into()),
        fault(500, "INTERNAL", "oops"),
        fault(503, "UNAVAILABLE", "later"),
        fault(504, "DEADLINE_EXCEEDED", "slow"),
        Reply::Text(200, vec![], "<html>".into()),
        Reply::Text(302, vec![("location", "/elsewhere".into())], String::new()),
    ];
    for reply in lost {
        let world = world_for(&reply).await;
        world.fake.on(PATCH, reply.clone());
        let error = apply(&world).await.unwrap_err();
        assert!(matches!(error, Error::UnknownOutcome { .. }), "{reply:?}: {error:?}");
        assert_eq!((error.code(), error.account()), (ErrorCode::OutcomeUnknown, Some("123")));
        assert_eq!(world.fake.calls().len(), 1, "{reply:?} was sent again");
    }
}

#[tokio::test]
async fn a_refusal_is_no_unknown_outcome() {
    let refusals = [
        (fault(400, "INVALID_ARGUMENT", "no"), ErrorCode::PlatformRejected),
        (fault(403, "PERMISSION_DENIED", "read only"), ErrorCode::PermissionMissing),
        (fault(404, "NOT_FOUND", "no such line"), ErrorCode::LineGone),
        (fault(409, "ABORTED", "concurrent"), ErrorCode::PlatformUnavailable),
        (fault(409, "ALREADY_EXISTS", "twice"), ErrorCode::PlatformRejected),
        // It names the advertiser: that one alone is to slow down.
        (fault(429, "RESOURCE_EXHAUSTED", "quota of limit 'Writes per minute per advertiser'"), ErrorCode::RateLimited),
    ];
    for (reply, code) in refusals {
        let world = world().await;
        world.fake.on(PATCH, reply);
        let error = apply(&world).await.unwrap_err();
        assert_eq!((error.code(), error.account()), (code, Some("123")), "{error:?}");
    }
}

#[tokio::test]
async fn a_line_that_is_gone_is_told_from_a_refusal() {
    let world = world().await;
    world.fake.on(&format!("GET {LINE}"), fault(404, "NOT_FOUND", "no such line"));
    let account = account();
    let error = world.platform.read_live(&world.access, &daily_budget(&account)).await.unwrap_err();
    assert_eq!((error.code(), error.account()), (ErrorCode::LineGone, Some("123")));
}

#[tokio::test]
async fn what_never_left_us_is_no_unknown_outcome() {
    // Port 1 of this machine refuses connections; tokens still come from the fake.
    let nowhere = |base: &str| {
        let mut endpoints = endpoints(base);
        endpoints.display_video_url = "http://127.0.0.1:1/".parse().unwrap();
        (endpoints, Timeouts::default())
    };
    let error = apply(&world_with(nowhere).await).await.unwrap_err();
    assert!(matches!(error, Error::Transient { .. }), "{error:?}");
    assert_eq!(error.code(), ErrorCode::PlatformUnavailable);
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_change_sent_again_because_it_was_not_made() {
    let world = world().await;
    world.fake.on(PATCH, fault(401, "UNAUTHENTICATED", "expired")).ok(PATCH, line("PACING_PERIOD_DAILY", "120000000"));
    assert_eq!(apply(&world).await.unwrap().value, Some(eur("120")));
    let tokens: Vec<_> = world.fake.calls().into_iter().filter_map(|seen| seen.authorization).collect();
    assert_eq!(tokens, ["Bearer at-1", "Bearer at-2"]);
}

#[tokio::test]
async fn a_refusal_carries_the_platforms_reasons() {
    let world = world().await;
    let body = json!({"error": {"code": 400, "message": "Request contains an invalid argument.",
        "status": "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "pacing.daily_max_micros", "description": "too small"}]}]}});
    world.fake.on(PATCH, Reply::Json(400, body));
    let Err(Error::Rejected { message, violations, .. }) = apply(&world).await else { panic!("not rejected") };
    assert_eq!(message, "Request contains an invalid argument.");
    assert_eq!(violations[0].to_string(), "pacing.daily_max_micros: too small");
}

#[tokio::test]
async fn what_can_not_be_sent_as_approved_is_not_sent() {
    let world = world().await;
    let account = account();
    let usd = Money::new("1".parse().unwrap(), "USD".parse().unwrap());
    for amount in [usd, eur("0.0000001")] {
        let error = world.platform.apply(&world.access, &daily_budget(&account), amount).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PlatformRejected);
    }
    let forints = connectors::AccountRef { currency: "HUF".parse().unwrap(), ..account.clone() };
    let amount = Money::new("10257.77".parse().unwrap(), forints.currency);
    let error = world.platform.apply(&world.access, &daily_budget(&forints), amount).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PlatformRejected, "DV360 would round it and show another value");
    let mut order = daily_budget(&account);
    order.level = domain::Level::Order;
    assert!(world.platform.apply(&world.access, &order, eur("1")).await.is_err());
    assert_eq!(world.fake.all_calls().len(), 0);
}
