//! Buckets in this process's memory: all that one replica needs, and what is left when Redis can't be reached.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use runtime::settings::{Limits, Rate};

use crate::limit::{Bucket, Key, Kind};

type Limiter = RateLimiter<Key, DashMapStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// The buckets of each kind.
#[derive(Debug)]
pub(crate) struct Memory {
    address: Limiter,
    user: Limiter,
    api_key: Limiter,
    organisation: Limiter,
}

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limiter = |rate: Rate| RateLimiter::dashmap(quota(rate)).with_middleware();
        Self {
            address: limiter(limits.address),
            user: limiter(limits.user),
            api_key: limiter(limits.api_key),
            organisation: limiter(limits.organisation),
        }
    }

    /// Asks the buckets one after the other, until one refuses.
    pub(crate) fn ask(&self, asked: &[(Key, Rate)]) -> Vec<Bucket> {
        let mut buckets = Vec::with_capacity(asked.len());
        for (key, rate) in asked {
            let limiter = self.limiter(key.kind());
            let (left, wait) = match limiter.check_key(key) {
                Ok(state) => (state.remaining_burst_capacity(), Duration::ZERO),
                Err(not_until) => (0, not_until.wait_time_from(limiter.clock().now()).max(Duration::from_millis(1))),
            };
            buckets.push(Bucket { kind: key.kind(), rate: *rate, left, wait });
            if !wait.is_zero() {
                break;
            }
        }
        buckets
    }

    /// Forgets the buckets that are full again, which are as good as new ones.
    pub(crate) fn forget_idle(&self) {
        for limiter in [&self.address, &self.user, &self.api_key, &self.organisation] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn limiter(&self, kind: Kind) -> &Limiter {
        match kind {
            Kind::Address => &self.address,
            Kind::User => &self.user,
            Kind::ApiKey => &self.api_key,
            Kind::Organisation => &self.organisation,
        }
    }
}

fn quota(rate: Rate) -> Quota {
    Quota::per_minute(NonZeroU32::new(rate.per_minute).unwrap_or(NonZeroU32::MIN))
}
