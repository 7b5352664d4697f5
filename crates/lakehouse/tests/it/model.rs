//! Random histories of landings against a map.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::ids::ConnectionId;
use lakehouse::Landing;
use proptest::prelude::*;

use crate::harness::{Row, World, day, days, row};

/// One pull: whose, which accounts and days it asks for, on which of them it lands, and its rows.
#[derive(Debug, Clone)]
struct Step {
    connection: usize,
    accounts: BTreeSet<u8>,
    first: u64,
    count: u64,
    skipped_day: u64,
    skipped_account: u8,
    rows: BTreeMap<(u8, u64, u8), (u32, i32)>,
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::btree_map((0u8..3, 0u64..6, 0u8..4), (0u32..1_000, -5i32..1_000_000), 0..12);
    let accounts = prop::collection::btree_set(0u8..3, 1..3);
    (0usize..2, accounts, 0u64..4, 1u64..4, 0u64..8, 0u8..6, rows).prop_map(
        |(connection, accounts, first, count, skipped_day, skipped_account, rows)| Step {
            connection,
            accounts,
            first,
            count,
            skipped_day,
            skipped_account,
            rows,
        },
    )
}

impl Step {
    fn covers(&self, account: u8, number: u64) -> bool {
        self.accounts.contains(&account) && (self.first..self.first + self.count).contains(&number)
    }

    fn rows(&self) -> Vec<Row> {
        let rows = self.rows.iter().filter(|((account, number, _), _)| self.covers(*account, *number));
        rows.map(|((account, number, line), (impressions, micros))| {
            let cost = rust_decimal::Decimal::new(i64::from(*micros), 6).to_string();
            row(day(*number), &account.to_string(), &line.to_string(), &impressions.to_string(), "0", &cost)
        })
        .collect()
    }

    fn landed_days(&self) -> BTreeSet<u64> {
        (self.first..self.first + self.count).filter(|number| *number != self.skipped_day).collect()
    }

    fn landed_accounts(&self) -> BTreeSet<u8> {
        self.accounts.iter().copied().filter(|account| *account != self.skipped_account).collect()
    }

    fn landed(&self) -> BTreeMap<NaiveDate, BTreeSet<String>> {
        let accounts: BTreeSet<String> = self.landed_accounts().iter().map(u8::to_string).collect();
        if accounts.is_empty() {
            return BTreeMap::new();
        }
        self.landed_days().into_iter().map(|number| (day(number), accounts.clone())).collect()
    }
}

type Model = BTreeMap<(ConnectionId, NaiveDate, u8, u8), (u32, i32)>;

fn apply(model: &mut Model, connection: ConnectionId, step: &Step) {
    let landed = step.landed_accounts();
    for number in step.landed_days() {
        model.retain(|(of, on, account, _), _| *of != connection || *on != day(number) || !landed.contains(account));
        for ((account, on, line), values) in &step.rows {
            if *on == number && landed.contains(account) && step.covers(*account, *on) {
                model.insert((connection, day(number), *account, *line), *values);
            }
        }
    }
}

async fn run(steps: Vec<Vec<Step>>) {
    let mut world = World::new().await;
    let connections = [ConnectionId::new(), ConnectionId::new()];
    let mut model = Model::new();
    for cycle in steps {
        // The pulls of one cycle land together; those that would land on the same place wait for the next commit.
        let mut batch: Vec<Landing> = Vec::new();
        for step in cycle {
            world.connection = connections[step.connection];
            let accounts: Vec<_> = step.accounts.iter().map(u8::to_string).collect();
            let accounts: Vec<_> = accounts.iter().map(String::as_str).collect();
            let scope = world.scope(&accounts, days(step.first, step.first + step.count - 1));
            let staged = world.stage(&scope, &step.rows()).await.unwrap();
            let landing = Landing { days: step.landed(), scope, staged };
            if batch.iter().any(|other| other.scope.connection == world.connection) {
                world.commit(&batch).await.unwrap();
                batch.clear();
            }
            batch.push(landing);
            apply(&mut model, world.connection, &step);
        }
        world.commit(&batch).await.unwrap();
    }
    compare(&world, &model).await;
    world.check_all().await;
}

async fn compare(world: &World, model: &Model) {
    let expected: Vec<_> = model
        .iter()
        .map(|((connection, day, account, line), (impressions, micros))| {
            let cost = rust_decimal::Decimal::new(i64::from(*micros) * 1_000, 9);
            format!("{connection} {day} {account} {line} {impressions} {cost}")
        })
        .collect();
    for table in ["silver_delivery", "gold_line_day"] {
        let query =
            "select connection_id, day, account_id, line_id, impressions, media_cost from t order by 1, 2, 3, 4";
        assert_eq!(world.sql(table, query).await, expected, "{table}");
    }
}

impl World {
    async fn check_all(&self) {
        let landed = self.table("silver_delivery").await.metadata().current_snapshot().is_some();
        if landed {
            self.check().await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_history_of_landings_equals_the_model(steps in prop::collection::vec(prop::collection::vec(step(), 1..4), 1..5)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
