//! The audit trail's chain: intact as it is written, and broken by whoever changes it past the database's rights.

use domain::Origin;
use domain::ids::ApiKeyId;
use futures::future::join_all;
use serde_json::json;
use sqlx::Connection as _;
use store::audit::{self, Actor, Entry};
use store::audit_chain::{self, Flaw, Link, Verdict};

use crate::harness::{Database, after};
use crate::world::World;

fn entry(world: &World, title: &str) -> Entry {
    Entry {
        actor: Actor::Person(world.user),
        action: "proposal.approve".to_owned(),
        subject: "proposal",
        subject_id: world.line.uuid(),
        title: title.to_owned(),
        before: Some(json!({"budget": "100.50", "näme": "Zürich"})),
        after: None,
    }
}

/// An organisation with some lines in its trail.
async fn world_with_lines(database: &Database) -> World {
    let world = World::new(&database.store, "a@example.org").await;
    for minute in 0..6 {
        let mut tx = world.tx().await;
        // Line 3, at place 5 after the sign-up, comes from somewhere; as the first release wrote them, the others from nowhere.
        if minute == 3 {
            tx.set_origin(Origin { address: Some([203, 0, 113, 7].into()), key: Some(ApiKeyId::new()) });
        }
        audit::record(&mut tx, &entry(&world, &format!("Line {minute}")), after(minute)).await.unwrap();
        tx.commit().await.unwrap();
    }
    world
}

async fn verify(world: &World, kept: Option<Link>) -> Verdict {
    audit_chain::verify(&mut world.tx().await, kept).await.unwrap()
}

/// Runs statements as somebody whom neither rights nor triggers hold.
async fn tamper(database: &Database, statements: &[&str]) {
    let mut superuser = database.connect("postgres").await;
    sqlx::query("SET session_replication_role = replica").execute(&mut superuser).await.unwrap();
    for statement in statements {
        let done = sqlx::query(statement).execute(&mut superuser).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement} changed nothing");
    }
    superuser.close().await.unwrap();
}

fn line_at(seq: i64) -> String {
    format!("(SELECT audit_id FROM audit_links WHERE seq = {seq})")
}

#[tokio::test]
async fn a_chain_that_nobody_touched_is_intact() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    world.fill().await;
    let first = verify(&world, None).await;
    assert_eq!(first.flaws, []);
    let lines = database.count("SELECT count(*) FROM audit").await;
    assert_eq!(i64::try_from(first.head.seq).unwrap(), lines);
    let mut tx = world.tx().await;
    for title in ["two", "in one transaction"] {
        audit::record(&mut tx, &entry(&world, title), after(99)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let later = verify(&world, Some(first.head)).await;
    assert_eq!((later.flaws, later.head.seq), (vec![], first.head.seq + 2), "the head of before is part of the chain");
    assert_eq!(audit_chain::organisations(&database.store).await.unwrap(), [world.org]);
}

#[tokio::test]
async fn transactions_that_commit_at_the_same_time_make_one_chain() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    let writers = (0..12).map(|number| {
        let world = &world;
        async move {
            let mut tx = world.tx().await;
            audit::record(&mut tx, &entry(world, &format!("Writer {number}")), after(number)).await.unwrap();
            tx.commit().await
        }
    });
    assert!(join_all(writers).await.into_iter().all(|outcome| outcome.is_ok()));
    let mut undone = world.tx().await;
    audit::record(&mut undone, &entry(&world, "Undone"), after(50)).await.unwrap();
    undone.rollback().await.unwrap();
    let verdict = verify(&world, None).await;
    assert_eq!(verdict.flaws, []);
    let lines = database.count("SELECT count(*) FROM audit").await;
    assert_eq!(i64::try_from(verdict.head.seq).unwrap(), lines);
}

