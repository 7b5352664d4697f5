//! The harness: real PostgreSQL, real Temporal, the sandbox, and the platform's own binaries, one set per test.

pub mod chaos;
pub mod client;
pub mod faults;
pub mod histories;
pub mod journey;
pub mod own_report;
pub mod process;
pub mod sandbox_admin;
pub mod servers;
pub mod stack;
pub mod truth;
pub mod wait;

pub use process::Process;
