//! The advertising platforms, behind one trait.
//!
//! [`AdPlatform`] is what the rest of the product knows of a platform: accounts, entities, reports as streams, one live
//! setting and one absolute change. Each platform is a module; [`platform`] picks one.
//!
//! What this crate deliberately does not do:
//! - **It does not wait or retry.** Every call is tried once; the engine above repeats a failed activity with its own
//!   timers, which survive a kill and cost no worker slot. The single exception is one forced token refresh after a 401,
//!   because that is part of making *one* call.
//! - **It does not count quotas.** It asks a [`Quota`] for a [`Permit`] before each call and tells it what it learnt.
//! - **It does not keep secrets.** A [`TokenKeeper`] loads and saves them; nothing here prints or logs one.
//! - **It does not know which environment it talks to.** It has the base URLs in [`Endpoints`] and nothing else.

mod access;
mod ad_platform;
pub mod dv360;
mod endpoints;
mod error;
mod http;
mod quota;

use std::sync::Arc;

use domain::{Clock, Platform};

pub use access::{Access, Credentials, KeeperError, TokenKeeper};
pub use ad_platform::{
    AccountRef, AdPlatform, Applied, Download, Live, Parent, PlatformAccount, ReportSpec, ReportState, Setting, Ticket,
    Verified,
};
pub use endpoints::{Endpoints, Timeouts};
pub use error::{Error, Result, Source, Violation};
pub use quota::{Call, Family, Permit, Quota, Refusal, Scope};

/// The connector of a platform, in the environment that the endpoints name.
///
/// # Errors
/// [`Error::Setup`] when no HTTPS client can be made on this machine.
pub fn platform(
    platform: Platform,
    endpoints: Endpoints,
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn AdPlatform>> {
    match platform {
        Platform::Dv360 => Ok(Arc::new(dv360::Dv360::new(endpoints, timeouts, clock)?)),
    }
}
