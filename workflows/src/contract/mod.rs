//! Payloads and activity declarations: what workflows, activities and the API say to each other, one file per noun.
//!
//! Payloads carry ids and counts, never report rows and never secrets. Fields are only ever added, with defaults; a
//! payload that changes its meaning gets a new version in its name.

pub mod connection;
pub mod ingestion;
pub mod onboarding;
pub mod rules;
pub mod write_back;
