//! Runs: the ingestion cycles and what they brought.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ids::CycleId;
use domain::{DayRange, ErrorCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{connection, cycle, intent, pull};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflows::queues;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id, Parameters};
use crate::idempotency::Key;
use crate::paging::{self, Wanted};
use crate::problem::{Error, Problem, Result};
use crate::v1::evaluation::WorkState;
use crate::wire::{EmptyIn, Page, Platform, PullKind, PullState};
use crate::{allowance, starter};

const TAG: &str = "run";
const LIST: &str = "runs";
/// How long a run that was asked for may take to appear before its id is left out of the answer.
const APPEARS_LOOKS: u32 = 10;
const APPEARS_WAIT: Duration = Duration::from_millis(100);

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, start)).routes(routes!(get))
}

/// One ingestion cycle.
#[derive(Debug, Serialize, ToSchema)]
pub struct Run {
    /// The id.
    pub id: String,
    /// Why it ran.
    pub kind: RunKind,
    /// How far it is.
    pub state: WorkState,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// What it did, in words.
    pub sentence: String,
    /// Its reports, counted.
    pub pulls: PullCounts,
    /// The rows that it wrote.
    pub rows: RowCounts,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// One ingestion cycle with its steps and reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunDetail {
    /// The id.
    pub id: String,
    /// Why it ran.
    pub kind: RunKind,
    /// How far it is.
    pub state: WorkState,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// What it did, in words.
    pub sentence: String,
    /// Its reports, counted.
    pub pull_counts: PullCounts,
    /// The rows that it wrote.
    pub rows: RowCounts,
    /// What went wrong.
    pub problems: Vec<Problem>,
    /// What it did, step by step.
    pub steps: Vec<RunStep>,
    /// Its reports.
    pub pulls: Vec<Pull>,
}

/// Why a cycle ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// The schedule fired.
    Scheduled,
    /// A report was expected before the next tick.
    FollowUp,
    /// A person asked.
    Manual,
    /// The first data of a new organisation.
    Onboarding,
}

/// Reports, counted.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct PullCounts {
    /// Landed with other rows than before.
    pub landed: i64,
    /// Landed, and equal to what was there.
    pub unchanged: i64,
    /// Failed.
    pub failed: i64,
    /// Still under way.
    pub open: i64,
}

/// Rows written, by layer.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct RowCounts {
    /// As the platform sent them.
    pub bronze: i64,
    /// In the unified model.
    pub silver: i64,
    /// Summed for dashboards.
    pub gold: i64,
}

/// One step of a cycle.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunStep {
    /// What it does.
    pub title: String,
    /// How long it took.
    pub seconds: Option<f64>,
    /// What came of it, in words.
    pub sentence: String,
}

/// One report on its way into the lake.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pull {
    /// The id.
    pub id: String,
    /// Why it is read.
    pub kind: PullKind,
    /// The platform.
    pub platform: Platform,
    /// The days that it covers.
    pub days: Days,
    /// How far it is.
    pub state: PullState,
    /// How many rows it has.
    pub rows: Option<i64>,
    /// When it was asked for.
    pub requested_at: Option<DateTime<Utc>>,
    /// When its rows were in the tables.
    pub landed_at: Option<DateTime<Utc>>,
    /// What went wrong.
    pub problem: Option<Problem>,
}

/// Days, both ends included.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct Days {
    /// The first.
    pub first: NaiveDate,
    /// The last.
    pub last: NaiveDate,
}

impl From<DayRange> for Days {
    fn from(days: DayRange) -> Self {
        Self { first: days.first(), last: days.last() }
    }
}

/// Names the refresh that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunStarted {
    /// The run's id; null until it has begun.
    pub id: Option<String>,
}

/// Which runs are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunFilter {
    /// Only those in this state.
    #[param(inline)]
    pub state: Option<WorkState>,
}

/// The organisation's runs, newest first.
#[utoipa::path(get, path = "/runs", operation_id = "listRuns", tag = TAG,
    extensions(("x-permission" = json!("runs.read"))), params(Wanted, RunFilter),
    responses((status = 200, body = Page<Run>)))]
async fn list(
    State(app): State<App>,
    session: Session,
    Parameters(wanted): Parameters<Wanted>,
    Parameters(filter): Parameters<RunFilter>,
) -> Result<axum::Json<Page<Run>>> {
    let page = wanted.page(LIST)?;
    let state = filter.state.map(|state| match state {
        WorkState::Running => cycle::State::Running,
        WorkState::Done => cycle::State::Done,
        WorkState::Failed => cycle::State::Failed,
    });
    let mut tx = session.begin(&app).await?;
    let found = cycle::page(&mut tx, state, page).await?;
    Ok(axum::Json(paging::answer(LIST, found, Run::from)))
}

