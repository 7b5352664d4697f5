//! Starts what was recorded and not started: what a crash, or an engine that was away, left behind.

use std::time::Duration;

use futures::StreamExt as _;
use store::intent;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::problem::{Result, chain};
use crate::{starter, telemetry};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How many intents one look takes on.
const MOST_AT_ONCE: u32 = 200;
/// How many starts are under way at a time.
const SIDE_BY_SIDE: usize = 8;

/// Looks every second until told to stop; what is under way then is finished.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut upkeep = tokio::time::interval(telemetry::UPKEEP);
    let mut trouble = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = upkeep.tick() => {
                telemetry::upkeep();
                app.limits.upkeep();
            }
            _ = ticks.tick() => trouble = tell(sweep(&app).await, trouble),
        }
    }
}

/// Logs the first of a row of failed looks, and the end of the row.
fn tell(swept: Result<usize>, trouble: bool) -> bool {
    match swept {
        Err(error) if !trouble => {
            let error = chain(&error);
            tracing::warn!(%error, "intents can't be looked for: {error}");
            true
        }
        Ok(_) if trouble => {
            tracing::info!("intents can be looked for again");
            false
        }
        _ => trouble,
    }
}

/// Starts what is due, and says how much of it was started.
///
/// # Errors
/// When the store can't be asked. An intent that can't be started is logged and stays due.
pub async fn sweep(app: &App) -> Result<usize> {
    let due = intent::due(&app.store, app.now(), MOST_AT_ONCE).await?;
    metrics::gauge!("clp_intents_due").set(f64::from(u32::try_from(due.len()).unwrap_or(u32::MAX)));
    let starts = futures::stream::iter(due).map(|intent| async move {
        let started = starter::start(app, intent).await;
        let outcome = if started.is_ok() { "started" } else { "left" };
        metrics::counter!("clp_sweeper_intents_total", "outcome" => outcome).increment(1);
        if let Err(error) = &started {
            let (id, error) = (intent.id, chain(error));
            tracing::warn!(intent.id = %id, %error, "intent {id} could not be started: {error}");
        }
        started.is_ok()
    });
    Ok(starts.buffer_unordered(SIDE_BY_SIDE).filter(|started| std::future::ready(*started)).count().await)
}
