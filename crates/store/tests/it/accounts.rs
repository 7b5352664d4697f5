//! Accounts and entities: read again and again, keeping what is ours.

use domain::ErrorCode;
use domain::entity::{EntityStatus, Level};
use domain::ids::AccountId;
use store::account::{self, Status};
use store::{Error, entity, report};

use crate::harness::{Database, after, noon};
use crate::world::{World, described, discovered, eur};

async fn world() -> (Database, World) {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    (database, world)
}

#[tokio::test]
async fn an_account_keeps_its_id_and_its_choice_when_it_is_listed_again() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    account::select(&mut tx, world.connection, &world.accounts[..1]).await.unwrap();
    assert!(account::mark_gone(&mut tx, world.accounts[0], ErrorCode::AccountGone, after(1)).await.unwrap());
    assert!(!account::mark_gone(&mut tx, world.accounts[0], ErrorCode::AccountGone, after(2)).await.unwrap());
    let gone = account::fetch(&mut tx, world.accounts[0]).await.unwrap();
    assert_eq!((gone.status, gone.problem.map(|problem| problem.since)), (Status::Gone, Some(after(1))));
    assert!(account::list_readable(&mut tx, world.connection).await.unwrap().is_empty());

    let listed = [discovered("a3", "Three"), discovered("a1", "One, renamed")];
    account::upsert_many(&mut tx, world.connection, &listed).await.unwrap();
    let all = account::list(&mut tx, None).await.unwrap();
    let names: Vec<(&str, bool)> = all.iter().map(|account| (account.name.as_str(), account.selected)).collect();
    assert_eq!(names, [("One, renamed", true), ("Three", false), ("Two", false)]);
    assert_eq!((all[0].id, all[0].status, all[0].problem.clone()), (world.accounts[0], Status::Active, None));
    assert_eq!((all[0].parent_id.as_deref(), all[0].parent_name.as_deref()), (Some("4711"), None));
    let readable = account::list_readable(&mut tx, world.connection).await.unwrap();
    assert_eq!(readable, all[..1]);
    account::mark_gone(&mut tx, world.accounts[0], ErrorCode::AccountGone, after(3)).await.unwrap();
    assert!(account::restore(&mut tx, world.accounts[0]).await.unwrap());
    assert!(!account::restore(&mut tx, world.accounts[0]).await.unwrap());
}

#[tokio::test]
async fn an_account_of_nobody_or_of_somebody_else_is_not_chosen() {
    let (database, world) = world().await;
    let other = World::new(&database.store, "b@example.org").await;
    let mut tx = world.tx().await;
    for foreign in [AccountId::new(), other.accounts[0]] {
        let refused = account::select(&mut tx, world.connection, &[world.accounts[0], foreign]).await;
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    }
    assert!(account::list(&mut tx, Some(world.connection)).await.unwrap().iter().all(|account| account.selected));
    let theirs = entity::upsert_many(&mut tx, other.accounts[0], &[described(Level::Line, "l9")], noon()).await;
    assert!(matches!(theirs, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn an_entity_comes_back_as_it_was_described_and_keeps_its_id() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let line = entity::fetch(&mut tx, world.line).await.unwrap();
    assert_eq!(line.entity, described(Level::Line, "l1"));
    let mut changed = described(Level::Line, "l1");
    changed.name = "renamed".into();
    changed.status = EntityStatus::Paused;
    changed.flight = None;
    changed.daily_budget = None;
    entity::upsert_many(&mut tx, world.accounts[0], std::slice::from_ref(&changed), after(5)).await.unwrap();
    let now = entity::fetch(&mut tx, world.line).await.unwrap();
    assert_eq!((&now.entity, now.read_at), (&changed, after(5)));
    entity::upsert_many(&mut tx, world.accounts[0], &[described(Level::Line, "l1")], after(4)).await.unwrap();
    assert_eq!(entity::fetch(&mut tx, world.line).await.unwrap(), now, "an older reading came late");
    let owner = account::fetch(&mut tx, world.accounts[0]).await.unwrap();
    assert_eq!(owner.entities_read_at, Some(after(5)));
    entity::update_daily_budget(&mut tx, world.line, eur("77"), after(6)).await.unwrap();
    assert_eq!(entity::fetch(&mut tx, world.line).await.unwrap().entity.daily_budget, Some(eur("77")));
    let mut dollars = described(Level::Line, "l2");
    dollars.daily_budget = Some(domain::Money::new("1".parse().unwrap(), "USD".parse().unwrap()));
    let refused = entity::upsert_many(&mut tx, world.accounts[0], &[dollars], after(7)).await;
    assert!(matches!(refused, Err(Error::Money(_))), "{refused:?}");
}

#[tokio::test]
async fn what_a_complete_reading_does_not_list_is_archived() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let campaign = entity::fetch(&mut tx, world.campaign).await.unwrap();
    assert_eq!(entity::list_of_campaign(&mut tx, &campaign).await.unwrap().len(), 2);
    entity::upsert_many(&mut tx, world.accounts[0], &[described(Level::Campaign, "c1")], after(5)).await.unwrap();
    assert_eq!(entity::archive_unlisted(&mut tx, world.accounts[0], after(5)).await.unwrap(), 2);
    assert_eq!(entity::archive_unlisted(&mut tx, world.accounts[0], after(5)).await.unwrap(), 0);
    assert!(entity::list(&mut tx, Level::Line, false, None, 10).await.unwrap().is_empty());
    assert_eq!(entity::list(&mut tx, Level::Line, true, None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn slices_of_entities_hold_each_once() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let many: Vec<_> = (0..23).map(|number| described(Level::Order, &format!("many {number}"))).collect();
    entity::upsert_many(&mut tx, world.accounts[1], &many, after(1)).await.unwrap();
    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let slice = entity::list(&mut tx, Level::Order, false, last, 5).await.unwrap();
        last = slice.last().map(|known| known.id);
        seen.extend(slice.iter().map(|known| known.entity.platform_id.clone()));
        if slice.len() < 5 {
            break;
        }
    }
    assert_eq!(seen.len(), 24);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 24);
}

#[tokio::test]
async fn a_report_definition_is_kept_once_per_name() {
    let (_database, world) = world().await;
    let mut tx = world.tx().await;
    let mut definition = report::fetch(&mut tx, world.report).await.unwrap();
    let kept = definition.clone();
    definition.id = domain::ids::ReportId::new();
    definition.lookback_days = 3;
    assert_eq!(report::ensure(&mut tx, &definition).await.unwrap(), world.report);
    assert_eq!(report::list(&mut tx, definition.platform).await.unwrap(), [kept]);
}
