//! From where something was done.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ids::ApiKeyId;

/// Where a request came from, for the audit trail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The address of the network, as the proxies in front of us tell it.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// The API key, where a program asked in a person's name.
    #[serde(default)]
    pub key: Option<ApiKeyId>,
}
