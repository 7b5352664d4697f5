//! The store against a real PostgreSQL: one binary, a database of its own for each test.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it panics")]

mod accounts;
mod allowances;
mod audit_chain;
mod commits;
mod harness;
mod isolation;
mod paging;
mod people;
mod proposals;
mod pulls;
mod quotas;
mod sealed;
mod world;
