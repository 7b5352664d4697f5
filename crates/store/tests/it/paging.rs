//! Pages: every row once, whatever is added meanwhile.

use domain::pull::Kind;
use store::{Page, audit, cycle, pull};
use uuid::Uuid;

use crate::harness::{Database, after};
use crate::world::World;

/// Reads a list page by page and gives back the ids in their order; something may be done between two pages.
macro_rules! all_pages {
    ($world:expr, $limit:expr, |$tx:ident, $page:ident| $fetch:expr $(, $between:expr)?) => {{
        let (mut ids, mut $page): (Vec<Uuid>, Page) = (Vec::new(), Page::first($limit));
        for _ in 0..100 {
            let mut tx = $world.tx().await;
            let $tx = &mut tx;
            let paged = $fetch.await.unwrap();
            assert!(paged.items.len() <= $limit as usize);
            ids.extend(paged.items.iter().map(|item| item.id.uuid()));
            $($between;)?
            match paged.next {
                Some(next) => $page.after = Some(next),
                None => break,
            }
        }
        ids
    }};
}

fn assert_each_once(mut ids: Vec<Uuid>, count: usize) {
    assert_eq!(ids.len(), count);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

async fn record(world: &World, minute: i64) {
    let mut tx = world.tx().await;
    let entry = audit::Entry {
        actor: audit::Actor::System,
        action: "test.page".into(),
        subject: "organisation",
        subject_id: world.org.uuid(),
        title: "a line".into(),
        before: None,
        after: None,
    };
    audit::record(&mut tx, &entry, after(minute)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn pages_of_the_audit_trail_hold_every_line_once_while_it_grows() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    // Many lines of the same moment: the id decides.
    for number in 0..40 {
        record(&world, number / 13).await;
    }
    let ids =
        all_pages!(world, 7, |tx, page| audit::page(tx, &audit::Search::default(), page), record(&world, 99).await);
    assert_each_once(ids, 41);
    let mut tx = world.tx().await;
    let whole = audit::page(&mut tx, &audit::Search::default(), Page::first(1_000)).await.unwrap();
    let mut sorted = whole.items.clone();
    sorted.sort_by_key(|line| std::cmp::Reverse((line.at, line.id)));
    assert_eq!(whole.items, sorted, "newest first");
}

#[tokio::test]
async fn pages_of_pulls_and_cycles_hold_every_row_once() {
    let database = Database::new().await;
    let world = World::new(&database.store, "a@example.org").await;
    let mut tx = world.tx().await;
    for number in 0..20_u32 {
        let first = chrono::NaiveDate::from_ymd_opt(2026, 1, 1 + number).unwrap();
        let plan = world.plan(Kind::Backfill, domain::DayRange::ending(first, 1));
        pull::plan(&mut tx, &plan, after(i64::from(number / 6))).await.unwrap().unwrap();
        let name = format!("cycle {number}");
        let cycle = cycle::open(&mut tx, &name, cycle::Kind::Scheduled, after(i64::from(number / 6))).await.unwrap();
        if number % 2 == 0 {
            cycle::finish(&mut tx, cycle.id, None, after(60)).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    assert_each_once(all_pages!(world, 5, |tx, page| pull::page(tx, page)), 20);
    assert_each_once(all_pages!(world, 20, |tx, page| cycle::page(tx, None, page)), 20);
    assert_each_once(all_pages!(world, 3, |tx, page| cycle::page(tx, Some(cycle::State::Done), page)), 10);
}
