//! Tells the server that an activity is alive while it works.
//!
//! A worker that was killed stops beating, and within seconds the activity is given to another one. An activity that is
//! cancelled is dropped at its next await: everything here can be dropped at any line.

use std::time::Duration;

use futures::future::BoxFuture;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::time::Instant;

/// For an activity whose caller gave it no heartbeat timeout.
const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs `work` to its end, beating beside it; ends early with `cancelled` when the server asks for that.
pub(crate) async fn beating<T>(
    ctx: ActivityContext,
    work: BoxFuture<'_, Result<T, ActivityError>>,
) -> Result<T, ActivityError> {
    tokio::select! {
        done = finishing(ctx.clone(), work) => done,
        () = ctx.cancelled() => Err(ActivityError::cancelled()),
    }
}

/// As [`beating`], for work that must not be dropped halfway: cancelled, it goes on to its end, where it finds out by
/// itself that it is not wanted and takes back what it made.
pub(crate) async fn finishing<T>(
    ctx: ActivityContext,
    mut work: BoxFuture<'_, Result<T, ActivityError>>,
) -> Result<T, ActivityError> {
    // Each beat is an action that is paid for: work that is done before the first is due needs none.
    let interval = ctx.info().heartbeat_timeout.unwrap_or(USUAL_TIMEOUT) / 2;
    let mut tick = tokio::time::interval_at(Instant::now() + interval, interval);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = tick.tick() => ctx.record_heartbeat(()).await?,
        }
    }
}
