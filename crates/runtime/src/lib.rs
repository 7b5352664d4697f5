//! What `api` and `worker` read from their machine: configuration, the clock, where the master key is, and logging.
//!
//! Deliberately not here: anything about campaigns, PostgreSQL, the lake or a platform's protocol.

pub mod clock;
pub mod master_keys;
pub mod settings;
pub mod telemetry;

pub use clock::{FileClock, SystemClock, clock_from};
pub use master_keys::MasterKeys;
pub use settings::{Environment, Settings};