/// One run with its steps and reports.
#[utoipa::path(get, path = "/runs/{id}", operation_id = "getRun", tag = TAG,
    extensions(("x-permission" = json!("runs.read"))),
    params(("id" = String, Path, description = "The run.")), responses((status = 200, body = RunDetail)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<CycleId>) -> Result<axum::Json<RunDetail>> {
    let mut tx = session.begin(&app).await?;
    let row = cycle::fetch(&mut tx, id).await?;
    let pulls = pull::list_of_cycle(&mut tx, id).await?;
    let steps = steps(&row);
    let Run { id, kind, state, started_at, finished_at, seconds, sentence, pulls: pull_counts, rows, problems } =
        row.into();
    let pulls = pulls.into_iter().map(Pull::from).collect();
    Ok(axum::Json(RunDetail {
        id,
        kind,
        state,
        started_at,
        finished_at,
        seconds,
        sentence,
        pull_counts,
        rows,
        problems,
        steps,
        pulls,
    }))
}

/// Asks for fresh numbers now.
#[utoipa::path(post, path = "/runs", operation_id = "startRun", tag = TAG,
    extensions(("x-permission" = json!("runs.start"))),
    params(("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = EmptyIn, responses((status = 202, body = RunStarted)))]
async fn start(
    State(app): State<App>,
    session: Session,
    Extension(key): Extension<Key>,
    _: Body<EmptyIn>,
) -> Result<(StatusCode, axum::Json<RunStarted>)> {
    let now = app.now();
    let mut tx = session.begin(&app).await?;
    if !connection::list(&mut tx).await?.iter().any(|connection| connection.connected_at.is_some()) {
        let detail = Some("There is no connected platform to read from.".to_owned());
        return Err(Error::Refused { code: ErrorCode::Conflict, detail });
    }
    let subject = key.subject(session.org);
    allowance::rows(&app, &mut tx, now).await?;
    allowance::run(&app, &mut tx, subject, now).await?;
    let intent = intent::create(&mut tx, intent::Kind::Ingest, subject, now, now).await?;
    tx.commit().await?;
    starter::start_at_once(&app, intent).await;
    let id = appeared(&app, intent).await?.map(|id| id.to_string());
    Ok((StatusCode::ACCEPTED, axum::Json(RunStarted { id })))
}

/// The cycle of an intent, once its workflow has opened it.
async fn appeared(app: &App, intent: intent::Intent) -> Result<Option<CycleId>> {
    let workflow = queues::intended_cycle(intent.org, intent.id);
    for _ in 0..APPEARS_LOOKS {
        let mut tx = app.store.begin(intent.org).await?;
        if let Some(row) = cycle::find(&mut tx, &workflow).await? {
            return Ok(Some(row.id));
        }
        drop(tx);
        tokio::time::sleep(APPEARS_WAIT).await;
    }
    Ok(None)
}

impl From<cycle::Cycle> for Run {
    fn from(row: cycle::Cycle) -> Self {
        let sentence = sentence(&row);
        let cycle::Cycle {
            id,
            workflow_id: _,
            kind,
            state,
            started_at,
            finished_at,
            steps: _,
            error_code,
            pulls,
            rows,
        } = row;
        let cycle::Pulls { landed, unchanged, failed, open, errors } = pulls;
        Self {
            id: id.to_string(),
            kind: kind.into(),
            state: state.into(),
            started_at,
            finished_at,
            seconds: finished_at.map(|finished| tenths(finished - started_at)),
            sentence,
            pulls: PullCounts {
                landed: landed.into(),
                unchanged: unchanged.into(),
                failed: failed.into(),
                open: open.into(),
            },
            rows: rows.map_or_else(RowCounts::default, Into::into),
            problems: error_code.into_iter().chain(errors).map(Problem::of).collect(),
        }
    }
}

impl From<cycle::Rows> for RowCounts {
    fn from(rows: cycle::Rows) -> Self {
        let cycle::Rows { bronze, silver, gold } = rows;
        let number = |rows| i64::try_from(rows).unwrap_or(i64::MAX);
        Self { bronze: number(bronze), silver: number(silver), gold: number(gold) }
    }
}

impl From<cycle::Kind> for RunKind {
    fn from(kind: cycle::Kind) -> Self {
        match kind {
            cycle::Kind::Scheduled => Self::Scheduled,
            cycle::Kind::FollowUp => Self::FollowUp,
            cycle::Kind::Manual => Self::Manual,
            cycle::Kind::Onboarding => Self::Onboarding,
        }
    }
}

impl From<cycle::State> for WorkState {
    fn from(state: cycle::State) -> Self {
        match state {
            cycle::State::Running => Self::Running,
            cycle::State::Done => Self::Done,
            cycle::State::Failed => Self::Failed,
        }
    }
}

impl From<pull::Pull> for Pull {
    fn from(row: pull::Pull) -> Self {
        let landed_at = row.closed_at.filter(|_| row.state == domain::pull::State::Landed);
        Self {
            id: row.id.to_string(),
            kind: row.kind.into(),
            platform: row.platform.into(),
            days: row.days.into(),
            state: row.state.into(),
            rows: row.rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX)),
            requested_at: row.requested_at,
            landed_at,
            problem: row.error_code.map(|code| Problem::of(code).detailed(row.error_detail)),
        }
    }
}

/// Seconds with one place.
fn tenths(span: TimeDelta) -> f64 {
    (span.as_seconds_f64() * 10.0).round() / 10.0
}

