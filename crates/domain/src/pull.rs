//! Pulls: reports on their way from a platform into the lake, as rows that nobody waits for.
//!
//! A pull is planned, requested, fetched and landed by separate, short steps, each of which can be killed and repeated:
//!
//! ```text
//! planned ─▶ requested ─▶ fetched ─▶ landed
//!    └──────────┴────────────┴─────▶ failed
//! ```

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::day::DayRange;
use crate::report::Definition;

/// How far a pull has come.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum State {
    /// It is to be requested.
    Planned,
    /// The platform is making the report.
    Requested,
    /// Its rows are in files of the lake that no table names yet.
    Fetched,
    /// Its rows are in the tables (or equal what was there).
    Landed,
    /// It ended without rows; its error says why.
    Failed,
}

impl State {
    /// Whether nothing further will happen to the pull.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Landed | Self::Failed)
    }
}

/// Why a range of days is read.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The first days after sign-up, so that the dashboard has something to show.
    FirstSlice,
    /// Today and yesterday, every cadence.
    Tick,
    /// The days that the platform may restate, on a slower cadence.
    Lookback,
    /// History.
    Backfill,
    /// A person asked.
    Manual,
}

/// What is known of a connection's earlier pulls of one report, by which the next ones are planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// When the newest tick was planned.
    pub last_tick: Option<DateTime<Utc>>,
    /// When the newest lookback was planned.
    pub last_lookback: Option<DateTime<Utc>>,
    /// Whether a tick is still open: then no second one is planned beside it.
    pub tick_open: bool,
    /// Whether a lookback is still open.
    pub lookback_open: bool,
}

/// Days of slack given to a cadence, so that a schedule that fires a little early does not skip a turn.
const CADENCE_SLACK_PERCENT: i64 = 10;

/// The pulls that are due now, given the latest day that any of the connection's accounts has reached.
///
/// A tick reads today and yesterday; a lookback reads `lookback_days` days, and replaces the tick of that moment.
#[must_use]
pub fn due(definition: &Definition, past: Past, today: NaiveDate, now: DateTime<Utc>) -> Option<(Kind, DayRange)> {
    let elapsed =
        |last: Option<DateTime<Utc>>, seconds: u32| last.is_none_or(|last| now - last >= slackened(i64::from(seconds)));
    let lookback_due = elapsed(past.last_lookback, definition.lookback_cadence_seconds);
    if lookback_due && !past.lookback_open {
        return Some((Kind::Lookback, DayRange::ending(today, definition.lookback_days)));
    }
    let newest = past.last_tick.max(past.last_lookback);
    let tick_due = elapsed(newest, definition.cadence_seconds);
    (tick_due && !past.tick_open && !past.lookback_open).then(|| (Kind::Tick, DayRange::ending(today, 2)))
}

fn slackened(seconds: i64) -> Duration {
    Duration::seconds(seconds - seconds * CADENCE_SLACK_PERCENT / 100)
}

/// Seconds to wait before a report is asked about for the `polls`-th time: a report takes tens of seconds to minutes,
/// and every look costs a call of a scarce quota. Only for the first slice, which a person waits for, looks are close.
#[must_use]
pub fn poll_wait_seconds(kind: Kind, polls: u32) -> u32 {
    const EAGER: u32 = 5;
    const EAGER_POLLS: u32 = 24;
    const FIRST: u32 = 20;
    const LONGEST: u32 = 300;
    if kind == Kind::FirstSlice && polls < EAGER_POLLS {
        return EAGER;
    }
    FIRST.saturating_mul(1 << polls.min(4)).min(LONGEST)
}

/// Seconds to wait before a pull that failed for a passing reason is tried for the `attempts`-th time again.
#[must_use]
pub fn retry_wait_seconds(attempts: u32) -> u32 {
    const FIRST: u32 = 15;
    const LONGEST: u32 = 1_800;
    FIRST.saturating_mul(1 << attempts.min(7)).min(LONGEST)
}

/// How often a pull may fail before it is given up. A tick is given up at once: the next one reads the same days.
#[must_use]
pub const fn most_failures(kind: Kind) -> u32 {
    match kind {
        Kind::Tick => 1,
        Kind::FirstSlice | Kind::Lookback | Kind::Backfill | Kind::Manual => 12,
    }
}

/// How far back the history of an advertiser is read.
pub const HISTORY_DAYS: u32 = 90;
/// History comes in pieces that a report makes quickly.
pub const DAYS_PER_PULL: u32 = 30;

/// Splits history into slices, newest first, so that the days that people look at come first.
#[must_use]
pub fn slices(days: DayRange, days_per_slice: u32) -> Vec<DayRange> {
    let mut slices = Vec::new();
    let mut last = days.last();
    while last >= days.first() {
        let slice = DayRange::ending(last, days_per_slice);
        let first = slice.first().max(days.first());
        slices.extend(DayRange::new(first, last));
        match first.pred_opt() {
            Some(before) => last = before,
            None => break,
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::ReportId;
    use crate::platform::Platform;

    fn definition() -> Definition {
        Definition {
            id: ReportId::new(),
            platform: Platform::Dv360,
            name: "delivery".into(),
            kind: "STANDARD".into(),
            columns: vec![],
            cadence_seconds: 900,
            lookback_days: 30,
            lookback_cadence_seconds: 86_400,
            final_after_days: 7,
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn today() -> NaiveDate {
        "2026-11-21".parse().unwrap()
    }

    #[test]
    fn a_new_connection_reads_its_whole_lookback_first() {
        let (kind, days) = due(&definition(), Past::default(), today(), now()).unwrap();
        assert_eq!((kind, days.len()), (Kind::Lookback, 30));
    }

    #[test]
    fn a_tick_reads_today_and_yesterday_every_cadence() {
        let past = |minutes| Past {
            last_tick: Some(now() - Duration::minutes(minutes)),
            last_lookback: Some(now() - Duration::hours(3)),
            ..Past::default()
        };
        assert_eq!(due(&definition(), past(5), today(), now()), None);
        let (kind, days) = due(&definition(), past(15), today(), now()).unwrap();
        assert_eq!((kind, days.len()), (Kind::Tick, 2));
    }

    #[test]
    fn a_pull_that_is_still_open_is_not_joined_by_a_second() {
        let open = Past {
            last_tick: Some(now() - Duration::hours(1)),
            last_lookback: Some(now() - Duration::hours(3)),
            tick_open: true,
            lookback_open: false,
        };
        assert_eq!(due(&definition(), open, today(), now()), None);
    }

    #[test]
    fn polling_backs_off() {
        let waits: Vec<u32> = (0..7).map(|polls| poll_wait_seconds(Kind::Tick, polls)).collect();
        assert_eq!(waits, [20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(poll_wait_seconds(Kind::FirstSlice, 3), 5);
        assert_eq!(poll_wait_seconds(Kind::FirstSlice, 30), 300);
    }

    proptest! {
        #[test]
        fn slices_cover_every_day_once(count in 1u32..400, size in 1u32..60) {
            let days = DayRange::ending(today(), count);
            let mut seen: Vec<NaiveDate> = slices(days, size).iter().flat_map(|s| s.days().collect::<Vec<_>>()).collect();
            seen.sort();
            prop_assert_eq!(seen, days.days().collect::<Vec<_>>());
        }
    }
}
