//! The lakehouse: reports as Iceberg tables, from the platform's text to sums per line.
//!
//! ```text
//! report's stream ──stage_pull──▶ data files that no table names yet
//!                                        │ prepare (all pulls of a cycle together)
//!                                        ▼
//!          bronze_<report>  ──▶  silver_delivery  ──▶  gold_line_day          PreparedSwaps ──▶ store: one transaction
//!          text, append only     unified rows,         sums per line and day  with the ledger
//!                                by (connection, day)
//! ```
//!
//! - **Staging** checks every row and sums them up; one bad row refuses the report, and nothing is left of it.
//! - **Preparing** writes new versions of all tables, whole (connection, day) partitions of silver and gold at a time, and
//!   checks between the layers that rows in are rows out, and money too. Nothing is committed here: the caller moves the
//!   pointers in its own transaction, then calls [`Lake::finish`]; or, on a conflict, [`Lake::discard`] and prepares again.
//!   While the outcome of its transaction is unknown it calls neither: the files may be in use.
//! - **Content hashes** of a slice are the wrapping sum of a 128-bit hash (SipHash-1-3, fixed key) of each row's cells, and
//!   the count of rows: equal for the same rows in any order, without sorting or keeping them. A sum rather than an xor,
//!   so that two equal rows don't cancel out. It is not meant to resist forgery.
//! - **Numbers** are exact: decimals of 28 digits, 9 of them after the point, and integers. There is no float.
//!
//! What is deliberately absent: PostgreSQL (pointers come in through [`Pointers`]), deciding which pull is the newest
//! for a day (the caller's watermarks), retries, exchange rates, and Iceberg catalogs: tables are addressed by pointer.

mod ahead;
mod bronze;
mod columns;
mod error;
mod garbage;
mod gold;
mod inbound;
mod lake;
mod manifests;
mod mapping;
mod number;
mod partition_writer;
mod place;
mod pointers;
mod prepare;
mod pull;
mod query;
mod rows;
mod silver;
mod stage;
mod storage;
mod tables;
mod tally;
mod totals;
mod version;

pub use error::{BoxedError, Error, Rejection, Result, StageError};
pub use garbage::{Collected, GarbageRules, Retention};
pub use lake::Lake;
pub use pointers::Pointers;
pub use prepare::Prepared;
pub use pull::{Landing, PullScope, StagedPull, StagedSlice, TotalCheck, TotalOutcome};
pub use query::{CampaignDay, LineDay, LineDayFilter, LineSpan, LineSpend, Spans};
pub use tables::gold;
pub use version::TableStats;
