//! Writers race for the same tables: the loser's commit is prepared again, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use domain::ids::CommitId;
use lakehouse::Landing;

use crate::harness::{Row, World, day, days, row};

const WRITERS: u64 = 4;
const COMMITS: u64 = 12;

/// What one commit writes: rows of its own account and of one that all writers share, on overlapping days.
fn rows_of(writer: u64, number: u64) -> Vec<Row> {
    let days = [day(number % 3), day(number % 3 + 1)];
    let rows = days.iter().flat_map(|day| {
        ["shared".to_owned(), format!("own-{writer}")].map(|account| {
            let line = format!("{writer}-{number:02}");
            row(*day, &account, &line, &(writer * 100 + number).to_string(), "0", "0.5")
        })
    });
    // Now and then a day of the shared account is emptied.
    rows.skip(usize::from(number % 4 == 3)).collect()
}

async fn write(world: &World, writer: u64, number: u64) -> String {
    let own = format!("own-{writer}");
    let scope = world.scope(&["shared", &own], days(number % 3, number % 3 + 1));
    let landing = world.landing(scope, &rows_of(writer, number)).await;
    let (_, prepared) = world.commit(&[landing]).await.unwrap();
    let silver = prepared.swaps.iter().find(|swap| swap.table.name == "silver_delivery").unwrap();
    silver.new.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_writers_lose_nothing() {
    let world = Arc::new(World::new().await);
    let writers = (0..WRITERS).map(|writer| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut commits = Vec::new();
            for number in 0..COMMITS {
                commits.push((write(&world, writer, number).await, writer, number));
            }
            commits
        })
    });
    let mut commits = BTreeMap::new();
    for writer in writers.collect::<Vec<_>>() {
        commits
            .extend(writer.await.unwrap().into_iter().map(|(location, writer, number)| (location, (writer, number))));
    }
    let order: Vec<_> = world.pointers.history().iter().filter_map(|location| commits.get(location).copied()).collect();
    assert_eq!(order.len() as u64, WRITERS * COMMITS);
    let expected = replay(&order);
    assert_eq!(world.silver().await, expected);
    assert_eq!(world.gold().await, expected);
    let rows: usize = order.iter().map(|(writer, number)| rows_of(*writer, *number).len()).sum();
    assert_eq!(world.sql("bronze_delivery", "select count(*) from t").await, [rows.to_string()]);
    let snapshots = world.table("silver_delivery").await.metadata().snapshots().len() as u64;
    assert_eq!(snapshots, WRITERS * COMMITS);
    world.check().await;
}

/// What the tables hold when the commits are made in this order.
fn replay(order: &[(u64, u64)]) -> Vec<String> {
    let mut content: BTreeMap<(NaiveDate, String), Vec<String>> = BTreeMap::new();
    for (writer, number) in order {
        for day in [day(number % 3), day(number % 3 + 1)] {
            content.remove(&(day, "shared".to_owned()));
            content.remove(&(day, format!("own-{writer}")));
        }
        for Row([day, account, _, _, _, line, impressions, clicks, _]) in rows_of(*writer, *number) {
            let day: NaiveDate = day.replace('/', "-").parse().unwrap();
            let text = format!("{day} {account} {line} {impressions} {clicks} 0.500000000");
            content.entry((day, account)).or_default().push(text);
        }
    }
    content.into_values().flatten().collect()
}

#[tokio::test]
async fn the_loser_of_a_race_conflicts_and_lands_on_top_of_the_winner() {
    let world = World::new().await;
    let rows = [landing_of(&world, "1").await, landing_of(&world, "2").await];
    let commits = [CommitId::new(), CommitId::new()];
    let winner = world.lake.prepare(&world.pointers, world.org, commits[0], &rows[..1]).await.unwrap();
    let loser = world.lake.prepare(&world.pointers, world.org, commits[1], &rows[1..]).await.unwrap();
    assert!(world.pointers.swap(&winner.swaps));
    assert!(!world.pointers.swap(&loser.swaps));
    world.lake.discard(&loser).await;
    let rebased = world.lake.prepare(&world.pointers, world.org, commits[1], &rows[1..]).await.unwrap();
    assert!(world.pointers.swap(&rebased.swaps));
    assert_eq!(world.gold().await, ["2026-11-01 1 10 1 0 1.000000000", "2026-11-01 2 10 1 0 1.000000000"]);
    world.check().await;
}

async fn landing_of(world: &World, account: &str) -> Landing {
    world.landing(world.scope(&[account], days(0, 0)), &[row(day(0), account, "10", "1", "0", "1")]).await
}
