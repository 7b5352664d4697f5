//! How lines pace: flights from the store, spend from gold, judged on complete days without a gap (`docs/adr/0007`).
//!
//! Read afresh for each request; nothing is kept. A line whose first days are not complete is not judged.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::coverage::{Coverage, reporting_lag};
use domain::ids::{ConnectionId, OrgId};
use domain::lake::TableName;
use domain::pacing::Pacing;
use domain::report::{Definition, Measure, Target};
use domain::rule::PacingRule;
use domain::{DayRange, Finality, Flight, Money, Platform};
use lakehouse::{BoxedError, LineSpan, Pointers, Spans};
use store::entity::Known;
use store::{Store, Tx, pointer, report, watermark};

use crate::app::App;
use crate::problem::Result;
use crate::v1::campaign::Pace;

/// The most watermarks that the store returns at once.
const WATERMARKS_AT_ONCE: usize = 20_000;

/// A line and how it does.
#[derive(Debug, Clone)]
pub struct LineDelivery {
    /// The line.
    pub line: Known,
    /// How it does; `None` where it has no flight, or no complete days yet.
    pub paced: Option<Paced>,
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
    let known = Knowledge::read(&mut tx, &lines).await?;
    drop(tx);
    let spans: Vec<Option<DayRange>> = lines.iter().map(|line| known.complete_days(line)).collect();
    let spend = spend(app, org, &lines, &spans).await?;
    let deliveries = lines.into_iter().zip(spans).map(|(line, days)| {
        let paced = days.and_then(|days| {
            let cost = spend.get(&(line.connection, line.entity.platform_id.clone())).copied();
            known.pace(&line, days, cost)
        });
        LineDelivery { line, paced }
    });
    Ok(deliveries.collect())
}

type LineKey = (ConnectionId, String);

async fn spend(app: &App, org: OrgId, lines: &[Known], spans: &[Option<DayRange>]) -> Result<BTreeMap<LineKey, Money>> {
    let wanted = lines.iter().zip(spans).filter_map(|(line, days)| {
        Some(LineSpan { connection: line.connection, line: line.entity.platform_id.clone(), days: (*days)? })
    });
    let wanted: Vec<LineSpan> = wanted.collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let pointers = StorePointers(app.store.clone());
    let rows = match app.lake.spend_by_line(&pointers, org, &Spans::Lines(wanted)).await {
        Err(lakehouse::Error::NoTable { .. }) => Vec::new(),
        other => other?,
    };
    Ok(rows.into_iter().map(|row| ((row.connection, row.line), row.spend)).collect())
}

/// Which days of which accounts are known, and how platforms settle.
#[derive(Debug, Default)]
pub struct Knowledge {
    coverage: BTreeMap<AccountKey, Coverage>,
    final_after_days: BTreeMap<Platform, u32>,
}

impl Knowledge {
    /// What is known of the days of these lines' flights.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn read(tx: &mut Tx, lines: &[Known]) -> Result<Self> {
        let mut known = Self::default();
        for (connection, platform) in lines.iter().map(|line| (line.connection, line.platform)).collect::<BTreeSet<_>>()
        {
            let own: Vec<&Known> = lines.iter().filter(|line| line.connection == connection).collect();
            let Some(days) = covering(&own) else { continue };
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
            let mut made: BTreeMap<String, Vec<(NaiveDate, chrono::DateTime<chrono::Utc>)>> = BTreeMap::new();
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

    /// The days of a line's flight that are complete, without a gap from the first on.
    #[must_use]
    pub fn complete_days(&self, line: &Known) -> Option<DayRange> {
        let days = line.entity.flight?.days;
        let coverage = self.coverage_of(line)?;
        let through = coverage.complete_through(days.first(), line.time_zone, reporting_lag(line.platform))?;
        DayRange::new(days.first(), through.min(days.last()))
    }

    fn pace(&self, line: &Known, days: DayRange, spent: Option<Money>) -> Option<Paced> {
        let flight: Flight = line.entity.flight?;
        let spent = spent.unwrap_or_else(|| Money::zero(flight.budget.currency()));
        let pacing = Pacing::of(&flight, spent, line.time_zone.end_of(days.last()));
        match pacing {
            Ok(pacing) => Some(Paced { pacing, finality: self.finality(line, days.last())? }),
            Err(error) => {
                let id = line.id;
                tracing::warn!(entity.id = %id, %error, "line {id} can't be judged: {error}");
                None
            }
        }
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

/// The days from the first of any flight to the last.
fn covering(lines: &[&Known]) -> Option<DayRange> {
    let flights = || lines.iter().filter_map(|line| line.entity.flight.map(|flight| flight.days));
    DayRange::new(flights().map(DayRange::first).min()?, flights().map(DayRange::last).max()?)
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

    #[test]
    fn currencies_are_never_summed() {
        let mut dollars = paced("1", "1", "1", "1");
        dollars.pacing.delivered = Money::new("1".parse().unwrap(), "USD".parse().unwrap());
        assert_eq!(sum([&paced("1", "1", "1", "1"), &dollars]), None);
        assert_eq!(sum([]), None);
    }
}
