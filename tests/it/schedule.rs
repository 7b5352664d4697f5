//! The organisation's schedule.

use anyhow::Result;
use harness::journey::{Agency, PATIENCE};
use harness::stack::{Options, Stack};
use harness::wait::until_is;

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_fires_twice_by_itself() {
    let options = Options { tick_seconds: 5, ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    if let Err(error) = fires_twice(&stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn fires_twice(stack: &Stack) -> Result<()> {
    let agency =
        Agency::sign_up(stack.person()?, "ana@agency.example", "correct horse battery staple", "Agency").await?;
    agency.onboard().await?;
    let scheduled = || async {
        let page = agency.person.get("/api/v1/runs?limit=100").await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        Ok(items.iter().filter(|run| run["kind"] == "scheduled" && run["state"] == "done").count())
    };
    until_is("two scheduled runs", PATIENCE, scheduled, |count| *count >= 2).await?;
    Ok(())
}
