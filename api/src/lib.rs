//! The HTTP API of the platform: sessions, reads from the store and the lake, intents and updates to workflows.
//!
//! It never calls an ad platform and never writes to the lake. What is to be done is recorded as an intent, in the
//! transaction of what it belongs to, and started as a workflow; what a person decides is an update of the workflow that
//! waits for it.

pub mod allowance;
pub mod app;
pub mod auth;
pub mod authorise;
pub mod delivery;
pub mod detector;
pub mod engine;
pub mod extract;
pub mod freshness;
pub mod health;
pub mod idempotency;
pub mod limit;
pub mod mail;
pub mod middleware;
mod oidc;
pub mod openapi;
pub mod outbound;
pub mod paging;
pub mod password;
pub mod problem;
mod router;
pub mod shared;
pub mod spend_cache;
pub mod starter;
pub mod static_files;
pub mod sweeper;
pub mod telemetry;
pub mod throttle;
pub mod token;
pub mod update;
pub mod v1;
pub mod wire;

pub use app::{App, Parts};
pub use router::{document, router};
