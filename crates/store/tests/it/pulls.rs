//! Pulls and cycles: each step once, whoever comes twice.

use domain::ErrorCode;
use domain::entity::{Entity, EntityStatus, Level};
use domain::pull::{Kind, Past, State};
use futures::future::join_all;
use serde_json::json;
use store::{Tx, cycle, entity, maintenance, pull};

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
    assert!(pull::start_over(&mut tx, id, after(5), ErrorCode::ReportFailed, after(3)).await.unwrap());
    assert!(!pull::start_over(&mut tx, id, after(5), ErrorCode::ReportFailed, after(3)).await.unwrap());
    let again = pull::fetch(&mut tx, id).await.unwrap();
    assert_eq!((again.state, again.polls, again.attempts, again.ticket), (State::Planned, 0, 2, None));
    assert_eq!(again.refused_at, Some(after(3)));
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
async fn a_report_that_was_of_no_use_is_known_to_every_pull_of_its_days() {
    let (_database, world) = world().await;
    let (mut tx, range) = (world.tx().await, days("2026-11-20", "2026-11-21"));
    let plan = world.plan(Kind::Tick, range);
    let id = pull::plan(&mut tx, &plan, noon()).await.unwrap().unwrap();
    for number in 1..=2 {
        assert!(pull::mark_requested(&mut tx, id, &json!(number), noon(), None, noon()).await.unwrap());
        assert!(pull::start_over(&mut tx, id, noon(), ErrorCode::ReportNullKey, after(number)).await.unwrap());
    }
    let refused = pull::refused_tickets(&mut tx, world.connection, world.report, range).await.unwrap();
    assert_eq!(refused, [json!(1), json!(2)]);
    // One that is given up before it was asked for has no ticket; the third is refused by giving up.
    assert!(pull::mark_requested(&mut tx, id, &json!(3), noon(), None, noon()).await.unwrap());
    assert!(pull::fail(&mut tx, id, ErrorCode::ReportFailed, None, None, after(4)).await.unwrap());
    let next = pull::plan(&mut tx, &plan, after(5)).await.unwrap().unwrap();
    assert!(pull::fail(&mut tx, next, ErrorCode::AccountGone, None, None, after(6)).await.unwrap());
    let refused = pull::refused_tickets(&mut tx, world.connection, world.report, range).await.unwrap();
    assert_eq!(refused, [json!(1), json!(2), json!(3)]);
    let others = pull::refused_tickets(&mut tx, world.connection, world.report, days("2026-11-20", "2026-11-20"));
    assert!(others.await.unwrap().is_empty());
}

#[tokio::test]
async fn history_that_was_given_up_is_a_hole_until_its_days_have_come() {
    let (_database, world) = world().await;
    let (mut tx, range) = (world.tx().await, days("2026-11-21", "2026-11-21"));
    let accounts = ["a1".to_owned(), "a2".to_owned()];
    let backfill = world.plan(Kind::Backfill, range);
    for kind in [Kind::Backfill, Kind::Lookback] {
        let id = pull::plan(&mut tx, &world.plan(kind, range), noon()).await.unwrap().unwrap();
        assert!(pull::fail(&mut tx, id, ErrorCode::ReportNullKey, None, None, noon()).await.unwrap());
    }
    let holes = async |tx: &mut Tx, accounts: &[String], minute| {
        pull::list_holes(tx, world.connection, world.report, accounts, after(minute), 5).await.unwrap()
    };
    let hole = pull::Hole { kind: Kind::Backfill, days: range };
    assert!(holes(&mut tx, &accounts, -1).await.is_empty(), "it was given up later than that");
    assert!(holes(&mut tx, &[], 1).await.is_empty(), "nobody can read these accounts");
    assert_eq!(holes(&mut tx, &accounts, 1).await, [hole], "a lookback's days are read again anyway");
    let again = pull::plan(&mut tx, &backfill, after(2)).await.unwrap().unwrap();
    assert!(holes(&mut tx, &accounts, 3).await.is_empty(), "it is on its way");
    assert!(pull::fail(&mut tx, again, ErrorCode::ReportNullKey, None, None, after(4)).await.unwrap());
    assert!(holes(&mut tx, &accounts, 3).await.is_empty());
    assert_eq!(holes(&mut tx, &accounts, 4).await, [hole]);

    let cycle = world.cycle(&mut tx, "c").await;
    let tick = world.fetched(&mut tx, Kind::Tick, noon()).await;
    let mut landed = crate::world::cycle_commit(cycle, vec![], &[tick]);
    landed.watermarks = vec![world.watermark(tick, noon())];
    store::commit::commit_cycle(&mut tx, &landed).await.unwrap();
    assert!(holes(&mut tx, &accounts[..1], 4).await.is_empty(), "another pull brought the day");
    assert_eq!(holes(&mut tx, &accounts, 4).await, [hole], "not the other account's");
}

