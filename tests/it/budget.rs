//! What a cycle costs the engine, whatever the number of connections.

use anyhow::{Context as _, Result, bail, ensure};
use domain::ids::OrgId;
use harness::histories::{self, Cost, Ending, activities, cost, ending, texts};
use harness::journey::{Agency, PATIENCE};
use harness::stack::{Options, Stack};
use harness::wait::until;
use temporalio_client::schedules::{ScheduleOverlapPolicy, TriggerScheduleOptions};
use temporalio_client::{Client, RpcOptions};
use temporalio_common::protos::temporal::api::history::v1::History;
use workflows::queues;

const CONNECTIONS: usize = 4;
const MOST_EVENTS: usize = 60;
const MOST_ACTIONS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_four_connections_stays_within_its_budget() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    match whole_cycle(&mut stack).await {
        Err(error) => panic!("{error:#}\n{}", stack.logs()),
        Ok((Cost { events, actions }, heartbeats)) => {
            println!("{CONNECTIONS} connections: {events} events, {actions} actions, {heartbeats} heartbeats");
            assert!(events <= MOST_EVENTS, "{events} events are more than {MOST_EVENTS}");
            let paid = actions + usize::try_from(heartbeats).unwrap();
            assert!(paid <= MOST_ACTIONS, "{actions} actions and {heartbeats} heartbeats are more than {MOST_ACTIONS}");
        }
    }
}

/// What a scheduled cycle costs that lands reports of every connection, judges them and asks for more; and how often its
/// activities told the engine that they live, which no history shows.
async fn whole_cycle(stack: &mut Stack) -> Result<(Cost, u64)> {
    let agency =
        Agency::sign_up(stack.person()?, "ana@agency.example", "correct horse battery staple", "Agency").await?;
    let org = agency.org;
    for number in 1..=CONNECTIONS {
        agency.onboard().await?;
        agency.onboarding_is(&["done"]).await?;
        if number < CONNECTIONS {
            // The wizard sets an organisation up once: for one more connection it has to forget that it did.
            histories::change_row(stack, org, "UPDATE onboardings SET state = 'cancelled' WHERE state = 'done'")
                .await?;
        }
    }
    let client = histories::engine(stack).await?;
    // Nobody but this test starts cycles from now on.
    stack.api.kill()?;
    let idle = || async {
        let busy = texts(stack, org, "SELECT workflow_id FROM cycles WHERE state = 'running'").await?;
        Ok(busy.is_empty().then_some(()))
    };
    until("the cycles under way to end", PATIENCE, idle).await?;
    let sandbox = stack.sandbox_admin();
    sandbox.advance(26 * 3600).await?;
    // The first asks for the reports of all connections, the second finds them made.
    tick(&client, org).await?;
    let asked = "SELECT DISTINCT connection_id::text FROM pulls WHERE state = 'requested'";
    let asked = texts(stack, org, asked).await?.len();
    ensure!(asked == CONNECTIONS, "{asked} connections were asked for reports");
    sandbox.advance(600).await?;
    let before = heartbeats(stack).await?;
    let (id, history) = tick(&client, org).await?;
    let landed = "SELECT DISTINCT p.connection_id::text || ' ' || c.workflow_id FROM pulls p
                  JOIN cycles c ON c.id = p.cycle_id WHERE p.state = 'landed'";
    let landed = texts(stack, org, landed).await?.iter().filter(|row| row.ends_with(&id)).count();
    ensure!(landed == CONNECTIONS, "the cycle landed reports of {landed} connections");
    let steps = activities(&history);
    ensure!(steps.len() == 4 && steps.contains(&"rules.evaluate.v1"), "not a whole cycle: {steps:?}");
    let heartbeats = heartbeats(stack).await? - before;
    Ok((cost(&history, true), heartbeats))
}

/// Heartbeats that the engine took since it was started.
async fn heartbeats(stack: &Stack) -> Result<u64> {
    let log = std::fs::read_to_string(&stack.temporal.process.log)?;
    let url = log.lines().find_map(|line| line.strip_prefix("Metrics:")).context("where the engine's metrics are")?;
    let metrics = reqwest::get(url.trim()).await?.error_for_status()?.text().await?;
    let taken = metrics.lines().filter(|line| {
        line.starts_with("service_requests{")
            && line.contains("operation=\"RecordActivityTaskHeartbeat\"")
            && line.contains("service_name=\"frontend\"")
    });
    taken.filter_map(|line| line.rsplit(' ').next()).map(|count| Ok(count.parse::<u64>()?)).sum()
}

/// Lets the schedule fire once and waits for the end of its cycle.
async fn tick(client: &Client, org: OrgId) -> Result<(String, History)> {
    let schedule = client.get_schedule_handle(queues::schedule(org));
    let before = schedule.describe(RpcOptions::default()).await?.action_count();
    schedule.trigger(ScheduleOverlapPolicy::Skip, TriggerScheduleOptions::default()).await?;
    let id = until("the schedule to fire", PATIENCE, || async {
        let seen = schedule.describe(RpcOptions::default()).await?;
        let newest = seen.recent_actions().pop().map(|action| action.workflow_id);
        Ok(newest.filter(|_| seen.action_count() > before))
    })
    .await?;
    let history = histories::closed(client, &id).await?;
    let Ending::Completed(_) = ending(&history) else { bail!("{id} ended as {:?}", ending(&history)) };
    Ok((id, history))
}
