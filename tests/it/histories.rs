//! The paths of every workflow: each is driven end to end here, and its recorded history replays with today's code.
//!
//! With `CLP_RECORD_HISTORIES=1` the tests that drive the paths write the histories anew.

use anyhow::{Context as _, Result, bail, ensure};
use domain::ids::ProposalId;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use harness::histories::{self, Ending, activities, alter, change_row, closed, ending, keep, recorded, texts};
use harness::journey::{Agency, PATIENCE};
use harness::stack::{Options, Stack};
use harness::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use temporalio_client::{
    Client, UntypedWorkflow, WorkflowCancelOptions, WorkflowIdReusePolicy, WorkflowStartOptions,
    WorkflowTerminateOptions,
};
use temporalio_common::WorkflowDefinition;
use temporalio_common::protos::temporal::api::history::v1::History;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk::workflow_interceptors::WorkflowOutputValue;
use temporalio_sdk::workflow_replayer::{
    WorkflowReplayError, WorkflowReplayFailure, WorkflowReplayer, WorkflowReplayerOptions,
};
use temporalio_sdk::workflows::{WorkflowDefinitionDescriptor, WorkflowError, WorkflowImplementation};
use temporalio_sdk::{WorkflowContext, WorkflowContextView, WorkflowTermination};
use workflows::contract::ingestion::{CycleStepV1, HarvestV1, IngestV1, IngestedV1, IngestionCalls};
use workflows::contract::write_back::WriteBackV1;
use workflows::options::{Urgency, bounded};
use workflows::{EvaluateRules, IngestOrganization, OnboardOrganization, ReconnectConnection, WriteBack, queues};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Every path that must be recorded, with how its run ends.
const PATHS: [(&str, &str, Expected); 21] = [
    ("OnboardOrganization", "happy", Expected::Completed),
    ("OnboardOrganization", "failed", Expected::Failed),
    ("OnboardOrganization", "cancelled", Expected::Cancelled),
    ("IngestOrganization", "happy", Expected::Completed),
    ("IngestOrganization", "failed", Expected::Failed),
    ("IngestOrganization", "unjudged", Expected::Failed),
    ("IngestOrganization", "cancelled", Expected::Cancelled),
    ("EvaluateRules", "happy", Expected::Completed),
    ("EvaluateRules", "failed", Expected::Failed),
    ("EvaluateRules", "cancelled", Expected::Cancelled),
    ("ReconnectConnection", "happy", Expected::Completed),
    ("ReconnectConnection", "refused", Expected::Completed),
    ("ReconnectConnection", "failed", Expected::Failed),
    ("ReconnectConnection", "cancelled", Expected::Cancelled),
    ("WriteBack", "happy", Expected::State("verified")),
    ("WriteBack", "early", Expected::State("verified")),
    ("WriteBack", "rejected", Expected::State("rejected")),
    ("WriteBack", "failed", Expected::State("failed")),
    ("WriteBack", "drifted", Expected::State("drifted")),
    ("WriteBack", "expired", Expected::State("expired")),
    ("WriteBack", "cancelled", Expected::Cancelled),
];

/// How the run of a path ends.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// With a result that is no state.
    Completed,
    /// With this state as its result.
    State(&'static str),
    Failed,
    Cancelled,
}

impl Expected {
    fn is(self, ending: &Ending) -> bool {
        match (self, ending) {
            (Self::Completed, Ending::Completed(result)) => result.is_object(),
            (Self::State(state), Ending::Completed(result)) => result == state,
            (Self::Failed, Ending::Failed(_)) | (Self::Cancelled, Ending::Cancelled) => true,
            _ => false,
        }
    }
}

/// Checks that a run took a path, and keeps its history when that is asked for.
pub(crate) fn took(workflow: &str, path: &str, history: &History) -> Result<()> {
    let known = PATHS.iter().find(|(of, name, _)| *of == workflow && *name == path);
    let (_, _, expected) = known.with_context(|| format!("{workflow} has no path {path}"))?;
    let ending = ending(history);
    ensure!(expected.is(&ending), "{workflow}/{path} ended as {ending:?}");
    keep(workflow, path, history)
}

