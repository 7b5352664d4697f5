//! Nouns and laws of the platform: identifiers, money, days, flights, pacing, rules and the states of a write-back.
//!
//! Nothing here does I/O, waits, or reads a clock: a moment always comes in as an argument. Every other crate may use
//! this one; it uses none of them.

pub mod clock;
pub mod coverage;
pub mod day;
pub mod entity;
pub mod error_code;
pub mod finality;
pub mod flight;
pub mod guardrail;
pub mod ids;
pub mod lake;
pub mod money;
pub mod origin;
pub mod pacing;
pub mod permission;
pub mod platform;
pub mod pull;
pub mod report;
pub mod rule;
pub mod schedule;
pub mod write_back;

pub use clock::Clock;
pub use day::{DayRange, TimeZone};
pub use entity::{EntityKey, EntityStatus, Level};
pub use error_code::ErrorCode;
pub use finality::Finality;
pub use flight::Flight;
pub use money::{Currency, Money};
pub use origin::Origin;
pub use permission::{Permission, Role};
pub use platform::Platform;
