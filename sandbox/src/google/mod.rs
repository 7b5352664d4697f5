//! What all Google APIs share: errors, accounts and tokens, the consent page, quotas.

pub mod accounts;
pub mod caller;
pub mod consent;
pub mod error;
pub mod oauth;
pub mod quota;

pub use caller::Caller;
pub use error::{ApiError, Violation};
