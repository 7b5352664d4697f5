//! Tidying up takes what nothing needs, and nothing else, whenever it is stopped and whatever runs beside it.

use std::time::Duration as StdDuration;

use chrono::TimeDelta;
use domain::ids::PullId;
use domain::pull::Kind;
use lakehouse::Retention;

use super::world::{Ask, World, after, days};
use crate::ingestion::commit;
use crate::ingestion::maintenance::{self, Limits, is_due};

const DAY: &str = "2026-11-20";
/// A day and an hour after the organisation signed up.
const NEXT_DAY: i64 = 25 * 60;
/// So long after it that the files' own dates are not in the clock's future.
const DECADE: i64 = 10 * 365 * 24 * 60;

/// Nothing is too young to go.
const STRICT: Limits =
    Limits { retention: Retention { keep_last: 1, within: TimeDelta::hours(-1) }, files_last: TimeDelta::zero() };

/// A pull of one account with this many impressions, staged.
async fn staged(world: &World, kind: Kind, account: &str, minute: i64, impressions: &str) -> PullId {
    let accounts = [account];
    let rows = [(DAY, account, "1", impressions)];
    let ask = Ask { kind, accounts: &accounts, days: days(DAY, DAY), at: after(minute), rows: &rows };
    world.fetched(&ask).await
}

/// Three commits, the last with three impressions.
async fn history(world: &World) {
    for number in 1..=3 {
        staged(world, Kind::Tick, "a", number, &number.to_string()).await;
        commit::run(&world.depot, &world.cycle(&format!("cycle {number}")).await).await.unwrap();
    }
}

#[tokio::test]
async fn old_snapshots_and_orphans_go_and_all_that_is_needed_stays() {
    let world = World::new().await;
    history(&world).await;
    let waits = staged(&world, Kind::Lookback, "b", 9, "7").await;
    let orphan = world.files().into_iter().find(|file| file.to_string_lossy().contains("silver")).unwrap();
    let orphan = orphan.with_file_name("nobody-knows-it.parquet");
    std::fs::write(&orphan, b"left by a killed attempt").unwrap();
    let (gold, files) = (world.gold().await, world.files().len());
    let step = world.cycle("tidy").await;
    let depot = world.at(after(DECADE));
    let done = maintenance::tidy(&depot, &step, &STRICT).await.unwrap();
    assert!(done.tables == 3 && done.files > 3 && done.bytes > 0, "{done:?}");
    assert!(!orphan.exists() && world.files().len() < files);
    assert_eq!(world.gold().await, gold);
    let cycle = store::cycle::fetch(&mut world.tx().await, step.cycle).await.unwrap();
    assert_eq!(cycle.steps["maintenance"]["files"], done.files);

    commit::run(&world.depot, &world.cycle("after").await).await.unwrap();
    assert_eq!(world.state(waits).await, domain::pull::State::Landed);
    assert_eq!(world.gold().await.len(), 2);
}

#[tokio::test]
async fn it_is_due_once_a_day_and_not_before_the_first_is_over() {
    let world = World::new().await;
    history(&world).await;
    let due = async |minute| is_due(&world.at(after(minute)), &mut world.tx().await).await.unwrap();
    assert_eq!((due(23 * 60).await, due(NEXT_DAY).await), (false, true));
    let step = world.cycle("tidy").await;
    let orphan = world.files().into_iter().next().unwrap().with_file_name("orphan");
    std::fs::write(&orphan, b"young").unwrap();
    maintenance::run(&world.at(after(NEXT_DAY)), &step).await.unwrap();
    assert!(orphan.exists(), "a commit may be on its way to a young file");
    assert_eq!((due(NEXT_DAY + 60).await, due(2 * NEXT_DAY).await), (false, true));
    let again = maintenance::tidy(&world.at(after(NEXT_DAY + 60)), &step, &STRICT).await.unwrap();
    assert_eq!((again.tables, again.files), (0, 0));
}

#[tokio::test]
async fn stopped_at_any_moment_it_harms_nothing_and_is_done_the_next_time() {
    let world = World::new().await;
    history(&world).await;
    let gold = world.gold().await;
    let (step, depot) = (world.cycle("tidy").await, world.at(after(DECADE)));
    for millis in 0..30 {
        let stopped = maintenance::tidy(&depot, &step, &STRICT);
        let _ = tokio::time::timeout(StdDuration::from_millis(millis), stopped).await;
        assert_eq!(world.gold().await, gold, "stopped after {millis} ms");
    }
    maintenance::tidy(&depot, &step, &STRICT).await.unwrap();
    assert_eq!(world.collect().await.files, 0);
    assert_eq!(world.gold().await, gold);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_commits_beside_it_loses_nothing() {
    let world = World::new().await;
    history(&world).await;
    // What a commit beside it writes is younger than this.
    let limits = Limits { files_last: TimeDelta::hours(1), ..STRICT };
    for round in 1..=5_i64 {
        let impressions = (10 * round).to_string();
        staged(&world, Kind::Tick, "a", 10 + round, &impressions).await;
        let (commits, tidies) = (world.cycle(&format!("c{round}")).await, world.cycle(&format!("t{round}")).await);
        let depot = world.at(after(DECADE * round));
        let (landing, upkeep) =
            tokio::join!(commit::run(&world.depot, &commits), maintenance::tidy(&depot, &tidies, &limits));
        assert_eq!(landing.unwrap().landed, 1);
        upkeep.unwrap();
        assert_eq!(world.gold().await.into_values().collect::<Vec<_>>(), [impressions]);
    }
}
