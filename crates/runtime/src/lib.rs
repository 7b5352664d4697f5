//! What `api` and `worker` read from their machine: configuration, the clock, the key that seals secrets, and logging.
//!
//! Deliberately not here: anything about campaigns, PostgreSQL, the lake or a platform's protocol.

pub mod clock;
pub mod settings;
pub mod telemetry;
pub mod vault;

pub use clock::{FileClock, SystemClock, clock_from};
pub use settings::{Environment, Settings};
pub use vault::{Vault, places};
