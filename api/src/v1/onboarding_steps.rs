//! The steps of an onboarding as the wizard shows them: from the state, what was recorded, and the pulls under way.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::pull::Kind;
use store::onboarding::{Onboarding, State, Step, StepKey as Key, StepState as Recorded};
use store::pull::Progress;

use crate::v1::onboarding::{OnboardingStep, StepKey, StepState};

const ORDER: [Key; 8] = [
    Key::Connect,
    Key::Verify,
    Key::Discover,
    Key::Choose,
    Key::Provision,
    Key::Schedule,
    Key::FirstSlice,
    Key::Backfill,
];

/// Whether an onboarding in this state can be cancelled: until ingestion has taken over.
pub(super) const fn can_cancel(state: State) -> bool {
    matches!(state, State::Connecting | State::Verifying | State::ChoosingAccounts | State::Provisioning)
}

/// All steps, in order.
pub(super) fn steps(row: &Onboarding, progress: &BTreeMap<Kind, Progress>, now: DateTime<Utc>) -> Vec<OnboardingStep> {
    let current = current(row);
    let step = |(position, key): (usize, Key)| {
        let recorded = row.steps.get(&key).cloned().unwrap_or_default();
        let state = state(position, current, row.state);
        let (done, total) = count(key, progress).unwrap_or((recorded.done, recorded.total));
        OnboardingStep {
            key: key.into(),
            title: title(key).to_owned(),
            state,
            seconds: seconds(&recorded, state, now),
            detail: recorded.detail.filter(|_| state != StepState::Waiting),
            done: done.map(i64::from),
            total: total.map(i64::from),
        }
    };
    ORDER.into_iter().enumerate().map(step).collect()
}

/// The position of the step that is under way, or at which it ended.
fn current(row: &Onboarding) -> usize {
    let recorded = |key| row.steps.get(&key).is_some_and(|step| step.state == Recorded::Done);
    let key = match row.state {
        State::Connecting => Key::Connect,
        State::Verifying if recorded(Key::Verify) => Key::Discover,
        State::Verifying => Key::Verify,
        State::ChoosingAccounts => Key::Choose,
        State::Provisioning if recorded(Key::Provision) => Key::Schedule,
        State::Provisioning => Key::Provision,
        State::FirstSlice => Key::FirstSlice,
        State::Ready => Key::Backfill,
        State::Done => return ORDER.len(),
        State::Failed | State::Cancelled => {
            return ORDER.iter().position(|key| !recorded(*key)).unwrap_or(ORDER.len());
        }
    };
    ORDER.iter().position(|other| *other == key).unwrap_or_default()
}

fn state(position: usize, current: usize, state: State) -> StepState {
    match position.cmp(&current) {
        std::cmp::Ordering::Less => StepState::Done,
        std::cmp::Ordering::Greater => StepState::Waiting,
        std::cmp::Ordering::Equal if state == State::Failed => StepState::Failed,
        std::cmp::Ordering::Equal if state == State::Cancelled => StepState::Waiting,
        std::cmp::Ordering::Equal => StepState::Running,
    }
}

/// Reports of a step, counted: landed ones and all.
fn count(key: Key, progress: &BTreeMap<Kind, Progress>) -> Option<(Option<u32>, Option<u32>)> {
    let kind = match key {
        Key::FirstSlice => Kind::FirstSlice,
        Key::Backfill => Kind::Backfill,
        _ => return None,
    };
    progress.get(&kind).map(|progress| (Some(progress.landed), Some(progress.total)))
}

fn seconds(recorded: &Step, state: StepState, now: DateTime<Utc>) -> Option<f64> {
    let end = match state {
        StepState::Waiting => None,
        StepState::Running => Some(now),
        StepState::Done | StepState::Failed => recorded.finished_at,
    };
    let seconds = (end? - recorded.started_at?).as_seconds_f64();
    Some((seconds * 10.0).round() / 10.0)
}

const fn title(key: Key) -> &'static str {
    match key {
        Key::Connect => "Connect the platform",
        Key::Verify => "Check the access",
        Key::Discover => "Find your advertisers",
        Key::Choose => "Choose advertisers",
        Key::Provision => "Prepare tables and rules",
        Key::Schedule => "Set up the schedule",
        Key::FirstSlice => "Read the latest days",
        Key::Backfill => "Read the history",
    }
}

impl From<Key> for StepKey {
    fn from(key: Key) -> Self {
        match key {
            Key::Connect => Self::Connect,
            Key::Verify => Self::Verify,
            Key::Discover => Self::Discover,
            Key::Choose => Self::Choose,
            Key::Provision => Self::Provision,
            Key::Schedule => Self::Schedule,
            Key::FirstSlice => Self::FirstSlice,
            Key::Backfill => Self::Backfill,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{OnboardingId, UserId};

    use super::*;

    fn row(state: State, done: &[Key]) -> Onboarding {
        let step = Step { state: Recorded::Done, ..Step::default() };
        Onboarding {
            id: OnboardingId::new(),
            user: UserId::new(),
            platform: None,
            connection: None,
            state,
            steps: done.iter().map(|key| (*key, step.clone())).collect(),
            started_at: "2026-11-21T12:00:00Z".parse().unwrap(),
            dashboard_ready_at: None,
            closed_at: None,
            error_code: None,
            error_detail: None,
        }
    }

    fn states(row: &Onboarding) -> String {
        let now = "2026-11-21T12:01:00Z".parse().unwrap();
        let letter = |step: OnboardingStep| match step.state {
            StepState::Waiting => 'w',
            StepState::Running => 'r',
            StepState::Done => 'd',
            StepState::Failed => 'f',
        };
        steps(row, &BTreeMap::new(), now).into_iter().map(letter).collect()
    }

    #[test]
    fn the_wizard_shows_what_is_done_under_way_and_to_come() {
        assert_eq!(states(&row(State::Connecting, &[])), "rwwwwwww");
        assert_eq!(states(&row(State::Verifying, &[Key::Connect, Key::Verify])), "ddrwwwww");
        assert_eq!(states(&row(State::FirstSlice, &[])), "ddddddrw");
        assert_eq!(states(&row(State::Done, &[])), "dddddddd");
    }

    #[test]
    fn a_consent_that_has_to_be_asked_for_again_starts_over() {
        assert_eq!(states(&row(State::Connecting, &[Key::Connect, Key::Verify])), "rwwwwwww");
    }

    #[test]
    fn an_onboarding_that_failed_says_where() {
        assert_eq!(states(&row(State::Failed, &[Key::Connect, Key::Verify])), "ddfwwwww");
        assert_eq!(states(&row(State::Cancelled, &[Key::Connect])), "dwwwwwww");
    }
}
