//! Chaos with a seed: sees through the Temporal server what a worker is doing, kills it in the middle of that, and keeps
//! count of what every kill hit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use temporalio_client::grpc::WorkflowService;
use temporalio_client::tonic::IntoRequest as _;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};
use temporalio_common::protos::temporal::api::common::v1::WorkflowExecution;
use temporalio_common::protos::temporal::api::enums::v1::PendingActivityState;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_common::protos::temporal::api::history::v1::{History, HistoryEvent};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, GetWorkflowExecutionHistoryRequest, ListWorkflowExecutionsRequest,
    RequestCancelWorkflowExecutionRequest,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::servers::UP;
use crate::stack::Stack;
use crate::wait::until;

const NAMESPACE: &str = "default";
/// Used when `CLP_SEED` is not set.
const SEED: u64 = 20_261_121;
/// How often the server is asked what runs: a few times within the shortest activity.
const LOOK: Duration = Duration::from_millis(3);
/// How far into an activity's usual time a kill may come, in percent; later ones would often come too late.
const DEEPEST_PERCENT: u32 = 60;
const PAGE: i32 = 500;

/// Where all chance of a test comes from: `CLP_SEED`, or a fixed number.
///
/// # Errors
/// When `CLP_SEED` is no number.
pub fn seed() -> Result<u64> {
    match std::env::var("CLP_SEED") {
        Ok(text) => text.parse().context("CLP_SEED is no number"),
        Err(_) => Ok(SEED),
    }
}

/// An activity that a worker has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The workflow that it belongs to.
    pub workflow: String,
    /// Its id within the workflow.
    pub activity: String,
    /// What it does.
    pub kind: String,
    /// Which attempt.
    pub attempt: i32,
}

/// An activity that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its id within the workflow.
    pub activity: String,
    /// What it does.
    pub kind: String,
    /// The attempt that ended it.
    pub attempt: i32,
    /// How long that attempt took.
    pub took: Duration,
}

/// One look at the workflow engine from outside of the platform.
#[derive(Clone)]
pub struct Engine(Client);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Connects to a Temporal server. Payloads are not read, so they may stay encrypted.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn connect(address: &str) -> Result<Self> {
        let url = Url::parse(&format!("http://{address}"))?;
        let connection = Connection::connect(ConnectionOptions::new(url).identity("chaos").build()).await?;
        Ok(Self(Client::new(connection, ClientOptions::new(NAMESPACE.to_owned()).build())?))
    }

    /// The ids of the workflows that a query finds.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn find(&self, query: &str) -> Result<Vec<String>> {
        let ask = ListWorkflowExecutionsRequest {
            namespace: NAMESPACE.into(),
            query: query.into(),
            page_size: PAGE,
            ..Default::default()
        };
        let found = WorkflowService::list_workflow_executions(&mut self.0.clone(), ask.into_request()).await?;
        let executions = found.into_inner().executions.into_iter();
        Ok(executions.filter_map(|found| found.execution).map(|execution| execution.workflow_id).collect())
    }

    /// The workflows of a type that run.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn running(&self, kind: &str) -> Result<Vec<String>> {
        self.find(&format!("WorkflowType = '{kind}' AND ExecutionStatus = 'Running'")).await
    }

    /// What a worker is doing for a workflow now.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn started(&self, workflow: &str) -> Result<Vec<Sighting>> {
        let ask = DescribeWorkflowExecutionRequest { namespace: NAMESPACE.into(), execution: Some(named(workflow)) };
        let seen = WorkflowService::describe_workflow_execution(&mut self.0.clone(), ask.into_request()).await?;
        let pending = seen.into_inner().pending_activities.into_iter();
        let sightings = pending.filter(|activity| activity.state() == PendingActivityState::Started).map(|activity| {
            let (kind, attempt) = (activity.activity_type.unwrap_or_default().name, activity.attempt);
            Sighting { workflow: workflow.to_owned(), activity: activity.activity_id, kind, attempt }
        });
        Ok(sightings.collect())
    }

    /// The activities that a workflow has ended, in the order in which they ended.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn ended(&self, workflow: &str) -> Result<Vec<Ended>> {
        let ask = GetWorkflowExecutionHistoryRequest {
            namespace: NAMESPACE.into(),
            execution: Some(named(workflow)),
            ..Default::default()
        };
        let answer = WorkflowService::get_workflow_execution_history(&mut self.0.clone(), ask.into_request()).await?;
        let answer = answer.into_inner();
        ensure!(answer.next_page_token.is_empty(), "the history of {workflow} is longer than a page");
        Ok(ended(&answer.history.unwrap_or_default()))
    }

    /// Asks a workflow to end, as an operator would.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn cancel(&self, workflow: &str) -> Result<()> {
        let ask = RequestCancelWorkflowExecutionRequest {
            namespace: NAMESPACE.into(),
            workflow_execution: Some(named(workflow)),
            ..Default::default()
        };
        WorkflowService::request_cancel_workflow_execution(&mut self.0.clone(), ask.into_request()).await?;
        Ok(())
    }
}

