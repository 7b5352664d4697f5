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

use crate::day::{DayRange, TimeZone};
use crate::error_code::{Class, ErrorCode};
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

/// The days that are "today" now somewhere among these zones: one, two or three. `None` without a zone.
#[must_use]
pub fn todays(zones: impl IntoIterator<Item = TimeZone>, now: DateTime<Utc>) -> Option<DayRange> {
    let days = zones.into_iter().map(|zone| zone.day_at(now));
    let (first, last) = days.fold((None, None), |(first, last): (Option<NaiveDate>, Option<NaiveDate>), day| {
        (Some(first.map_or(day, |first| first.min(day))), last.max(Some(day)))
    });
    DayRange::new(first?, last?)
}

/// The pulls that are due now, given the days that are today for the connection's accounts.
///
/// A tick reads today and yesterday of every account; a lookback reads `lookback_days` days, and replaces the tick of
/// that moment. A lookback that does not come keeps no tick waiting: what people look at is read beside it.
#[must_use]
pub fn due(definition: &Definition, past: Past, today: DayRange, now: DateTime<Utc>) -> Option<(Kind, DayRange)> {
    let elapsed =
        |last: Option<DateTime<Utc>>, seconds: u32| last.is_none_or(|last| now - last >= slackened(i64::from(seconds)));
    let ending_today = |days: u32| {
        let westernmost = DayRange::ending(today.first(), days);
        DayRange::new(westernmost.first(), today.last()).unwrap_or(westernmost)
    };
    let lookback_due = elapsed(past.last_lookback, definition.lookback_cadence_seconds);
    if lookback_due && !past.lookback_open {
        return Some((Kind::Lookback, ending_today(definition.lookback_days)));
    }
    let newest = past.last_tick.max(past.last_lookback);
    let tick_due = elapsed(newest, definition.cadence_seconds);
    (tick_due && !past.tick_open).then(|| (Kind::Tick, ending_today(2)))
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

/// Whether a pull is history that no later pull reads by itself.
const fn is_history(kind: Kind) -> bool {
    matches!(kind, Kind::FirstSlice | Kind::Backfill)
}

/// What is done with a pull whose step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// It stays where it is, and the same step is tried again later.
    Wait,
    /// Its report is of no use: the platform is asked for another one.
    AskAnew,
    /// It ends.
    GiveUp,
}

/// What to do with a pull that has failed `before` times, and now with this code; `refused` says that its report itself
/// can't be used. Trouble that passes is waited out for history, because no later pull reads the same days.
#[must_use]
pub const fn remedy(kind: Kind, before: u32, code: ErrorCode, refused: bool) -> Remedy {
    let outlasts = is_history(kind) && matches!(code.class(), Class::Transient);
    match (before.saturating_add(1) < most_failures(kind) || outlasts, refused) {
        (false, _) => Remedy::GiveUp,
        (true, true) => Remedy::AskAnew,
        (true, false) => Remedy::Wait,
    }
}

/// Whether a report has been in the making for so long that it will not come any more. Reports take minutes; the big
/// ones of history may wait in the platform's queue for hours.
#[must_use]
pub fn is_overdue(kind: Kind, requested_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    const TICK: Duration = Duration::hours(2);
    const OTHERS: Duration = Duration::hours(12);
    let limit = match kind {
        Kind::Tick => TICK,
        Kind::FirstSlice | Kind::Lookback | Kind::Backfill | Kind::Manual => OTHERS,
    };
    now - requested_at >= limit
}

/// How long history that was given up is left alone before it is planned again, if its days are still missing.
pub const HEAL_AFTER: Duration = Duration::days(1);

/// Reports that one connection has made at the same time: platforms limit them, and history can wait.
const MOST_AT_ONCE: usize = 4;
/// How many of them may be long ones: one place is kept for what people look at, or four stuck reports would stop it.
const MOST_LONG_AT_ONCE: usize = 3;

/// Whether one more report of this kind may be asked for beside those that are being made.
#[must_use]
pub fn has_room(kind: Kind, under_way: &[Kind]) -> bool {
    let is_long = |kind: Kind| matches!(kind, Kind::Lookback | Kind::Backfill);
    let long = under_way.iter().filter(|kind| is_long(**kind)).count();
    under_way.len() < MOST_AT_ONCE && !(is_long(kind) && long >= MOST_LONG_AT_ONCE)
}

