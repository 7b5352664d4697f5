//! The integration tests: one binary; each test has its own database, Temporal server, sandbox, worker and api.
//!
//! Run through `bin/test`, which builds the programs and names them in the environment.

mod allowance;
mod budget;
mod codec;
mod detector;
mod faults;
mod histories;
mod journey;
mod kills;
mod limits;
mod onboardings;
mod pyiceberg;
mod recovery;
mod report;
mod rotation;
mod schedule;
mod secrets;
mod tenants;
