//! The commit of a cycle: all or nothing, once, and never backwards.

use domain::pull::{Kind, State};
use futures::future::join_all;
use store::commit::{self, Committed};
use store::{Error, pointer, pull, watermark};

use crate::harness::{Database, after, noon};
use crate::world::{World, cycle_commit, days};

async fn world() -> (Database, World) {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    (database, world)
}

/// Tables `bronze` and `silver` that stand at v1.
async fn with_tables(world: &World) {
    let mut tx = world.tx().await;
    let tables = [world.swap("bronze", None, "v1"), world.swap("silver", None, "v1")];
    pointer::create(&mut tx, &tables).await.unwrap();
    tx.commit().await.unwrap();
}

async fn standing(world: &World) -> Vec<String> {
    pointer::list(&mut world.tx().await).await.unwrap().into_iter().map(|(_, location)| location).collect()
}

#[tokio::test]
async fn a_commit_moves_tables_ledger_pulls_and_watermarks_together() {
    let (_database, world) = world().await;
    with_tables(&world).await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let pull = world.fetched(&mut tx, Kind::Tick, noon()).await;
    let swaps = vec![world.swap("silver", Some("v1"), "v2"), world.swap("bronze", Some("v1"), "v2")];
    let mut wanted = cycle_commit(cycle, swaps.clone(), &[pull]);
    wanted.watermarks = vec![world.watermark(pull, noon())];
    let committed = commit::commit_cycle(&mut tx, &wanted).await.unwrap();
    tx.commit().await.unwrap();

    let Committed::Now(ledger) = committed else { panic!("{committed:?}") };
    assert_eq!((ledger.id, ledger.at, ledger.pulls_landed), (wanted.id, wanted.at, 1));
    assert_eq!((ledger.swaps.clone(), ledger.stats), (swaps, wanted.stats));
    assert_eq!(standing(&world).await, ["v2", "v2"]);
    let mut tx = world.tx().await;
    assert_eq!(commit::fetch(&mut tx, cycle).await.unwrap(), Some(ledger));
    let landed = pull::fetch(&mut tx, pull).await.unwrap();
    assert_eq!((landed.state, landed.unchanged, landed.cycle), (State::Landed, Some(false), Some(cycle)));
    let range = days("2026-11-01", "2026-11-30");
    let list = watermark::list(&mut tx, world.connection, world.report, &["a1".into()], range).await.unwrap();
    assert_eq!(list, wanted.watermarks);
    assert_eq!(watermark::all(&mut tx).await.unwrap(), list);
}

#[tokio::test]
async fn of_two_cycles_that_race_for_a_table_one_is_told_to_rebase() {
    let (database, world) = world().await;
    with_tables(&world).await;
    for round in 1..=10 {
        let (now, next) = (format!("v{round}"), format!("v{}", round + 1));
        let racers = ["left", "right"].map(|side| {
            let (world, now, next) = (&world, &now, &next);
            async move {
                let mut tx = world.tx().await;
                let cycle = world.cycle(&mut tx, &format!("{side} {round}")).await;
                let swaps = ["bronze", "silver"].map(|table| world.swap(table, Some(now), next));
                // Each names the tables in another order: locks are taken in one order all the same.
                let swaps = if side == "left" { swaps.to_vec() } else { swaps.into_iter().rev().collect() };
                commit::commit_cycle(&mut tx, &cycle_commit(cycle, swaps, &[])).await?;
                tx.commit().await
            }
        });
        let outcomes = join_all(racers).await;
        let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Conflict { .. }))).count();
        let wins = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!((wins, conflicts), (1, 1), "{outcomes:?}");
        assert_eq!(standing(&world).await, [next.clone(), next]);
        assert_eq!(database.count("SELECT count(*) FROM commits").await, round);
    }
}

