//! Evaluates the rules: judges every line on complete days, records the decision with what it was based on, and makes
//! proposals. The workflow follows what is recorded here; it judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::coverage::{Coverage, reporting_lag};
use domain::entity::Field;
use domain::ids::{ConnectionId, EntityId, OrgId, PullId};
use domain::pacing::{Pacing, Spend};
use domain::report::Definition;
use domain::rule::{Finding, NotJudged};
use domain::{DayRange, EntityStatus, Finality, Flight, Level, Money, money};
use futures::FutureExt as _;
use lakehouse::{LineSpan, LineSpend, Spans};
use store::decision::{Cause, Findings};
use store::entity::Known;
use store::rule::Rule;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use workflows::contract::rules::{CauseV1, EvaluateV1, EvaluatedV1, GiveUpV1, defs};

use crate::context::Context;
use crate::failure::{Error, failure};
use crate::heartbeat::beating;

/// How long a proposal waits for an approver: by then the numbers behind it are a day old.
const DECIDE_WITHIN: TimeDelta = TimeDelta::hours(24);
/// Lines read at a time.
const SLICE: u32 = store::entity::SLICE_MOST;
/// More lines than any agency has.
const MOST_LINES: usize = 200_000;

/// Implements [`workflows::contract::rules`].
pub struct RuleActivities(pub(crate) Arc<Context>);

#[activities]
impl RuleActivities {
    #[activity(definition = defs::Evaluate)]
    pub async fn evaluate(
        self: Arc<Self>,
        ctx: ActivityContext,
        input: EvaluateV1,
    ) -> Result<EvaluatedV1, ActivityError> {
        beating(ctx, async move { evaluate(&self.0, &input).await.map_err(failure) }.boxed()).await
    }

    #[activity(definition = defs::GiveUp)]
    pub async fn give_up(self: Arc<Self>, ctx: ActivityContext, input: GiveUpV1) -> Result<(), ActivityError> {
        beating(ctx, async move { give_up(&self.0, &input).await.map_err(failure) }.boxed()).await
    }
}

async fn give_up(context: &Context, input: &GiveUpV1) -> Result<(), Error> {
    let mut tx = context.store.begin(input.org).await?;
    store::decision::fail(&mut tx, input.decision, input.code, context.clock.now()).await?;
    Ok(tx.commit().await?)
}

async fn evaluate(context: &Context, input: &EvaluateV1) -> Result<EvaluatedV1, Error> {
    let now = context.clock.now();
    let mut tx = context.store.begin(input.org).await?;
    let decision = open_decision(&mut tx, input, now).await?;
    if decision.finished_at.is_some() {
        return Ok(EvaluatedV1 {
            decision: decision.id,
            judged: decision.findings.lines_judged,
            proposals: decision.proposals_made,
        });
    }
    let rules: Vec<Rule> = store::rule::list(&mut tx).await?.into_iter().filter(|rule| rule.enabled).collect();
    let lines = active_lines(&mut tx).await?;
    let known = Books::load(&mut tx, &lines).await?;
    tx.commit().await?;
    let spends = known.spends(context, input.org, &lines).await?;
    let judged = judge(&rules, &lines, &known, &spends)?;
    let mut tx = context.store.begin(input.org).await?;
    // What nobody decided in time would be in the way of what is proposed now.
    store::proposal::expire_overdue(&mut tx, now).await?;
    let mut proposals = 0;
    for suggestion in &judged.suggestions {
        proposals += u32::from(propose(&mut tx, decision.id, suggestion, now).await?);
    }
    let findings = Findings {
        as_of: input.as_of.or(Some(now)),
        pulls: known.pulls.iter().copied().collect(),
        lines_judged: judged.lines,
        not_judged: judged.skipped.iter().map(|(reason, lines)| (reason.to_string(), *lines)).collect(),
    };
    store::decision::finish(&mut tx, decision.id, &findings, now).await?;
    if let CauseV1::Cycle(cycle) = input.cause {
        let not_judged: u32 = findings.not_judged.values().sum();
        let step = serde_json::json!({
            "judged": judged.lines, "not_judged": not_judged, "proposals": proposals, "at": context.clock.now(),
        });
        store::cycle::record_step(&mut tx, cycle, "evaluate", &step).await?;
    }
    tx.commit().await?;
    metrics::counter!("clp_proposals_total").increment(u64::from(proposals));
    Ok(EvaluatedV1 { decision: decision.id, judged: judged.lines, proposals })
}

