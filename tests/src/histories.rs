//! Histories of workflows: read from an engine, kept as files, and what they say of the path that was taken.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use domain::ids::OrgId;
use prost::Message as _;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use temporalio_client::{
    Client, Connection, ConnectionOptions, NamespacedClient as _, UntypedWorkflow, Url, WorkflowFetchHistoryOptions,
};
use temporalio_common::data_converters::SerializationContextData;
use temporalio_common::payload_visitor::decode_payloads;
use temporalio_common::protos::temporal::api::failure::v1::Failure;
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;

use crate::journey::PATIENCE;
use crate::servers::root;
use crate::stack::Stack;
use crate::wait::until;

/// Longer than any path takes on a loaded machine.
const CLOSES_WITHIN: Duration = Duration::from_mins(3);
/// Writes the files instead of only looking at the paths.
const RECORD: &str = "CLP_RECORD_HISTORIES";

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With this result.
    Completed(Value),
    /// With a failure of this type.
    Failed(String),
    /// Cancelled.
    Cancelled,
    /// In another way, or not at all.
    Other,
}

/// What a run costs, counted from its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Events of the history.
    pub events: usize,
    /// Actions that are paid for, as far as a history shows them: starts, schedules, attempts of activities, timers,
    /// signals, updates, children and search attributes.
    pub actions: usize,
}

/// A client of the stack's engine.
///
/// # Errors
/// When it can't be reached.
pub async fn engine(stack: &Stack) -> Result<Client> {
    let url = Url::parse(&format!("http://{}", stack.temporal.address()))?;
    let connection = Connection::connect(ConnectionOptions::new(url).identity("tests").build()).await?;
    Ok(Client::new(connection, stack.codec().await?.client_options("default"))?)
}

/// The history of a workflow's newest run, as it is now, with its payloads decrypted.
///
/// # Errors
/// When there is none.
pub async fn fetch(client: &Client, id: &str) -> Result<History> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
    let events = handle.fetch_history(WorkflowFetchHistoryOptions::default()).into_events().await?;
    let mut history = History { events };
    let codec = client.data_converter().codec();
    decode_payloads(&mut history, codec, &SerializationContextData::None).await?;
    Ok(history)
}

/// The history of a workflow's newest run, once that is closed.
///
/// # Errors
/// When it is not closed in time.
pub async fn closed(client: &Client, id: &str) -> Result<History> {
    until(&format!("{id} to be closed"), CLOSES_WITHIN, || async {
        let history = fetch(client, id).await?;
        Ok((ending(&history) != Ending::Other).then_some(history))
    })
    .await
}

/// How a run ended.
#[must_use]
pub fn ending(history: &History) -> Ending {
    match history.events.last().and_then(|event| event.attributes.as_ref()) {
        Some(Attributes::WorkflowExecutionCompletedEventAttributes(completed)) => {
            let payload = completed.result.as_ref().and_then(|result| result.payloads.first());
            let value = payload.and_then(|payload| serde_json::from_slice(&payload.data).ok());
            Ending::Completed(value.unwrap_or(Value::Null))
        }
        Some(Attributes::WorkflowExecutionFailedEventAttributes(failed)) => {
            Ending::Failed(failed.failure.as_ref().map(message).unwrap_or_default())
        }
        Some(Attributes::WorkflowExecutionCanceledEventAttributes(_)) => Ending::Cancelled,
        _ => Ending::Other,
    }
}

