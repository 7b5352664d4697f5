//! Waiting for conditions, never for time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Asks until the answer is `Some`, or fails after `limit` with what was waited for and the last error.
///
/// # Errors
/// When the limit is reached.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut ask: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let last = match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() > deadline {
            bail!("waited {limit:?} for {what}{}", last.map(|error| format!("; last: {error:#}")).unwrap_or_default());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// As [`until`], for a value that is to satisfy a condition; the failure shows the last value.
///
/// # Errors
/// When the limit is reached.
pub async fn until_is<T, F, Fut>(what: &str, limit: Duration, mut ask: F, is: impl Fn(&T) -> bool) -> Result<T>
where
    T: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let seen = ask().await;
        if let Ok(value) = seen {
            if is(&value) {
                return Ok(value);
            }
            if Instant::now() > deadline {
                bail!("waited {limit:?} for {what}; last seen: {value:#?}");
            }
        } else if Instant::now() > deadline {
            bail!("waited {limit:?} for {what}; last: {:#}", seen.err().unwrap_or_else(|| anyhow::anyhow!("nothing")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
