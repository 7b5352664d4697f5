//! Turns an intent into a workflow's start. The workflow's id derives from the intent's row, so that whoever starts it a
//! second time finds it started.

use std::time::Duration;

use domain::ids::{ConsentId, DecisionId, IntentId, OnboardingId, OrgId, ProposalId};
use store::Tx;
use store::intent::{self, Intent, Kind};
use temporalio_client::errors::WorkflowStartError;
use temporalio_client::{Client, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions};
use temporalio_common::Priority;
use temporalio_common::search_attributes::{SearchAttributeKey, SearchAttributes};
use workflows::contract::connection::ReconnectV1;
use workflows::contract::ingestion::{CycleKind, IngestV1};
use workflows::contract::onboarding::OnboardV1;
use workflows::contract::rules::{CauseV1, EvaluateV1};
use workflows::contract::write_back::WriteBackV1;
use workflows::options::Urgency;
use workflows::{EvaluateRules, IngestOrganization, OnboardOrganization, ReconnectConnection, WriteBack, queues};

use crate::app::App;
use crate::engine::unreachable;
use crate::problem::{Error, Result, chain};

/// How long a start may take while a person waits; the sweeper has longer.
const AT_ONCE: Duration = Duration::from_secs(2);
const IN_TIME: Duration = Duration::from_secs(10);
/// When a workflow's next step, given to a worker that is not heard of again, is given to another: well before a person who
/// waits for an answer is told that none came ([`crate::update::ANSWER_LIMIT`]). A step takes milliseconds.
const LOST_TASK: Duration = Duration::from_secs(5);
const _: () =
    assert!(LOST_TASK.as_secs() * 2 < crate::update::ANSWER_LIMIT.as_secs(), "two workers may be lost in a row");

const ORG: SearchAttributeKey<String> = SearchAttributeKey::keyword("OrgId");
const CONNECTION: SearchAttributeKey<String> = SearchAttributeKey::keyword("ConnectionId");
const PLATFORM: SearchAttributeKey<String> = SearchAttributeKey::keyword("Platform");
const KIND: SearchAttributeKey<String> = SearchAttributeKey::keyword("Kind");

/// What an intent asks for, with what an operator finds it by.
#[derive(Debug, Clone)]
struct Start {
    work: Work,
    connection: Option<String>,
    platform: Option<String>,
    summary: String,
}

#[derive(Debug, Clone)]
enum Work {
    Onboard(OnboardV1),
    Ingest(IngestV1, IntentId),
    Evaluate(EvaluateV1, DecisionId),
    WriteBack(WriteBackV1),
    Reconnect(ReconnectV1),
}

/// Tries to start at once what was just recorded. A failure is no failure of the request: the sweeper starts it later.
pub async fn start_at_once(app: &App, intent: Intent) {
    if let Err(error) = start_within(app, intent, AT_ONCE).await {
        let (id, error) = (intent.id, chain(&error));
        tracing::warn!(intent.id = %id, %error, "intent {id} is left to the sweeper: {error}");
    }
}

/// Starts what an intent asks for, unless it is started already, and records that it is.
///
/// # Errors
/// [`Error::Workflows`] when the engine can't be reached or refuses; the intent stays as it is.
pub async fn start(app: &App, intent: Intent) -> Result<()> {
    start_within(app, intent, IN_TIME).await
}

/// Starts the write-back of a proposal once more. The one before must have ended.
///
/// # Errors
/// [`Error::Workflows`] when the engine can't be reached or refuses.
pub async fn start_again(app: &App, org: OrgId, proposal: ProposalId) -> Result<()> {
    let mut tx = app.store.begin(org).await?;
    let start = describe_write_back(&mut tx, org, proposal).await?;
    drop(tx);
    let client = app.engine.client().await?;
    let again = WorkflowIdReusePolicy::AllowDuplicate;
    tokio::time::timeout(IN_TIME, send(client, org, start, again)).await.map_err(unreachable)?
}

async fn start_within(app: &App, intent: Intent, limit: Duration) -> Result<()> {
    let mut tx = app.store.begin(intent.org).await?;
    let start = describe(&mut tx, intent).await?;
    drop(tx);
    let client = app.engine.client().await?;
    let once = WorkflowIdReusePolicy::RejectDuplicate;
    tokio::time::timeout(limit, send(client, intent.org, start, once)).await.map_err(unreachable)??;
    metrics::counter!("clp_workflow_starts_total", "kind" => intent.kind.to_string()).increment(1);
    let mut tx = app.store.begin(intent.org).await?;
    intent::mark_started(&mut tx, intent.id, app.now()).await?;
    Ok(tx.commit().await?)
}