#[tokio::test]
async fn an_edited_line_is_found() {
    for (seq, change) in [
        (3, "title = 'Line 9'"),
        (3, "after = '{\"budget\": \"1\"}'"),
        (3, "at = at + interval '1 microsecond'"),
        (3, "actor_id = NULL"),
        (3, "origin_address = '203.0.113.7'"),
        (5, "origin_address = '203.0.113.8'"),
        (5, "origin_key = NULL"),
        (5, "origin_address = NULL, origin_key = NULL"),
    ] {
        let database = Database::new().await;
        let world = world_with_lines(&database).await;
        tamper(&database, &[&format!("UPDATE audit SET {change} WHERE id = {}", line_at(seq))]).await;
        let flaws = verify(&world, None).await.flaws;
        assert!(
            matches!(flaws[..], [Flaw::Changed { seq: found, .. }] if i64::try_from(found) == Ok(seq)),
            "{flaws:?}"
        );
    }
}

#[tokio::test]
async fn a_removed_line_is_found() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    tamper(&database, &[&format!("DELETE FROM audit WHERE id = {}", line_at(4))]).await;
    let flaws = verify(&world, None).await.flaws;
    assert!(matches!(flaws[..], [Flaw::Removed { seq: 4, .. }]), "{flaws:?}");
    tamper(&database, &["DELETE FROM audit_links WHERE seq = 4"]).await;
    assert_eq!(verify(&world, None).await.flaws, [Flaw::Gap { first: 4, last: 4 }]);
}

#[tokio::test]
async fn lines_removed_from_the_end_are_found() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    let kept = verify(&world, None).await.head;
    let last = kept.seq;
    let line = format!("DELETE FROM audit WHERE id = {}", line_at(i64::try_from(last).unwrap()));
    let place = format!("DELETE FROM audit_links WHERE seq = {last}");
    tamper(&database, &[&line, &place]).await;
    assert_eq!(verify(&world, None).await.flaws, [Flaw::Head { seq: last }]);
    // Whoever also moves the head back is found by the head that was kept elsewhere.
    let head =
        "UPDATE audit_heads h SET (seq, hash) = (SELECT l.seq, l.hash FROM audit_links l ORDER BY l.seq DESC LIMIT 1)";
    tamper(&database, &[head]).await;
    assert_eq!(verify(&world, None).await.flaws, []);
    assert_eq!(verify(&world, Some(kept)).await.flaws, [Flaw::Head { seq: last }]);
}

#[tokio::test]
async fn lines_in_another_order_are_found() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    let moves = [(2, 1_000), (3, 2), (1_000, 3)];
    let swap = moves.map(|(from, to)| format!("UPDATE audit_links SET seq = {to} WHERE seq = {from}"));
    tamper(&database, &swap.each_ref().map(String::as_str)).await;
    let flaws = verify(&world, None).await.flaws;
    let places: Vec<Option<u64>> =
        flaws.iter().map(|flaw| if let Flaw::Changed { seq, .. } = flaw { Some(*seq) } else { None }).collect();
    assert_eq!(places, [Some(2), Some(3), Some(4)], "{flaws:?}");
}

#[tokio::test]
async fn an_inserted_line_is_found() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    let forged =
        "INSERT INTO audit SELECT org_id, gen_random_uuid(), at, actor_kind, actor_id, action, subject, subject_id,
                  title, before, after FROM audit WHERE title = 'Line 2'";
    tamper(&database, &[forged]).await;
    let flaws = verify(&world, None).await.flaws;
    assert!(matches!(flaws[..], [Flaw::Inserted { .. }]), "{flaws:?}");
}

#[tokio::test]
async fn the_application_can_t_write_the_chain() {
    let database = Database::new().await;
    let world = world_with_lines(&database).await;
    let mut app = database.connect("clp_app").await;
    let org = world.org.uuid().to_string();
    sqlx::query("SELECT set_config('app.org', $1, false)").bind(org).execute(&mut app).await.unwrap();
    for statement in [
        "UPDATE audit_heads SET seq = 0",
        "DELETE FROM audit_links",
        "INSERT INTO audit_links SELECT org_id, 99, audit_id, hash FROM audit_links LIMIT 1",
        "SELECT audit_append(a) FROM audit a LIMIT 1",
    ] {
        let refused = sqlx::query(statement).execute(&mut app).await.unwrap_err();
        let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
}
