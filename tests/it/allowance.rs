//! An organisation whose rows of the day are used up: nothing more is asked for, people are told, and what was missed is read
//! when there is room again.

use anyhow::{Context as _, Result, ensure};
use chrono::Timelike as _;
use domain::ids::OrgId;
use harness::client::Problem;
use harness::histories::{more_cycles, texts};
use harness::journey::{Agency, PATIENCE, PLANNER};
use harness::stack::{Options, Stack};
use harness::truth::LakeReader;
use harness::wait::until;

const PASSWORD: &str = "correct horse battery staple";
const DAY: i64 = 24 * 3_600;
const QUARTER_OF_A_DAY: i64 = DAY / 4;
/// Three days: more than the reports of one tick cover.
const QUARTERS: u32 = 12;
const UNDER_WAY: &str = "SELECT id::text FROM pulls WHERE state IN ('requested', 'fetched')";
const ASKED_FOR: &str = "SELECT id::text FROM pulls WHERE requested_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn rows_beyond_what_is_allowed_wait_and_none_is_missed() {
    let stack = Stack::start(Options { tick_seconds: 1, ..Options::default() }).await.unwrap();
    if let Err(error) = used_up(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn used_up(stack: &Stack) -> Result<()> {
    let mut agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
    agency.onboard_as(PLANNER).await?;
    agency.onboarding_is(&["done"]).await?;
    let (org, sandbox) = (agency.org, stack.sandbox_admin());
    // The day has just begun, and some of its rows are there.
    let now = sandbox.now().await?.num_seconds_from_midnight();
    sandbox.advance(DAY - i64::from(now) + QUARTER_OF_A_DAY / 2).await?;
    more_cycles(stack, org).await?;
    sandbox.advance(60).await?;
    more_cycles(stack, org).await?;

    allow(stack, org, "1").await?;
    until("what was asked for before to land", PATIENCE, || async {
        Ok(texts(stack, org, UNDER_WAY).await?.is_empty().then_some(()))
    })
    .await?;
    more_cycles(stack, org).await?;
    let before = texts(stack, org, ASKED_FOR).await?.len();
    sandbox.advance(3_600).await?;
    more_cycles(stack, org).await?;
    ensure!(texts(stack, org, ASKED_FOR).await?.len() == before, "a report was asked for beyond the allowance");

    agency.sign_in_again().await?;
    let refused = agency.refresh().await.err().context("a run was started beyond the allowance")?;
    let refused = refused.downcast::<Problem>()?;
    ensure!((refused.status, refused.code.as_str()) == (429, "quota.rows"), "{refused:?}");
    let overview = agency.person.get("/api/v1/overview").await?;
    ensure!(overview["problems"][0]["code"] == "quota.rows", "{}", overview["problems"]);
    let runs = agency.person.get("/api/v1/runs?limit=1&state=done").await?;
    let run = agency.person.get(&format!("/api/v1/runs/{}", runs["items"][0]["id"].as_str().context("a run")?)).await?;
    ensure!(run["steps"].to_string().contains("rows of the day are used up"), "{}", run["steps"]);

    for _ in 0..QUARTERS {
        sandbox.advance(QUARTER_OF_A_DAY).await?;
        more_cycles(stack, org).await?;
    }
    allow(stack, org, "usual").await?;
    let lake = LakeReader::open(&stack.database.app_url, &stack.warehouse.display().to_string(), org).await?;
    let today = sandbox.now().await?.date_naive();
    until("every day to be there, and equal to what was delivered", PATIENCE, || async {
        let days = "SELECT account || ' to ' || max(day) FROM watermarks GROUP BY account
                    HAVING max(day) - min(day) + 1 = count(*) AND max(day) >= '{today}'::date - 1";
        let whole = texts(stack, org, &days.replace("{today}", &today.to_string())).await?;
        let accounts = texts(stack, org, "SELECT id::text FROM accounts WHERE selected").await?;
        lake.equals(&sandbox).await?;
        Ok((whole.len() == accounts.len()).then_some(()))
    })
    .await
}

/// As the operator does.
async fn allow(stack: &Stack, org: OrgId, rows: &str) -> Result<()> {
    let arguments = ["quotas", "set", "--org", &org.to_string(), "--rows-per-day", rows];
    let (code, said) = stack.clp(&arguments).await?;
    ensure!(code == Some(0) && said.contains(&format!("of {rows};")), "{code:?}: {said}");
    Ok(())
}
