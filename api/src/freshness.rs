//! How fresh numbers are, and when they are read again.

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::OrgId;
use domain::schedule::offset_seconds;

use crate::v1::overview::FreshnessState;

/// Reports take a while to be made; numbers within so many intervals are as fresh as they should be.
const FRESH_INTERVALS: i32 = 2;
/// Within so many they are late, beyond that too old to act on.
const LATE_INTERVALS: i32 = 4;

/// No schedule makes numbers fresher than this.
const SHORTEST_INTERVAL: TimeDelta = TimeDelta::minutes(10);

/// How fresh numbers are that are complete to a moment, when they are read every `tick_seconds`.
#[must_use]
pub fn state(as_of: Option<DateTime<Utc>>, now: DateTime<Utc>, tick_seconds: u32) -> FreshnessState {
    // Reports take minutes however often they are asked for.
    let tick = TimeDelta::seconds(tick_seconds.into()).max(SHORTEST_INTERVAL);
    match as_of.map(|as_of| now - as_of) {
        None => FreshnessState::None,
        Some(age) if age <= tick * FRESH_INTERVALS => FreshnessState::Fresh,
        Some(age) if age <= tick * LATE_INTERVALS => FreshnessState::Late,
        Some(_) => FreshnessState::Stale,
    }
}

/// When the organisation's schedule fires next: every interval, at the offset that `activities` gives it.
#[must_use]
pub fn next_run(org: OrgId, now: DateTime<Utc>, tick_seconds: u32) -> Option<DateTime<Utc>> {
    let tick = i64::from(tick_seconds.max(1));
    let offset = i64::try_from(offset_seconds(org, tick_seconds)).ok()?;
    let since = (now.timestamp() - offset).rem_euclid(tick);
    DateTime::from_timestamp(now.timestamp() - since + tick, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_age_from_fresh_to_stale() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let aged = |minutes| state(Some(now - TimeDelta::minutes(minutes)), now, 900);
        assert_eq!((aged(30), aged(31)), (FreshnessState::Fresh, FreshnessState::Late));
        assert_eq!((aged(60), aged(61)), (FreshnessState::Late, FreshnessState::Stale));
        assert_eq!(state(None, now, 900), FreshnessState::None);
    }

    #[test]
    fn the_next_run_is_within_one_interval_and_always_at_the_same_place() {
        let (org, now) = (OrgId::new(), "2026-11-21T12:00:00Z".parse().unwrap());
        let next = next_run(org, now, 900).unwrap();
        assert!(next > now && next <= now + TimeDelta::seconds(900));
        assert_eq!(next_run(org, next, 900).unwrap(), next + TimeDelta::seconds(900));
    }
}