fn named(workflow: &str) -> WorkflowExecution {
    WorkflowExecution { workflow_id: workflow.to_owned(), run_id: String::new() }
}

fn ended(history: &History) -> Vec<Ended> {
    let event = |id: i64| history.events.iter().find(|event| event.event_id == id);
    let closed = history.events.iter().filter_map(|end| match end.attributes.as_ref()? {
        Attributes::ActivityTaskCompletedEventAttributes(done) => {
            Some((end, done.scheduled_event_id, done.started_event_id))
        }
        Attributes::ActivityTaskFailedEventAttributes(done) => {
            Some((end, done.scheduled_event_id, done.started_event_id))
        }
        _ => None,
    });
    closed
        .filter_map(|(end, scheduled, started)| {
            let (scheduled, begun) = (event(scheduled)?, event(started)?);
            let Attributes::ActivityTaskScheduledEventAttributes(what) = scheduled.attributes.as_ref()? else {
                return None;
            };
            let Attributes::ActivityTaskStartedEventAttributes(how) = begun.attributes.as_ref()? else { return None };
            Some(Ended {
                activity: what.activity_id.clone(),
                kind: what.activity_type.clone().unwrap_or_default().name,
                attempt: how.attempt,
                took: at(end)?.checked_sub(at(begun)?)?,
            })
        })
        .collect()
}

/// When something happened, since 1970.
fn at(event: &HistoryEvent) -> Option<Duration> {
    let time = event.event_time.as_ref()?;
    Some(Duration::new(u64::try_from(time.seconds).ok()?, u32::try_from(time.nanos).ok()?))
}

/// One kill and what it was aimed at.
#[derive(Debug, Clone)]
pub struct Kill {
    /// What the worker was doing.
    pub hit: Sighting,
    /// How long after that had been seen.
    pub after: Duration,
}

/// What the histories say of a kill afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the worker was doing.
    pub kind: String,
    /// The attempt that ended it; 0 when none has.
    pub attempt: i32,
}

/// Kills workers in the middle of what they do, at moments that its seed chooses.
#[derive(Debug)]
pub struct Chaos {
    /// The engine.
    pub engine: Engine,
    /// The kills so far.
    pub kills: Vec<Kill>,
    seed: u64,
    dice: StdRng,
    usual: BTreeMap<String, Duration>,
}

impl Chaos {
    /// Chaos in a stack.
    ///
    /// # Errors
    /// When the engine can't be reached or the seed is no number.
    pub async fn new(stack: &Stack) -> Result<Self> {
        let (engine, seed) = (Engine::connect(&stack.temporal.address()).await?, seed()?);
        Ok(Self { engine, kills: Vec::new(), seed, dice: StdRng::seed_from_u64(seed), usual: BTreeMap::new() })
    }

    /// Chance.
    pub const fn dice(&mut self) -> &mut StdRng {
        &mut self.dice
    }

