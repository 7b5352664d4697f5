//! A person's decision about a proposal: sent to its write-back as an update, answered when it is on record.
//!
//! Nothing is recorded here: the workflow's activity records, in one transaction with the audit line.

use axum::Extension;
use axum::extract::State;
use domain::ErrorCode;
use domain::ids::ProposalId;
use domain::write_back::State as Progress;
use serde::Deserialize;
use store::proposal as rows;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use workflows::contract::write_back::{DecideV1, DecidedV1, Verdict};
use workflows::{WriteBack, queues};

use crate::app::App;
use crate::auth::Session;
use crate::extract::{self, Body, Id};
use crate::idempotency::Key;
use crate::problem::{Error, Problem, Result};
use crate::update;
use crate::v1::proposal::{self, Proposal, Viewer};

const TAG: &str = "proposal";

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(approve)).routes(routes!(reject)).routes(routes!(cancel))
}

/// A yes to exactly the change that was shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveIn {
    /// The `change_hash` of the proposal that was shown.
    pub change_hash: String,
}

/// A no.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectIn {
    /// The `change_hash` of the proposal that was shown.
    pub change_hash: String,
    /// Why, 1 to 500 characters.
    #[schema(format = "text", max_length = 500)]
    pub reason: String,
}

/// A withdrawal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelIn {
    /// Why, 1 to 500 characters.
    #[schema(format = "text", max_length = 500)]
    pub reason: String,
}

/// Approves a proposal: its change is checked against the platform once more and made.
#[utoipa::path(post, path = "/proposals/{id}/approve", operation_id = "approveProposal", tag = TAG,
    extensions(("x-permission" = json!("proposals.decide"))),
    params(("id" = String, Path, description = "The proposal."),
           ("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = ApproveIn,
    responses((status = 200, body = Proposal), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn approve(
    State(app): State<App>,
    session: Session,
    Id(id): Id<ProposalId>,
    Extension(key): Extension<Key>,
    Body(input): Body<ApproveIn>,
) -> Result<axum::Json<Proposal>> {
    let decision = Decision { verdict: Verdict::Approve, change_hash: Some(input.change_hash), reason: None };
    decide(&app, &session, id, decision, key).await
}

/// Rejects a proposal.
#[utoipa::path(post, path = "/proposals/{id}/reject", operation_id = "rejectProposal", tag = TAG,
    extensions(("x-permission" = json!("proposals.decide"))),
    params(("id" = String, Path, description = "The proposal."),
           ("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = RejectIn,
    responses((status = 200, body = Proposal), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn reject(
    State(app): State<App>,
    session: Session,
    Id(id): Id<ProposalId>,
    Extension(key): Extension<Key>,
    Body(input): Body<RejectIn>,
) -> Result<axum::Json<Proposal>> {
    let reason = Some(extract::reason(&input.reason)?);
    let decision = Decision { verdict: Verdict::Reject, change_hash: Some(input.change_hash), reason };
    decide(&app, &session, id, decision, key).await
}

/// Withdraws a proposal that was not sent yet.
#[utoipa::path(post, path = "/proposals/{id}/cancel", operation_id = "cancelProposal", tag = TAG,
    extensions(("x-permission" = json!("proposals.withdraw"))),
    params(("id" = String, Path, description = "The proposal."),
           ("Idempotency-Key" = String, Header, description = "Names this request; the same key gets the same answer.")),
    request_body = CancelIn,
    responses((status = 200, body = Proposal), (status = 409, body = Problem, content_type = "application/problem+json")))]
async fn cancel(
    State(app): State<App>,
    session: Session,
    Id(id): Id<ProposalId>,
    Extension(key): Extension<Key>,
    Body(input): Body<CancelIn>,
) -> Result<axum::Json<Proposal>> {
    let decision =
        Decision { verdict: Verdict::Cancel, change_hash: None, reason: Some(extract::reason(&input.reason)?) };
    decide(&app, &session, id, decision, key).await
}

/// What a person decided; without a hash, about the change on record.
struct Decision {
    verdict: Verdict,
    change_hash: Option<String>,
    reason: Option<String>,
}

/// Sends a decision and waits until it is on record. What is known to be refused is refused before anything is sent.
async fn decide(
    app: &App,
    session: &Session,
    id: ProposalId,
    decision: Decision,
    Key(key): Key,
) -> Result<axum::Json<Proposal>> {
    let Decision { verdict, change_hash, reason } = decision;
    let mut tx = session.begin(app).await?;
    let row = rows::fetch(&mut tx, id).await?;
    let viewer = Viewer::of(app, &mut tx, session).await?;
    drop(tx);
    // Pressed again because no answer came: it is on record.
    if row.answer.as_ref().is_some_and(|answer| answer.by == session.user && answer.verdict == recorded(verdict)) {
        return Ok(axum::Json(proposal::read(app, session, id).await?));
    }
    if let Some(code) = refused(&row, &viewer, verdict, change_hash.as_deref()) {
        return Err(Error::refused(code));
    }
    let decide = DecideV1 {
        by: session.user,
        verdict,
        change_hash: change_hash.unwrap_or(row.change_hash),
        reason,
        origin: session.origin,
    };
    let unharmed = match verdict {
        Verdict::Approve => "Nothing was approved and nothing was sent.",
        Verdict::Reject | Verdict::Cancel => "Nothing was decided and nothing was sent.",
    };
    let found = update::find::<WriteBack>(app, queues::write_back(session.org, id), unharmed).await?;
    match found.update(WriteBack::decide, decide, format!("{}-{key}", session.user)).await? {
        DecidedV1::Recorded { .. } => Ok(axum::Json(proposal::read(app, session, id).await?)),
        DecidedV1::Refused { code } => Err(Error::refused(code)),
    }
}

const fn recorded(verdict: Verdict) -> store::approval::Verdict {
    match verdict {
        Verdict::Approve => store::approval::Verdict::Approve,
        Verdict::Reject => store::approval::Verdict::Reject,
        Verdict::Cancel => store::approval::Verdict::Cancel,
    }
}

fn refused(row: &rows::Proposal, viewer: &Viewer, verdict: Verdict, seen: Option<&str>) -> Option<ErrorCode> {
    if seen.is_some_and(|seen| seen != row.change_hash) {
        return Some(ErrorCode::ApprovalStale);
    }
    match (verdict, row.state) {
        (Verdict::Approve, _) => viewer.obstacle(row),
        (Verdict::Reject, Progress::Proposed) | (Verdict::Cancel, Progress::Proposed | Progress::Approved) => None,
        (Verdict::Reject | Verdict::Cancel, _) => Some(ErrorCode::AlreadyDecided),
    }
}