/// What a failure says; the message is a payload of its own since payloads are encrypted.
fn message(failure: &Failure) -> String {
    let attributes = failure.encoded_attributes.as_ref();
    let attributes = attributes.and_then(|payload| serde_json::from_slice::<Value>(&payload.data).ok());
    let message = attributes.and_then(|value| value["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| failure.message.clone())
}

/// The name of the workflow's type.
#[must_use]
pub fn type_name(history: &History) -> &str {
    match history.events.first().and_then(|event| event.attributes.as_ref()) {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
            started.workflow_type.as_ref().map_or("", |kind| kind.name.as_str())
        }
        _ => "",
    }
}

/// The activities that were scheduled, in order.
#[must_use]
pub fn activities(history: &History) -> Vec<&str> {
    history
        .events
        .iter()
        .filter_map(|event| match event.attributes.as_ref() {
            Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => {
                Some(scheduled.activity_type.as_ref().map_or("", |kind| kind.name.as_str()))
            }
            _ => None,
        })
        .collect()
}

/// What a schedule's firing costs beside the start of its workflow.
const SCHEDULE_ACTIONS: usize = 2;

/// What a run costs, as <https://docs.temporal.io/cloud/actions> counts it. Heartbeats that reach the server are paid for
/// too; no history shows them, so they are not in this count.
#[must_use]
pub fn cost(history: &History, scheduled: bool) -> Cost {
    let paid = history.events.iter().filter_map(|event| event.attributes.as_ref()).map(|attributes| match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(_)
        | Attributes::TimerStartedEventAttributes(_)
        | Attributes::WorkflowExecutionSignaledEventAttributes(_)
        | Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(_)
        | Attributes::UpsertWorkflowSearchAttributesEventAttributes(_)
        | Attributes::SignalExternalWorkflowExecutionInitiatedEventAttributes(_)
        | Attributes::MarkerRecordedEventAttributes(_) => 1,
        Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(_) => 2,
        // One event tells of the last attempt; each attempt is paid for.
        Attributes::ActivityTaskStartedEventAttributes(started) => {
            usize::try_from(started.attempt).unwrap_or(usize::MAX)
        }
        _ => 0,
    });
    Cost { events: history.events.len(), actions: paid.sum::<usize>() + usize::from(scheduled) * SCHEDULE_ACTIONS }
}

/// Where the recorded history of a workflow's path is.
#[must_use]
pub fn file(workflow: &str, path: &str) -> PathBuf {
    root().join("tests/histories").join(workflow).join(format!("{path}.bin"))
}

/// The recorded history of a workflow's path.
///
/// # Errors
/// Says how to record it when it is missing.
pub fn recorded(workflow: &str, path: &str) -> Result<History> {
    let file = file(workflow, path);
    let bytes = std::fs::read(&file)
        .with_context(|| format!("{} is missing: run the tests of histories with {RECORD}=1", file.display()))?;
    Ok(History::decode(bytes.as_slice())?)
}

/// Keeps a history as the recorded one of a workflow's path, when that is asked for.
///
/// # Errors
/// When the history is another workflow's, or can't be written.
pub fn keep(workflow: &str, path: &str, history: &History) -> Result<()> {
    let name = type_name(history);
    ensure!(name == workflow, "the history of {workflow}/{path} is one of {name}");
    if std::env::var(RECORD).is_ok_and(|value| value == "1") {
        let file = file(workflow, path);
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        std::fs::write(&file, history.encode_to_vec())?;
    }
    Ok(())
}

/// Changes one row of an organisation behind the platform's back, as the role that owns the tables.
///
/// # Errors
/// When it is not one row.
pub async fn change_row(stack: &Stack, org: OrgId, statement: &str) -> Result<()> {
    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    let mut tx = owner.begin().await?;
    sqlx::query("SELECT set_config('app.org', $1, true)").bind(org.uuid().to_string()).execute(&mut *tx).await?;
    let changed = sqlx::query(statement).execute(&mut *tx).await?.rows_affected();
    if changed != 1 {
        bail!("{changed} rows were changed by: {statement}");
    }
    Ok(tx.commit().await?)
}

/// Changes the tables themselves, as the role that owns them.
///
/// # Errors
/// As any statement.
pub async fn alter(stack: &Stack, statement: &str) -> Result<()> {
    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    sqlx::query(statement).execute(&mut owner).await?;
    Ok(())
}

/// One text for each row that an organisation has.
///
/// # Errors
/// As any statement.
pub async fn texts(stack: &Stack, org: OrgId, query: &str) -> Result<Vec<String>> {
    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    let mut tx = owner.begin().await?;
    sqlx::query("SELECT set_config('app.org', $1, true)").bind(org.uuid().to_string()).execute(&mut *tx).await?;
    Ok(sqlx::query_scalar(query).fetch_all(&mut *tx).await?)
}

/// Waits until two more cycles than now have ended, in whatever way: the second began after this call.
///
/// # Errors
/// When it takes too long.
pub async fn more_cycles(stack: &Stack, org: OrgId) -> Result<()> {
    let ended = "SELECT id::text FROM cycles WHERE state <> 'running'";
    let before = texts(stack, org, ended).await?.len();
    until("more cycles to end", PATIENCE, || async {
        Ok((texts(stack, org, ended).await?.len() >= before + 2).then_some(()))
    })
    .await
}
