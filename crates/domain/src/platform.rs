//! The advertising platforms that the product speaks to.

use serde::{Deserialize, Serialize};

/// A demand-side platform.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Platform {
    /// Google's Display & Video 360.
    Dv360,
}

impl Platform {
    /// The name that people know it by.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Dv360 => "Display & Video 360",
        }
    }
}
