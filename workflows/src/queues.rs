//! Task queues and workflow ids: the only place where either is named.

use domain::ids::{ConsentId, DecisionId, IntentId, OnboardingId, OrgId, ProposalId};

/// Onboarding, ingestion and rules.
pub const CYCLES: &str = "clp-cycles";

/// Write-backs alone, so that no amount of ingestion can delay a change or a pause.
pub const WRITE_BACKS: &str = "clp-write-backs";

/// The id of an organisation's schedule.
#[must_use]
pub fn schedule(org: OrgId) -> String {
    format!("{org}/ingest")
}

/// The prefix of the workflow ids that the organisation's schedule makes (the server adds the nominal time).
#[must_use]
pub fn scheduled_cycle(org: OrgId) -> String {
    format!("{org}/ingest/scheduled")
}

/// The id of a cycle that was asked for by an intent.
#[must_use]
pub fn intended_cycle(org: OrgId, intent: IntentId) -> String {
    format!("{org}/ingest/{intent}")
}

/// The id of an onboarding.
#[must_use]
pub fn onboarding(org: OrgId, onboarding: OnboardingId) -> String {
    format!("{org}/onboard/{onboarding}")
}

/// The id of an evaluation that a person asked for.
#[must_use]
pub fn evaluation(org: OrgId, decision: DecisionId) -> String {
    format!("{org}/evaluate/{decision}")
}

/// The id of the workflow that gives a connection the authorisation that a consent brought.
#[must_use]
pub fn reconnection(org: OrgId, consent: ConsentId) -> String {
    format!("{org}/reconnect/{consent}")
}

/// The id of a proposal's write-back.
#[must_use]
pub fn write_back(org: OrgId, proposal: ProposalId) -> String {
    format!("{org}/write-back/{proposal}")
}
