//! Evaluations of the rules: asked for here, carried out by a workflow.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use domain::ids::DecisionId;
use serde::{Deserialize, Serialize};
use store::{decision, intent};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Session;
use crate::extract::{Body, Id};
use crate::idempotency::Key;
use crate::problem::{Problem, Result};
use crate::starter;
use crate::wire::{EmptyIn, NotJudgedReason};

const TAG: &str = "evaluation";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(get))
}

/// One evaluation of the rules.
#[derive(Debug, Serialize, ToSchema)]
pub struct Evaluation {
    /// The id.
    pub id: String,
    /// How far it is.
    pub state: WorkState,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Lines that were looked at.
    pub lines_judged: i64,
    /// Proposals that it made.
    pub proposals_made: i64,
    /// Why lines could not be judged.
    pub not_judged: Vec<NotJudged>,
    /// Why it failed.
    pub problem: Option<Problem>,
}

/// How far a piece of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

/// Lines that could not be judged, for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotJudged {
    /// The reason.
    pub reason: NotJudgedReason,
    /// How many lines.
    pub lines: i64,
}

/// Names the evaluation that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvaluationStarted {
    /// Its id.
    pub id: String,
}

/// Asks for an evaluation of all rules now.
#[utoipa::path(post, path = "/evaluations", operation_id = "startEvaluation", tag = TAG,
    extensions(("x-permission" = json!("rules.evaluate"))),
    params(("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = EmptyIn, responses((status = 202, body = EvaluationStarted)))]
async fn start(
    State(app): State<App>,
    session: Session,
    Extension(key): Extension<Key>,
    _: Body<EmptyIn>,
) -> Result<(StatusCode, axum::Json<EvaluationStarted>)> {
    let (id, now) = (DecisionId::from_uuid(key.subject(session.org)), app.now());
    let mut tx = session.begin(&app).await?;
    decision::open(&mut tx, decision::Cause::Person { decision: id, by: session.user }, now).await?;
    let intent = intent::create(&mut tx, intent::Kind::Evaluate, id.uuid(), now, now).await?;
    tx.commit().await?;
    starter::start_at_once(&app, intent).await;
    Ok((StatusCode::ACCEPTED, axum::Json(EvaluationStarted { id: id.to_string() })))
}

/// One evaluation.
#[utoipa::path(get, path = "/evaluations/{id}", operation_id = "getEvaluation", tag = TAG,
    extensions(("x-permission" = json!("rules.read"))),
    params(("id" = String, Path, description = "The evaluation.")), responses((status = 200, body = Evaluation)))]
async fn get(State(app): State<App>, session: Session, Id(id): Id<DecisionId>) -> Result<axum::Json<Evaluation>> {
    let mut tx = session.begin(&app).await?;
    Ok(axum::Json(decision::fetch(&mut tx, id).await?.into()))
}

impl From<decision::Decision> for Evaluation {
    fn from(row: decision::Decision) -> Self {
        let decision::Decision { id, cause: _, started_at, finished_at, findings, proposals_made, error_code } = row;
        let decision::Findings { as_of: _, pulls: _, lines_judged, not_judged } = findings;
        let state = match (finished_at, error_code) {
            (_, Some(_)) => WorkState::Failed,
            (Some(_), None) => WorkState::Done,
            (None, None) => WorkState::Running,
        };
        Self {
            id: id.to_string(),
            state,
            started_at,
            finished_at,
            lines_judged: lines_judged.into(),
            proposals_made: proposals_made.into(),
            not_judged: not_judged.into_iter().filter_map(not_judged_for).collect(),
            problem: error_code.map(Problem::of),
        }
    }
}

/// A reason that this version does not know is left out.
fn not_judged_for((reason, lines): (String, u32)) -> Option<NotJudged> {
    let reason = serde_json::from_value(serde_json::Value::String(reason)).ok()?;
    Some(NotJudged { reason, lines: lines.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_s_reasons_are_known() {
        let reason = domain::rule::NotJudged::HistoryMissing.to_string();
        assert_eq!(not_judged_for((reason, 3)).map(|found| found.lines), Some(3));
        assert!(not_judged_for(("new_reason".to_owned(), 1)).is_none());
    }
}
