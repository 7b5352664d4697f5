//! Pulls and cycles: each step once, whoever comes twice.

use domain::ErrorCode;
use domain::entity::{Entity, EntityStatus, Level};
use domain::pull::{Kind, Past, State};
use futures::future::join_all;
use serde_json::json;
use store::{Tx, cycle, entity, pull};

use crate::harness::{Database, after, noon};
use crate::world::{World, day, days, described};

async fn world() -> (Database, World) {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    (database, world)
}

#[tokio::test]
async fn the_same_days_are_not_on_their_way_twice() {
    let (database, world) = world().await;
    let plan = world.plan(Kind::Tick, days("2026-11-20", "2026-11-21"));
    let planners = (0..5).map(|_| async {
        let mut tx = world.tx().await;
        let planned = pull::plan(&mut tx, &plan, noon()).await.unwrap();
        tx.commit().await.unwrap();
        planned
    });
    let planned: Vec<_> = join_all(planners).await.into_iter().flatten().collect();
    assert_eq!(planned.len(), 1);
    let mut tx = world.tx().await;
    for other in [days("2026-11-19", "2026-11-21"), days("2026-11-20", "2026-11-20")] {
        assert!(pull::plan(&mut tx, &world.plan(Kind::Tick, other), noon()).await.unwrap().is_some());
    }
    let lookback = world.plan(Kind::Lookback, plan.days);
    assert!(pull::plan(&mut tx, &lookback, noon()).await.unwrap().is_some());
    assert!(pull::fail(&mut tx, planned[0], ErrorCode::ReportFailed, Some("why"), None, after(1)).await.unwrap());
    assert!(pull::plan(&mut tx, &plan, after(2)).await.unwrap().is_some(), "a closed one is not in the way");
    tx.commit().await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM pulls").await, 5);
}

#[tokio::test]
async fn history_reaches_as_far_back_as_it_was_ever_planned() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let begins = async |tx: &mut Tx| pull::history_begins(tx, world.connection, world.report).await.unwrap();
    assert_eq!(begins(&mut tx).await, None);
    let tick = world.plan(Kind::Tick, days("2026-01-01", "2026-01-02"));
    let slice = world.plan(Kind::FirstSlice, days("2026-11-15", "2026-11-21"));
    let history = world.plan(Kind::Backfill, days("2026-10-15", "2026-11-14"));
    for plan in [tick, slice] {
        pull::plan(&mut tx, &plan, noon()).await.unwrap();
    }
    assert_eq!(begins(&mut tx).await, Some(day("2026-11-15")));
    let id = pull::plan(&mut tx, &history, noon()).await.unwrap().unwrap();
    assert!(pull::fail(&mut tx, id, ErrorCode::ReportFailed, None, None, after(1)).await.unwrap());
    assert_eq!(begins(&mut tx).await, Some(day("2026-10-15")), "what failed is not planned by this again");
}

#[tokio::test]
async fn a_flight_that_is_running_says_from_when_history_is_wanted() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let first =
        async |tx: &mut Tx, today| entity::earliest_running_day(tx, world.connection, day(today)).await.unwrap();
    assert_eq!(first(&mut tx, "2026-11-20").await, Some(day("2026-11-01")));
    assert_eq!(first(&mut tx, "2026-10-31").await, None, "not begun");
    assert_eq!(first(&mut tx, "2026-12-01").await, None, "over");
    let paused = Entity { status: EntityStatus::Paused, ..described(Level::Line, "l1") };
    entity::upsert_many(&mut tx, world.accounts[0], &[paused], after(60)).await.unwrap();
    assert_eq!(first(&mut tx, "2026-11-20").await, None, "paused");
}

