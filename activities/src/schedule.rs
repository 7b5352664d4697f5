//! The Temporal Schedule of an organisation: one, firing every quarter of an hour at an offset of its own.

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

use crate::failure::Error;

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

/// Deletes the schedule; one that is not there is deleted already.
pub(crate) async fn remove(client: &Client, org: OrgId) -> Result<(), Error> {
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
