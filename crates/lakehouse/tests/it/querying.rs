//! Questions about gold.

use std::collections::BTreeSet;

use domain::ids::ConnectionId;
use domain::report::Measure;
use lakehouse::{LineDayFilter, LineSpan, Spans};

use crate::harness::{World, day, days, row};

async fn world() -> World {
    let world = World::new().await;
    let mut rows = Vec::new();
    for number in 0..4 {
        rows.push(row(day(number), "1", "10", "100", "1", "0.1"));
        rows.push(row(day(number), "1", "11", "< 1000", "2", if number == 3 { "Unknown" } else { "2" }));
        rows.push(row(day(number), "2", "20", "5", "3", "-0.000001"));
    }
    world.land(&["1", "2"], days(0, 3), &rows).await;
    world
}

#[tokio::test]
async fn line_days_are_filtered_and_exact() {
    let world = world().await;
    let all = world.lake.line_days(&world.pointers, world.org, &LineDayFilter::default()).await.unwrap();
    assert_eq!(all.len(), 12);
    let filter = LineDayFilter {
        connection: Some(world.connection),
        days: Some(days(1, 3)),
        campaign: Some("c-11".into()),
        lines: Some(BTreeSet::from(["11".to_owned(), "20".to_owned()])),
    };
    let lines = world.lake.line_days(&world.pointers, world.org, &filter).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.day).collect::<Vec<_>>(), [day(1), day(2), day(3)]);
    let first = &lines[0];
    assert_eq!((first.account.as_str(), first.order.as_str(), first.currency.code()), ("1", "o-11", "EUR"));
    let stated: Vec<_> = first.measures.iter().map(|(measure, value)| format!("{measure} {value}")).collect();
    assert_eq!(stated, ["clicks 2", "media_cost 2"]);
    assert!(!lines[2].measures.contains_key(&Measure::MediaCost));
    let other = LineDayFilter { connection: Some(ConnectionId::new()), ..LineDayFilter::default() };
    assert_eq!(world.lake.line_days(&world.pointers, world.org, &other).await.unwrap(), []);
}

#[tokio::test]
async fn spend_is_summed_over_all_lines_or_over_each_lines_own_days() {
    let world = world().await;
    let spend = async |spans: Spans| {
        let lines = world.lake.spend_by_line(&world.pointers, world.org, &spans).await.unwrap();
        let text = lines.iter().map(|l| format!("{} {} {} {}", l.line, l.spend, l.days, l.withheld_days));
        text.collect::<Vec<_>>()
    };
    assert_eq!(spend(Spans::All(days(0, 3))).await, ["10 0.4 EUR 4 0", "11 6 EUR 3 1", "20 -0.000004 EUR 4 0"]);
    let span = |line: &str, days| LineSpan { connection: world.connection, line: line.into(), days };
    let spans =
        vec![span("10", days(0, 1)), span("10", days(1, 2)), span("20", days(3, 9)), span("nobody", days(0, 3))];
    assert_eq!(spend(Spans::Lines(spans)).await, ["10 0.3 EUR 3 0", "20 -0.000001 EUR 1 0"]);
    assert_eq!(spend(Spans::Lines(Vec::new())).await, [""; 0]);
}

#[tokio::test]
async fn campaigns_are_summed_per_day_and_currency() {
    let mut world = World::new().await;
    let mut rows = [row(day(0), "1", "10", "100", "1", "0.1"), row(day(0), "1", "11", "50", "2", "0.25")];
    for row in &mut rows {
        row.0[3] = "same".into();
    }
    world.land(&["1"], days(0, 0), &rows).await;
    let mut dollars = row(day(0), "9", "90", "1", "0", "3");
    dollars.0[2] = "USD".into();
    world.connection = ConnectionId::new();
    let mut scope = world.scope(&["9"], days(0, 0));
    scope.accounts.insert("9".into(), "USD".parse().unwrap());
    let landing = world.landing(scope, &[dollars]).await;
    world.commit(&[landing]).await.unwrap();
    let days = world.lake.campaign_days(&world.pointers, world.org, &LineDayFilter::default()).await.unwrap();
    let text: BTreeSet<_> = days
        .iter()
        .map(|day| {
            format!(
                "{} {} {} {}",
                day.campaign,
                day.currency,
                day.measures[&Measure::Impressions],
                day.measures[&Measure::MediaCost]
            )
        })
        .collect();
    assert_eq!(text, BTreeSet::from(["same EUR 150 0.35".to_owned(), "c-90 USD 1 3".to_owned()]));
}

#[tokio::test]
async fn an_empty_lake_answers_with_nothing() {
    let world = World::new().await;
    let filter = LineDayFilter::default();
    assert_eq!(world.lake.line_days(&world.pointers, world.org, &filter).await.unwrap(), []);
    assert_eq!(world.lake.campaign_days(&world.pointers, world.org, &filter).await.unwrap(), []);
    assert_eq!(world.lake.spend_by_line(&world.pointers, world.org, &Spans::All(days(0, 9))).await.unwrap(), []);
}