/// Today's code of every workflow.
fn code() -> Result<WorkflowReplayer> {
    let options = WorkflowReplayerOptions::new()
        .register_workflow::<OnboardOrganization>()?
        .register_workflow::<IngestOrganization>()?
        .register_workflow::<EvaluateRules>()?
        .register_workflow::<ReconnectConnection>()?
        .register_workflow::<WriteBack>()?;
    Ok(WorkflowReplayer::new(options.build())?)
}

#[tokio::test]
async fn the_recorded_history_of_every_path_is_there_and_replays() {
    let code = code().unwrap();
    for (workflow, path, expected) in PATHS {
        let history = recorded(workflow, path).unwrap();
        assert_eq!(histories::type_name(&history), workflow, "{workflow}/{path} is of another workflow");
        let ending = ending(&history);
        assert!(expected.is(&ending), "{workflow}/{path} ended as {ending:?}");
        let replayed = code.replay_workflow(history.into()).await;
        assert!(replayed.is_ok(), "{workflow}/{path} does not replay: {replayed:?}");
    }
}

#[test]
fn the_early_decision_came_before_the_proposal_was_read() {
    let history = recorded("WriteBack", "early").unwrap();
    let first = history.events.iter().find_map(|event| match event.attributes.as_ref()? {
        Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(_) => Some("decision"),
        Attributes::ActivityTaskCompletedEventAttributes(_) => Some("proposal"),
        _ => None,
    });
    assert_eq!(first, Some("decision"));
}

#[tokio::test]
async fn a_cycle_that_asks_before_it_commits_does_not_replay() {
    let options = WorkflowReplayerOptions::new().register_workflow::<AsksBeforeItCommits>().unwrap();
    let code = WorkflowReplayer::new(options.build()).unwrap();
    let history = recorded("IngestOrganization", "happy").unwrap();
    let replayed = code.replay_workflow(history.into()).await;
    let Err(WorkflowReplayError::Replay(WorkflowReplayFailure::Nondeterminism { message })) = replayed else {
        panic!("not seen: {replayed:?}")
    };
    let both = ["ingestion.commit.v1", "ingestion.request.v1"].map(|step| message.contains(step));
    assert_eq!(both, [true, true], "the swapped steps are not what was seen: {message}");
}

#[test]
fn no_recorded_history_holds_a_secret() {
    let secrets = ["sandbox-secret", "ya29", "refresh_token", "access_token", "1//", "4/0", PASSWORD];
    for (workflow, path, _) in PATHS {
        let bytes = std::fs::read(histories::file(workflow, path)).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{workflow}/{path} holds {secret}");
        }
    }
}

/// [`IngestOrganization`] with two of its steps in another order.
///
/// Written without the macros, which need crates that nothing else here does.
struct AsksBeforeItCommits;

impl WorkflowDefinition for AsksBeforeItCommits {
    type Input = IngestV1;
    type Output = IngestedV1;

    fn name(&self) -> &'static str {
        <Self as WorkflowImplementation>::name()
    }
}

impl WorkflowImplementation for AsksBeforeItCommits {
    type Run = Self;

    const HAS_INIT: bool = false;
    const INIT_TAKES_INPUT: bool = false;

