//! Lists, reads and patches of the Display & Video 360 API.

use serde_json::{Value, json};

use crate::support::{PLANNER, SCOPES, Twin};

#[tokio::test]
async fn pages_cover_every_line_item_once() {
    let twin = Twin::new();
    let advertiser = twin.advertisers().await.remove(0);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let target = format!("/v4/advertisers/{advertiser}/lineItems?pageSize=4&pageToken={token}&alt=json");
        let page = twin.get(&target).await;
        let items = page["lineItems"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["lineItemId"].as_str().unwrap().to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 14);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 14);
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_reduced() {
    let twin = Twin::new();
    let advertiser = twin.advertisers().await.remove(0);
    let list = |query: &str| format!("/v4/advertisers/{advertiser}/lineItems?{query}");
    let all = twin.get(&list("orderBy=displayName%20desc&fields=lineItems(displayName)")).await;
    let names: Vec<&str> =
        all["lineItems"].as_array().unwrap().iter().map(|i| i["displayName"].as_str().unwrap()).collect();
    assert!(names.windows(2).all(|pair| pair[0] >= pair[1]));
    assert_eq!(all["lineItems"][0].as_object().unwrap().len(), 1);
    let none = twin.get(&list("filter=entityStatus%3D%22ENTITY_STATUS_PAUSED%22")).await;
    assert_eq!(none, json!({}), "empty lists are absent");
    let path = twin.a_line().await;
    assert_eq!(twin.patch(&path, "entityStatus", json!({"entityStatus": "ENTITY_STATUS_ARCHIVED"})).await.status, 200);
    let shown = twin.get(&list("")).await;
    assert_eq!(shown["lineItems"].as_array().unwrap().len(), 13, "archived line items are hidden");
    let archived = twin.get(&list("filter=entityStatus%3D%22ENTITY_STATUS_ARCHIVED%22")).await;
    assert_eq!(archived["lineItems"].as_array().unwrap().len(), 1);
    let since = twin.get(&list("filter=updateTime%3E%3D%222027-03-10T00:00:00Z%22")).await;
    assert!(since.get("lineItems").is_none(), "the archived one is the only one that changed, and it is hidden");
}

#[tokio::test]
async fn wrong_calls_are_told_what_is_wrong() {
    let twin = Twin::new();
    let advertiser = twin.advertisers().await.remove(0);
    for (target, status) in [
        ("/v4/advertisers".to_owned(), 400),
        ("/v4/advertisers?partnerId=1".to_owned(), 403),
        ("/v4/advertisers/99".to_owned(), 404),
        ("/v4/advertisers/abc".to_owned(), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems/99"), 404),
        (format!("/v4/advertisers/{advertiser}/creatives"), 404),
        (format!("/v4/advertisers/{advertiser}/insertionOrders?pageSize=101"), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems?pageSize=201"), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems?filter=colour%3D%22red%22"), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems?orderBy=lineItemId"), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems?page_size=5"), 400),
        (format!("/v4/advertisers/{advertiser}/lineItems?pageToken=made-up"), 400),
    ] {
        let answer = twin.send("GET", &target, None).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], status);
    }
}

