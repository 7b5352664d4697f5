//! Old history goes, unreachable files go, and the content stays.

use std::collections::BTreeSet;
use std::time::{Duration as StdDuration, SystemTime};

use chrono::{Duration, Utc};
use domain::ids::CommitId;
use lakehouse::{Collected, GarbageRules, Retention};

use crate::harness::{World, day, days, row};

fn rules(min_age: Duration) -> GarbageRules {
    GarbageRules { min_age, now: Utc::now(), open_pulls: BTreeSet::new() }
}

async fn expire(world: &World, keep_last: usize) {
    let retention = Retention { keep_last, within: -Duration::hours(1) };
    let prepared = world.lake.expire(&world.pointers, world.org, retention).await.unwrap();
    assert!(world.pointers.swap(&prepared.swaps));
    world.lake.finish(&prepared).await;
}

async fn collect(world: &World, rules: &GarbageRules) -> Collected {
    world.lake.collect_garbage(&world.pointers, world.org, rules).await.unwrap()
}

async fn history(world: &World) {
    for number in 0..12u64 {
        let rows = [row(day(number % 3), "1", "10", &number.to_string(), "0", "1")];
        world.land(&["1"], days(number % 3, number % 3), &rows).await;
    }
}

#[tokio::test]
async fn old_snapshots_go_and_the_content_stays() {
    let world = World::new().await;
    history(&world).await;
    let (silver, gold, files) = (world.silver().await, world.gold().await, world.files().len());
    assert_eq!(collect(&world, &rules(Duration::zero())).await, Collected::default());
    expire(&world, 2).await;
    assert_eq!(world.table("silver_delivery").await.metadata().snapshots().len(), 2);
    let collected = collect(&world, &rules(Duration::zero())).await;
    assert!(collected.files > 30 && collected.bytes > 0, "{collected:?}");
    // The metadata log still names versions whose snapshots are gone; their files stay until they leave the log.
    assert_eq!(world.files().len(), files + 3 - usize::try_from(collected.files).unwrap());
    assert_eq!((world.silver().await, world.gold().await), (silver, gold));
    assert_eq!(world.sql("bronze_delivery", "select count(*) from t").await, ["12"]);
    world.land(&["1"], days(0, 0), &[row(day(0), "1", "10", "99", "0", "1")]).await;
    assert!(world.silver().await.contains(&"2026-11-01 1 10 99 0 1.000000000".to_owned()));
}

#[tokio::test]
async fn recent_snapshots_stay_whatever_their_number() {
    let world = World::new().await;
    history(&world).await;
    let retention = Retention { keep_last: 1, within: Duration::hours(1) };
    let prepared = world.lake.expire(&world.pointers, world.org, retention).await.unwrap();
    assert!(prepared.swaps.is_empty() && prepared.written.is_empty());
}

#[tokio::test]
async fn young_files_stay_and_old_ones_that_nothing_reaches_go() {
    let world = World::new().await;
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let before = world.files();
    let commit = CommitId::new();
    let prepared =
        world.lake.prepare(&world.pointers, world.org, commit, std::slice::from_ref(&landing)).await.unwrap();
    assert_eq!(collect(&world, &rules(Duration::hours(1))).await.files, 0);
    for file in world.files().difference(&before) {
        let opened = std::fs::File::options().write(true).open(file).unwrap();
        opened.set_modified(SystemTime::now() - StdDuration::from_hours(2)).unwrap();
    }
    let collected = collect(&world, &rules(Duration::hours(1))).await;
    assert_eq!(usize::try_from(collected.files).unwrap(), prepared.written.len());
    assert_eq!(world.files(), before);
}

#[tokio::test]
async fn files_of_pulls_that_wait_stay_however_old() {
    let world = World::new().await;
    let landing = world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let open = GarbageRules { open_pulls: BTreeSet::from([landing.scope.pull]), ..rules(Duration::zero()) };
    assert_eq!(collect(&world, &open).await.files, 0);
    world.commit(std::slice::from_ref(&landing)).await.unwrap();
    assert_eq!(collect(&world, &rules(Duration::zero())).await.files, 0);
    assert_eq!(world.gold().await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_ahead_does_not_age_files() {
    let world = World::new().await;
    world.landing(world.scope(&["1"], days(0, 0)), &[row(day(0), "1", "10", "1", "0", "1")]).await;
    let ahead = GarbageRules { now: Utc::now() + Duration::days(30), ..rules(Duration::hours(1)) };
    assert_eq!(collect(&world, &ahead).await.files, 0);
}

#[tokio::test]
async fn a_table_that_does_not_read_keeps_all_its_files() {
    let world = World::new().await;
    history(&world).await;
    expire(&world, 1).await;
    let table = world.table("bronze_delivery").await;
    let list = table.metadata().current_snapshot().unwrap().manifest_list().to_owned();
    std::fs::remove_file(crate::harness::path(&list)).unwrap();
    let bronze = |world: &World| {
        world.files().into_iter().filter(|file| file.to_string_lossy().contains("bronze")).collect::<BTreeSet<_>>()
    };
    let before = bronze(&world);
    assert!(world.lake.collect_garbage(&world.pointers, world.org, &rules(Duration::zero())).await.is_err());
    assert_eq!(bronze(&world), before);
}
