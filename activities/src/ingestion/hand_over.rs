//! What landed pulls mean for an onboarding: the first slice makes the dashboard ready, the last of the history ends it.
//!
//! Told in the transaction that lands them, so that no page says "ready" before the data is there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::pull::Kind;
use store::Tx;
use store::onboarding::{State, Step, StepKey, StepState};
use store::pull::Progress;

/// Moves the organisation's open onboarding on, as far as its pulls allow.
pub(super) async fn advance(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), store::Error> {
    let Some(onboarding) = store::onboarding::latest(tx).await? else { return Ok(()) };
    let Some(connection) = onboarding.connection else { return Ok(()) };
    if !matches!(onboarding.state, State::FirstSlice | State::Ready) {
        return Ok(());
    }
    let progress = store::pull::progress(tx, connection).await?;
    let steps = [(StepKey::FirstSlice, Kind::FirstSlice), (StepKey::Backfill, Kind::Backfill)];
    for (key, kind) in steps {
        let step = told(onboarding.steps.get(&key), of(&progress, kind), now);
        store::onboarding::set_step(tx, onboarding.id, key, &step).await?;
    }
    let (first, history) = (of(&progress, Kind::FirstSlice), of(&progress, Kind::Backfill));
    if onboarding.state == State::FirstSlice && first.landed > 0 && is_closed(first) {
        store::onboarding::advance(tx, onboarding.id, State::Ready, now).await?;
    }
    if first.landed > 0 && is_closed(first) && is_closed(history) {
        store::onboarding::close(tx, onboarding.id, State::Done, None, now).await?;
    }
    Ok(())
}

fn of(progress: &BTreeMap<Kind, Progress>, kind: Kind) -> Progress {
    progress.get(&kind).copied().unwrap_or_default()
}

const fn is_closed(progress: Progress) -> bool {
    progress.landed + progress.failed == progress.total
}

fn told(before: Option<&Step>, progress: Progress, now: DateTime<Utc>) -> Step {
    let closed = is_closed(progress);
    let finished_at = before.and_then(|step| step.finished_at).or(closed.then_some(now));
    let detail = (progress.failed > 0).then(|| format!("{} reports could not be read", progress.failed));
    Step {
        state: if closed { StepState::Done } else { StepState::Running },
        started_at: before.and_then(|step| step.started_at).or(Some(now)),
        finished_at,
        detail,
        done: Some(progress.landed),
        total: Some(progress.total),
    }
}
