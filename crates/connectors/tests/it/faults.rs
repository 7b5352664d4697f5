//! What each way of failing becomes, on a read; and that the quota is asked first and told what was learnt.

use std::time::Duration;

use connectors::{Error, Family, Refusal, Scope};
use domain::ErrorCode;
use serde_json::json;

use crate::fake::Reply;
use crate::support::{account, fault, world, world_for};

const PARTNERS: &str = "GET /v4/partners";

#[tokio::test]
async fn every_fault_of_a_read_has_its_code() {
    let cases = [
        (fault(500, "INTERNAL", "oops"), ErrorCode::PlatformUnavailable),
        (fault(503, "UNAVAILABLE", "later"), ErrorCode::PlatformUnavailable),
        (fault(504, "DEADLINE_EXCEEDED", "slow"), ErrorCode::PlatformTimeout),
        (Reply::Hang, ErrorCode::PlatformTimeout),
        (Reply::StandStill("{\"partners\"".into()), ErrorCode::PlatformTimeout),
        (Reply::Close, ErrorCode::PlatformUnavailable),
        (Reply::CutOff("{\"partners\"".into()), ErrorCode::PlatformUnavailable),
        (Reply::Text(200, vec![], "<html>".into()), ErrorCode::UnreadableAnswer),
        (Reply::Json(200, json!({"partners": [{"displayName": "no id"}]})), ErrorCode::UnreadableAnswer),
        (Reply::Text(301, vec![("location", "/x".into())], String::new()), ErrorCode::UnreadableAnswer),
        (Reply::Text(502, vec![], "<html>bad gateway</html>".into()), ErrorCode::PlatformUnavailable),
        (fault(400, "INVALID_ARGUMENT", "no"), ErrorCode::PlatformRejected),
        (fault(403, "PERMISSION_DENIED", "no"), ErrorCode::PermissionMissing),
    ];
    for (reply, code) in cases {
        let world = world_for(&reply).await;
        world.fake.on(PARTNERS, reply.clone());
        let error = world.platform.list_accounts(&world.access).await.unwrap_err();
        assert_eq!(error.code(), code, "{reply:?}: {error:?}");
        assert_eq!(world.fake.calls().len(), 1, "{reply:?} was asked again");
    }
}

#[tokio::test]
async fn a_429_says_how_long_to_wait_and_the_quota_learns_it() {
    let limited = |header: Option<&str>| {
        let headers = header.map(|value| ("retry-after", value.to_owned())).into_iter().collect();
        Reply::Text(429, headers, json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}).to_string())
    };
    let old_style = Reply::Json(403, json!({"error": {"errors": [{"reason": "userRateLimitExceeded"}]}}));
    let in_body = json!({"error": {"code": 429, "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"}]}});
    let cases = [
        (Reply::Json(429, in_body), 3_500),
        (fault(429, "RESOURCE_EXHAUSTED", "limit 'Queries per day' of service"), 3_600_000),
        (limited(Some("17")), 17_000),
        (limited(Some("Sat, 21 Nov 2026 12:01:30 GMT")), 90_000),
        (limited(Some("0")), 1_000),
        (limited(Some("soon")), 20_000),
        (limited(None), 20_000),
        (old_style, 20_000),
    ];
    for (reply, millis) in cases {
        let world = world().await;
        world.fake.on(PARTNERS, reply);
        let error = world.platform.list_accounts(&world.access).await.unwrap_err();
        let wait = Duration::from_millis(millis);
        assert_eq!((error.code(), error.retry_after()), (ErrorCode::RateLimited, Some(wait)));
        let learned = world.quota.learned.lock().unwrap();
        let [(Family::Entities, Refusal { retry_after, .. })] = learned.as_slice() else { panic!("{learned:?}") };
        assert_eq!(*retry_after, wait);
    }
}

#[tokio::test]
async fn a_429_says_whom_it_concerns() {
    let named = |limit: &str| {
        let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
            "metadata": {"service": "displayvideo.googleapis.com", "quota_limit": limit}});
        let message = "Quota exceeded";
        let error = json!({"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": [info]});
        Reply::Json(429, json!({"error": error}))
    };
    let quoted = |limit: &str| fault(429, "RESOURCE_EXHAUSTED", &format!("metric 'Requests' and limit '{limit}' of"));
    let cases = [
        (named("Requests per minute"), Scope::Project),
        (named("Queries per day"), Scope::Project),
        (named("DefaultRequestsPerMinutePerProject"), Scope::Project),
        (named("Requests per minute per advertiser"), Scope::Account),
        (named("Write requests per minute per advertiser"), Scope::Account),
        (named("Queries per minute per user"), Scope::User),
        (named("DefaultRequestsPerMinutePerProjectPerUser"), Scope::User),
        (quoted("Requests per minute per advertiser"), Scope::Account),
        (quoted("Requests per minute"), Scope::Project),
        (fault(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."), Scope::User),
        (Reply::Text(429, vec![("retry-after", "86400".into())], String::new()), Scope::User),
    ];
    for (reply, scope) in cases {
        let world = world().await;
        world.fake.on("GET /v4/advertisers/123/campaigns", reply.clone());
        let error = world.platform.list_entities(&world.access, &account()).await.unwrap_err();
        let learned = world.quota.learned.lock().unwrap();
        let [(Family::Entities, refusal)] = learned.as_slice() else { panic!("{learned:?}") };
        assert_eq!(refusal.scope, scope, "{reply:?}");
        assert!(refusal.retry_after <= Duration::from_hours(1), "{reply:?}: {refusal:?}");
        assert_eq!(error.account(), (scope == Scope::Account).then_some("123"), "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_is_called_without_leave() {
    for family in [Family::Entities, Family::Tokens] {
        let world = world().await;
        *world.quota.closed.lock().unwrap() = Some(family);
        let error = world.platform.list_accounts(&world.access).await.unwrap_err();
        assert!(matches!(error, Error::RateLimited { retry_after, .. } if retry_after.as_secs() == 7));
        assert_eq!(world.fake.calls().len(), 0);
    }
}

#[tokio::test]
async fn every_call_takes_one_permit() {
    let world = world().await;
    world.fake.ok(PARTNERS, json!({"partners": [{"partnerId": "1"}]})).ok("GET /v4/advertisers", json!({}));
    world.platform.list_accounts(&world.access).await.unwrap();
    assert_eq!((world.quota.of(Family::Entities), world.quota.of(Family::Tokens)), (2, 1));
    assert_eq!(world.fake.all_calls().len(), 3);
}