#[tokio::test]
async fn a_step_takes_effect_once_and_only_from_its_own_state() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let plan = world.plan(Kind::Tick, days("2026-11-20", "2026-11-21"));
    let id = pull::plan(&mut tx, &plan, noon()).await.unwrap().unwrap();
    let cycle = world.cycle(&mut tx, "c").await;
    let staging = pull::Staging { staged: json!({}), rows: 3, bytes: 9, report_time: None };
    assert!(!pull::mark_fetched(&mut tx, id, &staging, noon()).await.unwrap(), "it was not requested");
    assert!(!pull::mark_polled(&mut tx, id, after(1)).await.unwrap(), "it was not requested");
    assert!(pull::postpone(&mut tx, id, after(3), Some(ErrorCode::RateLimited)).await.unwrap());
    tx.commit().await.unwrap();

    let requesters = (0..4).map(|number| {
        let world = &world;
        async move {
            let mut tx = world.tx().await;
            let ticket = json!({"number": number});
            let asked = pull::mark_requested(&mut tx, id, &ticket, after(1), Some(cycle), noon()).await.unwrap();
            tx.commit().await.unwrap();
            asked
        }
    });
    assert_eq!(join_all(requesters).await.into_iter().filter(|asked| *asked).count(), 1);

    let mut tx = world.tx().await;
    let asked = pull::fetch(&mut tx, id).await.unwrap();
    assert_eq!((asked.state, asked.attempts, asked.not_before, asked.error_code), (State::Requested, 1, None, None));
    assert!(pull::mark_polled(&mut tx, id, after(2)).await.unwrap());
    assert!(pull::start_over(&mut tx, id, after(5), ErrorCode::ReportFailed).await.unwrap());
    assert!(!pull::start_over(&mut tx, id, after(5), ErrorCode::ReportFailed).await.unwrap());
    let again = pull::fetch(&mut tx, id).await.unwrap();
    assert_eq!((again.state, again.polls, again.attempts, again.ticket), (State::Planned, 0, 2, None));
    assert_eq!(pull::newest_ticket(&mut tx, world.connection, world.report).await.unwrap(), None);
    assert!(pull::mark_requested(&mut tx, id, &json!({"q": 2}), after(6), None, after(5)).await.unwrap());
    let ticket = pull::newest_ticket(&mut tx, world.connection, world.report).await.unwrap();
    assert_eq!(ticket, Some(json!({"q": 2})));
    assert!(pull::mark_fetched(&mut tx, id, &staging, after(6)).await.unwrap());
    assert!(!pull::mark_fetched(&mut tx, id, &staging, after(7)).await.unwrap());
    assert!(pull::fail(&mut tx, id, ErrorCode::ReportNullKey, None, Some(cycle), after(8)).await.unwrap());
    assert!(!pull::fail(&mut tx, id, ErrorCode::ReportFailed, None, None, after(9)).await.unwrap());
    assert!(!pull::postpone(&mut tx, id, after(9), None).await.unwrap());
    let failed = pull::fetch(&mut tx, id).await.unwrap();
    assert_eq!((failed.state, failed.error_code), (State::Failed, Some(ErrorCode::ReportNullKey)));
    let cycle = cycle::fetch(&mut tx, cycle).await.unwrap();
    assert_eq!((cycle.pulls.failed, cycle.pulls.errors), (1, vec![ErrorCode::ReportNullKey]));
}

#[tokio::test]
async fn what_people_wait_for_comes_before_history() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    for (minute, kind) in
        [Kind::Backfill, Kind::Lookback, Kind::Tick, Kind::Manual, Kind::FirstSlice].iter().enumerate()
    {
        let plan = world.plan(*kind, days("2026-11-20", "2026-11-21"));
        pull::plan(&mut tx, &plan, after(i64::try_from(minute).unwrap())).await.unwrap().unwrap();
    }
    let open = pull::list_open(&mut tx, Some(world.connection)).await.unwrap();
    let kinds: Vec<Kind> = open.iter().map(|pull| pull.kind).collect();
    assert_eq!(kinds, [Kind::FirstSlice, Kind::Manual, Kind::Tick, Kind::Lookback, Kind::Backfill]);
    assert_eq!(pull::list_open(&mut tx, None).await.unwrap(), open);
    assert!(pull::list_open(&mut tx, Some(domain::ids::ConnectionId::new())).await.unwrap().is_empty());

    let past = pull::past(&mut tx, world.connection, world.report).await.unwrap();
    assert_eq!((past.last_lookback, past.last_tick), (Some(after(1)), Some(after(2))));
    assert!(past.tick_open && past.lookback_open);
    assert_eq!(pull::past(&mut tx, world.connection, domain::ids::ReportId::new()).await.unwrap(), Past::default());

    assert_eq!(pull::fail_open(&mut tx, world.connection, ErrorCode::TokenDead, after(9)).await.unwrap(), 5);
    let past = pull::past(&mut tx, world.connection, world.report).await.unwrap();
    assert!(!past.tick_open && !past.lookback_open);
    let progress = pull::progress(&mut tx, world.connection).await.unwrap();
    assert_eq!(progress[&Kind::Backfill], pull::Progress { landed: 0, failed: 1, total: 1 });
}

#[tokio::test]
async fn a_workflow_has_one_cycle_however_often_it_opens_it() {
    let (database, world) = world().await;
    let openers = (0..5).map(|minute| {
        let world = &world;
        async move {
            let mut tx = world.tx().await;
            let opened = cycle::open(&mut tx, "ingest-x", cycle::Kind::FollowUp, after(minute)).await.unwrap();
            tx.commit().await.unwrap();
            opened.id
        }
    });
    let opened = join_all(openers).await;
    assert!(opened.iter().all(|id| *id == opened[0]), "{opened:?}");
    assert_eq!(database.count("SELECT count(*) FROM cycles").await, 1);

    let mut tx = world.tx().await;
    cycle::record_step(&mut tx, opened[0], "harvest", &json!({"fetched": 1})).await.unwrap();
    cycle::record_step(&mut tx, opened[0], "harvest", &json!({"fetched": 2})).await.unwrap();
    assert!(cycle::finish(&mut tx, opened[0], None, after(1)).await.unwrap());
    assert!(!cycle::finish(&mut tx, opened[0], Some(ErrorCode::Unexpected), after(2)).await.unwrap());
    let done = cycle::find(&mut tx, "ingest-x").await.unwrap().unwrap();
    assert_eq!((done.state, done.finished_at, done.error_code), (cycle::State::Done, Some(after(1)), None));
    assert_eq!(done.steps["harvest"], json!({"fetched": 2}));
    assert_eq!(cycle::find(&mut tx, "another").await.unwrap(), None);
}
