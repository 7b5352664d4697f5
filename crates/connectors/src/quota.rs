//! Leave to make a call: who owns a quota decides, and this crate can't call a platform without.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// Calls that draw on the same quota of a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Asking for reports and asking about them: Bid Manager's calls per day.
    Reports,
    /// Reading accounts and entities.
    Entities,
    /// Changing something.
    Writes,
    /// Exchanging, refreshing and revoking tokens.
    Tokens,
}

impl Family {
    /// A stable word for metrics and log lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Entities => "entities",
            Self::Writes => "writes",
            Self::Tokens => "tokens",
        }
    }
}

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// The quota that it draws on.
    pub family: Family,
    /// The platform's id of the account that it concerns, when it concerns one: some quotas are per account.
    pub account: Option<String>,
}

/// Whom a refusal for want of quota concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every caller of the deployment.
    Project,
    /// The user whose token the call carried: a connection.
    User,
    /// The account that the call was about.
    Account,
}

/// What a refusal for want of quota said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Whom it concerns.
    pub scope: Scope,
    /// When to ask again.
    pub retry_after: Duration,
}

/// Leave to make one call. It can't be cloned, and making the call uses it up.
#[derive(Debug)]
#[must_use = "a permit that is not used is a call that is lost"]
pub struct Permit {
    call: Call,
}

impl Permit {
    /// Leave for this call. Only an implementation of [`Quota`] has reason to make one.
    pub fn grant(call: &Call) -> Self {
        Self { call: call.clone() }
    }

    /// The call that is allowed.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }
}

/// Owns the quotas: decides who may call now, and learns from refusals.
///
/// It answers at once and never sleeps, so that a worker slot is never held by waiting.
#[async_trait]
pub trait Quota: Send + Sync {
    /// Leave for a call.
    ///
    /// # Errors
    /// [`Error::RateLimited`](crate::Error::RateLimited) with the time after which to ask again, or
    /// [`Error::Storage`](crate::Error::Storage) when the counters can't be reached.
    async fn permit(&self, call: &Call) -> Result<Permit>;

    /// The platform refused such a call for want of quota: whom that concerns is not to call before the time given.
    async fn learned(&self, call: &Call, refusal: Refusal);
}
