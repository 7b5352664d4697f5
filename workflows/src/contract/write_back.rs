//! One proposal on its way to the platform.

use domain::ids::{AttemptId, OrgId, ProposalId, UserId};
use domain::write_back::State;
use domain::{ErrorCode, Origin};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

/// Names a proposal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteBackV1 {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub proposal: ProposalId,
}

/// A proposal as the workflow needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedV1 {
    /// Its state.
    pub state: State,
    /// The hash that a decision must carry.
    pub change_hash: String,
    /// Seconds until it expires, 0 when it already has.
    pub expires_in_seconds: u64,
}

/// What a person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Do it.
    Approve,
    /// Don't.
    Reject,
    /// No longer wanted.
    Cancel,
}

/// A person's decision about exactly one change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecideV1 {
    /// Who.
    pub by: UserId,
    /// What.
    pub verdict: Verdict,
    /// The hash of the change that they saw.
    pub change_hash: String,
    /// Why, where a reason is asked for.
    #[serde(default)]
    pub reason: Option<String>,
    /// From where.
    #[serde(default)]
    pub origin: Origin,
}

/// A decision to be recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordV1 {
    /// Whose.
    pub org: OrgId,
    /// Which proposal.
    pub proposal: ProposalId,
    /// The decision.
    pub decision: DecideV1,
}

/// The answer to a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum DecidedV1 {
    /// It is on record; the proposal has this state now.
    Recorded {
        /// The state.
        state: State,
    },
    /// It was refused; nothing was recorded.
    Refused {
        /// Why.
        code: ErrorCode,
    },
}

/// Prepares an attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginV1 {
    /// Whose.
    pub org: OrgId,
    /// Which proposal.
    pub proposal: ProposalId,
    /// The first, second, … attempt.
    pub number: u32,
}

/// What preparing an attempt found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum BegunV1 {
    /// The platform has the value before, and the attempt is on record.
    Ready {
        /// The attempt's row: the key of the effect.
        attempt: AttemptId,
    },
    /// Nothing is to be sent: the proposal is closed with this state.
    Closed {
        /// The state.
        state: State,
    },
}

/// Names an attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptV1 {
    /// Whose.
    pub org: OrgId,
    /// Which proposal.
    pub proposal: ProposalId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// Whether this is the last look: a value still unchanged then counts as proof that the change is absent.
    #[serde(default)]
    pub last_look: bool,
}

/// What sending a change led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum SentV1 {
    /// The platform said that it was done.
    Done,
    /// The answer is not known: look after some seconds, and once more when the request can't take effect any more.
    Unknown {
        /// Until the first look.
        settle_seconds: u64,
        /// How long the request may still take effect; only a look after that proves it absent.
        #[serde(default)]
        deadline_seconds: u64,
    },
    /// The platform refused; the proposal is closed.
    Refused,
}

/// What a look at the platform showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenV1 {
    /// The value after: the proposal is verified and closed.
    After,
    /// The value before.
    Before,
    /// Another value: the proposal is closed as drifted.
    Other,
}

/// Closes a proposal that nothing further is done for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloseV1 {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub proposal: ProposalId,
    /// The state wanted: expired, cancelled or failed.
    pub state: State,
}

/// The steps of a write-back.
#[derive(Debug)]
pub struct WriteBackCalls;

#[activity_definitions]
impl WriteBackCalls {
    /// Reads the proposal.
    #[activity(name = "write_back.open.v1")]
    pub fn open(_: WriteBackV1) -> Result<OpenedV1, ActivityError> {
        unimplemented!()
    }

    /// Records a person's decision, with its audit line.
    #[activity(name = "write_back.record.v1")]
    pub fn record(_: RecordV1) -> Result<DecidedV1, ActivityError> {
        unimplemented!()
    }

    /// Checks guardrails and drift, and records the intent to send.
    #[activity(name = "write_back.begin.v1")]
    pub fn begin(_: BeginV1) -> Result<BegunV1, ActivityError> {
        unimplemented!()
    }

    /// Sends the change, once per attempt however often it is called.
    #[activity(name = "write_back.send.v1")]
    pub fn send(_: AttemptV1) -> Result<SentV1, ActivityError> {
        unimplemented!()
    }

    /// Reads the platform and closes what that settles.
    #[activity(name = "write_back.look.v1")]
    pub fn look(_: AttemptV1) -> Result<SeenV1, ActivityError> {
        unimplemented!()
    }

    /// Closes the proposal if its state allows; returns the state that it has then.
    #[activity(name = "write_back.close.v1")]
    pub fn close(_: CloseV1) -> Result<State, ActivityError> {
        unimplemented!()
    }
}

/// The declared activities, for `activities` to implement.
pub mod defs {
    pub use super::write_back_calls::{Begin, Close, Look, Open, Record, Send};
}
