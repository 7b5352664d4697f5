//! What happens, in what order. No clock, no network, no database: workflows decide from what activities returned.
//!
//! Activities are declared here (`contract/`) and implemented in `activities`. One workflow per file, each in the same
//! five parts: contract, state, run, handlers, steps.

#![expect(missing_docs, missing_debug_implementations, reason = "the macros' own items can't have either")]
#![expect(clippy::must_use_candidate, reason = "the macros call these functions")]
#![expect(clippy::missing_errors_doc, reason = "an activity's errors are told in its contract, not per function")]

pub mod contract;
pub mod evaluate_rules;
pub mod ingest_organization;
pub mod onboard_organization;
pub mod options;
pub mod queues;
pub mod reconnect_connection;
pub mod write_back;

pub use evaluate_rules::EvaluateRules;
pub use ingest_organization::IngestOrganization;
pub use onboard_organization::OnboardOrganization;
pub use reconnect_connection::ReconnectConnection;
pub use write_back::WriteBack;