/// What a cycle did, in words.
fn sentence(row: &cycle::Cycle) -> String {
    if row.state == cycle::State::Failed {
        return "The run ended early; the next one goes on from the same point.".to_owned();
    }
    let pulls = &row.pulls;
    let counts = [
        (pulls.landed, "with new numbers"),
        (pulls.unchanged, "without a change"),
        (pulls.failed, "failed"),
        (pulls.open, "on the way"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", reports(*count)))
        .collect();
    let said = if parts.is_empty() { "No report was due".to_owned() } else { parts.join(", ") };
    match &row.rows {
        Some(rows) if rows.bronze > 0 => format!("{said}; {} rows read.", rows.bronze),
        _ => format!("{said}."),
    }
}

fn reports(count: u32) -> String {
    if count == 1 { "1 report".to_owned() } else { format!("{count} reports") }
}

/// What the steps are called, in the order in which they run. Rules are evaluated only when numbers changed.
const STEPS: [(&str, &str); 5] = [
    ("harvest", "Fetch what is ready"),
    ("commit", "Commit to the tables"),
    ("evaluate", "Judge the lines by the rules"),
    ("request", "Ask for what is due"),
    ("maintenance", "Tidy up the tables"),
];

/// What each step recorded, in the order in which they run.
fn steps(row: &cycle::Cycle) -> Vec<RunStep> {
    let mut before = row.started_at;
    let mut steps = Vec::new();
    for (key, title) in STEPS {
        let Some(did) = row.steps.get(key) else { continue };
        let at = did.get("at").and_then(Value::as_str).and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let seconds = at.map(|at| tenths(at - before));
        before = at.unwrap_or(before);
        steps.push(RunStep { title: title.to_owned(), seconds, sentence: step_sentence(key, did) });
    }
    steps
}

fn step_sentence(key: &str, did: &Value) -> String {
    let number = |name: &str| did.get(name).and_then(Value::as_u64).unwrap_or_default();
    match key {
        "harvest" => format!("{} fetched, {} still being made by the platform.", number("fetched"), number("open")),
        "commit" => format!("{} landed, {} days changed.", number("landed"), number("changed_days")),
        "maintenance" => format!("{} files removed that nothing needs any more.", number("files")),
        "evaluate" => {
            let (judged, not_judged, proposals) = (number("judged"), number("not_judged"), number("proposals"));
            format!("{judged} judged, {not_judged} not judged, {proposals} new {}.", plural(proposals, "proposal"))
        }
        _ => {
            let why =
                if did.get("used_up") == Some(&Value::Bool(true)) { " The rows of the day are used up." } else { "" };
            format!("{} asked for, {} on the way.{why}", number("requested"), number("open"))
        }
    }
}

fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pulls: cycle::Pulls) -> cycle::Cycle {
        let at = |seconds: u32| format!("2026-11-21T12:00:{seconds:02}Z");
        cycle::Cycle {
            id: CycleId::new(),
            workflow_id: "w".to_owned(),
            kind: cycle::Kind::Scheduled,
            state: cycle::State::Done,
            started_at: at(0).parse().unwrap(),
            finished_at: Some(at(9).parse().unwrap()),
            steps: [
                ("harvest".to_owned(), serde_json::json!({"fetched": 2, "open": 1, "at": at(4)})),
                ("request".to_owned(), serde_json::json!({"requested": 3, "open": 4, "at": at(9)})),
                ("maintenance".to_owned(), serde_json::json!({"files": 7, "bytes": 70, "at": at(10)})),
            ]
            .into(),
            error_code: None,
            pulls,
            rows: None,
        }
    }

    #[test]
    fn a_run_says_what_it_did() {
        assert_eq!(sentence(&row(cycle::Pulls::default())), "No report was due.");
        let pulls = cycle::Pulls { landed: 1, open: 2, ..cycle::Pulls::default() };
        assert_eq!(sentence(&row(pulls)), "1 report with new numbers, 2 reports on the way.");
    }

    #[test]
    fn a_run_that_changed_numbers_says_what_the_rules_made_of_them() {
        let mut row = row(cycle::Pulls::default());
        let did = serde_json::json!({"judged": 41, "not_judged": 1, "proposals": 1, "at": "2026-11-21T12:00:07Z"});
        row.steps.insert("evaluate".to_owned(), did);
        let steps = steps(&row);
        assert_eq!(steps[1].title, "Judge the lines by the rules");
        assert_eq!(steps[1].sentence, "41 judged, 1 not judged, 1 new proposal.");
        assert_eq!((steps[1].seconds, steps[2].seconds), (Some(3.0), Some(2.0)));
    }

    #[test]
    fn steps_take_the_time_since_the_one_before() {
        let steps = steps(&row(cycle::Pulls::default()));
        let told: Vec<_> = steps.iter().map(|step| (step.seconds, step.sentence.as_str())).collect();
        assert_eq!(
            told,
            [
                (Some(4.0), "2 fetched, 1 still being made by the platform."),
                (Some(5.0), "3 asked for, 4 on the way."),
                (Some(1.0), "7 files removed that nothing needs any more."),
            ]
        );
    }
}
