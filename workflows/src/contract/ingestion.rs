//! One ingestion cycle of one organisation.

use chrono::{DateTime, Utc};
use domain::ErrorCode;
use domain::ids::{CycleId, IntentId, OrgId};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

/// Why a cycle runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleKind {
    /// The organisation's schedule fired.
    Scheduled,
    /// A report is expected before the next tick.
    FollowUp,
    /// A person asked.
    Manual,
    /// The first data of a new organisation.
    Onboarding,
}

/// Starts a cycle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IngestV1 {
    /// Whose.
    pub org: OrgId,
    /// Why.
    pub kind: CycleKind,
    /// The intent that asked for it; a schedule has none.
    #[serde(default)]
    pub intent: Option<IntentId>,
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestedV1 {
    /// The cycle's row.
    pub cycle: CycleId,
    /// Pulls whose rows are in the tables now.
    pub landed: u32,
    /// Days whose numbers changed.
    pub changed_days: u32,
    /// Proposals made.
    pub proposals: u32,
    /// Reports asked for.
    pub requested: u32,
}

/// Opens the cycle named by the workflow and fetches what is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HarvestV1 {
    /// Whose.
    pub org: OrgId,
    /// Why.
    pub kind: CycleKind,
    /// The workflow's id: it names the cycle's row, so that a second run is the same cycle.
    pub workflow_id: String,
}

/// What a harvest brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HarvestedV1 {
    /// The cycle's row.
    pub cycle: CycleId,
    /// The moment that the cycle takes as now.
    pub as_of: DateTime<Utc>,
    /// Pulls whose rows are staged, from this harvest or an earlier one.
    pub fetched: u32,
    /// Pulls still being made by the platform.
    pub open: u32,
    /// Pulls that failed.
    pub failed: u32,
    /// Whether the tables are to be tidied up at the end of this cycle.
    #[serde(default)]
    pub maintenance_due: bool,
}

/// Names a cycle and its moment: the input of the steps after the harvest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CycleStepV1 {
    /// Whose.
    pub org: OrgId,
    /// Which cycle.
    pub cycle: CycleId,
    /// The cycle's moment.
    pub as_of: DateTime<Utc>,
    /// What an earlier step failed with, when the cycle goes on without it: it is closed as failed.
    #[serde(default)]
    pub failure: Option<ErrorCode>,
}

/// What a commit changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommittedV1 {
    /// Pulls landed.
    pub landed: u32,
    /// Days whose numbers changed.
    pub changed_days: u32,
    /// Rows added to bronze, silver and gold.
    pub rows: [u64; 3],
}

/// What was asked of the platforms.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestedV1 {
    /// Reports asked for.
    pub requested: u32,
    /// Reports that are being made.
    pub open: u32,
}

/// What tidying up the tables came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MaintainedV1 {
    /// Tables that old snapshots were taken off.
    pub tables: u32,
    /// Files removed.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// Marks a cycle as failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AbandonV1 {
    /// Whose.
    pub org: OrgId,
    /// The workflow's id, by which the cycle is found if it was opened.
    pub workflow_id: String,
    /// Why.
    pub code: ErrorCode,
}

/// The steps of a cycle.
#[derive(Debug)]
pub struct IngestionCalls;

#[activity_definitions]
impl IngestionCalls {
    /// Opens the cycle, asks about every report that is due to be asked about, and stages those that are ready.
    #[activity(name = "ingestion.harvest.v1")]
    pub fn harvest(_: HarvestV1) -> Result<HarvestedV1, ActivityError> {
        unimplemented!()
    }

    /// Lands all staged pulls: bronze, silver, gold and the ledger in one transaction.
    #[activity(name = "ingestion.commit.v1")]
    pub fn commit(_: CycleStepV1) -> Result<CommittedV1, ActivityError> {
        unimplemented!()
    }

    /// Plans and requests the reports that are due, and closes the cycle.
    #[activity(name = "ingestion.request.v1")]
    pub fn request(_: CycleStepV1) -> Result<RequestedV1, ActivityError> {
        unimplemented!()
    }

    /// Frees the tables of old snapshots and of files that nothing reaches, once a day.
    #[activity(name = "ingestion.maintain.v1")]
    pub fn maintain(_: CycleStepV1) -> Result<MaintainedV1, ActivityError> {
        unimplemented!()
    }

    /// Closes a cycle that can't go on.
    #[activity(name = "ingestion.abandon.v1")]
    pub fn abandon(_: AbandonV1) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The declared activities, for `activities` to implement.
pub mod defs {
    pub use super::ingestion_calls::{Abandon, Commit, Harvest, Maintain, Request};
}
