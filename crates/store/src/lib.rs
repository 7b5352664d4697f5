//! The control plane in PostgreSQL: organisations, connections, pulls, the ledger, rules, proposals, audit.
//!
//! This is the only crate that speaks SQL to it: one file per noun, rows private. Every function works within a [`Tx`],
//! which belongs to one organisation: row-level security shows it nothing of any other. The few questions that are asked
//! before an organisation is known (sign-in, a session, a consent's callback, what is due) take the [`Store`] itself and
//! go through functions of the database that return ids and little else.
//!
//! It decides nothing: moments come in as arguments, laws come from `domain`. It calls nobody and never waits for more
//! than a row lock.

pub mod account;
pub mod agreement;
pub mod allowance;
pub mod api_key;
pub mod approval;
pub mod attempt;
pub mod audit;
pub mod audit_chain;
pub mod commit;
pub mod connection;
pub mod consent;
mod convert;
pub mod cycle;
pub mod data_key;
pub mod decision;
pub mod deployment_key;
pub mod entity;
mod error;
pub mod idempotency;
pub mod intent;
pub mod invitation;
pub mod maintenance;
pub mod member;
pub mod onboarding;
pub mod organisation;
mod page;
pub mod pointer;
pub mod proposal;
pub mod pull;
pub mod quota;
pub mod report;
pub mod role;
pub mod rule;
pub mod sealed;
pub mod second_factor;
pub mod session;
mod sqlstate;
pub mod sso;
mod store;
mod token;
pub mod user;
pub mod watermark;

pub use error::{Error, Result};
pub use page::{PAGE_MOST, Page, Paged, Position};
pub use store::{Store, Tx, migrate};
