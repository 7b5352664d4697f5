//! What the engine lost, ended or never finished is found by comparing it with what is on record, and mended without a
//! person.

use anyhow::{Context as _, Result};
use harness::histories::{self, change_row, texts};
use harness::journey::{Agency, PATIENCE};
use harness::stack::{Options, Stack};
use harness::wait::until;
use serde_json::json;
use temporalio_client::schedules::DeleteScheduleOptions;
use temporalio_client::{
    Client, RpcOptions, WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowTerminateOptions,
};
use workflows::{WriteBack, queues};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_lost_is_found_and_mended() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    if let Err(error) = mended(&mut stack).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn mended(stack: &mut Stack) -> Result<()> {
    let client = histories::engine(stack).await?;
    let agency =
        Agency::sign_up(stack.person()?, "ana@agency.example", "correct horse battery staple", "Agency").await?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    let proposal = agency.open_proposal().await?;
    let id = proposal["id"].as_str().context("the proposal's id")?.parse()?;
    let write_back = queues::write_back(agency.org, id);
    let lost = run_of(&client, &write_back).await?.context("a write-back")?;
    let reason = WorkflowTerminateOptions::builder().reason("a test ends it").build();
    client.get_workflow_handle::<WriteBack>(&write_back).terminate(reason).await?;
    nobody_runs(stack, &agency).await?;
    until("the write-back to be started again", PATIENCE, || async {
        Ok(run_of(&client, &write_back).await?.filter(|run| *run != lost))
    })
    .await?;
    agency.approve(&proposal).await?;
    agency.proposal_is(proposal["id"].as_str().context("id")?, &["verified"]).await?;
    schedule_is_lost(stack, &client, &agency).await
}

/// The run of a workflow that is open.
async fn run_of(client: &Client, id: &str) -> Result<Option<String>> {
    let known = client.get_workflow_handle::<WriteBack>(id).describe(WorkflowDescribeOptions::default()).await?;
    Ok((known.status() == WorkflowExecutionStatus::Running).then(|| known.run_id().to_owned()))
}

/// A cycle that is on record as running, and that no workflow runs, is closed.
async fn nobody_runs(stack: &Stack, agency: &Agency) -> Result<()> {
    let org = agency.org.uuid();
    let left = format!(
        "INSERT INTO cycles (org_id, id, workflow_id, kind, started_at, state)
         SELECT org_id, gen_random_uuid(), '{org}/nobody', 'manual', created_at - interval '1 hour', 'running'
         FROM organisations WHERE org_id = '{org}'"
    );
    change_row(stack, agency.org, &left).await?;
    until("the cycle to be closed", PATIENCE, || async {
        let query = format!(
            "SELECT state || ' ' || error_code FROM cycles WHERE workflow_id = '{org}/nobody' AND state <> 'running'"
        );
        let state = texts(stack, agency.org, &query).await?;
        Ok((state == ["failed internal.unexpected"]).then_some(()))
    })
    .await
}

/// A schedule that is gone is made again; so is one of a worker that has just started.
async fn schedule_is_lost(stack: &mut Stack, client: &Client, agency: &Agency) -> Result<()> {
    let schedule = client.get_schedule_handle(queues::schedule(agency.org));
    schedule.delete(DeleteScheduleOptions::default()).await?;
    stack.worker.kill()?;
    stack.restart_worker()?;
    until("the schedule to be made again", PATIENCE, || async {
        Ok(schedule.describe(RpcOptions::default()).await.is_ok().then_some(()))
    })
    .await?;
    let seen = agency.person.get("/api/v1/me").await?;
    anyhow::ensure!(seen["onboarding"]["state"] == json!("done"), "{seen:#}");
    Ok(())
}