    fn name() -> &'static str {
        "IngestOrganization"
    }

    fn definition() -> WorkflowDefinitionDescriptor {
        WorkflowDefinitionDescriptor {
            workflow_type: <Self as WorkflowImplementation>::name().to_owned(),
            has_init: Self::HAS_INIT,
            init_takes_input: Self::INIT_TAKES_INPUT,
            signals: Vec::new(),
            queries: Vec::new(),
            updates: Vec::new(),
        }
    }

    fn init(_: WorkflowContextView, _: Option<IngestV1>) -> Self {
        Self
    }

    fn run(
        ctx: WorkflowContext<Self>,
        input: Option<IngestV1>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowTermination>> {
        async move {
            let input = input.ok_or_else(WorkflowTermination::cancelled)?;
            let options = || bounded(input.org, Urgency::Tick, PATIENCE, 1);
            let harvest = HarvestV1 { org: input.org, kind: input.kind, workflow_id: ctx.workflow_id().to_owned() };
            let harvested = ctx.execute_activity(IngestionCalls::harvest, harvest, options()).await?;
            let (org, cycle, as_of) = (input.org, harvested.cycle, harvested.as_of);
            let step = CycleStepV1 { org, cycle, as_of, failure: None };
            let requested = ctx.execute_activity(IngestionCalls::request, step.clone(), options()).await?.requested;
            let landed = ctx.execute_activity(IngestionCalls::commit, step, options()).await?.landed;
            let done = IngestedV1 { cycle: harvested.cycle, landed, changed_days: 0, proposals: 0, requested };
            Ok(Box::new(done) as Box<dyn WorkflowOutputValue>)
        }
        .boxed_local()
    }

    fn dispatch_signal(
        _: WorkflowContext<Self>,
        _: &str,
        _: Box<dyn std::any::Any>,
    ) -> LocalBoxFuture<'static, Result<(), WorkflowError>> {
        futures::future::ready(Ok(())).boxed_local()
    }

    fn dispatch_query(
        &self,
        _: WorkflowContextView,
        name: &str,
        _: Box<dyn std::any::Any>,
    ) -> Result<Box<dyn WorkflowOutputValue>, WorkflowError> {
        Err(WorkflowError::Execution(format!("there is no {name}").into()))
    }

    fn dispatch_update(
        _: WorkflowContext<Self>,
        name: &str,
        _: Box<dyn std::any::Any>,
    ) -> LocalBoxFuture<'static, Result<Box<dyn WorkflowOutputValue>, WorkflowError>> {
        let error = WorkflowError::Execution(format!("there is no {name}").into());
        futures::future::ready(Err(error)).boxed_local()
    }

    fn validate_update(
        &self,
        _: WorkflowContextView,
        name: &str,
        _: Box<dyn std::any::Any>,
    ) -> Result<(), WorkflowError> {
        Err(WorkflowError::Execution(format!("there is no {name}").into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_evaluations_and_write_backs_take_each_of_their_paths() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let taken = async {
        let client = histories::engine(&stack).await?;
        let agency = Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await?;
        agency.onboard().await?;
        agency.onboarding_is(&["done"]).await?;
        decide_early(&mut stack, &client, &agency).await?;
        write_backs(&stack, &client, &agency).await?;
        evaluations(&stack, &client, &agency).await?;
        cycles(&stack, &client, &agency).await
    }
    .await;
    if let Err(error) = taken {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn write_backs(stack: &Stack, client: &Client, agency: &Agency) -> Result<()> {
    let sandbox = stack.sandbox_admin();
    agency.open_proposal().await?;
    let page = agency.person.get("/api/v1/proposals?state=open&limit=50").await?;
    let proposals = page["items"].as_array().cloned().unwrap_or_default();
    let [happy, rejected, failed, drifted, expired, cancelled, ..] = proposals.as_slice() else {
        bail!("{} proposals are too few for six paths", proposals.len())
    };

    agency.approve(happy).await?;
    took("WriteBack", "happy", &closed(client, &write_back_id(agency, happy)?).await?)?;

    let body = json!({"change_hash": rejected["change_hash"], "reason": "the client wants it so"});
    agency.person.send(Method::POST, &path_of(rejected, "reject")?, body).await?;
    took("WriteBack", "rejected", &closed(client, &write_back_id(agency, rejected)?).await?)?;

    let refusal = json!({"kind": "status", "status": 400});
    sandbox.fault(json!({"match": {"method": "PATCH"}, "times": 1, "action": refusal})).await?;
    agency.approve(failed).await?;
    took("WriteBack", "failed", &closed(client, &write_back_id(agency, failed)?).await?)?;

    let line = drifted["line"]["platform_id"].as_str().context("the line's id")?;
    let elsewhere = json!({"pacing.dailyMaxMicros": "1230000"});
    sandbox.post(&format!("/entities/line-items/{line}"), elsewhere).await?;
    agency.approve(drifted).await?;
    took("WriteBack", "drifted", &closed(client, &write_back_id(agency, drifted)?).await?)?;

    expire(stack, client, agency, expired).await?;

    let id = write_back_id(agency, cancelled)?;
    cancel(client, &id).await?;
    took("WriteBack", "cancelled", &closed(client, &id).await?)?;
    let state = agency.proposal_is(cancelled["id"].as_str().context("id")?, &["cancelled"]).await?;
    ensure!(state["state"] == "cancelled", "{state:#}");
    Ok(())
}

/// A person decides before the workflow has done its first step: no worker is there when the decision is sent.
async fn decide_early(stack: &mut Stack, client: &Client, agency: &Agency) -> Result<()> {
    let proposal = agency.open_proposal().await?;
    let id = write_back_id(agency, &proposal)?;
    terminate(client, &id, "it is to begin again without a worker").await?;
    stack.worker.kill()?;
    begin_again(client, agency, &proposal).await?;
    let (decided, restarted) = tokio::join!(agency.approve(&proposal), async { stack.restart_worker() });
    restarted?;
    decided?;
    took("WriteBack", "early", &closed(client, &id).await?)
}

pub(crate) async fn terminate(client: &Client, id: &str, reason: &str) -> Result<()> {
    let reason = WorkflowTerminateOptions::builder().reason(reason).build();
    Ok(client.get_workflow_handle::<WriteBack>(id).terminate(reason).await?)
}

/// Starts the workflow of a proposal that was terminated.
pub(crate) async fn begin_again(client: &Client, agency: &Agency, proposal: &Value) -> Result<()> {
    let options = WorkflowStartOptions::new(queues::WRITE_BACKS, write_back_id(agency, proposal)?)
        .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
        .build();
    let proposal = proposal["id"].as_str().context("the proposal's id")?.parse()?;
    client.start_workflow(WriteBack::run, WriteBackV1 { org: agency.org, proposal }, options).await?;
    Ok(())
}

/// Lets a proposal expire: its time is up when its workflow opens it once more.
async fn expire(stack: &Stack, client: &Client, agency: &Agency, proposal: &Value) -> Result<()> {
    let id = write_back_id(agency, proposal)?;
    terminate(client, &id, "its time is to be up sooner").await?;
    let name = proposal["id"].as_str().context("the proposal's id")?;
    let row: ProposalId = name.parse()?;
    // A day is longer than a test.
    let sooner =
        format!("UPDATE proposals SET expires_at = created_at + interval '1 second' WHERE id = '{}'", row.uuid());
    change_row(stack, agency.org, &sooner).await?;
    begin_again(client, agency, proposal).await?;
    took("WriteBack", "expired", &closed(client, &id).await?)?;
    agency.proposal_is(name, &["expired"]).await.map(drop)
}

fn write_back_id(agency: &Agency, proposal: &Value) -> Result<String> {
    let id = proposal["id"].as_str().context("the proposal's id")?.parse()?;
    Ok(queues::write_back(agency.org, id))
}

fn path_of(proposal: &Value, verb: &str) -> Result<String> {
    let id = proposal["id"].as_str().context("the proposal's id")?;
    Ok(format!("/api/v1/proposals/{id}/{verb}"))
}

pub(crate) async fn cancel(client: &Client, id: &str) -> Result<()> {
    let handle = client.get_workflow_handle::<UntypedWorkflow>(id);
    Ok(handle.cancel(WorkflowCancelOptions::builder().reason("a test cancels it").build()).await?)
}

async fn evaluations(stack: &Stack, client: &Client, agency: &Agency) -> Result<()> {
    let (id, _) = evaluate(agency).await?;
    took("EvaluateRules", "happy", &closed(client, &id).await?)?;

    // Settings that nobody can read don't become readable by trying again.
    let kept = texts(stack, agency.org, "SELECT settings::text FROM rules").await?;
    let kept = kept.first().context("the rule")?;
    change_row(stack, agency.org, "UPDATE rules SET settings = '{}'").await?;
    let (id, evaluation) = evaluate(agency).await?;
    took("EvaluateRules", "failed", &closed(client, &id).await?)?;
    let seen = agency.person.get(&evaluation).await?;
    ensure!(seen["state"] == "failed", "{seen:#}");
    change_row(stack, agency.org, &format!("UPDATE rules SET settings = '{kept}'")).await?;

    let mut owner = PgConnection::connect(&stack.database.owner_url).await?;
    let mut lock = owner.begin().await?;
    // Nobody can read the rules until this is given back.
    sqlx::query("LOCK TABLE rules IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await?;
    let (id, evaluation) = evaluate(agency).await?;
    until("the evaluation to be under way", PATIENCE, || async {
        let history = histories::fetch(client, &id).await?;
        Ok((activities(&history).len() == 1).then_some(()))
    })
    .await?;
    cancel(client, &id).await?;
    let history = closed(client, &id).await?;
    lock.rollback().await?;
    took("EvaluateRules", "cancelled", &history)?;
    let seen = agency.person.get(&evaluation).await?;
    ensure!(seen["state"] == "failed", "{seen:#}");
    Ok(())
}

/// Asks for an evaluation; its workflow's id, and where it is read.
async fn evaluate(agency: &Agency) -> Result<(String, String)> {
    let started = agency.person.send(Method::POST, "/api/v1/evaluations", json!({})).await?;
    let id = started["id"].as_str().context("the evaluation's id")?;
    Ok((queues::evaluation(agency.org, id.parse()?), format!("/api/v1/evaluations/{id}")))
}

async fn cycles(stack: &Stack, client: &Client, agency: &Agency) -> Result<()> {
    let whole = "SELECT c.workflow_id FROM cycles c JOIN commits k ON k.cycle_id = c.id
                 WHERE c.state = 'done' AND k.days_changed > 0 ORDER BY c.started_at LIMIT 1";
    let whole = texts(stack, agency.org, whole).await?;
    let history = closed(client, whole.first().context("a cycle that changed days")?).await?;
    ensure!(activities(&history).len() == 4, "not a whole cycle: {:?}", activities(&history));
    took("IngestOrganization", "happy", &history)?;

    // A platform that says nothing keeps the cycle at the step that asks for reports.
    let sandbox = stack.sandbox_admin();
    let silence = json!({"kind": "hang", "seconds": 20});
    sandbox.fault(json!({"match": {"path_contains": "queries"}, "times": 1, "action": silence})).await?;
    sandbox.advance(3 * 3600).await?;
    agency.refresh().await?;
    until("the platform to be silent", PATIENCE, || async {
        let faults = sandbox.get("/faults").await?;
        let struck = faults["faults"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|fault| fault["action"]["kind"] == "hang" && fault["struck"] == 1);
        Ok(struck.then_some(()))
    })
    .await?;
    let running = texts(stack, agency.org, "SELECT workflow_id FROM cycles WHERE state = 'running'").await?;
    let id = running.first().context("a running cycle")?;
    cancel(client, id).await?;
    took("IngestOrganization", "cancelled", &closed(client, id).await?)?;
    is_abandoned(stack, agency, id).await?;

    // What a cycle did can't be written down: trying again is of no use.
    alter(stack, "ALTER TABLE cycles ADD CONSTRAINT nothing_done CHECK (steps = '{}') NOT VALID").await?;
    agency.refresh().await?;
    let failed = "SELECT workflow_id FROM cycles WHERE state = 'failed' ORDER BY started_at";
    let id = until("a cycle to be given up", PATIENCE, || async {
        Ok(texts(stack, agency.org, failed).await?.into_iter().find(|other| other != id))
    })
    .await?;
    took("IngestOrganization", "failed", &closed(client, &id).await?)?;
    is_abandoned(stack, agency, &id).await?;
    alter(stack, "ALTER TABLE cycles DROP CONSTRAINT nothing_done").await?;
    unjudged(stack, client, agency).await
}

/// Rules that nobody can read fail the cycle; the reports of the next one are asked for all the same.
async fn unjudged(stack: &Stack, client: &Client, agency: &Agency) -> Result<()> {
    let failed = "SELECT workflow_id FROM cycles WHERE state = 'failed' AND steps ? 'commit'
                  AND (steps -> 'commit' ->> 'changed_days')::int > 0";
    let before = texts(stack, agency.org, failed).await?;
    change_row(stack, agency.org, "UPDATE rules SET settings = '{}'").await?;
    stack.sandbox_admin().advance(3 * 3600).await?;
    let id = until("a cycle whose rules can't be judged", PATIENCE, || async {
        agency.refresh().await?;
        Ok(texts(stack, agency.org, failed).await?.into_iter().find(|id| !before.contains(id)))
    })
    .await?;
    let history = closed(client, &id).await?;
    let steps = ["ingestion.harvest.v1", "ingestion.commit.v1", "rules.evaluate.v1", "ingestion.request.v1"];
    let taken = activities(&history);
    ensure!(taken == [&steps[..], &["ingestion.abandon.v1"]].concat(), "not a whole cycle: {taken:?}");
    took("IngestOrganization", "unjudged", &history)?;
    is_abandoned(stack, agency, &id).await
}

async fn is_abandoned(stack: &Stack, agency: &Agency, id: &str) -> Result<()> {
    let state = format!("SELECT state FROM cycles WHERE workflow_id = '{id}' AND error_code IS NOT NULL");
    let state = texts(stack, agency.org, &state).await?;
    ensure!(state == ["failed"], "{id} is {state:?}");
    Ok(())
}
