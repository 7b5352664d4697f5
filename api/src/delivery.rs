//! How lines pace: flights from the store, spend from gold, judged on complete days without a gap (`docs/adr/0007`).
//!
//! Read afresh for each request, but for gold, which is kept while its pointer stands. A line that can't be judged says
//! why, and still shows what it spent on the days that are known.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use domain::coverage::{Coverage, reporting_lag};
use domain::ids::{ConnectionId, OrgId};
use domain::lake::TableName;
use domain::pacing::{Pacing, Spend};
use domain::report::{Definition, Measure, Target};
use domain::rule::{NotJudged, PacingRule};
use domain::{DayRange, Finality, Money, Platform};
use lakehouse::{BoxedError, LineSpan, Pointers};
use store::entity::Known;
use store::{Store, Tx, pointer, report, watermark};

use crate::app::App;
use crate::problem::Result;
use crate::spend_cache::{self, Spends};
use crate::v1::campaign::Pace;

/// The most watermarks that the store returns at once.
const WATERMARKS_AT_ONCE: usize = 20_000;
/// The days up to today that are looked at whatever flights there are: a line without one still delivers.
const LEAST_DAYS: u32 = 91;

/// A line and how it does.
#[derive(Debug, Clone)]
pub struct LineDelivery {
    /// The line.
    pub line: Known,
    /// How it does, or why that can't be said.
    pub judged: Result<Paced, NotJudged>,
    /// What it spent on the days that are known; `None` when none is.
    pub so_far: Option<SoFar>,
}

/// What was spent on complete days without a gap, whether or not anything can be judged by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoFar {
    /// What was spent.
    pub spend: Money,
    /// On which days.
    pub days: DayRange,
}

impl SoFar {
    /// The sum of lines in one currency, over the days from the first of any to the last; `None` of none.
    #[must_use]
    pub fn sum(lines: impl IntoIterator<Item = Self>) -> Option<Self> {
        lines.into_iter().map(Some).reduce(|left, right| {
            let (left, right) = (left?, right?);
            let (first, last) = (left.days.first().min(right.days.first()), left.days.last().max(right.days.last()));
            Some(Self { spend: left.spend.checked_add(right.spend).ok()?, days: DayRange::new(first, last)? })
        })?
    }
}

/// How something does, and how settled that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    /// How it does.
    pub pacing: Pacing,
    /// How settled the newest day in it is.
    pub finality: Finality,
}

impl Paced {
    /// How it does, in a word.
    #[must_use]
    pub fn pace(&self, rule: &PacingRule) -> Pace {
        match self.pacing.index {
            None => Pace::NotJudged,
            Some(index) if index < rule.behind_below => Pace::Behind,
            Some(index) if index > rule.ahead_above => Pace::Ahead,
            Some(_) => Pace::OnPace,
        }
    }

    /// What would be spent too little or too much if it goes on like this.
    #[must_use]
    pub fn risk(&self) -> Option<Money> {
        let off = self.pacing.projected?.checked_sub(self.pacing.budget).ok()?;
        Some(Money::new(off.amount().abs(), off.currency()))
    }
}

/// The pointers of the lake's tables, as they stand in the store.
#[derive(Debug, Clone)]
pub struct StorePointers(pub Store);

#[async_trait]
impl Pointers for StorePointers {
    async fn current(&self, table: &TableName) -> Result<Option<String>, BoxedError> {
        let mut tx = self.0.begin(table.org).await?;
        Ok(pointer::current(&mut tx, table).await?)
    }
}

/// An account, as the lake names it.
pub type AccountKey = (ConnectionId, String);

/// How these lines do.
///
/// # Errors
/// When the store or the lake can't be read.
pub async fn read(app: &App, org: OrgId, lines: Vec<Known>) -> Result<Vec<LineDelivery>> {
    let mut tx = app.store.begin(org).await?;
    let known = Knowledge::read(&mut tx, &lines, app.now()).await?;
    let spans: Vec<Option<DayRange>> = lines.iter().map(|line| known.shown_days(line)).collect();
    let wanted = lines.iter().zip(&spans).filter_map(|(line, days)| {
        Some(LineSpan { connection: line.connection, line: line.entity.platform_id.clone(), days: (*days)? })
    });
    let wanted: Vec<LineSpan> = wanted.collect();
    let spend = if wanted.is_empty() { Spends::default() } else { spend_cache::read(app, tx, wanted).await? };
    let deliveries = lines.into_iter().zip(spans).map(|(line, days)| {
        let key = (line.connection, line.entity.platform_id.clone());
        let spend = spend.get(&key).copied().unwrap_or(Spend::whole(Money::zero(line.currency)));
        known.delivery(line, days, spend)
    });
    Ok(deliveries.collect())
}

