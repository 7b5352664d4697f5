//! Another implementation reads the same tables through the same catalog and sees the same rows and sums.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};
use chrono::NaiveDate;
use harness::histories;
use harness::journey::Agency;
use harness::sandbox_admin::{Delivered, LineDayKey};
use harness::servers::{root, variable};
use harness::stack::{Options, Stack};
use harness::truth::LakeReader;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::json;

/// A layer as PyIceberg read it: account, line, day, impressions, clicks, media cost.
#[derive(Debug, Deserialize)]
struct Layer {
    rows: usize,
    line_days: Vec<(String, String, NaiveDate, Decimal, Decimal, Decimal)>,
}

#[derive(Debug, Deserialize)]
struct Lake {
    gold: Layer,
    silver: Layer,
    bronze: Layer,
}

impl Layer {
    fn delivered(&self) -> Result<BTreeMap<LineDayKey, Delivered>> {
        let line_days = self.line_days.iter().map(|(account, line, day, impressions, clicks, cost)| {
            let delivered = Delivered {
                impressions: i64::try_from(*impressions)?,
                clicks: i64::try_from(*clicks)?,
                media_cost_micros: i128::try_from(*cost * Decimal::from(1_000_000))?,
            };
            Ok(((account.clone(), line.clone(), *day), delivered))
        });
        line_days.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pyiceberg_reads_the_same_rows_and_sums_from_every_layer() {
    let stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = same_everywhere(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn same_everywhere(stack: &Stack) -> Result<()> {
    let mut agency =
        Agency::sign_up(stack.person()?, "ana@agency.example", "correct horse battery staple", "Agency").await?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    // A later pull that changes some days, so that bronze holds more than one version of them.
    let sandbox = stack.sandbox_admin();
    sandbox.post("/restate", json!({})).await?;
    sandbox.advance(26 * 3600).await?;
    agency.sign_in_again().await?;
    let warehouse = stack.warehouse.display().to_string();
    let ours = LakeReader::open(&stack.database.app_url, &warehouse, agency.org).await?;
    let (before, _) = ours.gold().await?;
    harness::wait::until("a lookback to land", harness::journey::PATIENCE, || async {
        agency.refresh().await?;
        let (now, _) = ours.gold().await?;
        Ok((now != before && ours.equals(&sandbox).await.is_ok()).then_some(()))
    })
    .await?;

    // More than a day is over: the tables are tidied up as well, and everything below is read after that.
    let tidied = "SELECT workflow_id FROM cycles WHERE steps ? 'maintenance'";
    harness::wait::until("the tables to be tidied up", harness::journey::PATIENCE, || async {
        agency.refresh().await?;
        Ok(histories::texts(stack, agency.org, tidied).await?.pop())
    })
    .await?;

    let theirs = read_with_pyiceberg(&stack.database.app_url, &warehouse, &agency.org.to_string())?;
    let (gold, _) = ours.gold().await?;
    ensure!(theirs.gold.rows == gold.len(), "gold has {} rows for PyIceberg, {} for us", theirs.gold.rows, gold.len());
    ensure!(theirs.gold.delivered()? == gold, "gold differs between PyIceberg and us");
    ensure!(theirs.silver.delivered()? == gold, "silver does not add up to gold");
    ensure!(theirs.silver.rows > gold.len(), "silver is not finer than gold");
    let (bronze, silver) = (&theirs.bronze, &theirs.silver);
    ensure!(bronze.rows == silver.rows, "bronze's latest pulls have {} rows, silver {}", bronze.rows, silver.rows);
    ensure!(bronze.delivered()? == silver.delivered()?, "bronze's latest pulls differ from silver");
    Ok(())
}

fn read_with_pyiceberg(database_url: &str, warehouse: &str, org: &str) -> Result<Lake> {
    let script = root().join("tests/pyiceberg/read_lake.py");
    let output =
        Command::new(variable("CLP_PYICEBERG_PYTHON")?).arg(script).args([database_url, warehouse, org]).output()?;
    ensure!(output.status.success(), "PyIceberg: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
