//! Which account's day each staged pull replaces, and whose numbers hold afterwards.
//!
//! Everything is decided per account and day: pulls overlap in any way, and a pull that is the newest for one account may
//! be outdone by another for the next. So a watermark never claims what silver does not hold. Pure: no clock, no storage.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::{PullId, ReportId};

/// One account's day of a connection's report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) report: ReportId,
    pub(super) account: String,
    pub(super) day: NaiveDate,
}

/// What the tables hold of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// When the newest pull that covers it was asked for.
    pub(super) requested_at: DateTime<Utc>,
    /// The pull whose rows it are.
    pub(super) pull: PullId,
    /// Equal for equal rows.
    pub(super) content_hash: String,
}

/// What a staged pull says of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) pull: PullId,
    pub(super) requested_at: DateTime<Utc>,
    pub(super) content_hash: String,
    pub(super) rows: u64,
}

/// What comes of a place for which something newer is staged than what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The pull that was asked for last: the place is complete up to its moment.
    pub(super) newest: PullId,
    /// The pull whose rows the tables hold then: an earlier one when nothing has changed since.
    pub(super) rows_of: PullId,
}

/// The accounts, by day, that one pull replaces.
pub(super) type Days = BTreeMap<NaiveDate, BTreeSet<String>>;

/// What comes of all places together.
#[derive(Debug, Default)]
pub(super) struct Replacement {
    outcomes: BTreeMap<Place, Outcome>,
    lands: BTreeMap<PullId, Days>,
    differing: BTreeSet<PullId>,
}

impl Replacement {
    /// Weighs what is staged against what is held.
    pub(super) fn of(held: &BTreeMap<Place, Held>, claims: impl IntoIterator<Item = (Place, Claim)>) -> Self {
        let mut replacement = Self::default();
        let mut newest: BTreeMap<Place, Claim> = BTreeMap::new();
        for (place, claim) in claims {
            let known = held.get(&place);
            if known.is_some_and(|known| known.requested_at >= claim.requested_at) {
                continue;
            }
            if differs(known, &claim) {
                replacement.differing.insert(claim.pull);
            }
            match newest.entry(place) {
                Entry::Vacant(vacant) => drop(vacant.insert(claim)),
                Entry::Occupied(mut other) => {
                    if (other.get().requested_at, other.get().pull) < (claim.requested_at, claim.pull) {
                        other.insert(claim);
                    }
                }
            }
        }
        for (place, claim) in newest {
            let known = held.get(&place);
            let rows_of = match known {
                Some(known) if !differs(Some(known), &claim) => known.pull,
                _ => claim.pull,
            };
            if differs(known, &claim) {
                let days = replacement.lands.entry(claim.pull).or_default();
                days.entry(place.day).or_default().insert(place.account.clone());
            }
            replacement.outcomes.insert(place, Outcome { newest: claim.pull, rows_of });
        }
        replacement
    }

    /// What comes of a place; `None` when what is held is at least as new as all that is staged.
    pub(super) fn outcome(&self, place: &Place) -> Option<Outcome> {
        self.outcomes.get(place).copied()
    }

    /// What a pull replaces.
    pub(super) fn days_of(&self, pull: PullId) -> Days {
        self.lands.get(&pull).cloned().unwrap_or_default()
    }

    /// Whether a pull is newer than what is held of some place, and differs from it.
    pub(super) fn differs(&self, pull: PullId) -> bool {
        self.differing.contains(&pull)
    }
}

/// A day without rows that was never seen before changes nothing.
fn differs(held: Option<&Held>, claim: &Claim) -> bool {
    match held {
        Some(held) => held.content_hash != claim.content_hash,
        None => claim.rows > 0,
    }
}

#[cfg(test)]
mod tests {
    use chrono::Days as Later;
    use proptest::prelude::*;

    use super::*;

    fn moment(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
    }

    fn place(report: ReportId, account: u8, number: u64) -> Place {
        let first = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
        Place { report, account: account.to_string(), day: first.checked_add_days(Later::new(number)).unwrap() }
    }

    fn claim(pull: PullId, second: i64, content: u8) -> Claim {
        let content_hash = format!("hash {content}");
        Claim { pull, requested_at: moment(second), content_hash, rows: content.into() }
    }

    #[test]
    fn the_account_that_only_the_older_pull_covers_lands_from_it() {
        let (report, older, newer) = (ReportId::new(), PullId::new(), PullId::new());
        let [a, b, c] = [0, 1, 2].map(|account| place(report, account, 0));
        let claims = [
            (a.clone(), claim(older, 1, 1)),
            (b.clone(), claim(older, 1, 1)),
            (c.clone(), claim(older, 1, 1)),
            (a.clone(), claim(newer, 2, 2)),
            (b.clone(), claim(newer, 2, 2)),
        ];
        let replacement = Replacement::of(&BTreeMap::new(), claims);
        assert_eq!(replacement.days_of(older), [(c.day, [c.account.clone()].into())].into());
        assert_eq!(replacement.days_of(newer), [(a.day, [a.account.clone(), b.account].into())].into());
        assert_eq!(replacement.outcome(&c), Some(Outcome { newest: older, rows_of: older }));
        assert_eq!(replacement.outcome(&a), Some(Outcome { newest: newer, rows_of: newer }));
    }