/// Which days of which accounts are known, and how platforms settle.
#[derive(Debug, Default)]
pub struct Knowledge {
    coverage: BTreeMap<AccountKey, Coverage>,
    final_after_days: BTreeMap<Platform, u32>,
}

impl Knowledge {
    /// What is known of the days of these lines' flights, and of the last days before now.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn read(tx: &mut Tx, lines: &[Known], now: DateTime<Utc>) -> Result<Self> {
        let mut known = Self::default();
        for (connection, platform) in lines.iter().map(|line| (line.connection, line.platform)).collect::<BTreeSet<_>>()
        {
            let own: Vec<&Known> = lines.iter().filter(|line| line.connection == connection).collect();
            let Some(days) = looked_at(&own, now) else { continue };
            let Some(definition) = delivery_report(tx, platform).await? else { continue };
            known.final_after_days.insert(platform, definition.final_after_days);
            known.add(tx, connection, &definition, &own, days).await?;
        }
        Ok(known)
    }

    async fn add(
        &mut self,
        tx: &mut Tx,
        connection: ConnectionId,
        definition: &Definition,
        lines: &[&Known],
        days: DayRange,
    ) -> Result<()> {
        let accounts: BTreeSet<String> = lines.iter().map(|line| line.account_platform_id.clone()).collect();
        let accounts: Vec<String> = accounts.into_iter().collect();
        let days_each = usize::try_from(days.len()).unwrap_or(WATERMARKS_AT_ONCE);
        for some in accounts.chunks((WATERMARKS_AT_ONCE / days_each).max(1)) {
            let mut made: BTreeMap<String, Vec<(NaiveDate, DateTime<Utc>)>> = BTreeMap::new();
            for mark in watermark::list(tx, connection, definition.id, some, days).await? {
                made.entry(mark.account).or_default().push((mark.day, mark.as_of));
            }
            self.coverage.extend(made.into_iter().map(|(account, days)| ((connection, account), Coverage::new(days))));
        }
        Ok(())
    }

    /// The coverage of a line's account.
    #[must_use]
    pub fn coverage_of(&self, line: &Known) -> Option<&Coverage> {
        self.coverage.get(&(line.connection, line.account_platform_id.clone()))
    }

    /// How settled a day of a line's account is.
    #[must_use]
    pub fn finality(&self, line: &Known, day: NaiveDate) -> Option<Finality> {
        let after = self.final_after_days.get(&line.platform).copied()?;
        self.coverage_of(line)?.finality(day, line.time_zone, after)
    }

    /// The days by which a line is judged, or why it can't be.
    fn judged_days(&self, line: &Known) -> Result<DayRange, NotJudged> {
        let flight = line.entity.flight.ok_or(NotJudged::NoOwnBudget)?;
        let coverage = self.coverage_of(line).ok_or(NotJudged::HistoryMissing)?;
        coverage.judged_days(&flight, reporting_lag(line.platform))
    }

    /// The days whose spend is shown: those by which the line is judged, else the last ones of its flight that are known
    /// without a gap.
    #[must_use]
    pub fn shown_days(&self, line: &Known) -> Option<DayRange> {
        let newest = || {
            let flight = line.entity.flight.map(|flight| flight.days);
            self.coverage_of(line)?.newest_run(flight, line.time_zone, reporting_lag(line.platform))
        };
        self.judged_days(line).ok().or_else(newest)
    }

    fn delivery(&self, line: Known, shown: Option<DayRange>, spend: Spend) -> LineDelivery {
        let judged = self.judged_days(&line).and_then(|days| self.pace(&line, days, spend));
        let so_far = shown.map(|days| SoFar { spend: spend.stated, days });
        LineDelivery { line, judged, so_far }
    }

    fn pace(&self, line: &Known, days: DayRange, spend: Spend) -> Result<Paced, NotJudged> {
        let flight = line.entity.flight.ok_or(NotJudged::NoOwnBudget)?;
        if spend.withheld_days > 0 {
            return Err(NotJudged::SpendWithheld);
        }
        let pacing = Pacing::of(&flight, spend, line.time_zone.end_of(days.last())).map_err(|error| {
            let id = line.id;
            tracing::warn!(entity.id = %id, %error, "line {id} can't be judged: {error}");
            NotJudged::OtherCurrency
        })?;
        let finality = self.finality(line, days.last()).ok_or(NotJudged::HistoryMissing)?;
        Ok(Paced { pacing, finality })
    }
}