#[tokio::test]
async fn what_stops_one_request_holds_the_planned_ones_back() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let mut ids = Vec::new();
    for day in ["2026-11-19", "2026-11-20", "2026-11-21"] {
        ids.push(pull::plan(&mut tx, &world.plan(Kind::Backfill, days(day, day)), noon()).await.unwrap().unwrap());
    }
    assert!(pull::postpone(&mut tx, ids[0], after(9), None).await.unwrap());
    assert!(pull::mark_requested(&mut tx, ids[1], &json!({}), noon(), None, noon()).await.unwrap());
    assert_eq!(pull::hold_planned(&mut tx, world.connection, after(5)).await.unwrap(), 1);
    let mut held = Vec::new();
    for id in ids {
        held.push(pull::fetch(&mut tx, id).await.unwrap().not_before);
    }
    assert_eq!(held, [Some(after(9)), None, Some(after(5))]);
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

#[tokio::test]
async fn a_fetched_pull_that_can_not_be_landed_is_planned_again_as_if_it_had_never_been_asked_for() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let id = world.fetched(&mut tx, Kind::Lookback, noon()).await;
    let code = ErrorCode::ReportDuplicateKey;
    assert!(pull::send_back(&mut tx, id, after(5), code, Some("row 3"), None).await.unwrap());
    let again = pull::fetch(&mut tx, id).await.unwrap();
    assert_eq!((again.state, again.attempts, again.not_before), (State::Planned, 1, Some(after(5))));
    assert_eq!((again.error_code, again.error_detail.as_deref()), (Some(code), Some("row 3")));
    assert_eq!((again.ticket, again.requested_at, again.fetched_at), (None, None, None));
    assert_eq!((again.rows, again.bytes, again.report_time), (None, None, None));
    assert!(pull::list_fetched(&mut tx, 10).await.unwrap().is_empty());
    assert!(!pull::send_back(&mut tx, id, after(5), code, None, None).await.unwrap(), "it is not fetched any more");
}

#[tokio::test]
async fn a_failed_pull_is_listed_until_its_days_are_planned_again_or_read() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let mut failed = Vec::new();
    for minute in 0..2 {
        let id = world.fetched(&mut tx, Kind::FirstSlice, noon()).await;
        let code = ErrorCode::ReportTruncated;
        assert!(pull::fail(&mut tx, id, code, None, None, after(minute)).await.unwrap());
        failed.push(id);
        let listed = pull::list_failed(&mut tx, world.connection, Kind::FirstSlice).await.unwrap();
        assert_eq!(listed.iter().map(|pull| pull.id).collect::<Vec<_>>(), [id], "the newest failure of the days");
    }
    assert!(pull::list_failed(&mut tx, world.connection, Kind::Backfill).await.unwrap().is_empty());
    world.fetched(&mut tx, Kind::FirstSlice, noon()).await;
    assert!(pull::list_failed(&mut tx, world.connection, Kind::FirstSlice).await.unwrap().is_empty());
}

#[tokio::test]
async fn maintenance_is_counted_from_the_sign_up_and_never_goes_back() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    assert_eq!(maintenance::last(&mut tx).await.unwrap(), noon());
    for (minute, last) in [(9, 9), (5, 9), (10, 10)] {
        maintenance::record(&mut tx, after(minute)).await.unwrap();
        assert_eq!(maintenance::last(&mut tx).await.unwrap(), after(last));
    }
    let waits = world.fetched(&mut tx, Kind::Lookback, noon()).await;
    let closed = world.fetched(&mut tx, Kind::Tick, noon()).await;
    pull::fail(&mut tx, closed, ErrorCode::ReportTruncated, None, None, noon()).await.unwrap();
    assert_eq!(maintenance::open_pulls(&mut tx).await.unwrap(), [waits].into());
}