    #[test]
    fn an_account_that_is_known_newer_does_not_keep_the_others_of_its_day_out() {
        let (report, known, late) = (ReportId::new(), PullId::new(), PullId::new());
        let [a, b] = [0, 1].map(|account| place(report, account, 0));
        let held = Held { requested_at: moment(9), pull: known, content_hash: "hash 1".into() };
        let claims = [(a.clone(), claim(late, 5, 2)), (b.clone(), claim(late, 5, 2))];
        let replacement = Replacement::of(&[(a.clone(), held)].into(), claims);
        assert_eq!(replacement.days_of(late), [(b.day, [b.account].into())].into());
        assert_eq!(replacement.outcome(&a), None);
    }

    #[test]
    fn equal_rows_stay_those_of_the_pull_that_brought_them() {
        let (report, known, again) = (ReportId::new(), PullId::new(), PullId::new());
        let a = place(report, 0, 0);
        let held = Held { requested_at: moment(1), pull: known, content_hash: "hash 1".into() };
        let replacement = Replacement::of(&[(a.clone(), held)].into(), [(a.clone(), claim(again, 2, 1))]);
        assert_eq!(replacement.outcome(&a), Some(Outcome { newest: again, rows_of: known }));
        assert!(replacement.days_of(again).is_empty() && !replacement.differs(again));
    }

    /// A pull: the second in which it was asked for, and the content (0: no rows) of each account's days that it covers.
    #[derive(Debug, Clone)]
    struct Asked {
        second: i64,
        accounts: BTreeSet<u8>,
        days: std::ops::Range<u64>,
        contents: Vec<u8>,
    }

    impl Asked {
        fn claims(&self, report: ReportId, pull: PullId) -> Vec<(Place, Claim)> {
            let places = self.accounts.iter().flat_map(|account| self.days.clone().map(move |day| (*account, day)));
            places
                .zip(self.contents.iter().cycle())
                .map(|((account, day), content)| (place(report, account, day), claim(pull, self.second, *content)))
                .collect()
        }
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let accounts = prop::collection::btree_set(0u8..4, 1..4);
        let contents = prop::collection::vec(0u8..3, 1..8);
        (0i64..12, accounts, 0u64..3, 1u64..4, contents).prop_map(|(second, accounts, first, count, contents)| Asked {
            second,
            accounts,
            days: first..first + count,
            contents,
        })
    }

    /// The tables and the marks, as a commit changes them.
    #[derive(Default)]
    struct World {
        silver: BTreeMap<Place, (PullId, String)>,
        marks: BTreeMap<Place, Held>,
        /// The newest second in which any landed pull covered a place.
        newest: BTreeMap<Place, DateTime<Utc>>,
    }

    impl World {
        fn land(&mut self, claims: &[(Place, Claim)]) {
            let replacement = Replacement::of(&self.marks, claims.iter().cloned());
            let mut taken = BTreeSet::new();
            for (place, claim) in claims {
                let newest = self.newest.entry(place.clone()).or_insert(claim.requested_at);
                *newest = (*newest).max(claim.requested_at);
                let days = replacement.days_of(claim.pull);
                if days.get(&place.day).is_some_and(|accounts| accounts.contains(&place.account)) {
                    assert!(taken.insert(place.clone()), "two pulls land on {place:?}");
                    self.silver.insert(place.clone(), (claim.pull, claim.content_hash.clone()));
                }
            }
            for (place, claim) in claims {
                let Some(outcome) = replacement.outcome(place).filter(|outcome| outcome.newest == claim.pull) else {
                    continue;
                };
                let (requested_at, content_hash) = (claim.requested_at, claim.content_hash.clone());
                self.marks.insert(place.clone(), Held { requested_at, pull: outcome.rows_of, content_hash });
            }
        }

        fn check(&self) {
            for (place, newest) in &self.newest {
                let mark = &self.marks[place];
                assert_eq!(mark.requested_at, *newest, "an older pull came over a newer one at {place:?}");
                match self.silver.get(place) {
                    Some(rows) => assert_eq!(*rows, (mark.pull, mark.content_hash.clone()), "{place:?}"),
                    None => assert_eq!(mark.content_hash, "hash 0", "{place:?} never landed"),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_mark_names_rows_that_silver_holds_and_none_is_older_than_what_it_came_over(
            cycles in prop::collection::vec(prop::collection::vec(asked(), 1..4), 1..5)
        ) {
            let report = ReportId::new();
            let mut world = World::default();
            for pulls in cycles {
                let claims: Vec<_> = pulls.iter().flat_map(|asked| asked.claims(report, PullId::new())).collect();
                world.land(&claims);
                world.check();
            }
        }
    }
}