/// The report that spend per line comes from.
///
/// # Errors
/// When the store can't be read.
pub async fn delivery_report(tx: &mut Tx, platform: Platform) -> Result<Option<Definition>> {
    let definitions = report::list(tx, platform).await?;
    let has = |definition: &Definition, target| definition.position(target).is_some();
    Ok(definitions.into_iter().find(|d| has(d, Target::Line) && has(d, Target::Measure(Measure::MediaCost))))
}

/// The days from the first of any flight, or of those that are always looked at, to today.
fn looked_at(lines: &[&Known], now: DateTime<Utc>) -> Option<DayRange> {
    let today = lines.iter().map(|line| line.time_zone.day_at(now)).max()?;
    let least = DayRange::ending(today, LEAST_DAYS);
    let flights = lines.iter().filter_map(|line| line.entity.flight.map(|flight| flight.days.first()));
    DayRange::new(flights.fold(least.first(), NaiveDate::min), today)
}

/// The sums of lines in one currency: a campaign, or all lines of an organisation in that currency. Lines that are not
/// judged don't count; `None` when none is.
#[must_use]
pub fn sum<'a>(lines: impl IntoIterator<Item = &'a Paced>) -> Option<Paced> {
    let mut lines = lines.into_iter();
    let first = *lines.next()?;
    let total = lines.try_fold(first, |total, line| add(total, *line))?;
    let index = total.pacing.delivered.amount().checked_div(total.pacing.expected.amount());
    Some(Paced { pacing: Pacing { index: index.map(|index| index.round_dp(4)), ..total.pacing }, ..total })
}