/// What to start.
async fn describe(tx: &mut Tx, intent: Intent) -> Result<Start> {
    let Intent { id, org, kind, subject } = intent;
    let plain = |work, summary: &str| Start { work, connection: None, platform: None, summary: summary.to_owned() };
    let ingest = |kind| {
        let summary = format!("Reads fresh numbers ({})", word(kind));
        plain(Work::Ingest(IngestV1 { org, kind, intent: Some(id) }, id), &summary)
    };
    Ok(match kind {
        Kind::Onboard => {
            let onboard = OnboardV1 { org, onboarding: OnboardingId::from_uuid(subject) };
            plain(Work::Onboard(onboard), "Onboarding")
        }
        Kind::FirstIngest => ingest(CycleKind::Onboarding),
        Kind::Ingest => ingest(CycleKind::Manual),
        Kind::FollowUp => ingest(CycleKind::FollowUp),
        Kind::Evaluate => {
            let decision = DecisionId::from_uuid(subject);
            let evaluate = EvaluateV1 { org, cause: CauseV1::Person(decision), as_of: None };
            plain(Work::Evaluate(evaluate, decision), "Evaluates the rules, as a person asked")
        }
        Kind::WriteBack => describe_write_back(tx, org, ProposalId::from_uuid(subject)).await?,
        Kind::Reconnect => describe_reconnection(tx, org, ConsentId::from_uuid(subject)).await?,
    })
}

async fn describe_write_back(tx: &mut Tx, org: OrgId, id: ProposalId) -> Result<Start> {
    let proposal = store::proposal::fetch(tx, id).await?;
    Ok(Start {
        work: Work::WriteBack(WriteBackV1 { org, proposal: id }),
        connection: Some(proposal.connection.to_string()),
        platform: Some(proposal.platform.to_string()),
        summary: "Writes back a change that a person decides on".to_owned(),
    })
}

async fn describe_reconnection(tx: &mut Tx, org: OrgId, id: ConsentId) -> Result<Start> {
    let connection = store::consent::fetch(tx, id).await?.connection;
    let row = store::connection::fetch(tx, connection).await?;
    Ok(Start {
        work: Work::Reconnect(ReconnectV1 { org, connection, consent: id }),
        connection: Some(connection.to_string()),
        platform: Some(row.platform.to_string()),
        summary: "A new authorisation of a connection".to_owned(),
    })
}

const fn word(kind: CycleKind) -> &'static str {
    match kind {
        CycleKind::Scheduled => "scheduled",
        CycleKind::FollowUp => "follow_up",
        CycleKind::Manual => "manual",
        CycleKind::Onboarding => "onboarding",
    }
}

async fn send(client: &Client, org: OrgId, start: Start, reuse: WorkflowIdReusePolicy) -> Result<()> {
    let Start { work, connection, platform, summary } = start;
    let attributes = |kind: &str| {
        let known = [
            Some(ORG.value_set(org.to_string())),
            Some(KIND.value_set(kind.to_owned())),
            connection.map(|connection| CONNECTION.value_set(connection)),
            platform.map(|platform| PLATFORM.value_set(platform)),
        ];
        SearchAttributes::new(known.into_iter().flatten())
    };
    let options = |queue: &str, id: String, kind: &str, urgency: Urgency| {
        WorkflowStartOptions::new(queue, id)
            .id_reuse_policy(reuse)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .task_timeout(LOST_TASK)
            .search_attributes(attributes(kind))
            .priority(Priority::builder().priority_key(urgency as u32).fairness_key(org.to_string()).build())
            .static_summary(summary)
            .build()
    };
    let started = match work {
        Work::Onboard(input) => {
            let id = queues::onboarding(org, input.onboarding);
            let options = options(queues::CYCLES, id, "onboard", Urgency::Person);
            client.start_workflow(OnboardOrganization::run, input, options).await.map(drop)
        }
        Work::Ingest(input, intent) => {
            let urgency = if input.kind == CycleKind::FollowUp { Urgency::Tick } else { Urgency::Person };
            let options = options(queues::CYCLES, queues::intended_cycle(org, intent), word(input.kind), urgency);
            client.start_workflow(IngestOrganization::run, input, options).await.map(drop)
        }
        Work::Evaluate(input, decision) => {
            let options = options(queues::CYCLES, queues::evaluation(org, decision), "evaluate", Urgency::Person);
            client.start_workflow(EvaluateRules::run, input, options).await.map(drop)
        }
        Work::WriteBack(input) => {
            let id = queues::write_back(org, input.proposal);
            let options = options(queues::WRITE_BACKS, id, "write_back", Urgency::WriteBack);
            client.start_workflow(WriteBack::run, input, options).await.map(drop)
        }
        Work::Reconnect(input) => {
            let id = queues::reconnection(org, input.consent);
            let options = options(queues::CYCLES, id, "reconnect", Urgency::Person);
            client.start_workflow(ReconnectConnection::run, input, options).await.map(drop)
        }
    };
    match started {
        Ok(()) | Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(()),
        Err(error) => Err(Error::Workflows { operation: "start a workflow", source: error.into() }),
    }
}
