//! The connection of one organisation, once it is in use.

use domain::ErrorCode;
use domain::ids::{ConnectionId, ConsentId, OrgId};
use serde::{Deserialize, Serialize};
use temporalio_common::ActivityError;
use temporalio_macros::activity_definitions;

use crate::contract::onboarding::StepV1;

/// Names a consent with which a connection's authorisation is renewed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReconnectV1 {
    /// Whose.
    pub org: OrgId,
    /// The connection.
    pub connection: ConnectionId,
    /// The consent's row; it holds the sealed code.
    pub consent: ConsentId,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconnectedV1 {
    /// Why the connection was left as it was; nothing when it has the new authorisation.
    pub refused: Option<ErrorCode>,
    /// Reports planned for what was missed.
    pub pulls: u32,
}

/// Gives a consent up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GiveUpReconnectV1 {
    /// Whose.
    pub org: OrgId,
    /// The consent.
    pub consent: ConsentId,
    /// Why.
    pub code: ErrorCode,
}

/// The steps of a reconnection. What a person has to mend is told on the consent's row.
#[derive(Debug)]
pub struct ConnectionCalls;

#[activity_definitions]
impl ConnectionCalls {
    /// Exchanges the consent's code for credentials and keeps them sealed, beside those in force.
    #[activity(name = "connection.exchange.v1")]
    pub fn exchange(_: ReconnectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Checks that they reach the same advertisers, puts them in force, and plans what was missed; `count` reports.
    #[activity(name = "connection.adopt.v1")]
    pub fn adopt(_: ReconnectV1) -> Result<StepV1, ActivityError> {
        unimplemented!()
    }

    /// Forgets what the consent brought; the connection stays as it was.
    #[activity(name = "connection.give_up.v1")]
    pub fn give_up(_: GiveUpReconnectV1) -> Result<(), ActivityError> {
        unimplemented!()
    }
}

/// The declared activities, for `activities` to implement.
pub mod defs {
    pub use super::connection_calls::{Adopt, Exchange, GiveUp};
}
