//! Power cuts: the worker, the Temporal server and PostgreSQL are killed while they work, and nothing is lost or doubled.
//!
//! The moments derive from `CLP_SEED`; a table of the kills is printed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use domain::ids::ProposalId;
use harness::chaos::{Chaos, SlowLine};
use harness::histories;
use harness::journey::{Agency, PATIENCE};
use harness::servers::{Postgres, variable};
use harness::stack::{Options, Stack};
use harness::truth::LakeReader;
use harness::wait::until;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use store::audit::Line;
use workflows::queues;

use crate::histories::{begin_again, terminate};

const PASSWORD: &str = "correct horse battery staple";
const KILLS: usize = 20;
/// Kills that have to hit an activity before its end.
const HITS: usize = 15;
/// How long every answer of the database takes while workers are killed.
const FAR_AWAY: Duration = Duration::from_millis(8);

const INGEST: &str = "IngestOrganization";
const CYCLE_STEPS: [&str; 4] =
    ["ingestion.harvest.v1", "ingestion.commit.v1", "rules.evaluate.v1", "ingestion.request.v1"];
/// More rounds than twenty kills need, and fewer than a session has hours.
const MOST_ROUNDS: usize = 8;
/// How often a proposal is opened until a kill meets that.
const MOST_OPENINGS: usize = 40;

const WRITE_BACK: &str = "WriteBack";
const CLOSED: [&str; 6] = ["verified", "failed", "drifted", "expired", "cancelled", "rejected"];
const OPEN: &str = "write_back.open.v1";
const CLOSE: &str = "write_back.close.v1";
const APPROVED_STEPS: [&str; 4] =
    ["write_back.record.v1", "write_back.begin.v1", "write_back.send.v1", "write_back.look.v1"];