async fn open_decision(
    tx: &mut store::Tx,
    input: &EvaluateV1,
    now: DateTime<Utc>,
) -> Result<store::decision::Decision, Error> {
    Ok(match input.cause {
        CauseV1::Cycle(cycle) => store::decision::open(tx, Cause::Cycle(cycle), now).await?,
        CauseV1::Person(decision) => store::decision::fetch(tx, decision).await?,
    })
}

/// Every line that could spend.
async fn active_lines(tx: &mut store::Tx) -> Result<Vec<Known>, Error> {
    let (mut lines, mut after) = (Vec::new(), None);
    while lines.len() < MOST_LINES {
        let page = store::entity::list(tx, Level::Line, false, after, SLICE).await?;
        after = page.last().map(|line| line.id);
        let full = page.len() == SLICE as usize;
        lines.extend(page.into_iter().filter(|line| line.entity.status == EntityStatus::Active));
        if !full {
            break;
        }
    }
    Ok(lines)
}

/// A connection, and the platform's id of one of its accounts.
type AccountKey = (ConnectionId, String);

/// What is known of the days behind the lines: per account its coverage, and the pulls that it came from.
struct Books {
    coverage: BTreeMap<AccountKey, Coverage>,
    final_after_days: BTreeMap<ConnectionId, u32>,
    pulls: BTreeSet<PullId>,
}

impl Books {
    async fn load(tx: &mut store::Tx, lines: &[Known]) -> Result<Self, Error> {
        let mut books = Self { coverage: BTreeMap::new(), final_after_days: BTreeMap::new(), pulls: BTreeSet::new() };
        let platforms: BTreeSet<_> = lines.iter().map(|line| line.platform).collect();
        let mut definitions: Vec<Definition> = Vec::new();
        for platform in platforms {
            definitions.extend(store::report::list(tx, platform).await?);
        }
        let mut days: BTreeMap<AccountKey, Vec<(NaiveDate, DateTime<Utc>)>> = BTreeMap::new();
        for mark in store::watermark::all(tx).await? {
            if let Some(definition) = definitions.iter().find(|definition| definition.id == mark.report) {
                books.final_after_days.insert(mark.connection, definition.final_after_days);
            }
            books.pulls.insert(mark.pull);
            days.entry((mark.connection, mark.account)).or_default().push((mark.day, mark.as_of));
        }
        books.coverage = days.into_iter().map(|(key, days)| (key, Coverage::new(days))).collect();
        Ok(books)
    }

    fn coverage(&self, line: &Known) -> Option<&Coverage> {
        self.coverage.get(&(line.connection, line.account_platform_id.clone()))
    }

    /// The days of the line's flight by which it is judged, or why it can't be.
    fn judged_days(&self, line: &Known) -> Result<(Flight, DayRange), NotJudged> {
        let flight = line.entity.flight.ok_or(NotJudged::NoOwnBudget)?;
        let coverage = self.coverage(line).ok_or(NotJudged::HistoryMissing)?;
        Ok((flight, coverage.judged_days(&flight, reporting_lag(line.platform))?))
    }

    fn settled(&self, line: &Known, day: NaiveDate) -> Option<Finality> {
        let final_after_days = self.final_after_days.get(&line.connection).copied()?;
        self.coverage(line)?.finality(day, line.time_zone, final_after_days)
    }