fn add(left: Paced, right: Paced) -> Option<Paced> {
    let (a, b) = (left.pacing, right.pacing);
    let both = |a: Option<Money>, b: Option<Money>| match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b).ok(),
        (one, other) => one.or(other),
    };
    let pacing = Pacing {
        delivered: a.delivered.checked_add(b.delivered).ok()?,
        withheld_days: a.withheld_days + b.withheld_days,
        expected: a.expected.checked_add(b.expected).ok()?,
        budget: a.budget.checked_add(b.budget).ok()?,
        index: None,
        required_daily: both(a.required_daily, b.required_daily),
        projected: both(a.projected, b.projected),
        as_of: a.as_of.min(b.as_of),
    };
    Some(Paced { pacing, finality: left.finality.min(right.finality) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(amount: &str) -> Money {
        Money::new(amount.parse().unwrap(), "EUR".parse().unwrap())
    }

    fn paced(delivered: &str, expected: &str, budget: &str, projected: &str) -> Paced {
        let pacing = Pacing {
            delivered: eur(delivered),
            withheld_days: 0,
            expected: eur(expected),
            budget: eur(budget),
            index: None,
            required_daily: Some(eur("1")),
            projected: Some(eur(projected)),
            as_of: "2026-11-20T00:00:00Z".parse().unwrap(),
        };
        Paced { pacing, finality: Finality::Provisional }
    }

    #[test]
    fn a_campaign_is_the_sum_of_its_lines() {
        let later = Paced { finality: Finality::Intraday, ..paced("50", "100", "200", "100") };
        let total = sum([&paced("80", "100", "200", "160"), &later]).unwrap();
        assert_eq!((total.pacing.delivered, total.pacing.budget), (eur("130"), eur("400")));
        assert_eq!(total.pacing.index, Some("0.65".parse().unwrap()));
        assert_eq!(total.finality, Finality::Intraday);
        assert_eq!(total.pace(&PacingRule::default()), Pace::Behind);
        assert_eq!(total.risk(), Some(eur("140")));
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn days(first: &str, last: &str) -> DayRange {
        DayRange::new(day(first), day(last)).unwrap()
    }

    /// A line with this flight, in an account whose last seven days were read at noon of the 21st.
    fn line(flight: Option<DayRange>) -> (Knowledge, Known) {
        let (connection, account) = (ConnectionId::new(), "4711".to_owned());
        let zone = domain::TimeZone::UTC;
        let line = Known {
            id: domain::ids::EntityId::new(),
            connection,
            platform: Platform::Dv360,
            account: domain::ids::AccountId::new(),
            account_platform_id: account.clone(),
            account_name: "One".to_owned(),
            currency: "EUR".parse().unwrap(),
            time_zone: zone,
            entity: domain::entity::Entity {
                platform_id: "77001".to_owned(),
                parent_id: None,
                campaign_id: "55001".to_owned(),
                level: domain::Level::Line,
                name: "Line".to_owned(),
                status: domain::EntityStatus::Active,
                flight: flight.map(|days| domain::Flight { days, zone, budget: eur("100") }),
                daily_budget: None,
            },
            read_at: now(),
        };
        let read = days("2026-11-15", "2026-11-21").days().map(|day| (day, now()));
        let known = Knowledge {
            coverage: [((connection, account), Coverage::new(read))].into(),
            final_after_days: [(Platform::Dv360, 7)].into(),
        };
        (known, line)
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn delivery(flight: Option<DayRange>, spend: Spend) -> LineDelivery {
        let (known, line) = line(flight);
        let shown = known.shown_days(&line);
        known.delivery(line, shown, spend)
    }

    #[test]
    fn a_line_that_is_not_judged_shows_what_it_spent_on_the_days_that_are_known() {
        let week = Some(SoFar { spend: eur("60"), days: days("2026-11-15", "2026-11-20") });
        let early = delivery(Some(days("2026-11-01", "2026-11-30")), Spend::whole(eur("60")));
        assert_eq!((early.judged, early.so_far), (Err(NotJudged::HistoryMissing), week));
        let shared = delivery(None, Spend::whole(eur("60")));
        assert_eq!((shared.judged, shared.so_far), (Err(NotJudged::NoOwnBudget), week));
        let later = delivery(Some(days("2026-12-01", "2026-12-31")), Spend::whole(eur("0")));
        assert_eq!((later.judged, later.so_far), (Err(NotJudged::OutsideFlight), None));
        let dollars = Spend::whole(Money::new("1".parse().unwrap(), "USD".parse().unwrap()));
        let odd = delivery(Some(days("2026-11-15", "2026-11-30")), dollars);
        assert_eq!(odd.judged, Err(NotJudged::OtherCurrency));
    }

    #[test]
    fn spend_that_the_platform_keeps_to_itself_is_not_under_delivery() {
        let flight = days("2026-11-16", "2026-11-30");
        let whole = delivery(Some(flight), Spend::whole(eur("10")));
        assert_eq!(whole.judged.unwrap().pace(&PacingRule::default()), Pace::Behind);
        let kept = delivery(Some(flight), Spend { stated: eur("10"), withheld_days: 1 });
        assert_eq!(kept.judged, Err(NotJudged::SpendWithheld));
        assert_eq!(kept.so_far.map(|so_far| so_far.days), Some(days("2026-11-16", "2026-11-20")));
    }

    #[test]
    fn what_lines_spent_so_far_is_added_over_the_days_of_all() {
        let one = SoFar { spend: eur("1"), days: days("2026-11-15", "2026-11-20") };
        let other = SoFar { spend: eur("2"), days: days("2026-11-01", "2026-11-19") };
        let sum = SoFar { spend: eur("3"), days: days("2026-11-01", "2026-11-20") };
        assert_eq!(SoFar::sum([one, other]), Some(sum));
        assert_eq!(SoFar::sum([]), None);
        let dollars = SoFar { spend: Money::new("1".parse().unwrap(), "USD".parse().unwrap()), ..one };
        assert_eq!(SoFar::sum([one, dollars]), None);
    }

    #[test]
    fn currencies_are_never_summed() {
        let mut dollars = paced("1", "1", "1", "1");
        dollars.pacing.delivered = Money::new("1".parse().unwrap(), "USD".parse().unwrap());
        assert_eq!(sum([&paced("1", "1", "1", "1"), &dollars]), None);
        assert_eq!(sum([]), None);
    }
}
