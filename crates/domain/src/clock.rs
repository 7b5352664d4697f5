//! Where "now" comes from.
//!
//! Activities and the API ask a [`Clock`]; workflows are told an `as_of`. So the same code runs over thirty simulated
//! days as over thirty real ones. Implementations that read the machine live in `runtime`.

use std::fmt;

use chrono::{DateTime, Utc};

/// The one source of the present moment.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that stands still, for tests of arithmetic.
#[derive(Debug, Clone, Copy)]
pub struct StoppedClock(pub DateTime<Utc>);

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}