/// How far back the history of an advertiser is read at least: 90 complete days and today, also where the day is one behind
/// the furthest zone's. Flights that began earlier get theirs when they are first read.
pub const HISTORY_DAYS: u32 = 92;
/// History comes in pieces that a report makes quickly.
pub const DAYS_PER_PULL: u32 = 31;

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

    fn everywhere() -> DayRange {
        DayRange::ending(today(), 1)
    }

    #[test]
    fn a_new_connection_reads_its_whole_lookback_first() {
        let (kind, days) = due(&definition(), Past::default(), everywhere(), now()).unwrap();
        assert_eq!((kind, days.len()), (Kind::Lookback, 30));
    }

    #[test]
    fn a_tick_reads_today_and_yesterday_every_cadence() {
        let past = |minutes| Past {
            last_tick: Some(now() - Duration::minutes(minutes)),
            last_lookback: Some(now() - Duration::hours(3)),
            ..Past::default()
        };
        assert_eq!(due(&definition(), past(5), everywhere(), now()), None);
        let (kind, days) = due(&definition(), past(15), everywhere(), now()).unwrap();
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
        assert_eq!(due(&definition(), open, everywhere(), now()), None);
    }

    #[test]
    fn a_lookback_that_does_not_come_keeps_no_tick_waiting() {
        let stuck = |minutes| Past {
            last_lookback: Some(now() - Duration::minutes(minutes)),
            lookback_open: true,
            ..Past::default()
        };
        assert_eq!(due(&definition(), stuck(5), everywhere(), now()), None, "it replaces the tick of its moment");
        for minutes in [15, 3_000] {
            let (kind, _) = due(&definition(), stuck(minutes), everywhere(), now()).unwrap();
            assert_eq!(kind, Kind::Tick);
        }
    }

    #[test]
    fn what_fails_for_a_passing_reason_is_waited_out_when_nothing_else_reads_its_days() {
        use ErrorCode::{PlatformRejected, PlatformUnavailable, ReportFailed, ReportNullKey};
        let cases = [
            (Kind::Tick, 0, PlatformUnavailable, false, Remedy::GiveUp),
            (Kind::Lookback, 10, PlatformUnavailable, false, Remedy::Wait),
            (Kind::Lookback, 10, ReportNullKey, true, Remedy::AskAnew),
            (Kind::Lookback, 11, PlatformUnavailable, false, Remedy::GiveUp),
            (Kind::Manual, 11, ReportFailed, true, Remedy::GiveUp),
            (Kind::Backfill, 11, PlatformUnavailable, false, Remedy::Wait),
            (Kind::FirstSlice, u32::MAX, PlatformUnavailable, false, Remedy::Wait),
            (Kind::FirstSlice, 400, ReportFailed, true, Remedy::AskAnew),
            (Kind::Backfill, 11, ReportNullKey, true, Remedy::GiveUp),
            (Kind::FirstSlice, 11, PlatformRejected, false, Remedy::GiveUp),
        ];
        for (kind, before, code, refused, wanted) in cases {
            assert_eq!(remedy(kind, before, code, refused), wanted, "{kind} after {before} failures: {code}");
        }
    }

    #[test]
    fn a_report_is_not_waited_for_for_ever() {
        let overdue = |kind, hours| is_overdue(kind, now() - Duration::hours(hours), now());
        assert_eq!([overdue(Kind::Tick, 1), overdue(Kind::Tick, 2)], [false, true]);
        for kind in [Kind::FirstSlice, Kind::Lookback, Kind::Backfill, Kind::Manual] {
            assert_eq!([overdue(kind, 11), overdue(kind, 12)], [false, true], "{kind}");
        }
    }

    #[test]
    fn long_reports_leave_room_for_what_people_look_at() {
        use Kind::{Backfill, FirstSlice, Lookback, Tick};
        let long = [Backfill, Lookback, Backfill];
        assert!(has_room(Backfill, &long[..2]) && !has_room(Backfill, &long) && !has_room(Lookback, &long));
        assert!(has_room(Tick, &long) && has_room(FirstSlice, &long));
        assert!(!has_room(Tick, &[Backfill, Lookback, Backfill, Tick]));
    }

    #[test]
    fn polling_backs_off() {
        let waits: Vec<u32> = (0..7).map(|polls| poll_wait_seconds(Kind::Tick, polls)).collect();
        assert_eq!(waits, [20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(poll_wait_seconds(Kind::FirstSlice, 3), 5);
        assert_eq!(poll_wait_seconds(Kind::FirstSlice, 30), 300);
    }

    const ZONES: [&str; 6] =
        ["Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Honolulu", "Etc/GMT+12"];

    proptest! {
        #[test]
        fn a_tick_reads_today_and_yesterday_of_every_account_and_a_lookback_all_its_days(
            chosen in proptest::collection::vec(proptest::sample::select(&ZONES[..]), 1..5),
            minutes in 0i64..1_000_000,
        ) {
            let now = now() + Duration::minutes(minutes);
            let zones: Vec<TimeZone> = chosen.iter().map(|name| name.parse().unwrap()).collect();
            let today = todays(zones.iter().copied(), now).unwrap();
            let ticks = Past { last_lookback: Some(now - Duration::hours(3)), ..Past::default() };
            for (past, wanted, count) in [(ticks, Kind::Tick, 2), (Past::default(), Kind::Lookback, 30)] {
                let (kind, days) = due(&definition(), past, today, now).unwrap();
                prop_assert_eq!(kind, wanted);
                for zone in &zones {
                    for day in DayRange::ending(zone.day_at(now), count).days() {
                        prop_assert!(days.contains(day), "{} of {} is not in {}", day, zone, days);
                    }
                }
                prop_assert!(days.len() <= i64::from(count) + 2, "{} are too many", days);
            }
        }

        #[test]
        fn slices_cover_every_day_once(count in 1u32..400, size in 1u32..60) {
            let days = DayRange::ending(today(), count);
            let mut seen: Vec<NaiveDate> = slices(days, size).iter().flat_map(|s| s.days().collect::<Vec<_>>()).collect();
            seen.sort();
            prop_assert_eq!(seen, days.days().collect::<Vec<_>>());
        }
    }
}