/// Which two steps of one write-back are killed, and in how many write-backs: with the first step of one and the close of
/// another, twenty kills.
const PAIRS: [([&str; 2], usize); 3] = [
    (["write_back.record.v1", "write_back.send.v1"], 4),
    (["write_back.begin.v1", "write_back.look.v1"], 4),
    (["write_back.send.v1", "write_back.look.v1"], 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_twenty_moments_of_ingestion_neither_loses_nor_doubles_a_number() {
    let line = SlowLine::to(&variable("CLP_PG_ADMIN_URL").unwrap()).await.unwrap();
    let options = Options { postgres: Some(line.url()), ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    let mut chaos = Chaos::new(&stack).await.unwrap();
    let outcome = kill_in_ingestion(&mut stack, &mut chaos, &line).await;
    println!("{}", chaos.table().await);
    if let Err(error) = outcome {
        panic!("{error:#}\n{}", stack.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_twenty_moments_of_write_backs_applies_each_change_once() {
    let line = SlowLine::to(&variable("CLP_PG_ADMIN_URL").unwrap()).await.unwrap();
    // A change that was lost with its worker is believed to be absent when its deadline is over: a short one.
    let worker = vec![("CLP_DV360_ANSWER_SECONDS".to_owned(), "5".to_owned())];
    let mut options = Options { postgres: Some(line.url()), worker, ..Options::default() };
    options.sandbox.extend(["--patch-millis".into(), "200".into()]);
    let mut stack = Stack::start(options).await.unwrap();
    let mut chaos = Chaos::new(&stack).await.unwrap();
    let outcome = kill_in_write_backs(&mut stack, &mut chaos, &line).await;
    println!("{}", chaos.table().await);
    if let Err(error) = outcome {
        panic!("{error:#}\n{}", stack.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_temporal_server_and_a_killed_database_neither_lose_nor_double_a_number() {
    let folder = tempfile::Builder::new().prefix("clp-pg.").tempdir().unwrap();
    let mut postgres = Postgres::start(folder.path()).await.unwrap();
    let options = Options { postgres: Some(postgres.admin_url()), ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    let mut chaos = Chaos::new(&stack).await.unwrap();
    if let Err(error) = kill_servers(&mut stack, &mut chaos, &mut postgres).await {
        panic!("{error:#}\n{}", stack.logs());
    }
}

async fn kill_in_ingestion(stack: &mut Stack, chaos: &mut Chaos, line: &SlowLine) -> Result<()> {
    let agency = sign_up(stack).await?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    line.delay(FAR_AWAY);
    calm(stack, chaos, &agency).await?;
    let known = cycles(chaos).await?;
    for _ in 0..2 {
        next_cycle(stack, &agency).await?.await??;
        calm(stack, chaos, &agency).await?;
    }
    let watched: Vec<String> = cycles(chaos).await?.into_iter().filter(|cycle| !known.contains(cycle)).collect();
    chaos.learn(&watched).await?;

    for _ in 0..MOST_ROUNDS {
        if chaos.kills.len() == KILLS {
            break;
        }
        kill_in_each_step_of_a_cycle(stack, chaos, &agency).await?;
    }
    ensure!(chaos.kills.len() == KILLS, "only {} kills hit a cycle", chaos.kills.len());
    line.delay(Duration::ZERO);
    settle(stack, chaos, &agency).await?;
    expect_hits(chaos, &CYCLE_STEPS).await?;
    expect_exact_totals(stack, &agency).await
}

/// Kills the worker once in each step of what the next reports bring.
async fn kill_in_each_step_of_a_cycle(stack: &mut Stack, chaos: &mut Chaos, agency: &Agency) -> Result<()> {
    let mut steps = CYCLE_STEPS.to_vec();
    let asked = next_cycle(stack, agency).await?;
    while chaos.kills.len() < KILLS && !steps.is_empty() {
        let over = async || Ok(asked.is_finished() && is_calm(chaos, agency).await?);
        let sight = chaos.sight(async || chaos.engine.running(INGEST).await, &steps, PATIENCE, over);
        let Some(seen) = sight.await? else { break };
        let kind = seen.kind.clone();
        if chaos.strike(stack, seen).await? {
            steps.retain(|step| *step != kind);
        }
    }
    asked.await??;
    calm(stack, chaos, agency).await
}

async fn kill_in_write_backs(stack: &mut Stack, chaos: &mut Chaos, line: &SlowLine) -> Result<()> {
    let agency = sign_up(stack).await?;
    line.delay(FAR_AWAY);
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    let mut proposals = open_proposals(chaos, &agency).await?;
    let opened = proposals.pop().context("a proposal to be opened")?;
    kill_in_open(stack, chaos, &agency, &opened).await?;
    let first = proposals.pop().context("a proposal to learn from")?;
    agency.approve(&first).await?;
    let first_id = text(&first, "id")?;
    agency.proposal_is(&first_id, &["verified"]).await?;
    chaos.learn(&[queues::write_back(agency.org, first_id.parse()?)]).await?;

    let mut approved = vec![first];
    let mut approvals = Vec::new();
    for steps in plan(chaos) {
        approved.extend(kill_in_steps(stack, chaos, &agency, &mut proposals, steps, &mut approvals).await?);
    }
    let withdrawn = kill_in_close(stack, chaos, &agency, &mut proposals).await?;
    for approval in approvals {
        approval.await??;
    }
    line.delay(Duration::ZERO);
    ensure!(chaos.kills.len() == KILLS, "{} kills", chaos.kills.len());
    for proposal in &approved {
        agency.proposal_is(&text(proposal, "id")?, &CLOSED).await?;
    }
    let lake = lake(stack, &agency).await?;
    let writes = stack.sandbox_admin().get("/writes").await?;
    for proposal in &approved {
        expect_applied_once(&agency, &lake, proposal, &writes).await?;
    }
    expect_withdrawn(&agency, &lake, &withdrawn, &writes).await?;
    let changes = writes["writes"].as_array().map_or(0, Vec::len);
    ensure!(changes == approved.len(), "{changes} writes for {} approved changes: {writes:#}", approved.len());
    expect_hits(chaos, &[&APPROVED_STEPS[..], &[OPEN, CLOSE]].concat()).await
}

/// Kills the worker while the workflow of a proposal begins; one that was faster than the kill begins once more.
async fn kill_in_open(stack: &mut Stack, chaos: &mut Chaos, agency: &Agency, proposal: &Value) -> Result<()> {
    let client = histories::engine(stack).await?;
    let workflow = queues::write_back(agency.org, text(proposal, "id")?.parse()?);
    for _ in 0..MOST_OPENINGS {
        terminate(&client, &workflow, "it is to begin again").await?;
        begin_again(&client, agency, proposal).await?;
        let engine = chaos.engine.clone();
        let only = async || Ok(vec![workflow.clone()]);
        let over = async || Ok(!engine.ended(&workflow).await?.is_empty());
        if let Some(seen) = chaos.sight(only, &[OPEN], PATIENCE, over).await?
            && chaos.strike(stack, seen).await?
        {
            return Ok(());
        }
    }
    bail!("no kill in {MOST_OPENINGS} met a proposal that was being opened")
}

/// Which steps of each write-back are killed, in an order that the seed chooses.
fn plan(chaos: &mut Chaos) -> Vec<Vec<&'static str>> {
    let pairs = PAIRS.iter().flat_map(|(steps, count)| std::iter::repeat_n(steps.to_vec(), *count));
    let mut plan: Vec<_> = pairs.collect();
    plan.shuffle(chaos.dice());
    plan
}

type Approval = tokio::task::JoinHandle<Result<()>>;

/// Approves a proposal and kills the worker in these steps of its write-back, or of a further one when a moment was missed;
/// returns those that were approved.
async fn kill_in_steps(
    stack: &mut Stack,
    chaos: &mut Chaos,
    agency: &Agency,
    proposals: &mut Vec<Value>,
    mut steps: Vec<&str>,
    approvals: &mut Vec<Approval>,
) -> Result<Vec<Value>> {
    let mut approved = Vec::new();
    loop {
        let proposal = proposals.pop().with_context(|| format!("there is no proposal left for a kill in {steps:?}"))?;
        let workflow = queues::write_back(agency.org, text(&proposal, "id")?.parse()?);
        let (person, named) = (agency.clone(), proposal.clone());
        approvals.push(tokio::spawn(async move { person.approve(&named).await.map(drop) }));
        approved.push(proposal);
        let only = async || Ok(vec![workflow.clone()]);
        let query = format!("WorkflowId = '{workflow}' AND ExecutionStatus != 'Running'");
        let engine = chaos.engine.clone();
        let over = async || Ok(!engine.find(&query).await?.is_empty());
        while let Some(seen) = chaos.sight(only, &steps, PATIENCE, over).await? {
            let kind = seen.kind.clone();
            if chaos.strike(stack, seen).await? {
                steps.retain(|step| *step != kind);
            }
            if steps.is_empty() {
                return Ok(approved);
            }
        }
    }
}

/// Cancels the workflow of a proposal that nobody decided, and kills the worker while it closes the proposal.
async fn kill_in_close(
    stack: &mut Stack,
    chaos: &mut Chaos,
    agency: &Agency,
    proposals: &mut Vec<Value>,
) -> Result<Vec<Value>> {
    let mut withdrawn = Vec::new();
    loop {
        let proposal = proposals.pop().context("there is no proposal left to withdraw")?;
        let workflow = queues::write_back(agency.org, text(&proposal, "id")?.parse()?);
        chaos.engine.cancel(&workflow).await?;
        withdrawn.push(proposal);
        let only = async || Ok(vec![workflow.clone()]);
        let query = format!("WorkflowId = '{workflow}' AND ExecutionStatus != 'Running'");
        let engine = chaos.engine.clone();
        let over = async || Ok(!engine.find(&query).await?.is_empty());
        while let Some(seen) = chaos.sight(only, &[CLOSE], PATIENCE, over).await? {
            if chaos.strike(stack, seen).await? {
                return Ok(withdrawn);
            }
        }
    }
}

async fn kill_servers(stack: &mut Stack, chaos: &mut Chaos, postgres: &mut Postgres) -> Result<()> {
    let agency = sign_up(stack).await?;
    agency.onboard().await?;
    agency.onboarding_is(&["done"]).await?;
    settle(stack, chaos, &agency).await?;
    for temporal in [true, false] {
        let asked = next_cycle(stack, &agency).await?;
        let running = async || chaos.engine.running(INGEST).await;
        let never = async || Ok(false);
        let seen = chaos.sight(running, &CYCLE_STEPS, PATIENCE, never).await?;
        ensure!(seen.is_some(), "no cycle ran");
        if temporal {
            stack.temporal.kill_and_restart().await?;
        } else {
            postgres.kill_and_restart().await?;
        }
        // The answer may have been lost with the server; what was recorded runs all the same.
        asked.await?.ok();
        stack.worker.check()?;
        stack.api.check()?;
        settle(stack, chaos, &agency).await?;
    }
    expect_exact_totals(stack, &agency).await
}

async fn sign_up(stack: &Stack) -> Result<Agency> {
    Agency::sign_up(stack.person()?, "ana@agency.example", PASSWORD, "Agency").await
}

async fn lake(stack: &Stack, agency: &Agency) -> Result<LakeReader> {
    LakeReader::open(&stack.database.app_url, &stack.warehouse.display().to_string(), agency.org).await
}

async fn cycles(chaos: &Chaos) -> Result<Vec<String>> {
    chaos.engine.find(&format!("WorkflowType = '{INGEST}'")).await
}

/// Lets an hour pass (a session lasts for twelve) in which the platform also restates a day, and asks for a cycle
/// without waiting for it.
async fn next_cycle(stack: &Stack, agency: &Agency) -> Result<tokio::task::JoinHandle<Result<Value>>> {
    let sandbox = stack.sandbox_admin();
    sandbox.post("/restate", json!({"days": 1})).await?;
    sandbox.advance(3600).await?;
    let agency = agency.clone();
    Ok(tokio::spawn(async move { agency.refresh().await }))
}

/// Whether no cycle runs.
async fn is_calm(chaos: &Chaos, agency: &Agency) -> Result<bool> {
    let page = agency.person.get("/api/v1/runs?state=running&limit=1").await?;
    let listed = page["items"].as_array().context("runs")?.is_empty();
    Ok(listed && chaos.engine.running(INGEST).await?.is_empty())
}

async fn calm(stack: &mut Stack, chaos: &Chaos, agency: &Agency) -> Result<()> {
    stack.worker.check()?;
    until("the cycles to end", PATIENCE, || async { Ok(is_calm(chaos, agency).await?.then_some(())) }).await
}

/// Lets time pass until every report that was asked for has landed. New ones are not due so soon.
async fn settle(stack: &mut Stack, chaos: &Chaos, agency: &Agency) -> Result<()> {
    let lake = lake(stack, agency).await?;
    let sandbox = stack.sandbox_admin();
    calm(stack, chaos, agency).await?;
    let lake = &lake;
    let sandbox = &sandbox;
    until("every report to land", PATIENCE, || async move {
        let mut tx = lake.store().begin(lake.org()).await?;
        let open = store::pull::list_open(&mut tx, None).await?;
        drop(tx);
        let calm = is_calm(chaos, agency).await?;
        if open.is_empty() && calm {
            return Ok(Some(()));
        }
        if calm {
            sandbox.advance(45).await?;
            agency.refresh().await?;
        }
        Ok(None)
    })
    .await?;
    calm(stack, chaos, agency).await
}

/// Gold equals the platform's ledger, and our own books agree with each other.
async fn expect_exact_totals(stack: &Stack, agency: &Agency) -> Result<()> {
    let compared = lake(stack, agency).await?.equals(&stack.sandbox_admin()).await?;
    ensure!(compared.line_days > 1_000, "only {compared:?}");
    let nothing_wrong = [
        ("cycles that did not end well", "SELECT count(*) FROM cycles WHERE state <> 'done'"),
        ("reports that did not land", "SELECT count(*) FROM pulls WHERE state <> 'landed'"),
        (
            "landed reports more or less than the commits landed",
            "SELECT (SELECT sum(pulls_landed) FROM commits)::bigint - (SELECT count(*) FROM pulls WHERE state = 'landed')",
        ),
        (
            "landed reports without their cycle's commit",
            "SELECT count(*) FROM pulls p WHERE state = 'landed'
             AND NOT EXISTS (SELECT FROM commits c WHERE c.org_id = p.org_id AND c.cycle_id = p.cycle_id)",
        ),
        (
            "commits that changed days without a finished decision",
            "SELECT count(*) FROM commits c WHERE days_changed > 0 AND NOT EXISTS (SELECT FROM decisions d
             WHERE d.org_id = c.org_id AND d.cause = 'cycle' AND d.cause_id = c.cycle_id AND d.finished_at IS NOT NULL)",
        ),
        (
            "proposals without exactly one line in the audit trail that tells of their making",
            "SELECT count(*) FROM proposals p WHERE 1 <> (SELECT count(*) FROM audit a
             WHERE a.org_id = p.org_id AND a.subject_id = p.id AND a.action = 'proposal.create')",
        ),
    ];
    let mut books = superuser(stack).await?;
    for (what, query) in nothing_wrong {
        let count: i64 = sqlx::query_scalar(query).fetch_one(&mut books).await?;
        ensure!(count == 0, "{count} {what}");
    }
    Ok(())
}

/// Looks past row-level security.
async fn superuser(stack: &Stack) -> Result<PgConnection> {
    Ok(PgConnection::connect(&stack.database.owner_url.replacen("//clp_owner:", "//postgres:", 1)).await?)
}

/// Every step was hit, and most kills cut an attempt short.
async fn expect_hits(chaos: &Chaos, steps: &[&str]) -> Result<()> {
    let verdicts = chaos.verdicts().await?;
    let mut hits: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in &verdicts {
        *hits.entry(&verdict.kind).or_default() += 1;
    }
    let missed: Vec<_> = steps.iter().filter(|step| !hits.contains_key(**step)).collect();
    ensure!(missed.is_empty(), "no kill hit {missed:?}: {hits:?}");
    let again = verdicts.iter().filter(|verdict| verdict.attempt > 1).count();
    ensure!(again >= HITS, "only {again} of {} kills led to another attempt", verdicts.len());
    Ok(())
}

fn text(proposal: &Value, name: &str) -> Result<String> {
    Ok(proposal[name].as_str().with_context(|| format!("the proposal's {name}"))?.to_owned())
}

/// Every open proposal, once their workflows wait for an approver.
async fn open_proposals(chaos: &Chaos, agency: &Agency) -> Result<Vec<Value>> {
    until("enough proposals", PATIENCE, || async {
        let page = agency.person.get("/api/v1/proposals?state=open&limit=200").await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        for workflow in chaos.engine.running(WRITE_BACK).await? {
            if chaos.engine.ended(&workflow).await?.is_empty() {
                return Ok(None);
            }
        }
        Ok((items.len() > PAIRS.iter().map(|(_, count)| count).sum::<usize>() + 1).then_some(items))
    })
    .await
}

/// What the audit trail tells of a proposal: every line begins in the state in which the one before ended.
async fn history(lake: &LakeReader, id: ProposalId) -> Result<Vec<Line>> {
    let mut tx = lake.store().begin(lake.org()).await?;
    let lines = store::audit::list_about(&mut tx, id.uuid()).await?;
    let state = |value: &Option<Value>| value.as_ref().map(|value| value["state"].clone());
    for pair in lines.windows(2) {
        let (ended, began) = (state(&pair[0].after), state(&pair[1].before));
        ensure!(ended == began, "{} ended in {ended:?}, {} began in {began:?}", pair[0].action, pair[1].action);
    }
    Ok(lines)
}

fn count(lines: &[Line], action: &str) -> usize {
    lines.iter().filter(|line| line.action == action).count()
}

fn writes_of<'a>(proposal: &Value, writes: &'a Value) -> Result<Vec<&'a Value>> {
    let line = proposal["line"]["platform_id"].as_str().context("the line")?;
    let all = writes["writes"].as_array().context("writes")?;
    let end = format!("/{line}");
    Ok(all.iter().filter(|write| write["entity"].as_str().is_some_and(|entity| entity.ends_with(&end))).collect())
}

async fn expect_applied_once(agency: &Agency, lake: &LakeReader, proposal: &Value, writes: &Value) -> Result<()> {
    let id = text(proposal, "id")?;
    let done = agency.proposal_is(&id, &CLOSED).await?;
    ensure!(done["state"] == "verified", "{done:#}");
    let written = writes_of(proposal, writes)?;
    let changed = written.iter().filter(|write| write["changed"] == true).count();
    ensure!((written.len(), changed) == (1, 1), "proposal {id} was written {} times: {written:#?}", written.len());
    let lines = history(lake, id.parse()?).await?;
    let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
    for once in ["proposal.create", "proposal.approve", "proposal.read_after"] {
        ensure!(count(&lines, once) == 1, "{once} is told {} times: {actions:?}", count(&lines, once));
    }
    let mut tx = lake.store().begin(lake.org()).await?;
    let attempts = store::attempt::list(&mut tx, id.parse()?).await?;
    ensure!(count(&lines, "proposal.begin") == attempts.len(), "{} attempts: {actions:?}", attempts.len());
    let last = lines.last().and_then(|line| line.after.as_ref()).context("a last line")?;
    ensure!(last["state"] == "verified", "the trail of proposal {id} ends with {last}");
    let applied = attempts.iter().filter(|attempt| attempt.outcome == Some(store::attempt::Outcome::Applied)).count();
    let open = attempts.iter().filter(|attempt| attempt.outcome.is_none()).count();
    ensure!((applied, open) == (1, 0), "proposal {id} has the attempts {attempts:#?}");
    Ok(())
}

async fn expect_withdrawn(agency: &Agency, lake: &LakeReader, withdrawn: &[Value], writes: &Value) -> Result<()> {
    for proposal in withdrawn {
        let id = text(proposal, "id")?;
        agency.proposal_is(&id, &["cancelled"]).await?;
        let lines = history(lake, id.parse()?).await?;
        ensure!(count(&lines, "proposal.cancel") == 1, "proposal {id} was closed otherwise: {lines:#?}");
        ensure!(writes_of(proposal, writes)?.is_empty(), "a withdrawn change was sent");
    }
    Ok(())
}
