//! The seeded world and how it delivers.

use sandbox::Options;
use serde_json::{Value, json};

use crate::support::Twin;

async fn fingerprint(seed: u64) -> String {
    let twin = Twin::with(Options { seed, ..Options::default() });
    let ledger = twin.ledger("2027-03-10T12:00:00Z".parse().unwrap()).await;
    let rows: String = ledger.values().map(ToString::to_string).collect();
    format!("{:x}/{}", sandbox::random::text_hash(&rows), ledger.len())
}

#[tokio::test]
async fn the_same_seed_makes_the_same_world() {
    assert_eq!(fingerprint(7).await, fingerprint(7).await);
    assert_ne!(fingerprint(7).await, fingerprint(8).await);
}

#[tokio::test]
async fn three_advertisers_deliver_in_three_zones_and_currencies() {
    let twin = Twin::new();
    let world = twin.get("/admin/v1/world").await;
    let of = |name: &str| -> Vec<Value> {
        world["advertisers"].as_array().unwrap().iter().map(|one| one[name].clone()).collect()
    };
    assert_eq!(of("currency"), ["EUR", "USD", "JPY"]);
    assert_eq!(of("time_zone"), ["Europe/Berlin", "America/New_York", "Asia/Tokyo"]);
    assert_eq!(world["line_items"].as_array().unwrap().len(), 42);
    let names = world["line_items"].to_string();
    assert!(names.contains("\\\"") && names.contains(", "), "some names have quotes and commas");
    let days: std::collections::BTreeSet<String> =
        twin.ledger(twin.now()).await.into_keys().map(|(_, day)| day).collect();
    assert!(days.len() >= 90, "{} days", days.len());
}

#[tokio::test]
async fn campaigns_are_clearly_under_on_and_over_pace() {
    let twin = Twin::new();
    let world = twin.get("/admin/v1/world").await;
    let ledger = twin.ledger("2027-03-10T12:00:00Z".parse().unwrap()).await;
    let mut seen = std::collections::BTreeSet::new();
    for campaign in world["campaigns"].as_array().unwrap() {
        let id = campaign["campaign_id"].as_str().unwrap();
        let lines: Vec<&Value> =
            world["line_items"].as_array().unwrap().iter().filter(|l| l["campaign_id"] == id).collect();
        let intended = lines[0]["intended_pace_permille"].as_i64().unwrap();
        let day = |end: &str| campaign["flight"][end].as_str().unwrap().parse::<chrono::NaiveDate>().unwrap();
        let last_whole_day: chrono::NaiveDate = "2027-03-08".parse().unwrap();
        let elapsed = (last_whole_day - day("start")).num_days() + 1;
        let total = (day("end") - day("start")).num_days() + 1;
        let planned = campaign["planned_spend_micros"].as_i64().unwrap() * elapsed / total;
        let spent: i64 = ledger
            .iter()
            .filter(|((_, when), row)| row["campaign_id"] == id && when.as_str() <= "2027-03-08")
            .map(|(_, row)| row["media_cost_micros"].as_i64().unwrap())
            .sum();
        let pace = spent * 1_000 / planned;
        assert!((pace - intended).abs() < 60, "campaign {id}: {pace} instead of {intended}");
        seen.insert(intended);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [600, 1_000, 1_400]);
}

