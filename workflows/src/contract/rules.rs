//! Evaluation of an organisation's rules.

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{CycleId, DecisionId, OrgId};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

/// What asked for an evaluation; its row names the decision, so that a repeated evaluation is the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseV1 {
    /// A cycle that changed numbers.
    Cycle(CycleId),
    /// A person; the decision's row was made with the request.
    Person(DecisionId),
}

/// Evaluates the rules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvaluateV1 {
    /// Whose.
    pub org: OrgId,
    /// What asked.
    pub cause: CauseV1,
    /// The moment of a cycle; a person's evaluation takes the moment at which it runs.
    pub as_of: Option<DateTime<Utc>>,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatedV1 {
    /// The decision's row.
    pub decision: DecisionId,
    /// Lines judged.
    pub judged: u32,
    /// Proposals made.
    pub proposals: u32,
}

/// Marks a person's evaluation as failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GiveUpV1 {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub decision: DecisionId,
    /// Why.
    pub code: ErrorCode,
}

/// The steps of an evaluation.
#[derive(Debug)]
pub struct RuleCalls;

#[activity_definitions]
impl RuleCalls {
    /// Judges every line by every rule, records the decision with the pulls it used, and makes proposals.
    #[activity(name = "rules.evaluate.v1")]
    pub fn evaluate(_: EvaluateV1) -> Result<EvaluatedV1, ActivityError> {
        unimplemented!()
    }

    /// Closes an evaluation that can't go on.
    #[activity(name = "rules.give_up.v1")]
    pub fn give_up(_: GiveUpV1) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The declared activities, for `activities` to implement.
pub mod defs {
    pub use super::rule_calls::{Evaluate, GiveUp};
}