    /// Learns from workflows how long their activities usually take.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn learn(&mut self, workflows: &[String]) -> Result<()> {
        for workflow in workflows {
            for ended in self.engine.ended(workflow).await? {
                let usual = self.usual.entry(ended.kind).or_default();
                *usual = ended.took.max(*usual);
            }
        }
        Ok(())
    }

    /// Kills the worker somewhere in the middle of what it was seen doing and starts another one. False, and nobody is
    /// killed, when the moment came too late.
    ///
    /// # Errors
    /// When the worker can't be started again.
    pub async fn strike(&mut self, stack: &mut Stack, seen: Sighting) -> Result<bool> {
        let usual = self.usual.get(&seen.kind).copied().unwrap_or_default();
        let after = usual * self.dice.random_range(0..=DEEPEST_PERCENT) / 100;
        tokio::time::sleep(after).await;
        if !self.engine.started(&seen.workflow).await?.contains(&seen) {
            return Ok(false);
        }
        stack.worker.kill()?;
        stack.restart_worker()?;
        self.kills.push(Kill { hit: seen, after });
        Ok(true)
    }

    /// Waits until a worker does one of these things for one of the workflows that `which` names; `None` once `over` says
    /// that it will not. An engine that is away is asked again.
    ///
    /// # Errors
    /// When neither happens within `limit`.
    pub async fn sight(
        &self,
        which: impl AsyncFn() -> Result<Vec<String>>,
        kinds: &[&str],
        limit: Duration,
        over: impl AsyncFn() -> Result<bool>,
    ) -> Result<Option<Sighting>> {
        let deadline = Instant::now() + limit;
        loop {
            // Asked first: what is over was looked at once more afterwards.
            let ended = over().await.unwrap_or(false);
            let workflows = which().await.unwrap_or_default();
            let looks = workflows.iter().map(|workflow| self.engine.started(workflow));
            let seen = futures::future::join_all(looks).await.into_iter().filter_map(Result::ok).flatten();
            let wanted = seen.into_iter().find(|sighting| kinds.contains(&sighting.kind.as_str()));
            if wanted.is_some() || ended {
                return Ok(wanted);
            }
            if Instant::now() > deadline {
                bail!("waited {limit:?} for a worker to do one of {kinds:?} for {workflows:?}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What became of each kill.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn verdicts(&self) -> Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for Kill { hit, .. } in &self.kills {
            let ended = self.engine.ended(&hit.workflow).await?;
            let ended = ended.iter().find(|ended| ended.activity == hit.activity);
            verdicts.push(Verdict { kind: hit.kind.clone(), attempt: ended.map_or(0, |ended| ended.attempt) });
        }
        Ok(verdicts)
    }

    /// One line for each kill.
    pub async fn table(&self) -> String {
        let verdicts = self.verdicts().await.unwrap_or_default();
        let mut table = format!("CLP_SEED={}\n", self.seed);
        for (number, kill) in self.kills.iter().enumerate() {
            let attempt = verdicts.get(number).map_or(0, |verdict| verdict.attempt);
            let (seed, kind, millis) = (self.seed, &kill.hit.kind, kill.after.as_millis());
            // Writing to a string can't fail.
            let _ = writeln!(table, "kill {} seed={seed} {kind} after {millis} ms attempt {attempt}", number + 1);
        }
        table
    }
}

/// Kills the PostgreSQL server with this data folder as a power cut would, and waits until it and all that it had started
/// are gone: only then can another one use the folder.
///
/// # Errors
/// When it does not run, or does not go.
pub async fn cut_power(data: &Path) -> Result<()> {
    let text = std::fs::read_to_string(data.join("postmaster.pid"))?;
    let server: u32 = text.lines().next().context("the server's process id")?.trim().parse()?;
    let mut gone = children(server)?;
    gone.push(server);
    Command::new("kill").args(["-KILL", &server.to_string()]).status()?;
    until("PostgreSQL to be gone", UP, || async {
        Ok((!gone.iter().any(|process| Path::new(&format!("/proc/{process}")).exists())).then_some(()))
    })
    .await
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has just ended is no child any more. The name may hold anything; what follows it may not.
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest);
        let of = after_name.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            children.push(process);
        }
    }
    Ok(children)
}

/// A line to the database on which every answer takes a while, as one in another building would: it gives a kill moments
/// to hit between any two statements.
#[derive(Debug)]
pub struct SlowLine {
    url: String,
    millis: Arc<AtomicU64>,
    carrier: JoinHandle<()>,
}

impl SlowLine {
    /// A line to the server of this URL; without delay until it gets one.
    ///
    /// # Errors
    /// When the URL names no host and port, or no port is free.
    pub async fn to(url: &str) -> Result<Self> {
        let (before, rest) = url.rsplit_once('@').context("the URL names no user")?;
        let (server, path) = rest.split_once('/').context("the URL names no database")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = format!("{before}@{}/{path}", listener.local_addr()?);
        let millis = Arc::new(AtomicU64::new(0));
        let carrier = tokio::spawn(carry(listener, server.to_owned(), Arc::clone(&millis)));
        Ok(Self { url: own, millis, carrier })
    }

    /// The URL of its near end.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// How long every answer takes from now on.
    pub fn delay(&self, delay: Duration) {
        self.millis.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for SlowLine {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

async fn carry(listener: TcpListener, server: String, millis: Arc<AtomicU64>) {
    while let Ok((near, _)) = listener.accept().await {
        let Ok(far) = TcpStream::connect(&server).await else { continue };
        let millis = Arc::clone(&millis);
        tokio::spawn(async move {
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            // When one end is gone the other is closed at once, as by a killed process.
            tokio::select! {
                _ = pass(near_in, far_out, None) => {}
                _ = pass(far_in, near_out, Some(millis)) => {}
            }
        });
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    millis: Option<Arc<AtomicU64>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let delay = millis.as_ref().map_or(0, |millis| millis.load(Ordering::Relaxed));
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}
