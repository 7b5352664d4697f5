//! Buckets in Redis, which several replicas share. Asking them is one script: there is no moment between looking and
//! counting, and the clock is Redis's own.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use runtime::settings::Rate;

use crate::limit::{Bucket, Key};
use crate::problem::chain;

/// An answer that takes longer is not waited for: a request has better things to do.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long Redis is left alone after it did not answer.
const REST: Duration = Duration::from_secs(1);
const PREFIX: &str = "clp:limit";
const MICROS_PER_MINUTE: u64 = 60_000_000;

/// The buckets that replicas share.
pub(crate) struct Redis {
    connection: ConnectionManager,
    script: Script,
    up: AtomicBool,
    resting_until: Mutex<Option<Instant>>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("up", &self.up).finish_non_exhaustive()
    }
}

impl Redis {
    /// Knows where Redis is; it is reached when it is first needed.
    pub(crate) fn new(url: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = Client::open(url)?.get_connection_manager_lazy(config)?;
        let script = Script::new(include_str!("gcra.lua"));
        metrics::gauge!("clp_limits_redis_up").set(1.0);
        Ok(Self { connection, script, up: AtomicBool::new(true), resting_until: Mutex::new(None) })
    }

    /// Asks the buckets; `None` when Redis does not answer.
    pub(crate) async fn ask(&self, asked: &[(Key, Rate)]) -> Option<Vec<Bucket>> {
        if self.rests() {
            return None;
        }
        match self.run(asked).await {
            Ok(answer) => {
                self.tell_up();
                Some(buckets(asked, &answer))
            }
            Err(error) => {
                self.tell_down(&error);
                None
            }
        }
    }

    /// Whether it is left alone. Whoever comes first after the rest tries; the others go on from memory until it is known.
    fn rests(&self) -> bool {
        let mut until = self.resting_until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some_and(|until| Instant::now() < until) {
            return true;
        }
        *until = if self.up.load(Ordering::Relaxed) { None } else { Some(Instant::now() + REST) };
        false
    }

    async fn run(&self, asked: &[(Key, Rate)]) -> Result<Vec<u64>, RedisError> {
        let mut call = self.script.prepare_invoke();
        for (key, rate) in asked {
            let cost = cost(*rate);
            call.key(format!("{PREFIX}:{key}")).arg(cost).arg(cost * u64::from(rate.per_minute));
        }
        let mut connection = self.connection.clone();
        let answer = tokio::time::timeout(2 * PATIENCE, call.invoke_async(&mut connection));
        answer.await.unwrap_or_else(|_| Err((redis::ErrorKind::Io, "no answer in time").into()))
    }

    fn tell_up(&self) {
        if !self.up.swap(true, Ordering::Relaxed) {
            *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
            metrics::gauge!("clp_limits_redis_up").set(1.0);
            tracing::info!("Redis answers again: requests are limited across replicas");
        }
    }

    fn tell_down(&self, error: &RedisError) {
        *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        if self.up.swap(false, Ordering::Relaxed) {
            metrics::gauge!("clp_limits_redis_up").set(0.0);
            let error = chain(error);
            tracing::warn!(%error, "Redis does not answer: each replica limits requests by itself until it does: {error}");
        }
    }
}

/// What one request costs of a minute.
fn cost(rate: Rate) -> u64 {
    MICROS_PER_MINUTE / u64::from(rate.per_minute.max(1))
}

fn buckets(asked: &[(Key, Rate)], answer: &[u64]) -> Vec<Bucket> {
    let bucket = |((key, rate), told): (&(Key, Rate), &[u64])| {
        let (wait, ahead) = (told.first().copied().unwrap_or(0), told.get(1).copied().unwrap_or(0));
        let cost = cost(*rate).max(1);
        let left = (cost * u64::from(rate.per_minute)).saturating_sub(ahead) / cost;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        Bucket { kind: key.kind(), rate: *rate, left, wait: Duration::from_micros(wait) }
    };
    asked.iter().zip(answer.chunks(2)).map(bucket).collect()
}
