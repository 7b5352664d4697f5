//! An onboarding whose first slice fails goes on.

use domain::ErrorCode;
use domain::Platform;
use domain::pull::{Kind, State as PullState};
use store::onboarding::{Onboarding, State};

use super::world::{ACCOUNTS, Ask, Row, World, after, days};
use crate::ingestion::commit;

const DAY: &str = "2026-11-20";

async fn onboarding(world: &World) -> Onboarding {
    store::onboarding::latest(&mut world.tx().await).await.unwrap().unwrap()
}

/// An onboarding that waits for its first slice.
async fn begin(world: &World) {
    let mut tx = world.tx().await;
    let (begun, _) = store::onboarding::start(&mut tx, world.user, after(0)).await.unwrap();
    store::onboarding::set_connection(&mut tx, begun.id, Platform::Dv360, world.connection).await.unwrap();
    store::onboarding::advance(&mut tx, begun.id, State::FirstSlice, after(0)).await.unwrap();
    tx.commit().await.unwrap();
}

fn ask<'a>(kind: Kind, rows: &'a [Row<'a>]) -> Ask<'a> {
    Ask { kind, accounts: &ACCOUNTS, days: days(DAY, DAY), at: after(-5), rows }
}

#[tokio::test]
async fn a_first_slice_that_failed_is_planned_again_and_the_dashboard_opens_with_what_lands() {
    let world = World::new().await;
    begin(&world).await;
    let rows: [Row<'_>; 1] = [(DAY, "a", "1", "1")];
    let slice = world.fetched(&ask(Kind::FirstSlice, &rows)).await;
    let mut tx = world.tx().await;
    let code = ErrorCode::ReportTruncated;
    store::pull::fail(&mut tx, slice, code, Some("cut short"), None, after(0)).await.unwrap();
    tx.commit().await.unwrap();

    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    let told = onboarding(&world).await;
    assert_eq!((told.state, told.error_code), (State::FirstSlice, Some(code)));
    let open = store::pull::list_open(&mut world.tx().await, Some(world.connection)).await.unwrap();
    let again = open.first().unwrap();
    assert_eq!((open.len(), again.kind, again.days), (1, Kind::FirstSlice, days(DAY, DAY)));
    assert_eq!(again.not_before, Some(after(60)), "what stopped it may need a while");
    let again = again.id;

    // A second cycle does not plan it twice.
    commit::run(&world.depot, &world.cycle("2").await).await.unwrap();
    assert_eq!(store::pull::list_open(&mut world.tx().await, None).await.unwrap().len(), 1);

    world.fetched(&ask(Kind::Lookback, &rows)).await;
    commit::run(&world.depot, &world.cycle("3").await).await.unwrap();
    let told = onboarding(&world).await;
    assert_eq!((told.state, told.error_code), (State::Ready, None));

    let mut tx = world.tx().await;
    let ticket = serde_json::json!({});
    store::pull::mark_requested(&mut tx, again, &ticket, after(60), None, after(60)).await.unwrap();
    tx.commit().await.unwrap();
    world.stage(again, &rows).await;
    commit::run(&world.depot, &world.cycle("4").await).await.unwrap();
    assert_eq!(world.state(again).await, PullState::Landed);
    assert_eq!(onboarding(&world).await.state, State::Done);
}

#[tokio::test]
async fn a_first_slice_that_is_on_its_way_is_waited_for() {
    let world = World::new().await;
    begin(&world).await;
    let rows: [Row<'_>; 1] = [(DAY, "a", "1", "1")];
    let mut tx = world.tx().await;
    let plan = store::pull::Plan {
        connection: world.connection,
        report: world.report,
        kind: Kind::FirstSlice,
        days: days(DAY, DAY),
        accounts: vec!["a".into()],
        not_before: None,
    };
    store::pull::plan(&mut tx, &plan, after(0)).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    world.fetched(&ask(Kind::Lookback, &rows)).await;
    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    assert_eq!(onboarding(&world).await.state, State::FirstSlice);
}
