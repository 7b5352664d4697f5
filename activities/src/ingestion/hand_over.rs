//! What landed pulls mean for an onboarding: the first slice makes the dashboard ready, the last of the history ends it.
//!
//! Told in the transaction that lands them, so that no page says "ready" before the data is there. A first slice that was
//! given up is asked for again after a while, and meanwhile the dashboard opens with whatever has landed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::ConnectionId;
use domain::pull::Kind;
use store::Tx;
use store::onboarding::{Onboarding, State, Step, StepKey, StepState};
use store::pull::{Plan, Progress};

/// How long a first slice rests that was given up. What stopped it twelve times may have been mended by then.
const REST: TimeDelta = TimeDelta::hours(1);

/// Moves the organisation's open onboarding on, as far as its pulls allow.
pub(super) async fn advance(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), store::Error> {
    let Some(onboarding) = store::onboarding::latest(tx).await? else { return Ok(()) };
    let Some(connection) = onboarding.connection else { return Ok(()) };
    if !matches!(onboarding.state, State::FirstSlice | State::Ready) {
        return Ok(());
    }
    plan_again(tx, &onboarding, connection, now).await?;
    let progress = store::pull::progress(tx, connection).await?;
    let steps = [(StepKey::FirstSlice, Kind::FirstSlice), (StepKey::Backfill, Kind::Backfill)];
    for (key, kind) in steps {
        let step = told(onboarding.steps.get(&key), of(&progress, kind), now);
        store::onboarding::set_step(tx, onboarding.id, key, &step).await?;
    }
    let (first, history) = (of(&progress, Kind::FirstSlice), of(&progress, Kind::Backfill));
    let opens = match first.failed {
        0 => first.landed > 0 && is_closed(first),
        _ => store::watermark::any(tx, connection).await?,
    };
    if onboarding.state == State::FirstSlice && opens {
        store::onboarding::advance(tx, onboarding.id, State::Ready, now).await?;
        store::onboarding::set_problem(tx, onboarding.id, None, None).await?;
    }
    if first.landed > 0 && is_closed(first) && is_closed(history) {
        store::onboarding::close(tx, onboarding.id, State::Done, None, now).await?;
    }
    Ok(())
}

/// Plans a first slice anew that was given up, and says why as long as there is nothing to show.
async fn plan_again(
    tx: &mut Tx,
    onboarding: &Onboarding,
    connection: ConnectionId,
    now: DateTime<Utc>,
) -> Result<(), store::Error> {
    let failed = store::pull::list_failed(tx, connection, Kind::FirstSlice).await?;
    let accounts = store::account::list_readable(tx, connection).await?;
    let accounts: Vec<String> = accounts.into_iter().map(|account| account.platform_id).collect();
    for pull in failed {
        if onboarding.state == State::FirstSlice {
            store::onboarding::set_problem(tx, onboarding.id, pull.error_code, pull.error_detail.as_deref()).await?;
        }
        if !accounts.is_empty() {
            let (report, kind, days) = (pull.report, pull.kind, pull.days);
            let (accounts, not_before) = (accounts.clone(), Some(now + REST));
            store::pull::plan(tx, &Plan { connection, report, kind, days, accounts, not_before }, now).await?;
        }
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
