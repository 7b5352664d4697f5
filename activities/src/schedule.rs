//! The Temporal Schedule of an organisation: one, firing every quarter of an hour at an offset of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::OrgId;
use domain::schedule::offset_seconds;
use temporalio_client::schedules::{
    CreateScheduleOptions, DeleteScheduleOptions, ScheduleAction, ScheduleError, ScheduleIntervalSpec,
    ScheduleOverlapPolicy, ScheduleSpec, ScheduleUpdate,
};
use temporalio_client::{Client, RpcOptions};
use workflows::contract::ingestion::{CycleKind, IngestV1};
use workflows::{IngestOrganization, queues};

use crate::context::Context;
use crate::failure::{Error, chain};

/// Organisations looked at in one go.
const SLICE: u32 = 200;

/// Creates the schedule, or leaves it when it is there.
///
/// A tick that was missed for longer than an interval is not made up for: the next one reads the same days.
pub(crate) async fn ensure(client: &Client, org: OrgId, tick_seconds: u32) -> Result<(), Error> {
    let every = Duration::from_secs(u64::from(tick_seconds));
    let offset = Duration::from_secs(offset_seconds(org, tick_seconds));
    let input = IngestV1 { org, kind: CycleKind::Scheduled, intent: None };
    let action =
        ScheduleAction::start_workflow(IngestOrganization::run, input, queues::CYCLES, queues::scheduled_cycle(org));
    let spec = ScheduleSpec::builder().intervals(vec![ScheduleIntervalSpec::new(every, Some(offset))]);
    let options = CreateScheduleOptions::builder()
        .action(action)
        .spec(spec.build())
        .overlap_policy(ScheduleOverlapPolicy::Skip)
        .note(format!("ingestion of {org}"))
        .build();
    let id = queues::schedule(org);
    match client.create_schedule(&id, options).await {
        Ok(_) => {}
        Err(error) if already_there(&error) => {}
        Err(error) => return Err(engine("create the schedule", error)),
    }
    // The catch-up window can't be given at creation; setting it again changes nothing.
    let handle = client.get_schedule_handle(&id);
    let set = move |update: &mut ScheduleUpdate| {
        update.set_catchup_window(every);
    };
    let updated = handle.update(set, RpcOptions::default()).await;
    updated.map_err(|error| engine("set the schedule's catch-up window", error))
}

/// Deletes the schedule of an organisation that has no dashboard (any more).
pub(crate) async fn remove_unneeded(context: &Context, org: OrgId) -> Result<(), Error> {
    let mut tx = context.store.begin(org).await?;
    if !lock_and_ask(&mut tx).await? {
        remove(&context.client, org).await?;
    }
    Ok(tx.commit().await?)
}

/// Whether the organisation is to have a schedule: nobody makes or removes it until the end of the transaction.
async fn lock_and_ask(tx: &mut store::Tx) -> Result<bool, Error> {
    store::organisation::schedule_lock(tx).await?;
    let latest = store::onboarding::latest(tx).await?;
    Ok(latest.is_some_and(|onboarding| onboarding.state.has_dashboard()))
}

/// How often is looked for schedules that are missing.
const EVERY: Duration = Duration::from_mins(2);

/// Looks for schedules that are missing, now and every two minutes, for as long as it is polled.
pub async fn keep(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = restore(&context).await {
            tracing::warn!("the schedules can't be looked for: {}", chain(&error));
        }
    }
}

/// Makes the schedules that are missing, such as after a restore of the engine's database, and says how many there were.
///
/// # Errors
/// When the store or the engine can't be asked.
pub async fn restore(context: &Context) -> Result<u32, Error> {
    let (mut restored, mut after) = (0, None);
    loop {
        let orgs = store::intent::organisations_with_schedule(&context.store, after, SLICE).await?;
        for org in &orgs {
            restored += u32::from(restore_one(context, *org).await?);
        }
        after = orgs.last().copied();
        if orgs.len() < SLICE as usize {
            return Ok(restored);
        }
    }
}

async fn restore_one(context: &Context, org: OrgId) -> Result<bool, Error> {
    match context.client.get_schedule_handle(queues::schedule(org)).describe(RpcOptions::default()).await {
        Ok(_) => return Ok(false),
        Err(error) if missing(&error) => {}
        Err(error) => return Err(engine("look for the schedule", error)),
    }
    let mut tx = context.store.begin(org).await?;
    let wanted = lock_and_ask(&mut tx).await?;
    if wanted {
        tracing::warn!(org.id = %org, "the schedule of {org} was missing and is made again");
        ensure(&context.client, org, context.settings.tick_seconds).await?;
    }
    tx.commit().await?;
    Ok(wanted)
}

/// Deletes the schedule; one that is not there is deleted already.
async fn remove(client: &Client, org: OrgId) -> Result<(), Error> {
    let handle = client.get_schedule_handle(queues::schedule(org));
    match handle.delete(DeleteScheduleOptions::default()).await {
        Err(error) if !missing(&error) => Err(engine("delete the schedule", error)),
        _ => Ok(()),
    }
}

fn engine(operation: &'static str, source: ScheduleError) -> Error {
    Error::Engine { operation, source: Box::new(source) }
}

fn already_there(error: &ScheduleError) -> bool {
    matches!(error, ScheduleError::Rpc(status) if status.code() == temporalio_client::tonic::Code::AlreadyExists)
}

fn missing(error: &ScheduleError) -> bool {
    matches!(error, ScheduleError::Rpc(status) if status.code() == temporalio_client::tonic::Code::NotFound)
}
