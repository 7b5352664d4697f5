//! Pulls that overlap, pulls that can't be landed, and what is left of a COMMIT of which nobody heard.

use std::time::Duration;

use domain::ErrorCode;
use domain::ids::PullId;
use domain::pull::{Kind, State, most_failures};
use sqlx::{Executor as _, PgConnection};
use workflows::contract::ingestion::CycleStepV1;

use super::line::Cut;
use super::world::{ACCOUNTS, Ask, Row, World, after, days, noon};
use crate::failure::Error;
use crate::ingestion::commit;

const DAY: &str = "2026-11-20";
/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn ask<'a>(kind: Kind, accounts: &'a [&'a str], minute: i64, rows: &'a [Row<'a>]) -> Ask<'a> {
    Ask { kind, accounts, days: days(DAY, DAY), at: after(minute), rows }
}

/// One row for each account.
fn rows<'a>(accounts: &[&'a str], impressions: &'a str) -> Vec<Row<'a>> {
    accounts.iter().map(|account| (DAY, *account, "1", impressions)).collect()
}

async fn gold(world: &World) -> Vec<String> {
    world.gold().await.into_iter().map(|(key, impressions)| format!("{key} {impressions}")).collect()
}

#[tokio::test]
async fn an_account_that_only_the_older_of_two_pulls_covers_lands_and_comes_back() {
    let world = World::new().await;
    let older = world.fetched(&ask(Kind::Lookback, &ACCOUNTS, -9, &rows(&ACCOUNTS, "1"))).await;
    let newer = world.fetched(&ask(Kind::Tick, &["a", "b"], -5, &rows(&["a", "b"], "2"))).await;
    let done = commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    assert_eq!((done.landed, done.changed_days), (2, 1));
    let expected = ["2026-11-20 a 1 2", "2026-11-20 b 1 2", "2026-11-20 c 1 1"];
    assert_eq!(gold(&world).await, expected);
    assert_eq!((world.marked("a", DAY).await, world.marked("c", DAY).await), (Some(newer), Some(older)));

    // Without the third account again: its rows stay.
    world.fetched(&ask(Kind::Tick, &["a", "b"], -3, &rows(&["a", "b"], "3"))).await;
    commit::run(&world.depot, &world.cycle("2").await).await.unwrap();
    assert_eq!(gold(&world).await, ["2026-11-20 a 1 3", "2026-11-20 b 1 3", "2026-11-20 c 1 1"]);

    // It is back with what it had: nothing is written, and nothing is missing.
    let back: [Row<'_>; 3] = [(DAY, "a", "1", "3"), (DAY, "b", "1", "3"), (DAY, "c", "1", "1")];
    let same = world.fetched(&ask(Kind::Lookback, &ACCOUNTS, -1, &back)).await;
    let done = commit::run(&world.depot, &world.cycle("3").await).await.unwrap();
    assert_eq!((done.landed, done.changed_days), (1, 0));
    assert_eq!(gold(&world).await.len(), 3);
    assert_eq!(world.pull(same).await.unchanged, Some(true));
    assert_eq!(world.marked("c", DAY).await, Some(older), "the rows are still those of the pull that brought them");
}

#[tokio::test]
async fn a_late_pull_lands_on_those_accounts_only_that_nobody_has_read_since() {
    let world = World::new().await;
    world.fetched(&ask(Kind::Tick, &["a", "b"], -5, &rows(&["a", "b"], "2"))).await;
    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    let late = world.fetched(&ask(Kind::Lookback, &ACCOUNTS, -9, &rows(&ACCOUNTS, "1"))).await;
    commit::run(&world.depot, &world.cycle("2").await).await.unwrap();
    assert_eq!(gold(&world).await, ["2026-11-20 a 1 2", "2026-11-20 b 1 2", "2026-11-20 c 1 1"]);
    assert_eq!(world.marked("c", DAY).await, Some(late));
}

#[tokio::test]
async fn a_pull_whose_staged_file_is_gone_is_fetched_again_while_the_others_land() {
    let world = World::new().await;
    let lost = world.fetched(&ask(Kind::Lookback, &["a"], -9, &rows(&["a"], "1"))).await;
    let fine = world.fetched(&ask(Kind::Backfill, &["b"], -5, &rows(&["b"], "2"))).await;
    for file in world.files_of(lost) {
        std::fs::remove_file(file).unwrap();
    }
    let done = commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    assert_eq!(done.landed, 1);
    assert_eq!((world.state(lost).await, world.state(fine).await), (State::Planned, State::Landed));
    assert_eq!(gold(&world).await, ["2026-11-20 b 1 2"]);
    let told = world.pull(lost).await;
    assert_eq!((told.attempts, told.error_code), (1, Some(ErrorCode::Unexpected)));
    assert!(told.not_before.is_some_and(|moment| moment > noon()) && told.requested_at.is_none());

    fetch_again(&world, lost, &rows(&["a"], "1")).await;
    commit::run(&world.depot, &world.cycle("2").await).await.unwrap();
    assert_eq!(gold(&world).await, ["2026-11-20 a 1 1", "2026-11-20 b 1 2"]);
}

async fn fetch_again(world: &World, pull: PullId, rows: &[Row<'_>]) {
    let mut tx = world.tx().await;
    let ticket = serde_json::json!({});
    assert!(store::pull::mark_requested(&mut tx, pull, &ticket, noon(), None, noon()).await.unwrap());
    tx.commit().await.unwrap();
    world.stage(pull, rows).await;
}

#[tokio::test]
async fn a_pull_whose_record_can_not_be_read_is_fetched_again_while_the_others_land() {
    let world = World::new().await;
    let odd = world.fetched(&ask(Kind::Lookback, &["a"], -9, &rows(&["a"], "1"))).await;
    world.fetched(&ask(Kind::Backfill, &["b"], -5, &rows(&["b"], "2"))).await;
    let break_it = sqlx::query("UPDATE pulls SET staged = '{\"files\": 7}' WHERE id = $1").bind(odd.uuid());
    break_it.execute(&mut world.admin().await).await.unwrap();
    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    assert_eq!(world.state(odd).await, State::Planned);
    assert_eq!(gold(&world).await, ["2026-11-20 b 1 2"]);
}

#[tokio::test]
async fn a_pull_that_is_refused_at_the_commit_is_asked_for_again_until_it_failed_often_enough() {
    let world = World::new().await;
    let twice: [Row<'_>; 2] = [(DAY, "a", "1", "1"), (DAY, "a", "1", "2")];
    let pull = world.fetched(&ask(Kind::FirstSlice, &["a"], -9, &twice)).await;
    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    let told = world.pull(pull).await;
    assert_eq!((told.state, told.error_code), (State::Planned, Some(ErrorCode::ReportDuplicateKey)));
    let most = i32::try_from(most_failures(Kind::FirstSlice)).unwrap();
    let often = sqlx::query("UPDATE pulls SET attempts = $1").bind(most - 1);
    often.execute(&mut world.admin().await).await.unwrap();
    fetch_again(&world, pull, &twice).await;
    commit::run(&world.depot, &world.cycle("2").await).await.unwrap();
    assert_eq!(world.state(pull).await, State::Failed);
}

#[tokio::test]
async fn a_tick_that_is_refused_at_the_commit_fails_at_once_as_the_next_reads_the_same_days() {
    let world = World::new().await;
    let twice: [Row<'_>; 2] = [(DAY, "a", "1", "1"), (DAY, "a", "1", "2")];
    let pull = world.fetched(&ask(Kind::Tick, &["a"], -9, &twice)).await;
    commit::run(&world.depot, &world.cycle("1").await).await.unwrap();
    assert_eq!(world.state(pull).await, State::Failed);
}

/// A pull that is staged, and the cycle that is to land it.
async fn ready(world: &World) -> (PullId, CycleStepV1) {
    let pull = world.fetched(&ask(Kind::Lookback, &ACCOUNTS, -9, &rows(&ACCOUNTS, "1"))).await;
    (pull, world.cycle("1").await)
}

async fn ledger(world: &World, step: &CycleStepV1) -> Option<store::commit::Commit> {
    store::commit::fetch(&mut world.tx().await, step.cycle).await.unwrap()
}

/// All of the commit is there, once, and nothing else.
async fn expect_landed(world: &World, pull: PullId, step: &CycleStepV1) {
    assert!(ledger(world, step).await.is_some());
    assert_eq!(world.state(pull).await, State::Landed);
    assert_eq!(gold(world).await, ["2026-11-20 a 1 1", "2026-11-20 b 1 1", "2026-11-20 c 1 1"]);
    assert_eq!(world.marked("a", DAY).await, Some(pull));
    assert_eq!(world.files_of(pull).len(), 1, "the staged file is bronze now");
}

/// Nothing of the commit is there, and all that it needs to be made again is.
async fn expect_not_landed(world: &World, pull: PullId, step: &CycleStepV1) {
    assert_eq!(ledger(world, step).await, None);
    assert_eq!(world.state(pull).await, State::Fetched);
    assert_eq!((gold(world).await.len(), world.marked("a", DAY).await), (0, None));
    assert_eq!(world.files_of(pull).len(), 1, "the staged file waits");
}

#[tokio::test]
async fn a_commit_that_happens_leaves_nothing_behind() {
    let world = World::new().await;
    let (pull, step) = ready(&world).await;
    commit::run(&world.depot, &step).await.unwrap();
    expect_landed(&world, pull, &step).await;
    assert_eq!(world.collect().await.files, 0);
}

#[tokio::test]
async fn a_commit_that_is_refused_at_commit_keeps_its_files_and_is_made_again() {
    let world = World::new().await;
    let (pull, step) = ready(&world).await;
    let mut admin = world.admin().await;
    at_commit(&mut admin, "RAISE EXCEPTION 'not today'").await;
    let before = world.files();
    let error = commit::run(&world.depot, &step).await.unwrap_err();
    assert!(matches!(error, Error::Store(store::Error::Database { .. })), "{error:?}");
    expect_not_landed(&world, pull, &step).await;
    let kept = world.files().difference(&before).count();
    assert!(kept > 0, "what was prepared stays: from here nobody can tell that it was not committed");

    admin.execute("DROP TRIGGER at_commit ON commits").await.unwrap();
    commit::run(&world.depot, &step).await.unwrap();
    expect_landed(&world, pull, &step).await;
    assert_eq!(usize::try_from(world.collect().await.files).unwrap(), kept);
    expect_landed(&world, pull, &step).await;
}

#[tokio::test]
async fn a_commit_that_never_arrived_keeps_its_files_and_is_made_again() {
    let world = World::new().await;
    let (pull, step) = ready(&world).await;
    world.line.cut(Cut::Before);
    let before = world.files();
    let error = commit::run(&world.depot, &step).await.unwrap_err();
    assert!(matches!(error, Error::Store(store::Error::OutcomeUnknown(_))), "{error:?}");
    assert!(!error.is_final());
    let kept = world.files().difference(&before).count();
    assert!(kept > 0, "the outcome is unknown: the files stay");
    commit::run(&world.depot, &step).await.unwrap();
    expect_landed(&world, pull, &step).await;
    assert_eq!(usize::try_from(world.collect().await.files).unwrap(), kept);
    expect_landed(&world, pull, &step).await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_in_the_ledger() {
    let world = World::new().await;
    let (pull, step) = ready(&world).await;
    world.line.cut(Cut::After);
    let error = commit::run(&world.depot, &step).await.unwrap_err();
    assert!(matches!(error, Error::Store(store::Error::OutcomeUnknown(_))), "{error:?}");
    // It happened, and the files that were kept are the tables'.
    expect_landed(&world, pull, &step).await;
    let (files, first) = (world.files(), ledger(&world, &step).await);
    let done = commit::run(&world.depot, &step).await.unwrap();
    assert_eq!((done.landed, done.changed_days), (1, 1));
    assert_eq!((world.files(), ledger(&world, &step).await), (files, first));
    assert_eq!(world.collect().await.files, 0);
}

#[tokio::test]
async fn a_commit_that_is_not_visible_yet_is_waited_for_and_not_made_twice() {
    let world = World::new().await;
    let (pull, step) = ready(&world).await;
    let mut admin = world.admin().await;
    at_commit(&mut admin, "PERFORM pg_advisory_xact_lock(42)").await;
    admin.execute("SELECT pg_advisory_lock(42)").await.unwrap();
    world.line.cut(Cut::During);
    let error = commit::run(&world.depot, &step).await.unwrap_err();
    assert!(matches!(error, Error::Store(store::Error::OutcomeUnknown(_))), "{error:?}");
    waiting(&mut admin, 1).await;
    expect_not_landed(&world, pull, &step).await;

    // The next attempt can't see it, prepares the same once more, and comes to wait for its rows.
    let (again, ()) = tokio::join!(commit::run(&world.depot, &step), async {
        waiting(&mut admin, 2).await;
        admin.execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    });
    assert_eq!(again.unwrap().landed, 1);
    expect_landed(&world, pull, &step).await;
    assert_eq!(world.collect().await.files, 0, "the second attempt's files are discarded, the first one's are in use");
    expect_landed(&world, pull, &step).await;
}

/// Lets the server do something when a cycle's transaction is being committed.
async fn at_commit(admin: &mut PgConnection, what: &str) {
    let function =
        format!("CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$");
    admin.execute(function.as_str()).await.unwrap();
    let trigger = "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON commits DEFERRABLE INITIALLY DEFERRED
                   FOR EACH ROW EXECUTE FUNCTION at_commit()";
    admin.execute(trigger).await.unwrap();
}

/// Returns when so many of this database's transactions wait for a lock.
async fn waiting(admin: &mut PgConnection, count: i64) {
    let look = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let looks = async {
        while sqlx::query_scalar::<_, i64>(look).fetch_one(&mut *admin).await.unwrap() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.unwrap();
}