/// A patch of a line item that is refused: the mask, the body, the field that is named.
fn refused_line_patches() -> Vec<(&'static str, Value, &'static str)> {
    let body = |path: &str, value: Value| {
        let mut document = sandbox::document::Document::new();
        sandbox::document::put(&mut document, path, Some(value));
        Value::Object(document)
    };
    let range = |start: u32, end: u32| {
        let day = |day: u32| json!({"year": 2027, "month": 5, "day": day});
        json!({"startDate": day(start), "endDate": day(end)})
    };
    vec![
        ("", json!({}), "updateMask"),
        ("colour", json!({}), "updateMask"),
        ("lineItemId", json!({}), "lineItemId"),
        ("lineItemType", body("lineItemType", json!("X")), "lineItemType"),
        ("budget.budgetUnit", json!({}), "budget.budgetUnit"),
        ("displayName", body("displayName", json!("")), "displayName"),
        ("displayName", body("displayName", json!("é".repeat(121))), "displayName"),
        ("displayName", json!({"displayName": 5}), "displayName"),
        ("displayName", json!({"colour": "red"}), ""),
        ("entityStatus", body("entityStatus", json!("ENTITY_STATUS_DRAFT")), "entityStatus"),
        ("entityStatus", body("entityStatus", json!("PAUSED")), "entityStatus"),
        ("entityStatus", body("entityStatus", json!("ENTITY_STATUS_SCHEDULED_FOR_DELETION")), "entityStatus"),
        ("entityStatus", json!({}), "entityStatus"),
        ("budget.maxAmount", body("budget.maxAmount", json!("0")), "budget.maxAmount"),
        (
            "budget.budgetAllocationType",
            body("budget.budgetAllocationType", json!("LINE_ITEM_BUDGET_ALLOCATION_TYPE_AUTOMATIC")),
            "budget.budgetAllocationType",
        ),
        ("pacing.dailyMaxMicros", body("pacing.dailyMaxMicros", json!("-5")), "pacing.dailyMaxMicros"),
        ("pacing.dailyMaxMicros", json!({}), "pacing.dailyMaxMicros"),
        ("pacing.dailyMaxMicros", body("pacing.dailyMaxMicros", json!("many")), "pacing.dailyMaxMicros"),
        (
            "bidStrategy.fixedBid",
            body("bidStrategy.fixedBid.bidAmountMicros", json!("5")),
            "bidStrategy.fixedBid.bidAmountMicros",
        ),
        (
            "bidStrategy",
            json!({"bidStrategy": {"fixedBid": {"bidAmountMicros": "10000"}, "demandGenBid": {}}}),
            "bidStrategy",
        ),
        ("flight", json!({"flight": {"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM"}}), "flight.dateRange"),
        (
            "flight",
            json!({"flight": {"flightDateType": "LINE_ITEM_FLIGHT_DATE_TYPE_CUSTOM", "dateRange": range(9, 8)}}),
            "flight.dateRange.endDate",
        ),
    ]
}

#[tokio::test]
async fn a_patch_that_breaks_a_rule_changes_nothing() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let before = twin.get(&path).await;
    for (mask, body, field) in refused_line_patches() {
        let answer = twin.patch(&path, mask, body.clone()).await;
        assert_eq!(answer.status, 400, "{mask} {body}: {}", answer.text());
        let (status, fields) = answer.violations();
        assert_eq!(status, "INVALID_ARGUMENT");
        assert!(fields.iter().any(|named| named == field), "{mask} {body}: {fields:?}");
    }
    assert_eq!(twin.get(&path).await, before);
    assert_eq!(twin.get("/admin/v1/writes").await["writes"], json!([]));
}

#[tokio::test]
async fn a_patch_touches_what_its_mask_names_and_nothing_else() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let before = twin.get(&path).await;
    let body = json!({"displayName": "ignored", "budget": {"maxAmount": 9_000_000_000_i64}, "pacing": {"dailyMaxMicros": "505"}});
    let after = twin.patch(&path, "budget.maxAmount,pacing.dailyMaxMicros", body).await.json();
    assert_eq!(after["displayName"], before["displayName"]);
    assert_eq!(after["budget"]["maxAmount"], "9000000000");
    assert_eq!(after["pacing"]["dailyMaxMicros"], "10000", "rounded up to one cent");
    assert!(after["updateTime"].as_str() > before["updateTime"].as_str());
    let bid = json!({"bidStrategy": {"fixedBid": {"bidAmountMicros": "2000000"}}});
    let after = twin.patch(&path, "bidStrategy.fixedBid", bid).await.json();
    assert_eq!(after["bidStrategy"], json!({"fixedBid": {"bidAmountMicros": "2000000"}}));
    let again = json!({"pacing": {"dailyMaxMicros": "10000"}});
    let same = twin.patch(&path, "pacing.dailyMaxMicros", again).await.json();
    assert_eq!(same["updateTime"], after["updateTime"], "nothing changed");
    let writes = twin.get("/admin/v1/writes").await;
    let changed: Vec<&Value> = writes["writes"].as_array().unwrap().iter().map(|write| &write["changed"]).collect();
    assert_eq!(changed, [true, true, false]);
    assert_eq!(writes["writes"][0]["user"], PLANNER);
}