#[tokio::test]
async fn a_new_daily_maximum_acts_from_the_next_hour() {
    let (twin, unchanged) = (Twin::new(), Twin::new());
    let path = twin.a_line().await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let answer = twin.patch(&path, "pacing.dailyMaxMicros", json!({"pacing": {"dailyMaxMicros": "1000000000"}})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for one in [&twin, &unchanged] {
        one.advance(2 * 86_400).await;
    }
    let spent = async |one: &Twin, day: &str| {
        one.ledger(one.now()).await[&(id.clone(), day.to_owned())]["media_cost_micros"].as_i64().unwrap()
    };
    assert_eq!(spent(&twin, "2027-03-09").await, spent(&unchanged, "2027-03-09").await);
    let (changed_day, full_day) = (spent(&twin, "2027-03-10").await, spent(&twin, "2027-03-11").await);
    assert!(changed_day > spent(&unchanged, "2027-03-10").await);
    assert!((930_000_000..=1_000_000_000).contains(&full_day), "{full_day}");
    // Twelve of the day's hours had passed in Berlin, with some two fifths of its delivery.
    assert!((500_000_000..800_000_000).contains(&changed_day), "{changed_day}");
}

#[tokio::test]
async fn a_paused_line_stops_delivering() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let answer = twin.patch(&path, "entityStatus", json!({"entityStatus": "ENTITY_STATUS_PAUSED"})).await;
    assert_eq!(answer.status, 200);
    twin.advance(2 * 86_400).await;
    let ledger = twin.ledger(twin.now()).await;
    assert!(ledger.contains_key(&(id.clone(), "2027-03-10".to_owned())), "the hours before the pause");
    assert!(!ledger.contains_key(&(id, "2027-03-11".to_owned())));
}

#[tokio::test]
async fn a_line_never_spends_more_than_its_budget() {
    let twin = Twin::new();
    twin.advance(60 * 86_400).await;
    let world = twin.get("/admin/v1/world").await;
    let mut spent: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for ((line, _), row) in twin.ledger(twin.now()).await {
        *spent.entry(line).or_default() += row["media_cost_micros"].as_i64().unwrap();
    }
    let mut exhausted = 0;
    for line in world["line_items"].as_array().unwrap() {
        let (id, budget) = (line["line_item_id"].as_str().unwrap(), line["budget_micros"].as_i64().unwrap());
        // Corrections of what was spent are not spending, so they may lift the sum by a percent.
        assert!(spent[id] <= budget + budget / 100, "{id}: {} of {budget}", spent[id]);
        exhausted += i32::from(spent[id] > budget * 97 / 100);
    }
    assert!(exhausted > 3, "the lines over pace should have run out of money");
}

#[tokio::test]
async fn the_latest_hours_are_not_in_yet() {
    let twin = Twin::new();
    let path = twin.a_line().await;
    let key = (path.rsplit('/').next().unwrap().to_owned(), "2027-03-10".to_owned());
    let at = |text: &str| text.parse().unwrap();
    let seen = async |as_of| twin.ledger(as_of).await.get(&key).map(|row| row["impressions"].as_i64().unwrap());
    // At noon UTC (13:00 in Berlin), nine hours and no more are visible: until 10:00 in Berlin.
    let noon = seen(at("2027-03-10T12:00:00Z")).await;
    assert_eq!(noon, seen(at("2027-03-10T12:59:59Z")).await);
    twin.advance(3_600).await;
    assert!(seen(at("2027-03-10T13:00:00Z")).await > noon);
    assert_eq!(seen(at("2027-03-10T02:59:59Z")).await, None);
    assert!(seen(at("2027-03-10T03:00:00Z")).await.is_some());
}

#[tokio::test]
async fn the_bulk_advertiser_is_seen_by_its_own_user_alone() {
    let mut twin = Twin::with(Options { bulk_lines: 40, ..Options::default() });
    let partner = twin.get("/v4/partners").await["partners"][0]["partnerId"].as_str().unwrap().to_owned();
    let target = format!("/v4/advertisers?partnerId={partner}");
    assert_eq!(twin.get(&target).await["advertisers"].as_array().unwrap().len(), 3);
    twin.log_in("bulk@agency.example", crate::support::SCOPES);
    assert_eq!(twin.get(&target).await["advertisers"].as_array().unwrap().len(), 1);
    let group_bys = ["FILTER_DATE", "FILTER_LINE_ITEM", "FILTER_DEVICE_TYPE"];
    let text = twin.report_text(crate::support::query(&json!({"range": "LAST_90_DAYS"}), &group_bys, &[])).await;
    let rows = text.lines().skip(1).take_while(|line| !line.starts_with(',')).count();
    assert_eq!(rows, 40 * 90 * 3);
}