#[tokio::test]
async fn a_cycle_commits_once_however_often_it_is_tried() {
    let (database, world) = world().await;
    with_tables(&world).await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let pull = world.fetched(&mut tx, Kind::Tick, noon()).await;
    tx.commit().await.unwrap();
    let tries = (0..8).map(|_| async {
        let mut tx = world.tx().await;
        let swaps = vec![world.swap("bronze", Some("v1"), "v2")];
        let committed = commit::commit_cycle(&mut tx, &cycle_commit(cycle, swaps, &[pull])).await?;
        tx.commit().await?;
        Ok::<_, Error>(committed)
    });
    let outcomes: Vec<Committed> = join_all(tries).await.into_iter().map(Result::unwrap).collect();
    let now: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Committed::Now(_))).collect();
    assert_eq!(now.len(), 1, "{outcomes:?}");
    let Committed::Now(ledger) = now[0] else { unreachable!() };
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Committed::Before(c) | Committed::Now(c) if c == ledger)));
    assert_eq!(database.count("SELECT count(*) FROM commits").await, 1);

    // Long afterwards, when other cycles have moved the table on, the answer is still the same.
    let mut tx = world.tx().await;
    let other = world.cycle(&mut tx, "other").await;
    let moved = cycle_commit(other, vec![world.swap("bronze", Some("v2"), "v3")], &[]);
    commit::commit_cycle(&mut tx, &moved).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let again = cycle_commit(cycle, vec![world.swap("bronze", Some("v1"), "v2")], &[pull]);
    assert_eq!(commit::commit_cycle(&mut tx, &again).await.unwrap(), Committed::Before(ledger.clone()));
    tx.commit().await.unwrap();
    assert_eq!(standing(&world).await, ["v3", "v1"]);
}

#[tokio::test]
async fn a_commit_that_is_killed_before_its_end_did_not_happen() {
    let (database, world) = world().await;
    with_tables(&world).await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let pull = world.fetched(&mut tx, Kind::Tick, noon()).await;
    tx.commit().await.unwrap();
    let mut wanted = cycle_commit(cycle, vec![world.swap("bronze", Some("v1"), "v2")], &[pull]);
    wanted.watermarks = vec![world.watermark(pull, noon())];

    let mut tx = world.tx().await;
    commit::commit_cycle(&mut tx, &wanted).await.unwrap();
    // The server ends the connection as it would when the worker dies.
    database
        .count("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")
        .await;
    let lost = tx.commit().await.unwrap_err();
    assert!(lost.is_transient(), "{lost:?}");

    assert_eq!(standing(&world).await, ["v1", "v1"]);
    let mut tx = world.tx().await;
    assert_eq!(commit::fetch(&mut tx, cycle).await.unwrap(), None);
    assert_eq!(pull::fetch(&mut tx, pull).await.unwrap().state, State::Fetched);
    assert_eq!(database.count("SELECT count(*) FROM watermarks").await, 0);
    // What was staged is still there, so the next try lands it.
    assert_eq!(pull::list_fetched(&mut tx, 10).await.unwrap().len(), 1);
    commit::commit_cycle(&mut tx, &wanted).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(standing(&world).await, ["v2", "v1"]);
}

#[tokio::test]
async fn after_a_conflict_nothing_can_be_committed() {
    let (database, world) = world().await;
    with_tables(&world).await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let swaps = vec![world.swap("bronze", Some("v1"), "v2"), world.swap("silver", Some("v0"), "v2")];
    let conflict = commit::commit_cycle(&mut tx, &cycle_commit(cycle, swaps, &[])).await.unwrap_err();
    assert!(matches!(&conflict, Error::Conflict { table } if table.name == "silver"), "{conflict}");
    assert!(matches!(tx.commit().await, Err(Error::Abandoned)));
    assert_eq!(standing(&world).await, ["v1", "v1"]);
    assert_eq!(database.count("SELECT count(*) FROM commits").await, 0);
}

#[tokio::test]
async fn a_transaction_in_which_a_statement_failed_is_never_reported_as_committed() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let unknown = world.plan(Kind::Tick, days("2026-11-20", "2026-11-21"));
    let unknown = pull::Plan { report: domain::ids::ReportId::new(), ..unknown };
    assert!(matches!(pull::plan(&mut tx, &unknown, noon()).await, Err(Error::Missing { .. })));
    assert!(matches!(tx.commit().await, Err(Error::Abandoned)));
}