#[tokio::test]
async fn insertion_orders_keep_their_own_rules() {
    let twin = Twin::new();
    let world = twin.get("/admin/v1/world").await;
    let order = &world["insertion_orders"][0];
    let advertiser = order["advertiser_id"].as_str().unwrap();
    let path =
        format!("/v4/advertisers/{advertiser}/insertionOrders/{}", order["insertion_order_id"].as_str().unwrap());
    let campaign = format!("/v4/advertisers/{advertiser}/campaigns/{}", order["campaign_id"].as_str().unwrap());
    let asap = twin.patch(&path, "pacing.pacingType", json!({"pacing": {"pacingType": "PACING_TYPE_ASAP"}})).await;
    assert_eq!(asap.violations().1, ["pacing.pacingType"]);
    let segments = twin.get(&path).await["budget"]["budgetSegments"].clone();
    let replace = async |segments: Value| {
        twin.patch(&path, "budget.budgetSegments", json!({"budget": {"budgetSegments": segments}})).await
    };
    assert_eq!(replace(json!([])).await.status, 400);
    let mut moved = segments.clone();
    moved[0]["dateRange"]["startDate"]["year"] = json!(2028);
    assert_eq!(replace(moved).await.status, 400, "a segment that has begun keeps its start");
    let mut longer = segments.clone();
    longer[0]["dateRange"]["endDate"] = json!({"year": 2027, "month": 12, "day": 31});
    longer[0]["budgetAmountMicros"] = json!("99000000000");
    assert_eq!(replace(longer).await.status, 200);
    let pause = json!({"entityStatus": "ENTITY_STATUS_PAUSED"});
    let activate = json!({"entityStatus": "ENTITY_STATUS_ACTIVE"});
    assert_eq!(twin.patch(&path, "entityStatus", pause.clone()).await.status, 200);
    assert_eq!(twin.patch(&campaign, "entityStatus", pause).await.status, 200);
    assert_eq!(twin.patch(&path, "entityStatus", activate).await.violations().1, ["entityStatus"]);
    let line = twin.get(&twin.a_line().await).await;
    assert_eq!(line["warningMessages"], json!(["PARENT_INSERTION_ORDER_PAUSED"]));
}

#[tokio::test]
async fn two_patches_of_one_line_item_at_once_are_one_too_many() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let body = || json!({"displayName": "Renamed"});
    let (one, other) = tokio::join!(twin.patch(&path, "displayName", body()), twin.patch(&path, "displayName", body()));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let refused = if one.status == 409 { one } else { other };
    assert_eq!(refused.violations().0, "ABORTED");
    assert_eq!(twin.patch(&path, "displayName", body()).await.status, 200);
}

#[tokio::test]
async fn access_can_be_lost_and_advertisers_removed() {
    let mut twin = Twin::new();
    let path = twin.a_line().await;
    let advertiser = twin.advertisers().await.remove(0);
    twin.post(&format!("/admin/v1/advertisers/{advertiser}/remove"), json!({})).await;
    assert_eq!(twin.send("GET", &path, None).await.violations().0, "PERMISSION_DENIED");
    twin.post(&format!("/admin/v1/advertisers/{advertiser}/restore"), json!({})).await;
    assert_eq!(twin.send("GET", &path, None).await.status, 200);
    twin.post(&format!("/admin/v1/users/{PLANNER}/lose-access"), json!({})).await;
    assert_eq!(twin.send("GET", "/v4/partners", None).await.status, 403);
    twin.post(&format!("/admin/v1/users/{PLANNER}/restore-access"), json!({})).await;
    twin.post(&format!("/admin/v1/users/{PLANNER}/revoke"), json!({})).await;
    assert_eq!(twin.send("GET", "/v4/partners", None).await.status, 401);
    twin.log_in("intern@agency.example", SCOPES);
    assert_eq!(twin.send("GET", &path, None).await.status, 403);
}

#[tokio::test]
async fn somebody_else_can_change_a_line_item_behind_the_product() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let before = twin.get(&path).await;
    let target = format!("/admin/v1/entities/line-items/{}", path.rsplit('/').next().unwrap());
    twin.post(&target, json!({"pacing.dailyMaxMicros": 77_000_000})).await;
    let after = twin.get(&path).await;
    assert_eq!(after["pacing"]["dailyMaxMicros"], "77000000");
    assert!(after["updateTime"].as_str() > before["updateTime"].as_str());
    assert_eq!(twin.get("/admin/v1/writes").await["writes"], json!([]), "it was not the product");
    let wrong = twin.send("POST", &target, Some(json!({"pacing.dailyMax": 1}))).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn the_301st_call_of_a_minute_for_one_advertiser_is_refused() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let mut statuses = Vec::new();
    for _ in 0..301 {
        statuses.push(twin.send("GET", &path, None).await.status);
    }
    // The test may straddle the end of a minute only if it takes that long.
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1);
    twin.advance(60).await;
    assert_eq!(twin.send("GET", &path, None).await.status, 200);
}
