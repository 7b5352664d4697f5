//! The sandbox as its callers meet it: one test binary, one module per subject.

#![expect(clippy::unwrap_used, reason = "clippy's own exception for tests does not reach their helpers")]

mod command;
mod dv360;
mod faults;
mod oauth;
mod report_file;
mod reports;
mod restart;
mod support;
mod world;