#[tokio::test]
async fn a_pull_that_is_not_fetched_does_not_land_and_takes_the_commit_with_it() {
    let (database, world) = world().await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let plan = world.plan(Kind::Tick, days("2026-11-20", "2026-11-21"));
    let planned = pull::plan(&mut tx, &plan, noon()).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let wanted = cycle_commit(cycle, vec![world.swap("bronze", None, "v1")], &[planned]);
    let refused = commit::commit_cycle(&mut tx, &wanted).await.unwrap_err();
    assert!(matches!(refused, Error::PullsNotFetched { missing: 1 }), "{refused}");
    assert!(matches!(tx.commit().await, Err(Error::Abandoned)));
    assert_eq!(database.count("SELECT count(*) FROM commits").await, 0);
    assert!(standing(&world).await.is_empty());
}

#[tokio::test]
async fn a_table_is_made_by_one_of_those_who_try() {
    let (_database, world) = world().await;
    let makers = (0..4).map(|maker| {
        let world = &world;
        async move {
            let mut tx = world.tx().await;
            pointer::create(&mut tx, &[world.swap("gold", None, &format!("by {maker}"))]).await?;
            tx.commit().await
        }
    });
    let outcomes = join_all(makers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Conflict { .. }))).count(), 3);
    assert_eq!(standing(&world).await.len(), 1);
}

#[tokio::test]
async fn a_table_of_another_organisation_is_refused() {
    let (database, world) = world().await;
    let other = World::new(&database.store, "b@example.org").await;
    let mut tx = world.tx().await;
    let theirs = other.swap("gold", None, "v1");
    assert!(matches!(pointer::current(&mut tx, &theirs.table).await, Err(Error::ForeignTable { .. })));
    assert!(matches!(pointer::create(&mut tx, &[theirs]).await, Err(Error::ForeignTable { .. })));
}

#[tokio::test]
async fn a_watermark_never_goes_backwards() {
    let (_database, world) = world().await;
    let range = days("2026-11-01", "2026-11-30");
    let mut newest = None;
    // Requests of these minutes land in this order.
    for (round, minute) in [30, 10, 45, 45, 20, 44, 60, 1].into_iter().enumerate() {
        let mut tx = world.tx().await;
        let cycle = world.cycle(&mut tx, &format!("c{round}")).await;
        let pull = world.fetched(&mut tx, Kind::Tick, after(minute)).await;
        let mut wanted = cycle_commit(cycle, vec![], &[pull]);
        wanted.watermarks = vec![world.watermark(pull, after(minute))];
        commit::commit_cycle(&mut tx, &wanted).await.unwrap();
        tx.commit().await.unwrap();
        if newest.is_none_or(|(best, _)| minute > best) {
            newest = Some((minute, pull));
        }
        let list = watermark::list(&mut world.tx().await, world.connection, world.report, &["a1".into()], range)
            .await
            .unwrap();
        let (minute, pull) = newest.unwrap();
        assert_eq!(list, [world.watermark(pull, after(minute))]);
    }
    let mut tx = world.tx().await;
    let fresh = watermark::freshness(&mut tx, Some(world.connection)).await.unwrap();
    assert_eq!(fresh.len(), 2, "every chosen account is there, also the one without numbers");
    assert_eq!(watermark::complete_to(&fresh), Some(after(60)));
    assert_eq!(watermark::newest_pulls(&mut tx).await.unwrap(), [newest.unwrap().1]);
}

#[tokio::test]
async fn of_two_pulls_of_one_commit_the_newer_one_counts() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let cycle = world.cycle(&mut tx, "c").await;
    let tick = world.fetched(&mut tx, Kind::Tick, after(5)).await;
    let lookback = world.fetched(&mut tx, Kind::Lookback, after(4)).await;
    let mut wanted = cycle_commit(cycle, vec![], &[tick, lookback]);
    wanted.watermarks = vec![world.watermark(tick, after(5)), world.watermark(lookback, after(4))];
    commit::commit_cycle(&mut tx, &wanted).await.unwrap();
    let range = days("2026-11-21", "2026-11-21");
    let list = watermark::list(&mut tx, world.connection, world.report, &["a1".into()], range).await.unwrap();
    assert_eq!(list, [world.watermark(tick, after(5))]);
}