    /// What each line has spent on the days that count.
    async fn spends(&self, context: &Context, org: OrgId, lines: &[Known]) -> Result<Spends, Error> {
        let spans = lines.iter().filter_map(|line| {
            let (_, days) = self.judged_days(line).ok()?;
            Some(LineSpan { connection: line.connection, line: line.entity.platform_id.clone(), days })
        });
        let spans = Spans::Lines(spans.collect());
        let spends = context.lake.spend_by_line(&context.pointers(org), org, &spans).await?;
        let spend = |row: LineSpend| {
            let LineSpend { connection, account: _, line, spend, days: _, withheld_days } = row;
            ((connection, line), Spend { stated: spend, withheld_days })
        };
        Ok(spends.into_iter().map(spend).collect())
    }
}

type Spends = BTreeMap<(ConnectionId, String), Spend>;

/// A change that a rule suggests, with what it was judged by.
struct Suggestion {
    rule: Rule,
    entity: EntityId,
    before: Money,
    after: Money,
    limited: bool,
    pacing: Pacing,
    settled: Finality,
}

#[derive(Default)]
struct Judged {
    lines: u32,
    suggestions: Vec<Suggestion>,
    skipped: BTreeMap<NotJudged, u32>,
}

fn judge(rules: &[Rule], lines: &[Known], books: &Books, spends: &Spends) -> Result<Judged, Error> {
    let mut judged = Judged::default();
    for (rule, line) in rules.iter().flat_map(|rule| lines.iter().map(move |line| (rule, line))) {
        let mut skip = |reason: NotJudged| *judged.skipped.entry(reason).or_default() += 1;
        let (flight, days) = match books.judged_days(line) {
            Ok(judged) => judged,
            Err(reason) => {
                skip(reason);
                continue;
            }
        };
        let key = (line.connection, line.entity.platform_id.clone());
        let spend = spends.get(&key).copied().unwrap_or(Spend::whole(Money::zero(line.currency)));
        let settled = books.settled(line, days.last()).unwrap_or(Finality::Intraday);
        let unit = line.platform.billable_unit(line.currency);
        let daily = line.entity.daily_budget;
        let pacing = match Pacing::of(&flight, spend, flight.zone.end_of(days.last())) {
            Ok(pacing) => pacing,
            // An odd line is left out; it doesn't keep the others from being judged.
            Err(money::Error::CurrencyMismatch { .. }) => {
                skip(NotJudged::OtherCurrency);
                continue;
            }
            Err(error) => return Err(odd_money(&error)),
        };
        match rule.settings.judge(&pacing, daily, settled, unit).map_err(|error| odd_money(&error))? {
            Finding::OnPace => judged.lines += 1,
            Finding::NotJudged { reason } => skip(reason),
            Finding::Suggest { before, after, limited } => {
                judged.lines += 1;
                let (rule, entity) = (rule.clone(), line.id);
                judged.suggestions.push(Suggestion { rule, entity, before, after, limited, pacing, settled });
            }
        }
    }
    Ok(judged)
}

fn odd_money(error: &money::Error) -> Error {
    Error::Inconsistent { what: "the amounts of a line", why: error.to_string() }
}

