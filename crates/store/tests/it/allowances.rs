//! Allowances: what an organisation may have, however many ask at once.

use chrono::Duration;
use domain::ids::IntentId;
use domain::pull::Kind;
use futures::future::join_all;
use store::allowance::{self, Allowance, UsedUp};
use store::{connection, intent};
use uuid::Uuid;

use crate::harness::{Database, after, noon};
use crate::world::World;

const USUAL: u32 = 3;

#[tokio::test]
async fn people_who_ask_for_runs_at_once_never_get_more_than_there_is() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let ask = |minute| {
        let world = &world;
        async move {
            let (subject, at) = (IntentId::new().uuid(), after(minute));
            let mut tx = world.tx().await;
            let allowed = allowance::run(&mut tx, USUAL, subject, at).await.unwrap();
            if allowed.is_ok() {
                intent::create(&mut tx, intent::Kind::Ingest, subject, at, at).await.unwrap();
            }
            tx.commit().await.unwrap();
            allowed
        }
    };
    let answers = join_all((0..8).map(ask)).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3, "{answers:?}");
    let mut tx = world.tx().await;
    assert_eq!(allowance::used(&mut tx, after(8)).await.unwrap().runs_in_the_last_hour, 3);
    // The oldest falls out of the hour first.
    let Err(UsedUp { most: 3, free_at: Some(free_at) }) =
        allowance::run(&mut tx, USUAL, Uuid::nil(), after(8)).await.unwrap()
    else {
        panic!("a fourth must be refused")
    };
    assert!(allowance::run(&mut tx, USUAL, Uuid::nil(), free_at - Duration::seconds(1)).await.unwrap().is_err());
    assert_eq!(allowance::run(&mut tx, USUAL, Uuid::nil(), free_at).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_run_that_was_asked_for_before_is_not_refused_when_its_request_comes_again() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    let subject = IntentId::new().uuid();
    intent::create(&mut tx, intent::Kind::Ingest, subject, noon(), noon()).await.unwrap();
    assert_eq!(allowance::run(&mut tx, 1, subject, after(1)).await.unwrap(), Ok(()));
    assert!(allowance::run(&mut tx, 1, Uuid::nil(), after(1)).await.unwrap().is_err());
}

#[tokio::test]
async fn an_operator_s_word_holds_instead_of_what_is_usual_and_for_one_organisation_alone() {
    let database = Database::new().await;
    let (world, other) =
        (World::new(&database.store, "a@example.org").await, World::new(&database.store, "b@example.org").await);
    let mut tx = world.tx().await;
    let one = connection::list(&mut tx).await.unwrap().len();
    assert_eq!(one, 1);
    assert_eq!(allowance::connection(&mut tx, 2, noon()).await.unwrap(), Ok(()));
    let tight = Allowance { connections: Some(1), ..Allowance::default() };
    allowance::set(&mut tx, tight, noon()).await.unwrap();
    assert_eq!(allowance::fetch(&mut tx).await.unwrap(), tight);
    let refused = Err(UsedUp { most: 1, free_at: None });
    assert_eq!(allowance::connection(&mut tx, 2, noon()).await.unwrap(), refused);
    tx.commit().await.unwrap();
    let mut tx = other.tx().await;
    assert_eq!(allowance::connection(&mut tx, 2, noon()).await.unwrap(), Ok(()));
    drop(tx);
    let mut tx = world.tx().await;
    allowance::set(&mut tx, Allowance::default(), noon()).await.unwrap();
    assert_eq!(allowance::connection(&mut tx, 2, noon()).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn rows_are_counted_from_midnight_and_the_report_that_goes_beyond_has_landed() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    world.fetched(&mut tx, Kind::Tick, noon()).await;
    let used = allowance::used(&mut tx, noon()).await.unwrap().rows_today;
    let read = allowance::used(&mut tx, noon() + Duration::days(1)).await.unwrap().rows_today;
    assert_eq!((used > 0, read), (true, 0), "what was read today does not count tomorrow");
    assert_eq!(allowance::rows(&mut tx, used + 1, noon()).await.unwrap(), Ok(()));
    let Err(UsedUp { most, free_at }) = allowance::rows(&mut tx, used, noon()).await.unwrap() else {
        panic!("no row is left")
    };
    assert_eq!((most, free_at.map(|at| at.to_rfc3339())), (used, Some("2026-11-22T00:00:00+00:00".to_owned())));
    allowance::set(&mut tx, Allowance { rows_per_day: Some(used + 1), ..Allowance::default() }, noon()).await.unwrap();
    assert_eq!(allowance::rows(&mut tx, 1, noon()).await.unwrap(), Ok(()), "an operator's word holds");
}
