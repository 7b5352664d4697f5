//! The onboarding of one organisation.

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{AccountId, ConnectionId, ConsentId, OnboardingId, OrgId, UserId};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

/// Names an onboarding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OnboardV1 {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub onboarding: OnboardingId,
}

/// How an onboarding ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnboardedV1 {
    /// The connection made.
    pub connection: ConnectionId,
    /// Advertisers chosen.
    pub accounts: u32,
    /// Reports planned: the first slice and the history behind it.
    pub pulls: u32,
}

/// A person came back from the platform's consent page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentAnsweredV1 {
    /// The consent's row; it holds the sealed code.
    pub consent: ConsentId,
    /// The connection that it is for.
    pub connection: ConnectionId,
}

/// The advertisers that a person chose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChooseAccountsV1 {
    /// Who chose.
    pub by: UserId,
    /// What they chose; at least one.
    pub accounts: Vec<AccountId>,
}

/// Where an onboarding stands: the answer to its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressV1 {
    /// Waits for a person to connect a platform.
    Connecting,
    /// Checks the access and lists the advertisers.
    Verifying,
    /// Waits for a person to choose.
    ChoosingAccounts,
    /// Makes tables, rules, pulls and the schedule.
    Provisioning,
    /// The first reports are under way; the rest is ingestion's.
    HandedOver,
    /// It ended early and what it had made is undone.
    Undone,
}

/// A step for one connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectV1 {
    /// Whose.
    pub org: OrgId,
    /// Which onboarding.
    pub onboarding: OnboardingId,
    /// The consent to be exchanged.
    pub consent: ConsentId,
    /// The connection.
    pub connection: ConnectionId,
}

/// What a step that a person may have to mend came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum StepV1 {
    /// It is done; `count` says how many things it found or made.
    Done {
        /// How many.
        count: u32,
    },
    /// A person has to do something; the onboarding's row says what.
    NeedsPerson {
        /// Why.
        code: ErrorCode,
    },
}

/// Selects accounts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SelectV1 {
    /// Whose.
    pub org: OrgId,
    /// Which onboarding.
    pub onboarding: OnboardingId,
    /// The connection that they belong to.
    pub connection: ConnectionId,
    /// The choice.
    pub choice: ChooseAccountsV1,
}

/// A step after the choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProvisionV1 {
    /// Whose.
    pub org: OrgId,
    /// Which onboarding.
    pub onboarding: OnboardingId,
    /// The connection.
    pub connection: ConnectionId,
}

/// Undoes an onboarding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UndoV1 {
    /// Whose.
    pub org: OrgId,
    /// Which onboarding.
    pub onboarding: OnboardingId,
    /// The connection, once there was one.
    pub connection: Option<ConnectionId>,
    /// Why: an error, or a person who cancelled.
    pub code: Option<ErrorCode>,
}

/// What was planned, and the moment at which.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProvisionedV1 {
    /// Reports planned.
    pub pulls: u32,
    /// When.
    pub as_of: DateTime<Utc>,
}

/// The steps of an onboarding.
#[derive(Debug)]
pub struct OnboardingCalls;

#[activity_definitions]
impl OnboardingCalls {
    /// Exchanges the consent's code for credentials and keeps them sealed.
    #[activity(name = "onboarding.exchange.v1")]
    pub fn exchange(_: ConnectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Checks what the authorised user may do.
    #[activity(name = "onboarding.verify.v1")]
    pub fn verify(_: ConnectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Lists the advertisers.
    #[activity(name = "onboarding.discover.v1")]
    pub fn discover(_: ConnectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Records the choice; a choice that names a foreign or missing advertiser needs the person again.
    #[activity(name = "onboarding.select.v1")]
    pub fn select(_: SelectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Makes tables, report definitions and the default rule, and plans the first slice and the history.
    #[activity(name = "onboarding.provision.v1")]
    pub fn provision(_: ProvisionV1) -> Result<ProvisionedV1, ActivityError> {
        unimplemented!()
    }

    /// Creates the organisation's schedule and asks for the first cycle.
    #[activity(name = "onboarding.schedule.v1")]
    pub fn schedule(_: ProvisionV1) -> Result<(), ActivityError> {
        unimplemented!()
    }

    /// Undoes everything that the onboarding made: schedule, open pulls, authorisation.
    #[activity(name = "onboarding.undo.v1")]
    pub fn undo(_: UndoV1) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The declared activities, for `activities` to implement.
pub mod defs {
    pub use super::onboarding_calls::{Discover, Exchange, Provision, Schedule, Select, Undo, Verify};
}