/// Makes a proposal, with the intent to start its workflow; false when one is open for the same setting.
async fn propose(
    tx: &mut store::Tx,
    decision: domain::ids::DecisionId,
    suggestion: &Suggestion,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let rule = &suggestion.rule;
    let new = store::proposal::New {
        origin: store::proposal::Origin::Rule { rule: rule.id, version: rule.version, decision },
        entity: suggestion.entity,
        field: Field::DailyBudget,
        before: suggestion.before,
        after: suggestion.after,
        limited: suggestion.limited,
        pacing: suggestion.pacing,
        settled: suggestion.settled,
        expires_at: now + DECIDE_WITHIN,
    };
    Ok(store::proposal::create(tx, &new, now).await?.is_some())
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountId, RuleId};
    use domain::rule::PacingRule;
    use domain::{Platform, TimeZone};

    use super::*;

    fn money(text: &str, currency: &str) -> Money {
        Money::new(text.parse().unwrap(), currency.parse().unwrap())
    }

    fn days(first: &str, last: &str) -> DayRange {
        DayRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    fn rule() -> Rule {
        Rule {
            id: RuleId::new(),
            kind: store::rule::Kind::Pacing,
            name: "Keep pace".to_owned(),
            enabled: true,
            version: 1,
            settings: PacingRule::default(),
            changed_at: now(),
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    /// A line that spends 10 a day, in November, with 300 for it.
    fn line(currency: &str) -> Known {
        let budget = money("300", currency);
        let flight = Flight { days: days("2026-11-01", "2026-11-30"), zone: TimeZone::UTC, budget };
        Known {
            id: EntityId::new(),
            connection: ConnectionId::new(),
            platform: Platform::Dv360,
            account: AccountId::new(),
            account_platform_id: "4711".to_owned(),
            account_name: "One".to_owned(),
            currency: budget.currency(),
            time_zone: TimeZone::UTC,
            entity: domain::entity::Entity {
                platform_id: "77001".to_owned(),
                parent_id: None,
                campaign_id: "55001".to_owned(),
                level: Level::Line,
                name: "Line".to_owned(),
                status: EntityStatus::Active,
                flight: Some(flight),
                daily_budget: Some(money("10", currency)),
            },
            read_at: now(),
        }
    }

    /// What comes of a line that has spent this, when these days were read.
    fn judged(line: &Known, read: DayRange, spend: Spend) -> Judged {
        let coverage = Coverage::new(read.days().map(|day| (day, now())));
        let books = Books {
            coverage: [((line.connection, line.account_platform_id.clone()), coverage)].into(),
            final_after_days: [(line.connection, 7)].into(),
            pulls: BTreeSet::new(),
        };
        let spends = [((line.connection, line.entity.platform_id.clone()), spend)].into();
        judge(&[rule()], std::slice::from_ref(line), &books, &spends).unwrap()
    }

    fn november() -> DayRange {
        days("2026-11-01", "2026-11-21")
    }

    #[test]
    fn a_budget_is_not_raised_on_spend_that_the_platform_keeps_to_itself() {
        let line = line("EUR");
        let spend = Spend::whole(money("100", "EUR"));
        let known = judged(&line, november(), spend);
        assert_eq!((known.lines, known.suggestions.len()), (1, 1));
        let kept = judged(&line, november(), Spend { withheld_days: 3, ..spend });
        assert_eq!((kept.lines, kept.suggestions.len()), (0, 0));
        assert_eq!(kept.skipped, [(NotJudged::SpendWithheld, 1)].into());
    }

    #[test]
    fn a_line_that_can_not_be_judged_is_counted_with_its_reason() {
        let spend = Spend::whole(money("100", "EUR"));
        let mut shared = line("EUR");
        shared.entity.flight = None;
        assert_eq!(judged(&shared, november(), spend).skipped, [(NotJudged::NoOwnBudget, 1)].into());
        let short = judged(&line("EUR"), days("2026-11-02", "2026-11-21"), spend);
        assert_eq!(short.skipped, [(NotJudged::HistoryMissing, 1)].into());
        let dollars = Spend::whole(money("100", "USD"));
        assert_eq!(judged(&line("EUR"), november(), dollars).skipped, [(NotJudged::OtherCurrency, 1)].into());
    }

    #[test]
    fn forints_are_proposed_in_units_that_the_platform_can_bill() {
        let found = judged(&line("HUF"), november(), Spend::whole(money("173.21", "HUF")));
        let after: Vec<Money> = found.suggestions.iter().map(|suggestion| suggestion.after).collect();
        assert_eq!(after, [money("12", "HUF")], "12.67 a day would end on budget");
    }
}
