//! When the next short cycle is worth its cost: at the first moment at which something can be done that does not wait for
//! a person.

use chrono::{DateTime, TimeDelta, Utc};
use domain::pull::{self as law, Kind, State};
use store::pull::Pull;

/// A follow-up comes no sooner than this after the cycle before it, whatever is due.
const SOONEST: TimeDelta = TimeDelta::seconds(5);

/// The first moment at which something can be done for a connection's open pulls. Of a connection that can't be used
/// only what is staged goes on: everything else waits for a person, and is looked at with each tick.
pub(super) fn next(is_usable: bool, open: &[Pull], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let requested = open.iter().filter(|pull| pull.state == State::Requested);
    let under_way: Vec<Kind> = requested.map(|pull| pull.kind).collect();
    let moment = |pull: &Pull| match pull.state {
        State::Requested if is_usable => pull.next_poll_at.max(pull.not_before),
        // Without room it waits for one of those that are being made.
        State::Planned if is_usable && law::has_room(pull.kind, &under_way) => {
            Some(pull.not_before.unwrap_or(pull.planned_at))
        }
        State::Fetched => Some(pull.fetched_at.unwrap_or(pull.planned_at)),
        State::Requested | State::Planned | State::Landed | State::Failed => None,
    };
    open.iter().filter_map(moment).min().map(|moment| moment.max(now + SOONEST))
}

#[cfg(test)]
mod tests {
    use domain::DayRange;
    use domain::Platform;
    use domain::ids::{ConnectionId, PullId, ReportId};

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn seconds(count: i64) -> DateTime<Utc> {
        now() + TimeDelta::seconds(count)
    }

    fn pull(kind: Kind, state: State) -> Pull {
        Pull {
            id: PullId::new(),
            connection: ConnectionId::new(),
            platform: Platform::Dv360,
            report: ReportId::new(),
            kind,
            days: DayRange::ending("2026-11-21".parse().unwrap(), 2),
            accounts: vec!["1".into()],
            state,
            planned_at: now(),
            ticket: None,
            requested_at: None,
            polls: 0,
            next_poll_at: (state == State::Requested).then(|| seconds(20)),
            not_before: None,
            attempts: 0,
            refused_at: None,
            fetched_at: None,
            report_time: None,
            rows: None,
            bytes: None,
            unchanged: None,
            cycle: None,
            closed_at: None,
            error_code: None,
            error_detail: None,
        }
    }

    #[test]
    fn a_dead_token_has_no_follow_ups() {
        let waiting = Pull { not_before: Some(seconds(15)), ..pull(Kind::Tick, State::Planned) };
        let open = [pull(Kind::Lookback, State::Requested), waiting];
        assert_eq!(next(false, &open, now()), None);
        assert_eq!(next(true, &open, now()), Some(seconds(15)));
    }

    #[test]
    fn what_is_staged_lands_even_without_a_token() {
        assert_eq!(next(false, &[pull(Kind::Tick, State::Fetched)], now()), Some(seconds(5)));
    }

    #[test]
    fn a_pull_without_room_waits_for_one_that_is_being_made() {
        let mut open: Vec<Pull> = (0..3).map(|_| pull(Kind::Backfill, State::Requested)).collect();
        open.push(pull(Kind::Backfill, State::Planned));
        assert_eq!(next(true, &open, now()), Some(seconds(20)), "a fourth long report has no room");
        open.push(pull(Kind::Tick, State::Planned));
        assert_eq!(next(true, &open, now()), Some(seconds(5)), "a tick has");
        open.push(pull(Kind::FirstSlice, State::Requested));
        assert_eq!(next(true, &open, now()), Some(seconds(20)), "there are four");
    }

    #[test]
    fn a_follow_up_never_comes_at_once() {
        let overdue = Pull { next_poll_at: Some(seconds(-900)), ..pull(Kind::Tick, State::Requested) };
        assert_eq!(next(true, &[overdue], now()), Some(seconds(5)));
        assert_eq!(next(true, &[], now()), None);
    }
}
